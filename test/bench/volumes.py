"""Times of files in a directory, warm: the second of two rounds. Prints JSON."""

import json, os, shutil, sys, time

os.chdir(sys.argv[1])
MB = 1_000_000
BIG = 32 * 2**20
block = bytes(2**20)


def timed(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def write():
    with open("big", "wb", buffering=0) as file:
        for _ in range(BIG // len(block)):
            file.write(block)
        os.fsync(file.fileno())


def read():
    with open("big", "rb", buffering=0) as file:
        while file.read(2**20):
            pass


def make_tree():
    for directory in range(20):
        os.makedirs(f"tree/{directory}")
        for file in range(50):
            with open(f"tree/{directory}/{file}", "w") as new:
                new.write("x" * 100)


def walk():
    for place, _, files in os.walk("tree"):
        for name in files:
            os.lstat(f"{place}/{name}")


def create():
    for number in range(200):
        with open(f"new-{number}", "wb") as file:
            file.write(bytes(1024))


def remove():
    for number in range(200):
        os.unlink(f"new-{number}")


make_tree()
for _ in range(2):
    figures = {
        "write_mb_s": BIG / MB / timed(write),
        "read_mb_s": BIG / MB / timed(read),
        "walk_1020_ms": timed(walk) * 1000,
        "create_1k_ms": timed(create) * 1000 / 200,
        "unlink_ms": timed(remove) * 1000 / 200,
    }
shutil.rmtree("tree")
print(json.dumps(figures))

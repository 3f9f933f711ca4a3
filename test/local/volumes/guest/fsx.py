"""Random reads, writes, cuts and mappings of a file, each compared with an array, as fsx does. Arguments: directory, seed, operations."""

import mmap, os, random, sys

directory, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pick = random.Random(seed)
MAX = 256 * 1024
path = f"{directory}/fsx-{seed}"
file = open(path, "w+b", buffering=0)
model = bytearray()


def fail(what):
    sys.exit(f"seed {seed}: {what}")


for step in range(count):
    at, length = pick.randrange(MAX), pick.randrange(1, 32 * 1024)
    operation = pick.choice(["read", "write", "cut", "map read", "map write", "open again", "append"])
    if operation == "read":
        if os.pread(file.fileno(), length, at) != bytes(model[at : at + length]):
            fail(f"step {step}: read of {length} at {at}")
    elif operation == "write":
        data = pick.randbytes(length)
        os.pwrite(file.fileno(), data, at)
        model.extend(bytes(max(0, at - len(model))))
        model[at : at + length] = data
    elif operation == "append":
        data = pick.randbytes(length)
        with open(path, "ab", buffering=0) as appending:
            appending.write(data)
        model.extend(data)
    elif operation == "cut":
        os.ftruncate(file.fileno(), at)
        model = model[:at] + bytes(max(0, at - len(model)))
    elif operation in ("map read", "map write") and len(model) > 0:
        with mmap.mmap(file.fileno(), len(model)) as mapping:
            if operation == "map read":
                if mapping[at : at + length] != bytes(model[at : at + length]):
                    fail(f"step {step}: mapping of {length} at {at}")
            else:
                data = pick.randbytes(len(model[at : at + length]))
                mapping[at : at + length] = data
                model[at : at + length] = data
                mapping.flush()
    elif operation == "open again":
        file.close()
        file = open(path, "r+b", buffering=0)
    if os.fstat(file.fileno()).st_size != len(model):
        fail(f"step {step}: size {os.fstat(file.fileno()).st_size} after {operation}, expected {len(model)}")
file.seek(0)
if file.read() != bytes(model):
    fail("contents at the end")

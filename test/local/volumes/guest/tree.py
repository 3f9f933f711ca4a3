"""Usual tools on a tree of small files, which tar extracts in a directory. Arguments: directory, number of files. Prints what they found, and their times, as JSON."""

import json, os, random, subprocess, sys, time

place, count = sys.argv[1], int(sys.argv[2])
PER_DIRECTORY = 100
SOURCE = f"/root/source-{count}"

if not os.path.exists(SOURCE):
    pick = random.Random(count)
    for number in range(count):
        directory = f"{SOURCE}/{number // PER_DIRECTORY}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{number}.txt", "wb") as file:
            file.write(pick.randbytes(pick.randrange(2000)))
        os.chmod(f"{directory}/{number}.txt", pick.choice([0o644, 0o600, 0o755]))
    subprocess.run(["tar", "-cf", f"{SOURCE}.tar", "-C", SOURCE, "."], check=True)

found, times = {}, {}


def run(name, command):
    begun = time.monotonic()
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True)
    times[name] = round((time.monotonic() - begun) * 1000)
    found[name] = [done.returncode, done.stdout.strip()]


tree = f"{place}/tree"
os.mkdir(tree)
run("extract", f"tar -xf {SOURCE}.tar -C {tree} && sync -f {tree}")
run("find", f"find {tree} | wc -l")
run("list", f"ls -lR {tree} | grep -c '^-'")
run("modes", f"cd {tree} && find . -type f -printf '%p %m %s %T@\\n' | sort | sha256sum")
run("compare", f"diff -r {SOURCE} {tree}")
run("remove", f"rm -rf {tree}")
found["left"] = os.listdir(place).count("tree")
print(json.dumps({"found": found, "times": times}))

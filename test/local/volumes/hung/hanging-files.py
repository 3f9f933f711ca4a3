"""Mounts a file system with a file "hello" at a directory, runs a command, and ends with it.

Whoever looks up a name that begins with "stuck" waits for ever, killed or not, and then there is a file DIRECTORY.asked. Each name asks once: whoever looks up the same waits in the kernel.
After a look at "deaf", which is not there, nothing is answered: whoever asks waits until he is killed.
It speaks FUSE itself (linux/fuse.h); run it by `unshare --user --map-root-user --mount`.
"""

import ctypes, os, signal, struct, subprocess, sys, threading

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT = 1, 2, 3, 14, 15, 17, 18, 25, 26
OPENDIR, READDIR, RELEASEDIR, ACCESS = 27, 28, 29, 34
PARALLEL_DIROPS = 1 << 18
ENOENT, ENOSYS = 2, 38
DEAF = -1
MS_NOSUID, MS_NODEV = 2, 4
ROOT, HELLO = 1, 2
CONTENTS = b"hello\n"
IN_HEADER, OUT_HEADER = "<IIQQIIII", "<IiQ"


def mount(path):
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hanging", path.encode(), b"fuse.hanging", MS_NOSUID | MS_NODEV, options.encode()):
        sys.exit(f"no file system can be mounted: {os.strerror(ctypes.get_errno())}")
    return device


def facts(node):
    mode = 0o40755 if node == ROOT else 0o100644
    times = [0] * 6
    size = 0 if node == ROOT else len(CONTENTS)
    return struct.pack("<6Q10I", node, size, 1, *times[:3], *times[3:], mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)


def answer(request, node, body):
    """Returns an errno and the body of the answer, or nothing."""
    if request == INIT:
        return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, PARALLEL_DIROPS, 16, 12, 65536, 1, *[0] * 10)
    if request == LOOKUP and body.startswith(b"stuck"):
        open(f"{sys.argv[1]}.asked", "w").close()
        return None
    if request == LOOKUP and body.startswith(b"deaf"):
        return DEAF, b""
    if request == LOOKUP:
        found = struct.pack("<QQQQII", HELLO, *[0] * 5) + facts(HELLO)
        return (0, found) if body.startswith(b"hello\0") else (ENOENT, b"")
    if request == FORGET:
        return None
    if request == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + facts(node)
    if request in (OPEN, OPENDIR):
        return 0, struct.pack("<QII", 1, 0, 0)
    if request in (READ, READDIR):
        (offset,) = struct.unpack_from("<Q", body, 8)
        if request == READ:
            return 0, CONTENTS[offset:]
        return 0, b"" if offset else struct.pack("<QQII8s", HELLO, 1, 5, 8, b"hello")
    if request == STATFS:
        return 0, struct.pack("<5Q4I6I", *[0] * 5, 4096, 255, 4096, *[0] * 7)
    if request in (RELEASE, RELEASEDIR, FLUSH, ACCESS):
        return 0, b""
    return ENOSYS, b""


device = mount(sys.argv[1])
child = subprocess.Popen(sys.argv[2:], close_fds=False)
# In a thread: a signal that comes just before a system call would be seen only after it.
threading.Thread(target=lambda: os._exit(child.wait() & 0xFF), daemon=True).start()
while True:
    request = os.read(device, 2**20)
    _, kind, number, node = struct.unpack_from(IN_HEADER, request)[:4]
    known = answer(kind, node, request[struct.calcsize(IN_HEADER) :])
    if known is None:
        continue
    error, body = known
    is_deaf = error == DEAF
    error = ENOENT if is_deaf else error
    size = struct.calcsize(OUT_HEADER) + len(body)
    os.write(device, struct.pack(OUT_HEADER, size, -error, number) + body)
    while is_deaf:
        signal.pause()

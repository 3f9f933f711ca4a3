"""Calls on files, as pjdfstest and others make them. Prints what came of each in a directory, as JSON: {"rename file onto empty directory": "EISDIR"}."""

import errno, fcntl, json, mmap, os, socket, stat, sys

os.chdir(sys.argv[1])
os.umask(0o022)
results = {}


def kind(path):
    mode = os.lstat(path).st_mode
    return next(n for n in ("REG", "DIR", "LNK", "FIFO", "SOCK", "CHR", "BLK") if getattr(stat, f"S_IS{n}")(mode))


def case(name):
    """Runs a function in a directory of its own. What it returns, or the name of its error, is the result."""

    def run(work):
        place = f"case{len(results)}"
        os.mkdir(place)
        os.chdir(place)
        try:
            results[name] = repr(work())
        except OSError as error:
            results[name] = errno.errorcode[error.errno]
        finally:
            os.chdir("..")

    return run


def write(path, text="text"):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


MAKERS = {
    "file": lambda path: write(path, path),
    "empty directory": os.mkdir,
    "full directory": lambda path: (os.mkdir(path), write(f"{path}/inner")),
    "link to a file": lambda path: (write(f"{path}.target"), os.symlink(f"{path}.target", path)),
    "link to a directory": lambda path: (os.mkdir(f"{path}.target"), os.symlink(f"{path}.target", path)),
    "dangling link": lambda path: os.symlink("nothing", path),
    "nothing": lambda path: None,
}

for one, make_one in MAKERS.items():
    for other, make_other in MAKERS.items():

        @case(f"rename {one} onto {other}")
        def _():
            make_one("a")
            make_other("b")
            os.rename("a", "b")
            return kind("b"), os.path.lexists("a")

    @case(f"unlink {one}")
    def _():
        make_one("a")
        os.unlink("a")
        return os.path.lexists("a")

    @case(f"rmdir {one}")
    def _():
        make_one("a")
        os.rmdir("a")
        return os.path.lexists("a")

    @case(f"hard link to {one}")
    def _():
        make_one("a")
        os.link("a", "b", follow_symlinks=False)
        return kind("b"), os.lstat("b").st_nlink, os.path.samestat(os.lstat("a"), os.lstat("b"))

    @case(f"mkdir over {one}")
    def _():
        make_one("a")
        os.mkdir("a")

    @case(f"symlink over {one}")
    def _():
        make_one("a")
        os.symlink("x", "a")

    for flags in ("O_RDONLY", "O_WRONLY", "O_CREAT|O_EXCL|O_RDWR", "O_RDONLY|O_DIRECTORY", "O_RDONLY|O_NOFOLLOW", "O_WRONLY|O_TRUNC"):

        @case(f"open {one} {flags}")
        def _():
            make_one("a")
            fd = os.open("a", eval("|".join(f"os.{flag}" for flag in flags.split("|"))), 0o600)
            status = os.fstat(fd)
            os.close(fd)
            return oct(status.st_mode), status.st_size if stat.S_ISREG(status.st_mode) else None

    @case(f"truncate {one}")
    def _():
        make_one("a")
        os.truncate("a", 3)
        return os.stat("a").st_size

    @case(f"chmod {one}")
    def _():
        make_one("a")
        os.chmod("a", 0o750)
        return oct(os.stat("a").st_mode)

    @case(f"utime {one}")
    def _():
        make_one("a")
        os.utime("a", (1_000_000, 2_000_000))
        status = os.stat("a")
        # The host lists new directories to watch them, which changes their time of access.
        is_listed = stat.S_ISDIR(status.st_mode)
        return status.st_mtime, None if is_listed else status.st_atime

    @case(f"list {one}")
    def _():
        make_one("a")
        return sorted(os.listdir("a"))


@case("rename a directory into itself")
def _():
    os.mkdir("a")
    os.rename("a", "a/b")


@case("rename onto another name of the same file")
def _():
    write("a")
    os.link("a", "b")
    os.rename("a", "b")
    return sorted(os.listdir("."))


@case("remove the working directory")
def _():
    os.mkdir("a")
    os.chdir("a")
    try:
        os.rmdir("../a")
        return os.listdir(".")
    finally:
        os.chdir("..")


@case("nlink of directories")
def _():
    os.makedirs("a/b")
    before = os.stat("a").st_nlink
    os.rmdir("a/b")
    return before, os.stat("a").st_nlink


@case("name of 255 bytes")
def _():
    write("x" * 255)
    return len(os.listdir(".")[0])


@case("name of 256 bytes")
def _():
    write("x" * 256)


@case("name that is not UTF-8")
def _():
    write(b"\xff\xfe")
    return os.listdir(b".")


@case("path below a file")
def _():
    write("a")
    os.stat("a/b")


@case("links in a circle")
def _():
    os.symlink("b", "a")
    os.symlink("a", "b")
    os.stat("a")


@case("60 directories deep")
def _():
    path = "/".join(["d"] * 60)
    os.makedirs(path)
    write(f"{path}/file")
    return read(f"{path}/file")


@case("removed file that is open")
def _():
    with open("a", "w+") as file:
        file.write("before")
        file.flush()
        os.unlink("a")
        file.write(" after")
        file.flush()
        os.ftruncate(file.fileno(), 9)
        file.seek(0)
        return file.read(), os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_nlink


@case("replaced file that is open")
def _():
    write("a", "new")
    with open("b", "w+") as file:
        file.write("old")
        file.flush()
        os.rename("a", "b")
        file.seek(0)
        return read("b"), file.read(), os.fstat(file.fileno()).st_nlink


@case("renamed directory that is open")
def _():
    os.mkdir("a")
    fd = os.open("a", os.O_RDONLY)
    os.rename("a", "b")
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    return os.listdir("b")


@case("two that append")
def _():
    with open("a", "a") as one, open("a", "a") as other:
        for i in range(5):
            one.write(f"one{i} ")
            one.flush()
            other.write(f"other{i} ")
            other.flush()
    return read("a")


@case("sparse file of 5 GB")
def _():
    with open("a", "w+b") as file:
        file.seek(5 * 2**30)
        file.write(b"end")
        file.flush()
        size, blocks = os.stat("a").st_size, os.stat("a").st_blocks
        file.seek(5 * 2**30 - 1)
        return size, blocks < 1000, file.read()


@case("hole that is read")
def _():
    with open("a", "w+b") as file:
        file.write(b"x")
        file.seek(10_000)
        file.write(b"y")
        file.seek(0)
        data = file.read()
        return len(data), data.count(0)


@case("posix_fallocate")
def _():
    with open("a", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
    return os.stat("a").st_size


@case("shared mapping")
def _():
    write("a", "." * 10_000)
    with open("a", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[5000:5005] = b"hello"
        mapping.flush()
        return os.pread(file.fileno(), 7, 4999), mapping[4999:5006]


@case("shared mapping whose file is removed")
def _():
    write("a", "." * 100)
    with open("a", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        os.unlink("a")
        mapping[0:5] = b"hello"
        mapping.flush()
        return os.pread(file.fileno(), 6, 0)


@case("shared mapping of a removed file")
def _():
    write("a", "." * 100)
    with open("a", "r+b") as file:
        os.unlink("a")
        with mmap.mmap(file.fileno(), 0) as mapping:
            mapping[0:5] = b"hello"
            mapping.flush()
            return os.pread(file.fileno(), 6, 0)


@case("read-only mapping of a removed file")
def _():
    write("a", "." * 100)
    with open("a", "rb") as file:
        os.unlink("a")
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapping:
            return mapping[0:6]


@case("facts of a removed file that was mapped before")
def _():
    write("a", "." * 100)
    with open("a", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[0:5] = b"hello"
    with open("a", "r+b") as file:
        os.unlink("a")
        return os.fstat(file.fileno()).st_nlink, file.read(6)


@case("private mapping")
def _():
    write("a", "." * 100)
    with open("a", "r+b") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as mapping:
        mapping[0:5] = b"hello"
        return os.pread(file.fileno(), 5, 0)


@case("mapping after its file was cut and grown")
def _():
    write("a", "a" * 8192)
    with open("a", "r+b") as file:
        os.ftruncate(file.fileno(), 10)
        os.ftruncate(file.fileno(), 8192)
        with mmap.mmap(file.fileno(), 0) as mapping:
            return mapping[0:12]


@case("flock between processes")
def _():
    write("a")
    with open("a") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        child = os.fork()
        if child == 0:
            try:
                with open("a") as other:
                    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
        return errno.errorcode[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


@case("fcntl lock between processes")
def _():
    write("a")
    with open("a", "r+") as mine:
        fcntl.lockf(mine, fcntl.LOCK_EX, 10, 5)
        child = os.fork()
        if child == 0:
            try:
                with open("a", "r+") as other:
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
        return errno.errorcode[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


@case("2,000 entries removed while they are listed")
def _():
    for i in range(2000):
        os.close(os.open(f"file{i}", os.O_CREAT | os.O_WRONLY))
    seen = 0
    with os.scandir(".") as entries:
        for entry in entries:
            os.unlink(entry.name)
            seen += 1
    return seen, os.listdir(".")


@case("mode of a new file under a umask")
def _():
    before = os.umask(0o007)
    try:
        os.close(os.open("a", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir("b", 0o777)
    finally:
        os.umask(before)
    return oct(os.stat("a").st_mode), oct(os.stat("b").st_mode)


@case("file without permissions, as root")
def _():
    write("a")
    os.chmod("a", 0)
    return read("a")


@case("execute a script")
def _():
    write("a", "#!/bin/sh\nexit 7\n")
    os.chmod("a", 0o755)
    return os.waitstatus_to_exitcode(os.system("./a"))


@case("fsync of a directory")
def _():
    fd = os.open(".", os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@case("inode numbers that differ")
def _():
    for i in range(50):
        write(f"f{i}")
    return len({os.stat(f"f{i}").st_ino for i in range(50)}), all(
        entry.inode() == entry.stat().st_ino for entry in os.scandir(".")
    )


@case("file system of an entry")
def _():
    os.mkdir("a")
    return os.stat("a").st_dev == os.stat(".").st_dev, os.statvfs(".").f_bavail > 0


# From here on, a volume differs, for the reasons that the test names.


@case("mkfifo")
def _():
    os.mkfifo("a")
    return kind("a")


@case("mknod of a device")
def _():
    os.mknod("a", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return kind("a")


@case("bind a socket")
def _():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a")
    return kind("a")


@case("chown")
def _():
    write("a")
    os.chown("a", 1000, 1000)
    return os.stat("a").st_uid, os.stat("a").st_gid


@case("chmod with setuid")
def _():
    write("a")
    os.chmod("a", 0o4755)
    return oct(os.stat("a").st_mode)


@case("extended attribute")
def _():
    write("a")
    os.setxattr("a", "user.name", b"value")
    return os.getxattr("a", "user.name")


@case("O_TMPFILE")
def _():
    os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))


@case("time with nanoseconds")
def _():
    write("a")
    os.utime("a", ns=(1_500_000_000, 2_500_000_000))
    return os.stat("a").st_mtime_ns


@case("times of a link")
def _():
    os.symlink("x", "a")
    os.utime("a", (1, 2), follow_symlinks=False)
    return os.lstat("a").st_mtime


@case("rename without replacing")
def _():
    write("a")
    write("b")
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, b"a", -100, b"b", 1) < 0:
        raise OSError(ctypes.get_errno(), "")


print(json.dumps(results))

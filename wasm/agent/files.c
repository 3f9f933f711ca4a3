/* Files: PUT writes beside a regular file and renames over it, and into anything else; GET reads. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SYSFS_MAGIC 0x62656572
#define STATX_ATTR_MOUNT_ROOT 0x2000u

/* As the kernel counts them when it resolves a path. */
#define MAX_SYMLINKS 40

/* Hidden, in the target's directory, so that the last rename stays within one file system. */
#define TEMPORARY ".boxrun-"

static uint32_t last_temporary;

static const char *temporary_name(uint32_t number)
{
    static char name[sizeof TEMPORARY + 8] = TEMPORARY;
    for (int i = 0; i < 8; i++)
        name[sizeof TEMPORARY - 1 + i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
    return name;
}

int make_directories(char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return -1;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/*
 * Follows symbolic links at the end of `path` (of PATH_MAX bytes) to the name that is to be replaced, which
 * need not exist. Leaves the last slash's place in `*last`.
 */
static int resolve(char *path, char **last)
{
    char target[PATH_MAX];
    for (int links = 0; links <= MAX_SYMLINKS; links++) {
        *last = strrchr(path, '/');
        ssize_t length = readlink(path, target, sizeof target);
        if (length < 0)
            return errno == EINVAL || errno == ENOENT ? 0 : -1;
        size_t keep = length > 0 && target[0] == '/' ? 0 : *last + 1 - path;
        if (length == 0 || keep + length >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(path + keep, target, length);
        path[keep + length] = 0;
    }
    errno = ELOOP;
    return -1;
}

static int open_directory(char *path, char *last)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    if (last == path)
        return open("/", flags);
    *last = 0;
    int dir = open(path, flags);
    if (dir < 0 && errno == ENOENT && make_directories(path) == 0)
        dir = open(path, flags);
    *last = '/';
    return dir;
}

/* A file that is a mount of its own, as a bind mount makes one: a rename over it is EBUSY. */
static bool is_mount(const char *path)
{
    /* The beginning of struct statx, which this libc does not have. */
    struct { uint32_t mask, block_size; uint64_t attributes; uint8_t rest[240]; } status;
    return syscall(SYS_statx, AT_FDCWD, path, 0, 0, &status) == 0
           && (status.attributes & STATX_ATTR_MOUNT_ROOT);
}

/* -1 for what may never take a byte, or is a directory. */
static int require_writable(const struct stat *status)
{
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISDIR(status->st_mode) || S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode) ? -1 : 0;
}

/* For what cannot be replaced: a device, a file of the kernel, a mount. Nothing of it is changed yet. */
static int put_in_place(struct stream *stream, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0 || require_writable(&status) < 0)
        return -1;
    /* Non-blocking, and so are the writes: a terminal that nobody reads would hold up everything. */
    stream->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (stream->fd < 0 || fstat(stream->fd, &status) < 0)
        return -1;
    stream->in_place = true;
    /* It may have been replaced since. */
    return require_writable(&status);
}

/* What a file system says that takes no new file where there is one already. */
static bool takes_no_file(int error)
{
    return error == EACCES || error == EPERM || error == EROFS || error == ENOENT || error == EOPNOTSUPP;
}

/* Opens the target's directory and a temporary file in it. Leaves the descriptors and the name in `stream`. */
static int put_beside(struct stream *stream, char *path, char *last)
{
    size_t length = strlen(last + 1);
    if (length == 0 || length >= sizeof stream->name) {
        errno = length ? ENAMETOOLONG : EISDIR;
        return -1;
    }
    memcpy(stream->name, last + 1, length + 1);
    stream->dir = open_directory(path, last);
    if (stream->dir < 0)
        return -1;
    do {
        stream->temporary = ++last_temporary;
        stream->fd = openat(stream->dir, temporary_name(stream->temporary),
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    } while (stream->fd < 0 && errno == EEXIST);
    return stream->fd;
}

/* `path` and `resolved`, which is changed, begin as the same. */
static int put_open(struct stream *stream, const char *path, char *resolved)
{
    char *last;
    struct stat status, reached;
    if (path[0] != '/') {
        errno = EINVAL;
        return -1;
    }
    /* By its own name, before links are read: those of /proc lead to what has no other. */
    bool found = stat(path, &status) == 0;
    if (found && !S_ISREG(status.st_mode))
        return put_in_place(stream, path);
    if (resolve(resolved, &last) < 0)
        return -1;
    /* A file without a name has a link in /proc all the same: its text names nothing, or something else. */
    if (found && (lstat(resolved, &reached) < 0 || reached.st_dev != status.st_dev || reached.st_ino != status.st_ino
                  || is_mount(resolved)))
        return put_in_place(stream, path);
    if (put_beside(stream, resolved, last) >= 0)
        return 0;
    if (!found || !takes_no_file(errno))
        return -1;
    close_fd(&stream->dir);
    return put_in_place(stream, path);
}

void file_close(struct stream *stream)
{
    close_fd(&stream->fd);
    close_fd(&stream->dir);
    stream_close(stream);
}

void file_abort(struct stream *stream)
{
    if (stream->kind == PUT && stream->fd >= 0 && !stream->in_place)
        unlinkat(stream->dir, temporary_name(stream->temporary), 0);
    file_close(stream);
}

void file_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why)
{
    send_fail(stream->id, stream->in_place && stream->bytes ? STAGE_PARTLY : stage, error, why);
    file_abort(stream);
}

static void fail(struct stream *stream, enum fail_stage stage, const char *path)
{
    send_fail(stream->id, stage, errno, path);
    file_abort(stream);
}

bool put_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint8_t flags = read_u8(&reader);
    uint32_t mode = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || flags > PUT_KEEP_MODE || mode > MAX_MODE || !*path)
        return false;

    static char resolved[PATH_MAX];
    memcpy(resolved, path, strlen(path) + 1);
    struct stream *stream = stream_open(frame->stream, PUT);
    stream->mode = mode;
    stream->keep_mode = flags & PUT_KEEP_MODE;
    if (put_open(stream, path, resolved) < 0) {
        fail(stream, STAGE_OPEN, path);
        return true;
    }
    stream->window = PUT_WINDOW;
    stream_grant(stream, stream->window);
    return true;
}

static void write_failed(struct stream *stream)
{
    fail(stream, stream->in_place ? STAGE_PARTLY : STAGE_WRITE, stream->in_place ? "" : stream->name);
}

/* What is written in place loses its old contents not before there are new ones. */
static int begin_in_place(const struct stream *stream)
{
    struct stat status;
    if (!stream->in_place || stream->bytes)
        return 0;
    if (fstat(stream->fd, &status) < 0)
        return -1;
    return S_ISREG(status.st_mode) ? ftruncate(stream->fd, 0) : 0;
}

void put_data(struct stream *stream, const uint8_t *data, uint32_t length)
{
    if (begin_in_place(stream) < 0) {
        write_failed(stream);
        return;
    }
    for (uint32_t done = 0; done < length; ) {
        ssize_t written = write(stream->fd, data + done, length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = EIO;
            write_failed(stream);
            return;
        }
        done += written;
    }
    stream->bytes += length;
    flush_after_write();
    stream_grant(stream, length);
}

/* Gives the new file the name, and of what has it the owner and, if so wanted, the mode. */
static int put_place(const struct stream *stream)
{
    struct stat old;
    uint32_t mode = stream->mode;
    if (fstatat(stream->dir, stream->name, &old, AT_SYMLINK_NOFOLLOW) == 0) {
        /* It has come meanwhile, and would be destroyed. */
        if (!S_ISREG(old.st_mode)) {
            errno = S_ISDIR(old.st_mode) ? EISDIR : EEXIST;
            return -1;
        }
        if (stream->keep_mode)
            mode = old.st_mode & MAX_MODE;
        /* Before the mode, from which a change of owner takes bits away. */
        if ((old.st_uid != geteuid() || old.st_gid != getegid())
            && fchown(stream->fd, old.st_uid, old.st_gid) < 0)
            return -1;
    } else if (errno != ENOENT) {
        return -1;
    }
    return fchmod(stream->fd, mode) < 0 ? -1
           : renameat(stream->dir, temporary_name(stream->temporary), stream->dir, stream->name);
}

void put_eof(struct stream *stream)
{
    if (stream->in_place) {
        if (begin_in_place(stream) < 0 || (!stream->keep_mode && fchmod(stream->fd, stream->mode) < 0)) {
            write_failed(stream);
            return;
        }
    } else if (put_place(stream) < 0) {
        fail(stream, errno == EISDIR ? STAGE_OPEN : STAGE_WRITE, stream->name);
        return;
    }
    send_u64(F_DONE, stream->id, stream->bytes);
    flush_after_end();
    file_close(stream);
}

static int get_open(struct stream *stream, const char *path, struct stat *status)
{
    errno = EINVAL;
    if (path[0] != '/' || stat(path, status) < 0)
        return -1;
    /* Looked at first: to open a device may do something to it. */
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    if (!S_ISREG(status->st_mode))
        return -1;
    /* Non-blocking: what it is by now may be a FIFO, which without a writer would hold up everything. */
    stream->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (stream->fd < 0 || fstat(stream->fd, status) < 0)
        return -1;
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISREG(status->st_mode) ? 0 : -1;
}

/* 0 where it is known only at the end: sysfs says a page of whatever it has. */
static uint64_t get_size(const struct stream *stream, const struct stat *status)
{
    struct statfs system;
    return fstatfs(stream->fd, &system) == 0 && (unsigned long)system.f_type == SYSFS_MAGIC ? 0 : status->st_size;
}

static void get_done(struct stream *stream)
{
    send_u64(F_DONE, stream->id, stream->bytes);
    file_close(stream);
}

/* Without credit left: the end of the file needs none. */
static void end_at_end(struct stream *stream)
{
    uint8_t next;
    if (pread(stream->fd, &next, 1, stream->bytes) == 0)
        get_done(stream);
}

bool get_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint32_t window = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || window > MAX_WINDOW || !*path)
        return false;

    struct stream *stream = stream_open(frame->stream, GET);
    stream->credit = window;
    struct stat status;
    if (get_open(stream, path, &status) < 0) {
        fail(stream, STAGE_OPEN, path);
        return true;
    }
    int64_t mtime_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    send_stat(stream->id, get_size(stream, &status), status.st_mode & MAX_MODE, mtime_ms < 0 ? 0 : mtime_ms);
    if (!window)
        end_at_end(stream);
    return true;
}

bool get_ready(const struct stream *stream)
{
    return stream->kind == GET && stream->credit;
}

void get_pump(struct stream *stream)
{
    uint8_t *at = tx_data();
    if (!stream->credit || !at)
        return;
    ssize_t got = read(stream->fd, at, stream->credit < MAX_DATA ? stream->credit : MAX_DATA);
    if (got > 0) {
        tx_data_done(stream->id, CH_FILE, got);
        stream->credit -= got;
        stream->bytes += got;
        if (!stream->credit)
            end_at_end(stream);
    } else if (got == 0) {
        get_done(stream);
    } else if (errno != EINTR) {
        /* EAGAIN too, as of /proc/kmsg: such a file has no end to wait for. */
        fail(stream, STAGE_READ, "read");
    }
}

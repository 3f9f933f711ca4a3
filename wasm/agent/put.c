#define _GNU_SOURCE
#include "put.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flush.h"
#include "in-volume.h"
#include "send.h"
#include "temporary.h"
#include "transfers.h"
#include "util.h"

/* Granted to the sender. A write to disk takes long, and this much is under way meanwhile. */
#define PUT_WINDOW (1u << 20)

#define STATX_ATTR_MOUNT_ROOT 0x2000u

/* The kernel's limit when it resolves a path. */
#define MAX_SYMLINKS 40

static uint32_t last_temporary;

/*
 * Follows symbolic links at the end of `path`, a buffer of PATH_MAX bytes, to the name that is to be replaced. It need
 * not exist. Sets `*last` to the last slash.
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

/* Opens the directory of a path whose last slash is `last`. Makes it if it is missing. */
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

/* Whether a file is a mount of its own, such as a bind mount. A rename over it is EBUSY. */
static bool is_mount(const char *path)
{
    /* The beginning of struct statx, which this libc does not have. */
    struct { uint32_t mask, block_size; uint64_t attributes; uint8_t rest[240]; } status;
    return syscall(SYS_statx, AT_FDCWD, path, 0, 0, &status) == 0
           && (status.attributes & STATX_ATTR_MOUNT_ROOT);
}

/* -1 with errno for a directory, a FIFO or a socket. */
static int require_writable(const struct stat *status)
{
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISDIR(status->st_mode) || S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode) ? -1 : 0;
}

/* Opens what cannot be replaced: a device, a file of the kernel, a mount. Changes nothing yet. */
static int open_in_place(struct stream *stream, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0 || require_writable(&status) < 0)
        return -1;
    /* Non-blocking: a terminal that nobody reads would hold up all streams. */
    stream->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (stream->fd < 0 || fstat(stream->fd, &status) < 0)
        return -1;
    stream->in_place = true;
    /* The file may have been replaced between stat() and open(). */
    return require_writable(&status);
}

/* The errors of a directory that has the file but takes no new one. */
static bool refuses_new_file(int error)
{
    return error == EACCES || error == EPERM || error == EROFS || error == ENOENT || error == EOPNOTSUPP;
}

/* Opens the target's directory and a temporary file in it. Sets the descriptors and the name in `stream`. */
static int open_beside(struct stream *stream, char *path, char *last)
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

/* `resolved` is a copy of `path` in a buffer of PATH_MAX bytes, which is changed. */
static int open_target(struct stream *stream, const char *path, char *resolved)
{
    char *last;
    struct stat status, reached;
    if (path[0] != '/') {
        errno = EINVAL;
        return -1;
    }
    /* By its own name first, before links are read: a link in /proc may lead to a file that has no other name. */
    bool found = stat(path, &status) == 0;
    if (found && !S_ISREG(status.st_mode))
        return open_in_place(stream, path);
    if (resolve(resolved, &last) < 0)
        return -1;
    /* The text of such a link names nothing, or another file. */
    if (found && (lstat(resolved, &reached) < 0 || reached.st_dev != status.st_dev || reached.st_ino != status.st_ino
                  || is_mount(resolved)))
        return open_in_place(stream, path);
    if (open_beside(stream, resolved, last) >= 0)
        return 0;
    if (!found || !refuses_new_file(errno))
        return -1;
    close_fd(&stream->dir);
    return open_in_place(stream, path);
}

bool put_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint8_t flags = read_u8(&reader);
    uint32_t mode = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || flags > PUT_KEEP_MODE || mode > MAX_MODE || !*path)
        return false;

    if (answered_in_volume(frame->stream, path, "", true))
        return true;
    static char resolved[PATH_MAX];
    memcpy(resolved, path, strlen(path) + 1);
    struct stream *stream = stream_open(frame->stream, PUT);
    stream->mode = mode;
    stream->keep_mode = flags & PUT_KEEP_MODE;
    if (open_target(stream, path, resolved) < 0) {
        file_fail(stream, STAGE_OPEN, path);
        return true;
    }
    stream->window = PUT_WINDOW;
    stream_grant(stream, stream->window);
    return true;
}

static void write_failed(struct stream *stream)
{
    file_fail(stream, stream->in_place ? STAGE_PARTLY : STAGE_WRITE, stream->in_place ? "" : stream->name);
}

/* Truncates a file that is written in place, when its first new contents or its end have arrived. */
static int truncate_in_place(const struct stream *stream)
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
    if (truncate_in_place(stream) < 0) {
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

/* Renames the new file over the old one, whose owner it gets, and whose mode if PUT_KEEP_MODE was set. */
static int replace_target(const struct stream *stream)
{
    struct stat old;
    uint32_t mode = stream->mode;
    if (fstatat(stream->dir, stream->name, &old, AT_SYMLINK_NOFOLLOW) == 0) {
        /* It has appeared since the PUT began, and would be destroyed. */
        if (!S_ISREG(old.st_mode)) {
            errno = S_ISDIR(old.st_mode) ? EISDIR : EEXIST;
            return -1;
        }
        if (stream->keep_mode)
            mode = old.st_mode & MAX_MODE;
        /* Before fchmod(), because a change of owner clears bits of the mode. */
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
        if (truncate_in_place(stream) < 0 || (!stream->keep_mode && fchmod(stream->fd, stream->mode) < 0)) {
            write_failed(stream);
            return;
        }
    } else if (replace_target(stream) < 0) {
        file_fail(stream, errno == EISDIR ? STAGE_OPEN : STAGE_WRITE, stream->name);
        return;
    }
    send_u64(F_DONE, stream->id, stream->bytes);
    flush_after_end();
    file_close(stream);
}

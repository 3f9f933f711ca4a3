/* Files: PUT writes beside the target and renames over it, GET reads. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/*
 * Opens the target's directory and a temporary file in it. Leaves the descriptors and the name in `stream`.
 */
static int put_open(struct stream *stream, char *path)
{
    char *last;
    struct stat status;
    if (path[0] != '/') {
        errno = EINVAL;
        return -1;
    }
    if (resolve(path, &last) < 0)
        return -1;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
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

void file_close(struct stream *stream)
{
    close_fd(&stream->fd);
    close_fd(&stream->dir);
    stream_close(stream);
}

void file_abort(struct stream *stream)
{
    if (stream->kind == PUT && stream->fd >= 0)
        unlinkat(stream->dir, temporary_name(stream->temporary), 0);
    file_close(stream);
}

static void fail(struct stream *stream, enum fail_stage stage, const char *path)
{
    send_fail(stream->id, stage, errno, path);
    file_abort(stream);
}

bool put_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint32_t mode = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || mode > MAX_MODE || !*path)
        return false;

    static char resolved[PATH_MAX];
    memcpy(resolved, path, strlen(path) + 1);
    struct stream *stream = stream_open(frame->stream, PUT);
    stream->mode = mode;
    if (put_open(stream, resolved) < 0) {
        fail(stream, STAGE_OPEN, path);
        return true;
    }
    stream->window = PUT_WINDOW;
    stream_grant(stream, stream->window);
    return true;
}

void put_data(struct stream *stream, const uint8_t *data, uint32_t length)
{
    for (uint32_t done = 0; done < length; ) {
        ssize_t written = write(stream->fd, data + done, length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            fail(stream, STAGE_WRITE, stream->name);
            return;
        }
        done += written;
    }
    stream->bytes += length;
    flush_after_write();
    stream_grant(stream, length);
}

void put_eof(struct stream *stream)
{
    const char *temporary = temporary_name(stream->temporary);
    if (fchmod(stream->fd, stream->mode) < 0
        || renameat(stream->dir, temporary, stream->dir, stream->name) < 0) {
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
    if (path[0] != '/')
        return -1;
    /* Non-blocking: without it a FIFO without a writer would hold up everything. */
    stream->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (stream->fd < 0 || fstat(stream->fd, status) < 0)
        return -1;
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISREG(status->st_mode) ? 0 : -1;
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
    send_stat(stream->id, status.st_size, status.st_mode & MAX_MODE, mtime_ms < 0 ? 0 : mtime_ms);
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

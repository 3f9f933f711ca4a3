#define _GNU_SOURCE
#include "get.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "in-volume.h"
#include "send.h"
#include "transfers.h"

#define SYSFS_MAGIC 0x62656572

static int open_regular(struct stream *stream, const char *path, struct stat *status)
{
    errno = EINVAL;
    if (path[0] != '/' || stat(path, status) < 0)
        return -1;
    /* Checked before open(), which may have an effect on a device. */
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    if (!S_ISREG(status->st_mode))
        return -1;
    /* Non-blocking: it may be a FIFO by now, whose open() would wait for a writer and hold up all streams. */
    stream->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (stream->fd < 0 || fstat(stream->fd, status) < 0)
        return -1;
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISREG(status->st_mode) ? 0 : -1;
}

/* 0 if the size is known only at the end: sysfs says a page for every file. */
static uint64_t announced_size(const struct stream *stream, const struct stat *status)
{
    struct statfs system;
    return fstatfs(stream->fd, &system) == 0 && (unsigned long)system.f_type == SYSFS_MAGIC ? 0 : status->st_size;
}

static void finish(struct stream *stream)
{
    send_u64(F_DONE, stream->id, stream->bytes);
    file_close(stream);
}

/* There is no credit left, but DONE needs none. */
static void finish_if_at_end(struct stream *stream)
{
    uint8_t next;
    if (pread(stream->fd, &next, 1, stream->bytes) == 0)
        finish(stream);
}

bool get_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint32_t window = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || window > MAX_WINDOW || !*path)
        return false;

    if (answered_in_volume(frame->stream, path, "", true))
        return true;
    struct stream *stream = stream_open(frame->stream, GET);
    stream->credit = window;
    struct stat status;
    if (open_regular(stream, path, &status) < 0) {
        file_fail(stream, STAGE_OPEN, path);
        return true;
    }
    int64_t mtime_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    send_stat(stream->id, announced_size(stream, &status), status.st_mode & MAX_MODE, mtime_ms < 0 ? 0 : mtime_ms);
    if (!window)
        finish_if_at_end(stream);
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
            finish_if_at_end(stream);
    } else if (got == 0) {
        finish(stream);
    } else if (errno != EINTR) {
        /* EAGAIN, too, such as that of /proc/kmsg: the file has no end to wait for. */
        file_fail(stream, STAGE_READ, "read");
    }
}

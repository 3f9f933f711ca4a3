#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "changes.h"
#include "helper.h"
#include "in-volume.h"
#include "polls.h"
#include "send.h"
#include "transfers.h"
#include "util.h"
#include "watcher.h"

/* The paths that are watched, by the slots of their streams. */
static char paths[MAX_STREAMS][MAX_PATH + 1];

/* Starts a helper for the stream. False with errno. */
static bool start(struct stream *stream)
{
    struct watcher watcher = {
        .path = paths[stream->slot], .recursive = stream->recursive, .again = stream->started,
    };
    stream->stands = false;
    stream->fd = helper_start(proc_dir, watcher_run, &watcher);
    return stream->fd >= 0;
}

bool watch_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint8_t flags = read_u8(&reader);
    uint32_t window = read_u32(&reader);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || flags > WATCH_RECURSIVE || window < MAX_CHANGE || window > MAX_WINDOW || !*path)
        return false;
    if (answered_in_volume(frame->stream, path, "", true))
        return true;
    struct stream *stream = stream_open(frame->stream, WATCH);
    stream->credit = window;
    stream->recursive = flags & WATCH_RECURSIVE;
    strcpy(paths[stream->slot], path);
    if (path[0] != '/')
        file_give_up(stream, STAGE_OPEN, EINVAL, path);
    else if (!start(stream))
        file_fail(stream, STAGE_LIMIT, path);
    return true;
}

void watch_poll(struct stream *stream, bool may_send)
{
    stream->in.polled = may_send && stream->credit >= MAX_CHANGE ? poll_add(stream->fd, POLLIN) : -1;
}

/* The helper is gone, without a word. It may have been killed, as everything in the box may be. */
static void lost(struct stream *stream)
{
    bool stood = stream->stands;
    close_fd(&stream->fd);
    if (!stood)
        file_give_up(stream, STAGE_READ, EIO, "watch");
    else if (!start(stream))
        file_fail(stream, STAGE_LIMIT, "watch");
}

static void fail(struct stream *stream, const uint8_t *error, ssize_t length)
{
    uint32_t number = EIO;
    if (length == sizeof number)
        memcpy(&number, error, sizeof number);
    file_give_up(stream, stream->started ? STAGE_READ : STAGE_OPEN, number, paths[stream->slot]);
}

void watch_pump(struct stream *stream)
{
    uint8_t message = 0, *at = tx_data();
    if (stream->in.polled < 0 || !polls[stream->in.polled].revents || !at)
        return;
    struct iovec parts[] = { { &message, 1 }, { at, MAX_CHANGE } };
    struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
    ssize_t got = recvmsg(stream->fd, &header, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lost(stream);
        return;
    }
    switch (message) {
    case WATCHER_STANDS:
        if (!stream->started)
            send_u32(F_STARTED, stream->id, 0);
        stream->started = stream->stands = true;
        return;
    case WATCHER_CHANGES:
        tx_data_done(stream->id, CH_FILE, got - 1);
        stream->credit -= got - 1;
        stream->bytes += got - 1;
        return;
    case WATCHER_ENDED:
        send_u64(F_DONE, stream->id, stream->bytes);
        file_close(stream);
        return;
    default: /* WATCHER_FAILED */
        fail(stream, at, got - 1);
    }
}

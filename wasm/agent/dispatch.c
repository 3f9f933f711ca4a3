#define _GNU_SOURCE
#include "dispatch.h"

#include <errno.h>

#include "box.h"
#include "cgroup.h"
#include "connection.h"
#include "ends.h"
#include "exec.h"
#include "get.h"
#include "lifecycle.h"
#include "operations.h"
#include "pipes.h"
#include "put.h"
#include "quiet.h"
#include "send.h"
#include "terminal.h"
#include "touch.h"
#include "transfers.h"
#include "util.h"
#include "watch.h"

static bool start_command(const struct frame *frame)
{
    enum phase phase = lifecycle_phase();
    /*
     * Commands before SETUP warm the page cache for a boot image, at first in the base image alone. It must not be
     * charged to the box, so it is not in the box's control group.
     */
    const char *root = in_guest && phase == IN_BASE ? "/base" : NULL;
    int cgroup = phase == SERVING ? box_cgroup : -1;
    if (!exec_frame(frame, root, cgroup))
        return false;
    /* Only if no other stream has to wait, and there is no stdin, whose sender waits for the first CREDIT. */
    if (frame->payload[0] == 0 && stream_count == 1 && streams[0]->id == frame->stream)
        quiet_after_start();
    return true;
}

static bool open_frame(const struct frame *frame)
{
    enum phase phase = lifecycle_phase();
    if (stream_find(frame->stream) || (frame->type != F_EXEC && phase < SERVING))
        return false;
    if (phase > SERVING || stream_count == MAX_STREAMS) {
        send_fail(frame->stream, STAGE_LIMIT, phase > SERVING ? ESHUTDOWN : EAGAIN, "streams");
        return true;
    }
    switch (frame->type) {
    case F_PUT:
        return put_frame(frame);
    case F_GET:
        return get_frame(frame);
    case F_FILE:
        return operation_frame(frame);
    case F_TERMINAL:
        return terminal_frame(frame, box_cgroup);
    case F_CONNECT:
        return connection_frame(frame);
    case F_WATCH:
        return watch_frame(frame);
    default: /* F_EXEC */
        return start_command(frame);
    }
}

/* Whether the host's data goes through a ring to a program in the box. */
static bool has_input(const struct stream *stream)
{
    return stream->kind == COMMAND || stream->kind == CONNECTION;
}

static bool data_frame(struct stream *stream, const struct frame *frame)
{
    if (frame->channel != (has_input(stream) ? CH_STDIN : CH_FILE)
        || stream->eof || frame->length > stream->granted)
        return false;
    stream->granted -= frame->length;
    /* The sender may be waiting for the answer to it. */
    quiet_end();
    if (has_input(stream))
        stdin_data(stream, frame->payload, frame->length);
    else
        put_data(stream, frame->payload, frame->length);
    return true;
}

static bool eof_frame(struct stream *stream)
{
    /* A stream without a window takes no DATA, and so no EOF. */
    if (!stream->window || stream->eof)
        return false;
    stream->eof = true;
    if (stream->terminal)
        command_hang_up(stream);
    else if (has_input(stream))
        stdin_eof(stream);
    else
        put_eof(stream);
    return true;
}

static bool stream_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint32_t number = frame->length == 4 ? read_u32(&reader) : 0;
    if ((frame->type == F_SIGNAL && (number < 1 || number > MAX_SIGNAL))
        || (frame->type == F_CREDIT && (number < 1 || number > MAX_WINDOW)))
        return false;
    struct stream *stream = stream_find(frame->stream);
    if (frame->type == F_RESIZE)
        return terminal_resize(frame, stream);
    /* The stream has ended, and this frame crossed its end on the way. */
    if (!stream)
        return true;
    switch (frame->type) {
    case F_DATA:
        return data_frame(stream, frame);
    case F_SIGNAL:
        if (stream->kind != COMMAND)
            return false;
        command_signal(stream, number);
        return true;
    case F_TERMINATE:
        if (stream->kind != COMMAND)
            return false;
        command_terminate(stream, number);
        return true;
    case F_CREDIT:
        if (stream->kind == PUT || number > MAX_WINDOW - stream->credit)
            return false;
        stream->credit += number;
        return true;
    case F_ABORT:
        if (stream->kind == COMMAND)
            return false;
        if (stream->kind == CONNECTION)
            connection_give_up(stream, STAGE_WRITE, ECANCELED, "abort");
        else
            file_give_up(stream, stream->kind == PUT ? STAGE_WRITE : STAGE_READ, ECANCELED, "abort");
        return true;
    default: /* F_EOF */
        return eof_frame(stream);
    }
}

static bool clock_frame(uint64_t clock)
{
    if (clock > INT64_MAX)
        return false;
    if (in_guest && clock_set(clock) < 0)
        report("clock", errno);
    return true;
}

bool dispatch(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    switch (frame->type) {
    case F_SETUP:
        return setup_frame(frame);
    case F_PREPARE:
        return prepare_frame();
    case F_NETWORK:
        return network_frame(frame);
    case F_TOUCH:
        return lifecycle_phase() >= SERVING && touch_frame(frame, lifecycle_phase() == SERVING);
    case F_SHUTDOWN:
        shutdown_begin(read_u32(&reader));
        return true;
    case F_PING:
        send_u32(F_PONG, 0, read_u32(&reader));
        return true;
    case F_CLOCK:
        return clock_frame(read_u64(&reader));
    case F_EXEC: case F_TERMINAL: case F_PUT: case F_GET: case F_FILE: case F_CONNECT: case F_WATCH:
        return open_frame(frame);
    default:
        return stream_frame(frame);
    }
}

/* What each frame of the host does: whether it is in its place, and whom it is for. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <signal.h>

/* After KILL, for processes that hang in the kernel. */
#define KILL_GRACE_MS 2000

static enum { IN_BASE, PREPARED, SERVING, TERMINATING, KILLING, DOWN } state;
int64_t shutdown_deadline;

bool shutting_down(void)
{
    return state == TERMINATING || state == KILLING;
}

/* Half a box is none: nothing is served from here on. */
static bool half_made(const char *step)
{
    send_fail(0, STAGE_SETUP, errno, step);
    state = DOWN;
    return true;
}

static bool prepare_frame(void)
{
    if (state != IN_BASE)
        return false;
    const char *failed = in_guest ? box_prepare() : NULL;
    if (failed)
        return half_made(failed);
    send_u64(F_DONE, 0, 0);
    state = PREPARED;
    return true;
}

static bool setup_frame(const struct frame *frame)
{
    struct setup setup;
    struct reader reader = read_payload(frame);
    setup.clock = read_u64(&reader);
    setup.entropy = read_bytes(&reader, MIN_ENTROPY, MAX_ENTROPY, &setup.entropy_length);
    setup.hostname = read_str(&reader, MAX_HOSTNAME);
    setup.disk_size = read_u64(&reader);
    setup.memory_limit = read_u64(&reader);
    setup.process_limit = read_u32(&reader);
    setup.workdir = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || setup.clock > INT64_MAX || state > PREPARED)
        return false;
    uint64_t size = setup.disk_size;
    const char *failed = NULL;
    if (setup.workdir[0] != '/') {
        errno = EINVAL;
        return half_made("working directory");
    }
    if (in_guest && state == IN_BASE)
        failed = box_prepare();
    if (in_guest && !failed)
        failed = box_setup(&setup, &size);
    if (failed)
        return half_made(failed);
    send_u64(F_READY, 0, size);
    state = SERVING;
    flush_serve();
    return true;
}

/* Test mode runs on somebody's machine: there it may only reach what it started. */
static void signal_all(int number)
{
    if (in_guest) {
        kill(-1, number);
        return;
    }
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            exec_signal(streams[i], number);
}

static void shut_down(uint32_t grace_ms)
{
    for (int i = stream_count - 1; i >= 0; i--) {
        if (streams[i]->kind == COMMAND)
            continue;
        file_give_up(streams[i], STAGE_LIMIT, ESHUTDOWN, "shutdown");
    }
    signal_all(SIGTERM);
    signal_all(SIGCONT);
    for (int i = 0; i < stream_count; i++)
        late_over(streams[i]);
    /* Unmounting writes out what is left. */
    flush_stop();
    state = TERMINATING;
    shutdown_deadline = now_ms() + grace_ms;
}

void shutdown_step(enum reaped children_left)
{
    if (children_left != NO_CHILDREN && now_ms() < shutdown_deadline)
        return;
    if (children_left != NO_CHILDREN && state == TERMINATING) {
        signal_all(SIGKILL);
        state = KILLING;
        shutdown_deadline = now_ms() + KILL_GRACE_MS;
        return;
    }
    const char *failed = in_guest ? box_unmount() : NULL;
    if (failed)
        send_fail(0, STAGE_WRITE, errno, failed);
    else
        send_u64(F_DONE, 0, 0);
    state = DOWN;
}

static bool open_frame(const struct frame *frame)
{
    if (stream_find(frame->stream) || (frame->type != F_EXEC && state < SERVING))
        return false;
    if (state > SERVING || stream_count == MAX_STREAMS) {
        send_fail(frame->stream, STAGE_LIMIT, state > SERVING ? ESHUTDOWN : EAGAIN, "streams");
        return true;
    }
    if (frame->type == F_PUT)
        return put_frame(frame);
    if (frame->type == F_GET)
        return get_frame(frame);
    if (frame->type == F_FILE)
        return operation_frame(frame);
    if (frame->type == F_TERMINAL)
        return terminal_frame(frame, box_cgroup);
    /*
     * Before the box is somebody's, what runs warms the page cache, at first in the base image alone. It must not
     * be charged to the box: so it is not in the box's cgroup.
     */
    const char *root = in_guest && state == IN_BASE ? "/base" : NULL;
    int cgroup = state == SERVING ? box_cgroup : -1;
    if (!exec_frame(frame, root, cgroup))
        return false;
    /* Not to the cost of others; and whoever wants to send input waits for the first CREDIT. */
    if (frame->payload[0] == 0 && stream_count == 1 && streams[0]->id == frame->stream)
        quiet_start();
    return true;
}

static bool data_frame(struct stream *stream, const struct frame *frame)
{
    if (frame->channel != (stream->kind == COMMAND ? CH_STDIN : CH_FILE)
        || stream->eof || frame->length > stream->granted)
        return false;
    stream->granted -= frame->length;
    /* Somebody may be waiting for the answer to it. */
    quiet_end();
    if (stream->kind == COMMAND)
        stdin_data(stream, frame->payload, frame->length);
    else
        put_data(stream, frame->payload, frame->length);
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
    /* It has ended, and this frame crossed its end on the way. */
    if (!stream)
        return true;
    switch (frame->type) {
    case F_DATA:
        return data_frame(stream, frame);
    case F_SIGNAL:
        if (stream->kind != COMMAND)
            return false;
        exec_signal(stream, number);
        return true;
    case F_TERMINATE:
        if (stream->kind != COMMAND)
            return false;
        exec_terminate(stream, number);
        return true;
    case F_CREDIT:
        if (stream->kind == PUT || number > MAX_WINDOW - stream->credit)
            return false;
        stream->credit += number;
        return true;
    case F_ABORT:
        if (stream->kind == COMMAND)
            return false;
        file_give_up(stream, stream->kind == PUT ? STAGE_WRITE : STAGE_READ, ECANCELED, "abort");
        return true;
    default: /* F_EOF; only a stream that was granted something has a window */
        if (!stream->window || stream->eof)
            return false;
        stream->eof = true;
        if (stream->terminal)
            exec_hang_up(stream);
        else if (stream->kind == COMMAND)
            stdin_eof(stream);
        else
            put_eof(stream);
        return true;
    }
}

bool dispatch(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint64_t clock;
    switch (frame->type) {
    case F_SETUP:
        return setup_frame(frame);
    case F_PREPARE:
        return prepare_frame();
    case F_SHUTDOWN:
        if (!shutting_down())
            shut_down(read_u32(&reader));
        return true;
    case F_PING:
        send_u32(F_PONG, 0, read_u32(&reader));
        return true;
    case F_CLOCK:
        clock = read_u64(&reader);
        if (clock <= INT64_MAX && in_guest && clock_set(clock) < 0)
            report("clock", errno);
        return clock <= INT64_MAX;
    case F_EXEC: case F_TERMINAL: case F_PUT: case F_GET: case F_FILE:
        return open_frame(frame);
    default:
        return stream_frame(frame);
    }
}

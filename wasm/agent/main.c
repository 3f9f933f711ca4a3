/* The agent: PID 1 of a guest, or with `--fd N` a process on a host that speaks the same frames on that descriptor. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One turn takes in at most this much, so that every stream gets its turn. */
#define RX_CHUNK 65536u
/* One buffer of the port's driver. A read that brings less has emptied the port. */
#define PORT_READ 4096
/* Of the agent, and inherited by commands. The agent's own fit the soft one: see MAX_POLL. */
#define SOFT_FILES 1024
#define HARD_FILES 4096
/* After KILL, for processes that hang in the kernel. */
#define KILL_GRACE_MS 2000
/*
 * Each write to the port costs an interrupt in the emulator, and each wake-up a switch away from the command. So a
 * command just started is left alone for a moment: a short one's STARTED, DATA and EXIT are then one write. And after
 * a little output, more is let gather. Its end, and input for it, end the quiet at once.
 */
#define QUIET_START_MS 8
#define QUIET_OUTPUT_MS 1
/* A turn that sent this much is a flood, which gathers by itself. */
#define FLOOD (MAX_DATA / 2)

_Static_assert(MAX_POLL + 32 < SOFT_FILES, "the agent's descriptors fit its limit");

enum state { BEFORE_SETUP, SERVING, TERMINATING, KILLING, DOWN };

bool in_guest;
int dev_null = -1;
struct stream *streams[MAX_STREAMS];
int stream_count;
struct pollfd polls[MAX_POLL];

static struct stream pool[MAX_STREAMS];
static int poll_count;
static int port = -1, children = -1;
static enum state state;
static int64_t deadline_ms;
/* The host broke the protocol: nothing is read any more. */
static bool deaf;
/* Until then output is left in the pipes and STARTED in the buffer, 0: not now. */
static int64_t quiet_until;
/* The port took only a part of what there was to send. */
static bool blocked;
static uint8_t rx[FRAME_HEADER + MAX_PAYLOAD + RX_CHUNK];
static size_t rx_start, rx_end;

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int poll_add(int fd, short events)
{
    polls[poll_count] = (struct pollfd){ .fd = fd, .events = events };
    return poll_count++;
}

struct stream *stream_open(uint32_t id, enum kind kind)
{
    /* The open ones are a permutation of the pool's first slots only until one closes: streams[] keeps the rest. */
    struct stream *stream = streams[stream_count++];
    uint16_t slot = stream - pool;
    memset(stream, 0, offsetof(struct stream, name));
    stream->slot = slot;
    stream->id = id;
    stream->kind = kind;
    stream->in.fd = stream->out.fd = stream->err.fd = stream->fd = stream->dir = -1;
    stream->in.polled = stream->out.polled = stream->err.polled = -1;
    return stream;
}

void stream_close(struct stream *stream)
{
    int i = 0;
    while (streams[i] != stream)
        i++;
    streams[i] = streams[--stream_count];
    streams[stream_count] = stream;
}

static struct stream *stream_find(uint32_t id)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->id == id)
            return streams[i];
    return NULL;
}

void stream_grant(struct stream *stream, uint32_t bytes)
{
    stream->owed += bytes;
    if (stream->eof || stream->owed < stream->window / 4 || !stream->owed)
        return;
    send_u32(F_CREDIT, stream->id, stream->owed);
    stream->granted += stream->owed;
    stream->owed = 0;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
    if (!read_all(&reader) || setup.clock > INT64_MAX || state != BEFORE_SETUP)
        return false;
    uint64_t size = setup.disk_size;
    const char *failed = NULL;
    if (setup.workdir[0] != '/') {
        errno = EINVAL;
        failed = "working directory";
    } else if (in_guest) {
        failed = box_setup(&setup, &size);
    }
    if (failed) {
        /* Half a box is none: nothing is served from here on. */
        send_fail(0, STAGE_SETUP, errno, failed);
        state = DOWN;
    } else {
        send_u64(F_READY, 0, size);
        state = SERVING;
    }
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
        send_fail(streams[i]->id, STAGE_LIMIT, ESHUTDOWN, "shutdown");
        file_abort(streams[i]);
    }
    signal_all(SIGTERM);
    signal_all(SIGCONT);
    state = TERMINATING;
    deadline_ms = now_ms() + grace_ms;
}

/* Not while it lasts: commands started one after the other would keep another's output back for ever. */
static void be_quiet(int ms)
{
    if (!quiet_until)
        quiet_until = now_ms() + ms;
}

static void shutdown_step(enum reaped children_left)
{
    if (children_left != NO_CHILDREN && now_ms() < deadline_ms)
        return;
    if (children_left != NO_CHILDREN && state == TERMINATING) {
        signal_all(SIGKILL);
        state = KILLING;
        deadline_ms = now_ms() + KILL_GRACE_MS;
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
    if (stream_find(frame->stream) || (frame->type != F_EXEC && state == BEFORE_SETUP))
        return false;
    if (state > SERVING || stream_count == MAX_STREAMS) {
        send_fail(frame->stream, STAGE_LIMIT, state > SERVING ? ESHUTDOWN : EAGAIN, "streams");
        return true;
    }
    if (frame->type == F_PUT)
        return put_frame(frame);
    if (frame->type == F_GET)
        return get_frame(frame);
    /*
     * Before the box there is only the base image. What is run there warms its page cache, which must not be charged to
     * the box: so it is not in the box's cgroup either.
     */
    bool in_base = in_guest && state == BEFORE_SETUP;
    if (!exec_frame(frame, in_base ? "/base" : NULL, in_base ? -1 : box_cgroup))
        return false;
    /* Whoever wants to send input waits for the first CREDIT. */
    if (frame->payload[0] == 0)
        be_quiet(QUIET_START_MS);
    return true;
}

static bool data_frame(struct stream *stream, const struct frame *frame)
{
    if (frame->channel != (stream->kind == COMMAND ? CH_STDIN : CH_FILE)
        || stream->eof || frame->length > stream->granted)
        return false;
    stream->granted -= frame->length;
    quiet_until = 0;
    if (stream->kind == COMMAND)
        exec_stdin(stream, frame->payload, frame->length);
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
        send_fail(stream->id, stream->kind == PUT ? STAGE_WRITE : STAGE_READ, ECANCELED, "abort");
        file_abort(stream);
        return true;
    default: /* F_EOF; only a stream that was granted something has a window */
        if (!stream->window || stream->eof)
            return false;
        stream->eof = true;
        if (stream->kind == COMMAND)
            exec_stdin_eof(stream);
        else
            put_eof(stream);
        return true;
    }
}

static bool handle(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint64_t clock;
    switch (frame->type) {
    case F_SETUP:
        return setup_frame(frame);
    case F_SHUTDOWN:
        if (state != TERMINATING && state != KILLING)
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
    case F_EXEC: case F_PUT: case F_GET:
        return open_frame(frame);
    default:
        return stream_frame(frame);
    }
}

/* False when the host has closed the connection. */
static bool receive(void)
{
    for (size_t limit = rx_end + RX_CHUNK; rx_end < limit; ) {
        ssize_t got = read(port, rx + rx_end, limit - rx_end);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (got < 0)
            break;
        rx_end += got;
        if (got < PORT_READ)
            break;
    }
    return true;
}

/* Handles what has arrived whole, as far as there is room to answer. */
static void handle_received(void)
{
    struct frame frame;
    while (!deaf && rx_end - rx_start >= FRAME_HEADER && tx_has(TX_RESERVE)) {
        bool valid = frame_header(rx + rx_start, &frame);
        if (valid && rx_end - rx_start < FRAME_HEADER + frame.length)
            break;
        frame.payload = rx + rx_start + FRAME_HEADER;
        rx_start += FRAME_HEADER + frame.length;
        if (!valid || !handle(&frame)) {
            send_fail(0, STAGE_PROTOCOL, EPROTO, "frame");
            deaf = true;
        }
    }
    if (rx_start == rx_end || deaf) {
        rx_start = rx_end = 0;
    } else if (sizeof rx - rx_end < RX_CHUNK) {
        rx_end -= rx_start;
        memmove(rx, rx + rx_start, rx_end);
        rx_start = 0;
    }
}

/* PID 1 must not end. The host sees why, if there is a port, and ends the machine. */
static _Noreturn void give_up(const char *step, int error)
{
    report(step, error);
    if (port < 0)
        port = port_open();
    send_fail(0, STAGE_SETUP, error, step);
    if (port >= 0)
        tx_flush(port);
    for (;;)
        pause();
}

/* The host is gone, and with it everybody who waited for these. */
static void disconnected(void)
{
    while (stream_count) {
        struct stream *stream = streams[stream_count - 1];
        if (stream->kind == COMMAND) {
            exec_signal(stream, SIGKILL);
            exec_close(stream);
        } else {
            file_abort(stream);
        }
    }
    rx_start = rx_end = 0;
    tx_reset();
    deaf = false;
    if (!in_guest)
        exit(0);
    close_fd(&port);
    port = port_open();
    if (port < 0)
        give_up("port", errno);
    send_hello();
}

/* True when a stream has something to do that no descriptor tells. */
static bool fill_polls(bool outputs)
{
    bool ready = false, room = sizeof rx - rx_end >= RX_CHUNK && tx_has(TX_RESERVE);
    poll_count = 0;
    /* First: a command's end is then never seen before the hang-up of its pipes. */
    poll_add(children, POLLIN);
    poll_add(port, (blocked ? POLLOUT : 0) | (deaf ? POLLRDHUP : room ? POLLIN : 0));
    for (int i = 0; i < stream_count; i++) {
        if (streams[i]->kind == COMMAND)
            exec_poll(streams[i], outputs && !blocked && !deaf);
        else
            ready |= get_ready(streams[i]);
    }
    exec_poll_discarded();
    return ready && !blocked && !deaf;
}

/* Bytes of output taken from commands. */
static uint32_t pump(void)
{
    /* Each may close itself, which reorders streams[]; and each is first in its turn. */
    static struct stream *turn[MAX_STREAMS];
    static unsigned first;
    int count = stream_count;
    uint32_t sent = 0;
    memcpy(turn, streams, count * sizeof *turn);
    first++;
    for (int i = 0; i < count && tx_has(TX_RESERVE); i++) {
        struct stream *stream = turn[(first + i) % count];
        if (stream->kind == COMMAND)
            sent += exec_pump(stream);
        else if (stream->kind == GET)
            get_pump(stream);
    }
    exec_pump_discarded();
    return sent;
}

static int poll_timeout(bool at_once)
{
    /* The nearest of what is due: the end of the quiet, of a command's grace and of the shutdown's. */
    int64_t due = quiet_until ? quiet_until : INT64_MAX, grace = exec_deadline();
    if (at_once)
        return 0;
    if (grace < due)
        due = grace;
    if ((state == TERMINATING || state == KILLING) && deadline_ms < due)
        due = deadline_ms;
    if (due == INT64_MAX)
        return -1;
    due -= now_ms();
    return due <= 0 ? 0 : due > INT_MAX ? INT_MAX : due;
}

static void reap(bool told, enum reaped *reaped)
{
    struct signalfd_siginfo information;
    if (told && read(children, &information, sizeof information) < 0 && errno != EAGAIN)
        report("signalfd", errno);
    *reaped = exec_reap();
    quiet_until = 0;
}

static _Noreturn void serve(void)
{
    bool crowded = false;
    enum reaped reaped = CHILDREN_LEFT;
    send_hello();
    for (;;) {
        if (quiet_until && now_ms() >= quiet_until)
            quiet_until = 0;
        if (!quiet_until || tx_urgent()) {
            if (!tx_flush(port)) {
                disconnected();
                continue;
            }
            blocked = !tx_empty();
        }
        bool ready = fill_polls(!quiet_until);
        bool at_once = ready || (crowded && !blocked) || reaped == MORE_TO_REAP;
        if (poll(polls, poll_count, poll_timeout(at_once)) < 0) {
            if (errno != EINTR)
                report("poll", errno);
            continue;
        }
        bool ended = polls[0].revents || reaped == MORE_TO_REAP;
        if (ended)
            reap(polls[0].revents, &reaped);
        if (polls[1].revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP) && !receive()) {
            disconnected();
            continue;
        }
        handle_received();
        exec_kill_overdue();
        bool ending = state == TERMINATING || state == KILLING;
        if (ending)
            reaped = exec_reap();
        if (!blocked && !deaf) {
            uint32_t sent = pump();
            if (sent && sent < FLOOD && !ended)
                be_quiet(QUIET_OUTPUT_MS);
        }
        if (ending)
            shutdown_step(reaped);
        crowded = !tx_has(TX_RESERVE);
    }
}

static const char *prepare(void)
{
    const struct rlimit files = { SOFT_FILES, HARD_FILES };
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    for (int i = 0; i < MAX_STREAMS; i++)
        streams[i] = &pool[i];
    umask(022);
    children = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    /* What a write to a closed pipe or beyond a limit raises: errno tells as much. */
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    if (children < 0 || sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
        return "signals";
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return "limits";
    dev_null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return dev_null < 0 ? "/dev/null" : NULL;
}

static int serve_host(const char *descriptor)
{
    const char *failed = prepare();
    port = atoi(descriptor);
    if (!failed && (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || fcntl(port, F_SETFL, O_NONBLOCK) < 0
                    || syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0))
        failed = "descriptor";
    if (failed) {
        report(failed, errno);
        return 1;
    }
    serve();
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--fd") == 0)
        return serve_host(argv[2]);
    if (getpid() != 1) {
        report("agent: PID 1 of a guest, or --fd N", EINVAL);
        return 2;
    }
    in_guest = true;
    /*
     * Ahead of everything in the box, however busy that is; commands start as ordinary processes. By number: musl's own
     * function refuses, since it could not do what POSIX asks for.
     */
    const struct sched_param priority = { .sched_priority = 1 };
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
        report("scheduler", errno);
    const char *failed = boot();
    if (!failed)
        failed = prepare();
    if (failed)
        give_up(failed, errno);
    port = port_open();
    if (port < 0)
        give_up("port", errno);
    serve();
}

/*
 * The agent: PID 1 of a guest, or with `--fd N` a process on a host that speaks the same frames on that
 * descriptor.
 */
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* One turn takes in at most this much, so that every stream gets its turn. */
#define RX_CHUNK 65536u
/* One buffer of the port's driver. A read that brings less has emptied the port. */
#define PORT_READ 4096
/* Of the buffer of what is received, what stays when it is empty: more than any frame but a long EXEC. */
#define RX_KEPT (4 * RX_CHUNK)
/* Of the agent, and inherited by commands. The agent's own fit the soft one: see MAX_POLL. */
#define SOFT_FILES 1024
#define HARD_FILES 4096
/*
 * Each write to the port costs an interrupt in the emulator, and each wake-up a switch away from the command.
 * So a command just started is left alone for a moment: a short one's STARTED, DATA and EXIT are then one
 * write. And after a little output, more is let gather. Its end, and input for it, end the quiet at once.
 */
#define QUIET_START_MS 16
#define QUIET_OUTPUT_MS 1
/* A turn that sent this much is a flood, which gathers by itself. */
#define FLOOD (MAX_DATA / 2)

_Static_assert(MAX_POLL + 32 < SOFT_FILES, "the agent's descriptors fit its limit");

bool in_guest;
int dev_null = -1;

static int port = -1, children = -1;
/* The host broke the protocol: nothing is read any more. */
static bool deaf;
/* The port took only a part of what there was to send. */
static bool blocked;
static _Alignas(PAGE) uint8_t rx[(FRAME_HEADER + MAX_PAYLOAD + RX_CHUNK + PAGE - 1) / PAGE * PAGE];
static size_t rx_start, rx_end;
/* Until then output is left in the pipes and STARTED in the buffer, 0: not now. */
static int64_t quiet_until;

void quiet_start(void)
{
    if (!quiet_until)
        quiet_until = now_ms() + QUIET_START_MS;
}

void quiet_end(void)
{
    quiet_until = 0;
}

/* False when the host has closed the connection. A hang-up comes even while there is no room. */
static bool receive(bool hung_up)
{
    size_t room = sizeof rx - rx_end, limit = rx_end + (room < RX_CHUNK ? room : RX_CHUNK);
    /* What would make room is an answer, which nobody takes any more. */
    if (!room)
        return !hung_up;
    while (rx_end < limit) {
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

/*
 * To a sanitizer the frames are one array. What lies behind the one that is handled is forbidden to it, so that a read
 * beyond its end does not go unseen.
 */
static bool dispatch_guarded(const struct frame *frame)
{
#ifdef __SANITIZE_ADDRESS__
    uint8_t *end = frame->payload + frame->length;
    size_t rest = rx + sizeof rx - end;
    __asan_poison_memory_region(end, rest);
    bool valid = dispatch(frame);
    __asan_unpoison_memory_region(end, rest);
    return valid;
#else
    return dispatch(frame);
#endif
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
        if (!valid || !dispatch_guarded(&frame)) {
            send_fail(0, STAGE_PROTOCOL, EPROTO, "frame");
            deaf = true;
        }
    }
    if (rx_start == rx_end || deaf) {
        /* A long command line is seldom: its memory is not kept. */
        if (rx_end > RX_KEPT)
            madvise(rx + RX_KEPT, sizeof rx - RX_KEPT, MADV_DONTNEED);
        rx_start = rx_end = 0;
    } else if (sizeof rx - rx_end < RX_CHUNK) {
        rx_end -= rx_start;
        memmove(rx, rx + rx_start, rx_end);
        rx_start = 0;
    }
}

/* The host is gone, and with it everybody who waited for these. */
static void disconnected(void)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            exec_signal(streams[i], SIGKILL);
    exec_end_overdue();
    while (stream_count) {
        struct stream *stream = streams[stream_count - 1];
        if (stream->kind == COMMAND)
            exec_close(stream);
        else
            file_abort(stream);
    }
    flush_disconnected();
    rx_start = rx_end = 0;
    tx_reset();
    deaf = false;
    if (!in_guest)
        exit(0);
    close_fd(&port);
    port = port_open();
    if (port < 0)
        give_up(port, "port", errno);
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
    poll_add(tx_has(TX_RESERVE) ? flush_fd : -1, POLLIN);
    for (int i = 0; i < stream_count; i++) {
        if (streams[i]->kind == COMMAND)
            pipes_poll(streams[i], outputs && !blocked && !deaf);
        else
            ready |= get_ready(streams[i]) || list_ready(streams[i]);
    }
    pipes_poll_discarded();
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
            sent += pipes_pump(stream);
        else if (stream->kind == GET)
            get_pump(stream);
        else if (stream->kind == LIST)
            list_pump(stream);
    }
    pipes_pump_discarded();
    return sent;
}

static int poll_timeout(bool at_once)
{
    /* The nearest of what is due: the end of the quiet, of a command's grace or lateness and of the shutdown's, and a flush. */
    int64_t due = quiet_until ? quiet_until : INT64_MAX, grace = exec_deadline(), flush = flush_due();
    /* Only a turn with a pump can do something about it. */
    int64_t late = blocked || deaf ? INT64_MAX : late_deadline();
    if (at_once)
        return 0;
    if (grace < due)
        due = grace;
    if (late < due)
        due = late;
    if (flush < due)
        due = flush;
    if (shutting_down() && shutdown_deadline < due)
        due = shutdown_deadline;
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
        if ((!quiet_until && !tx_lazy()) || tx_urgent()) {
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
        short arrived = polls[1].revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP);
        if (arrived && !receive(arrived & POLLHUP)) {
            disconnected();
            continue;
        }
        handle_received();
        exec_end_overdue();
        bool ending = shutting_down();
        if (ending)
            reaped = exec_reap();
        if (!blocked && !deaf) {
            uint32_t sent = pump();
            if (sent && sent < FLOOD && !ended)
                quiet_until = now_ms() + QUIET_OUTPUT_MS;
        }
        flush_step(polls[2].revents);
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
    streams_init();
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
    if (dev_null < 0)
        return "/dev/null";
    if (!flush_open())
        return "flushes";
    return sessions_open() ? NULL : "/proc";
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
     * Ahead of everything in the box, however busy that is; commands start as ordinary processes. By number:
     * musl's own function refuses, since it could not do what POSIX asks for.
     */
    const struct sched_param priority = { .sched_priority = 1 };
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
        report("scheduler", errno);
    const char *failed = boot();
    if (!failed)
        failed = prepare();
    if (failed)
        give_up(port, failed, errno);
    port = port_open();
    if (port < 0)
        give_up(port, "port", errno);
    serve();
}

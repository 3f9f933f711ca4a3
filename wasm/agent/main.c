/*
 * The agent: PID 1 of a guest, or with `--fd N` a process on a host that speaks the same frames on that descriptor.
 */
#define _GNU_SOURCE
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
#include <unistd.h>

#include "box.h"
#include "connection.h"
#include "ends.h"
#include "exec.h"
#include "flush.h"
#include "get.h"
#include "give-up.h"
#include "late.h"
#include "lifecycle.h"
#include "operations.h"
#include "pipes.h"
#include "polls.h"
#include "port.h"
#include "quiet.h"
#include "receive.h"
#include "send.h"
#include "starting.h"
#include "streams.h"
#include "touch.h"
#include "transfers.h"
#include "util.h"
#include "watch.h"

/* A turn that sent this much output belongs to a flood, which gathers without a quiet time. */
#define FLOOD (MAX_DATA / 2)

/* A command that starts has one more than is polled. */
_Static_assert(MAX_POLLS + MAX_STREAMS + 32 < HARD_FILES, "the agent's descriptors fit its limit");

/* The connection to the host, and a signalfd that is readable when a child ends. */
static int port = -1, children = -1;
/* The port took only a part of what there was to send. */
static bool blocked;

/* The host is gone. Ends what it has started, and in a guest waits for another. */
static void handle_disconnect(void)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            command_signal(streams[i], SIGKILL);
    commands_end_overdue();
    while (stream_count) {
        struct stream *stream = streams[stream_count - 1];
        if (stream->kind == COMMAND)
            command_close(stream);
        else if (stream->kind == CONNECTION)
            connection_abort(stream);
        else
            file_abort(stream);
    }
    touch_stop();
    flush_disconnected();
    receive_reset();
    tx_reset();
    if (!in_guest)
        exit(0);
    close_fd(&port);
    port = port_open();
    if (port < 0)
        give_up(port, "port", errno);
    send_hello();
}

/* Whether streams may send: the port takes more, and the host has not broken the protocol. */
static bool may_send(void)
{
    return !blocked && !receive_refused();
}

static void poll_command(struct stream *stream, bool outputs)
{
    starting_poll(stream, !outputs);
    pipes_poll(stream, outputs);
}

/* Fills the poll set. True if a stream has something to do that no descriptor tells. */
static bool fill_polls(bool outputs)
{
    bool ready = false;
    short input = receive_refused() ? POLLRDHUP : receive_has_room() ? POLLIN : 0;
    poll_count = 0;
    /* First, so that a command's end is never seen after the hang-up of its pipes. */
    poll_add(children, POLLIN);
    poll_add(port, (blocked ? POLLOUT : 0) | input);
    poll_add(tx_has_room(TX_RESERVE) ? flush_fd : -1, POLLIN);
    for (int i = 0; i < stream_count; i++) {
        if (streams[i]->kind == COMMAND)
            poll_command(streams[i], outputs && may_send());
        else if (streams[i]->kind == CONNECTION)
            connection_poll(streams[i], may_send());
        else if (streams[i]->kind == WATCH)
            watch_poll(streams[i], may_send());
        else
            ready |= get_ready(streams[i]) || list_ready(streams[i]);
    }
    pipes_poll_discarded();
    return ready && may_send();
}

/* Moves the data of every stream, and returns the bytes of commands' output that were sent. */
static uint32_t pump(void)
{
    /* A copy, because streams may close, which reorders streams[]. Each stream is the first in its turn. */
    static struct stream *turn[MAX_STREAMS];
    static unsigned first;
    int count = stream_count;
    uint32_t sent = 0;
    memcpy(turn, streams, count * sizeof *turn);
    first++;
    for (int i = 0; i < count && tx_has_room(TX_RESERVE); i++) {
        struct stream *stream = turn[(first + i) % count];
        if (stream->kind == COMMAND)
            sent += command_pump(stream);
        else if (stream->kind == CONNECTION)
            connection_pump(stream);
        else if (stream->kind == GET)
            get_pump(stream);
        else if (stream->kind == LIST)
            list_pump(stream);
        else if (stream->kind == WATCH)
            watch_pump(stream);
    }
    pipes_pump_discarded();
    return sent;
}

static int poll_timeout(void)
{
    const int64_t deadlines[] = {
        quiet_deadline(),
        commands_deadline(),
        /* Only a turn with a pump can end a wait for late output, or connect anew. */
        may_send() ? late_deadline() : INT64_MAX,
        may_send() ? connections_deadline() : INT64_MAX,
        flush_deadline(),
        shutdown_deadline(),
    };
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++)
        if (deadlines[i] < next)
            next = deadlines[i];
    if (next == INT64_MAX)
        return -1;
    next -= now_ms();
    return next <= 0 ? 0 : next > INT_MAX ? INT_MAX : next;
}

static enum reaped reap(bool signaled)
{
    struct signalfd_siginfo information;
    if (signaled && read(children, &information, sizeof information) < 0 && errno != EAGAIN)
        report("signalfd", errno);
    quiet_end();
    return commands_reap();
}

/* The main loop. Each turn sends what has gathered, waits for events, and lets every stream go on. */
static _Noreturn void serve(void)
{
    bool crowded = false;
    enum reaped reaped = CHILDREN_LEFT;
    send_hello();
    for (;;) {
        bool quiet = quiet_is_on();
        if ((!quiet && !tx_only_flush()) || tx_urgent()) {
            if (!tx_write(port)) {
                handle_disconnect();
                continue;
            }
            blocked = !tx_empty();
        }
        bool ready = fill_polls(!quiet);
        bool at_once = ready || (crowded && !blocked) || reaped == MORE_TO_REAP;
        if (poll(polls, poll_count, at_once ? 0 : poll_timeout()) < 0) {
            if (errno != EINTR)
                report("poll", errno);
            continue;
        }
        bool ended = polls[0].revents || reaped == MORE_TO_REAP;
        if (ended)
            reaped = reap(polls[0].revents);
        short arrived = polls[1].revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP);
        if (arrived && !receive(port, arrived & POLLHUP)) {
            handle_disconnect();
            continue;
        }
        receive_dispatch();
        commands_end_overdue();
        if (shutting_down())
            reaped = commands_reap();
        if (may_send()) {
            uint32_t sent = pump();
            if (sent && sent < FLOOD && !ended)
                quiet_after_output();
        }
        flush_step(polls[2].revents);
        shutdown_step(reaped);
        crowded = !tx_has_room(TX_RESERVE);
    }
}

/* Returns NULL, or the step that failed, with errno. */
static const char *prepare(void)
{
    const struct rlimit files = { HARD_FILES, HARD_FILES };
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    streams_init();
    umask(022);
    children = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    /* Raised by a write to a closed pipe or beyond a limit, which also sets errno. */
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    if (children < 0 || sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
        return "signals";
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return "limits";
    if (!exec_init())
        return "/dev/null";
    if (!flush_init())
        return "flushes";
    return proc_open() ? NULL : "/proc";
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
     * Ahead of everything in the box, however busy the box is. Commands start as ordinary processes. A direct system
     * call, because musl's function only fails: it could not do what POSIX asks for.
     */
    const struct sched_param priority = { .sched_priority = 1 };
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
        report("scheduler", errno);
    const char *failed = box_boot();
    if (!failed)
        failed = prepare();
    if (failed)
        give_up(port, failed, errno);
    port = port_open();
    if (port < 0)
        give_up(port, "port", errno);
    serve();
}

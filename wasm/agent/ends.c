#define _GNU_SOURCE
#include "ends.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "flush.h"
#include "late.h"
#include "pipes.h"
#include "send.h"
#include "sessions.h"
#include "starting.h"
#include "util.h"

/* Zombies reaped in one turn, so that those of a fork bomb do not keep the port waiting. */
#define MAX_REAPED 64
/* The time that a shell has to end its jobs and itself after its terminal is closed. */
#define HANG_UP_GRACE_MS 1000
/*
 * A killed process ends a little later: whoever gets EXIT must not find it any more. The agent learns of the end of its
 * own children, and looks for that of others. Something that hangs in the kernel, or is held by a debugger, delays EXIT
 * for no longer than this.
 */
#define LOOK_MS 10
#define KILLED_MS 1000

/* The number of commands that are to end: those with a `kill_at`. */
static int terminating;

/* Has the session killed before the turn is over, by commands_end_overdue(). */
static void kill_session(struct stream *stream)
{
    terminating += !stream->kill_at;
    stream->kill_at = INT64_MAX;
    stream->sweep = SWEEP_KILL;
    stream->sweep_turns = 0;
}

/*
 * Signals the processes that a late command has left behind. The kernel gives their number to no new process as long as
 * one of them is in the session or the group. So if a process has it now, none of them is left.
 */
static void signal_left_behind(struct stream *stream, int number)
{
    bool any = getsid(stream->left_behind) < 0;
    if (any)
        kill(-stream->left_behind, number);
    if (number != SIGKILL)
        return;
    late_finish(stream);
    if (!any)
        return;
    stream->session = stream->left_behind;
    kill_session(stream);
}

void command_signal(struct stream *stream, int number)
{
    if (stream->late) {
        signal_left_behind(stream, number);
        return;
    }
    /* While it starts, it may have no group of its own yet. */
    if (stream->pid && kill(-stream->pid, number) < 0 && errno == ESRCH)
        kill(stream->pid, number);
    /* A program with process groups of its own can pass on any signal but KILL. */
    if (stream->session && number == SIGKILL)
        kill_session(stream);
}

static void kill_after(struct stream *stream, uint32_t grace_ms)
{
    terminating += !stream->kill_at;
    stream->kill_at = now_ms() + grace_ms;
}

void command_terminate(struct stream *stream, uint32_t grace_ms)
{
    /* The main process has ended, so there is no exit code to wait for. */
    if (stream->late)
        command_signal(stream, SIGKILL);
    if (!stream->pid)
        return;
    kill_after(stream, grace_ms);
    command_signal(stream, SIGTERM);
    /* A stopped process would not act on TERM. */
    command_signal(stream, SIGCONT);
    if (stream->sweep != SWEEP_KILL)
        stream->sweep = SWEEP_TERM;
}

void command_hang_up(struct stream *stream)
{
    pipes_close(stream);
    if (!stream->pid)
        return;
    kill_after(stream, HANG_UP_GRACE_MS);
    /* The kernel has sent SIGHUP to the shell and the foreground group. A stopped process would not act on it. */
    command_signal(stream, SIGCONT);
}

/* Whether EXIT waits only for what was killed. */
static bool is_killed(const struct stream *stream)
{
    return stream->kill_at == INT64_MAX && !stream->pid && !stream->sweep;
}

int64_t commands_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; terminating && i < stream_count; i++) {
        if (streams[i]->sweep)
            return 0;
        int64_t due = is_killed(streams[i]) ? streams[i]->look_at : streams[i]->kill_at;
        if (streams[i]->kill_at && due < next)
            next = due;
    }
    return next;
}

/* Waits for the command's session no longer. */
static void forget_session(struct stream *stream)
{
    terminating -= stream->kill_at != 0;
    stream->kill_at = 0;
    stream->session = 0;
    stream->sweep = NO_SWEEP;
    stream->look_at = stream->look_until = 0;
}

/*
 * Forgets the sessions in which no process is left, of those that outlive their main process: the rest of a closed
 * terminal has a grace period, and what was killed is about to end. A session keeps its number as long as one of its
 * processes exists; for it to be given to another before the wait is over, all numbers would have to be used up in that
 * time.
 */
static void forget_empty_sessions(void)
{
    bool any = false;
    for (int i = 0; i < stream_count; i++) {
        if (!streams[i]->session || streams[i]->pid || streams[i]->sweep)
            continue;
        streams[i]->sweep = SWEEP_LOOK;
        any = true;
    }
    if (!any)
        return;
    sessions_sweep();
    int64_t next = now_ms() + LOOK_MS;
    for (int i = 0; i < stream_count; i++) {
        if (!streams[i]->session || streams[i]->pid || streams[i]->sweep)
            continue;
        streams[i]->look_at = next;
        if (!streams[i]->found)
            forget_session(streams[i]);
    }
}

static void wait_for_killed(int64_t now)
{
    bool due = false;
    for (int i = 0; i < stream_count; i++) {
        if (!is_killed(streams[i]))
            continue;
        due |= streams[i]->look_at <= now;
        if (!streams[i]->look_until)
            streams[i]->look_until = now + KILLED_MS;
    }
    if (due)
        forget_empty_sessions();
    for (int i = 0; i < stream_count; i++)
        if (is_killed(streams[i]) && streams[i]->look_until <= now)
            forget_session(streams[i]);
}

void commands_end_overdue(void)
{
    int64_t now = terminating ? now_ms() : 0;
    for (int i = 0; terminating && i < stream_count; i++)
        if (streams[i]->kill_at && streams[i]->kill_at <= now)
            command_signal(streams[i], SIGKILL);
    if (terminating)
        sessions_sweep();
    if (terminating)
        wait_for_killed(now);
}

/* Whether the grace period of a closed terminal runs, which is for the whole session and not just the main process. */
static bool hangs_up(const struct stream *stream)
{
    return stream->terminal && stream->eof && stream->kill_at && stream->kill_at != INT64_MAX;
}

/* Whether it, or a shell's command, ended by KILL, and the kernel killed a process of the box for lack of memory. */
static bool ran_out_of_memory(const struct stream *stream)
{
    bool killed = stream->how == SIGNALED ? stream->code == SIGKILL : stream->code == 128 + SIGKILL;
    return killed && !stream->kill_at && out_of_memory_count() > stream->out_of_memory;
}

static void command_ended(struct stream *stream, int status)
{
    stream->left_behind = stream->pid;
    stream->pid = 0;
    stream->how = WIFSIGNALED(status) ? SIGNALED : EXITED;
    stream->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (ran_out_of_memory(stream)) {
        stream->how = OUT_OF_MEMORY;
        stream->code = 128 + SIGKILL;
    }
    /* The kernel hangs up a terminal by itself, and after TERMINATE or KILL more output is not wanted. */
    if (stream->terminal || stream->kill_at)
        pipes_count_remaining(stream);
    else
        late_begin(stream);
    if (!stream->kill_at)
        forget_session(stream);
}

uint32_t command_pump(struct stream *stream)
{
    enum start start = starting_pump(stream);
    if (start == START_FAILED)
        command_close(stream);
    if (start != START_DONE)
        return 0;
    uint32_t sent = pipes_pump(stream);
    if (stream->pid || stream->session || late_waits(stream, sent) || pipes_remaining(stream))
        return sent;
    send_exit(stream->id, stream->how, stream->code);
    flush_after_end();
    pipes_discard(stream);
    command_close(stream);
    return sent;
}

void command_close(struct stream *stream)
{
    forget_session(stream);
    late_finish(stream);
    close_fd(&stream->start.fd);
    pipes_close(stream);
    stream_close(stream);
}

static struct stream *find_command(pid_t pid)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND && streams[i]->pid == pid)
            return streams[i];
    return NULL;
}

/* A command that was sent TERMINATE leaves no process behind: those that outlive the main one are killed first. */
static bool may_reap(struct stream *stream)
{
    if (!stream->kill_at || hangs_up(stream))
        return true;
    if (stream->kill_at != INT64_MAX)
        command_signal(stream, SIGKILL);
    if (stream->sweep)
        sessions_sweep();
    return !stream->sweep;
}

/*
 * Reaps a zombie. While a command is being terminated, it is looked at first: as long as it is a zombie, its group and
 * session keep their number. EAGAIN means that it has to stay a zombie for another turn.
 */
static pid_t reap_zombie(int *status)
{
    siginfo_t zombie = { 0 };
    if (!terminating)
        return waitpid(-1, status, WNOHANG);
    if (waitid(P_ALL, 0, &zombie, WEXITED | WNOHANG | WNOWAIT) < 0)
        return -1;
    if (!zombie.si_pid)
        return 0;
    struct stream *stream = find_command(zombie.si_pid);
    if (!stream || may_reap(stream))
        return waitpid(zombie.si_pid, status, WNOHANG);
    errno = EAGAIN;
    return -1;
}

static enum reaped reap_zombies(void)
{
    for (int reaped = 0; reaped < MAX_REAPED; reaped++) {
        int status;
        pid_t pid = reap_zombie(&status);
        if (pid < 0 && errno == EAGAIN)
            break;
        if (pid <= 0)
            return pid < 0 && errno == ECHILD ? NO_CHILDREN : CHILDREN_LEFT;
        struct stream *stream = find_command(pid);
        if (stream)
            command_ended(stream, status);
    }
    return MORE_TO_REAP;
}

enum reaped commands_reap(void)
{
    enum reaped reaped = reap_zombies();
    if (terminating)
        forget_empty_sessions();
    return reaped;
}

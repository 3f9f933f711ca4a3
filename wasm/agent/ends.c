/* The end of commands: their signals, their graces, and what is left of them. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Zombies reaped in one turn, so that a fork bomb's remains do not keep the port waiting. */
#define MAX_REAPED 64
/* For a shell whose terminal was closed, to end its jobs and itself. */
#define HANG_UP_GRACE_MS 1000

/* Commands that are to end: those with a `kill_at`. */
static int terminating;

/* Before the turn is over: see exec_end_overdue. */
static void kill_session(struct stream *stream)
{
    terminating += !stream->kill_at;
    stream->kill_at = INT64_MAX;
    stream->sweep = SWEEP_KILL;
    stream->turns = 0;
}

/*
 * Its process has ended, and what it left behind prints. Their number is theirs for as long as anybody is in the session
 * or the group: whoever has it as a process now is a stranger, and nobody is left.
 */
static void signal_left(struct stream *stream, int number)
{
    bool lives = getsid(stream->left) < 0;
    if (lives)
        kill(-stream->left, number);
    if (number != SIGKILL)
        return;
    late_over(stream);
    if (!lives)
        return;
    stream->session = stream->left;
    kill_session(stream);
}

void exec_signal(struct stream *stream, int number)
{
    if (stream->late) {
        signal_left(stream, number);
        return;
    }
    if (stream->pid)
        kill(-stream->pid, number);
    /* A program that has made groups of its own can pass on any signal but this. */
    if (stream->session && number == SIGKILL)
        kill_session(stream);
}

static void kill_after(struct stream *stream, uint32_t grace_ms)
{
    terminating += !stream->kill_at;
    stream->kill_at = now_ms() + grace_ms;
}

void exec_terminate(struct stream *stream, uint32_t grace_ms)
{
    /* There is no exit code to wait for any more. */
    if (stream->late)
        exec_signal(stream, SIGKILL);
    if (!stream->pid)
        return;
    kill_after(stream, grace_ms);
    exec_signal(stream, SIGTERM);
    /* A stopped one would not see it. */
    exec_signal(stream, SIGCONT);
    if (stream->sweep != SWEEP_KILL)
        stream->sweep = SWEEP_TERM;
}

void exec_hang_up(struct stream *stream)
{
    pipes_close(stream);
    if (!stream->pid)
        return;
    kill_after(stream, HANG_UP_GRACE_MS);
    /* The kernel has told its foreground group, and itself, by SIGHUP. */
    exec_signal(stream, SIGCONT);
}

int64_t exec_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; terminating && i < stream_count; i++) {
        if (streams[i]->sweep)
            return 0;
        if (streams[i]->kill_at && streams[i]->kill_at < next)
            next = streams[i]->kill_at;
    }
    return next;
}

/* Nobody of its session is waited for any more. */
static void session_over(struct stream *stream)
{
    terminating -= stream->kill_at != 0;
    stream->kill_at = 0;
    stream->session = 0;
    stream->sweep = NO_SWEEP;
}

void exec_end_overdue(void)
{
    int64_t now = terminating ? now_ms() : 0;
    for (int i = 0; terminating && i < stream_count; i++)
        if (streams[i]->kill_at && streams[i]->kill_at <= now)
            exec_signal(streams[i], SIGKILL);
    if (terminating)
        sessions_sweep();
    for (int i = 0; terminating && i < stream_count; i++)
        if (streams[i]->kill_at == INT64_MAX && !streams[i]->pid && !streams[i]->sweep)
            session_over(streams[i]);
}

/* Its terminal is closed, and the grace of that runs: for its whole session, not for its main process alone. */
static bool hangs_up(const struct stream *stream)
{
    return stream->terminal && stream->eof && stream->kill_at && stream->kill_at != INT64_MAX;
}

/* By KILL, its own end or that of a shell's command, while the kernel killed for want of memory. */
static bool ran_out_of_memory(const struct stream *stream)
{
    bool killed = stream->how == SIGNALED ? stream->code == SIGKILL : stream->code == 128 + SIGKILL;
    return killed && !stream->kill_at && out_of_memory_count() > stream->out_of_memory;
}

static void command_ended(struct stream *stream, int status)
{
    stream->left = stream->pid;
    stream->pid = 0;
    stream->how = WIFSIGNALED(status) ? SIGNALED : EXITED;
    stream->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (ran_out_of_memory(stream)) {
        stream->how = OUT_OF_MEMORY;
        stream->code = 128 + SIGKILL;
    }
    /* The kernel hangs up a terminal by itself, and who ends a command does not want to hear more of it. */
    if (stream->terminal || stream->kill_at || shutting_down())
        pipes_count_left(stream);
    else
        late_begin(stream);
    if (!hangs_up(stream))
        session_over(stream);
}

void exec_close(struct stream *stream)
{
    session_over(stream);
    late_over(stream);
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

/* Of a command under TERMINATE nobody is left behind: whoever outlives its main process is killed now. */
static bool may_reap(struct stream *stream)
{
    if (!stream->kill_at || hangs_up(stream))
        return true;
    if (stream->kill_at != INT64_MAX)
        exec_signal(stream, SIGKILL);
    if (stream->sweep)
        sessions_sweep();
    return !stream->sweep;
}

/*
 * While a command is being terminated, the next zombie is looked at first: as long as it is one, the number of its
 * group and session cannot be anybody else's. EAGAIN: it has to stay one for another turn.
 */
static pid_t next_zombie(int *status)
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
        pid_t pid = next_zombie(&status);
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

/*
 * Those whose shell ended when it was hung up, while others of its session have the rest of the grace. Its number is
 * theirs for as long as they are there; to be another's before the grace is over, all numbers would have to be used
 * up within it.
 */
static void look_after_hung_up(void)
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
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->session && !streams[i]->pid && !streams[i]->sweep && !streams[i]->found)
            session_over(streams[i]);
}

enum reaped exec_reap(void)
{
    enum reaped reaped = reap_zombies();
    if (terminating)
        look_after_hung_up();
    return reaped;
}

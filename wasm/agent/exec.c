/* Commands: their start without a shell or a fork of the agent's memory, their pipes, their end. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe found full is enlarged to this, which saves switches between a flood's writer and the agent. */
#define PIPE_LARGE (1 << 20)
/* Enlarged at most at one time: what they hold is kernel memory. */
#define MAX_LARGE 32
/* Zombies reaped in one turn, so that a fork bomb's remains do not keep the port waiting. */
#define MAX_REAPED 64
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static uint8_t stdin_ring[MAX_STREAMS][STDIN_WINDOW];
static int big_stdin, large_pipes, terminating;
static int discarded[MAX_DISCARDED], discarded_polled[MAX_DISCARDED], discarded_count;

/* One command is started at a time: the agent stands still until its child has executed the program. */
static char *argv[MAX_ARGS + 1], *envp[MAX_ARGS + 1];
static struct {
    int in, out, err;
    const char *root, *cwd;
    volatile int stage, error;
} start;
static uint8_t child_stack[8192] __attribute__((aligned(16)));
static char candidate[MAX_PATH + 1];

static _Noreturn void child_fails(enum fail_stage stage, int error)
{
    start.stage = stage;
    start.error = error;
    _exit(127);
}

/* As execvp does it, but asking access() first: a failing execve has built half an address space by then. */
static void execute(void)
{
    const char *file = argv[0];
    if (!*file || strchr(file, '/')) {
        execve(file, argv, envp);
        return;
    }
    const char *path = DEFAULT_PATH;
    for (char **entry = envp; *entry; entry++) {
        if (strncmp(*entry, "PATH=", 5) == 0) {
            path = *entry + 5;
            break;
        }
    }
    size_t file_length = strlen(file);
    int found = ENOENT;
    for (const char *end; ; path = end + 1) {
        end = strchrnul(path, ':');
        size_t length = end - path;
        if (length + 1 + file_length <= MAX_PATH) {
            memcpy(candidate, path, length);
            /* An empty entry is the working directory. */
            if (length)
                candidate[length++] = '/';
            memcpy(candidate + length, file, file_length + 1);
            if (access(candidate, X_OK) == 0)
                execve(candidate, argv, envp);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return;
            if (errno == EACCES)
                found = EACCES;
        }
        if (!*end)
            break;
    }
    errno = found;
}

/* Runs in the agent's memory on a stack of its own. It may change nothing there but `start` and `candidate`. */
static _Noreturn void child(void)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    if (dup2(start.in, 0) < 0 || dup2(start.out, 1) < 0 || dup2(start.err, 2) < 0)
        child_fails(STAGE_LIMIT, errno);
    if (start.root && chroot(start.root) < 0)
        child_fails(STAGE_CWD, errno);
    if (chdir(start.cwd) < 0)
        child_fails(STAGE_CWD, errno);
    /* The agent handles no signal and ignores none, it only blocks: this is all there is to reset. */
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute();
    child_fails(STAGE_EXEC, errno);
}

/*
 * vfork with a stack of its own, straight into the box's cgroup: moving a process there afterwards waits for all CPUs
 * to pass a grace period. Both clone calls are made here because the child must not return through a C frame.
 */
static pid_t spawn(int cgroup)
{
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)child_stack,
        .stack_size = sizeof child_stack,
        .cgroup = cgroup,
    };
    long number = SYS_clone3, first = (long)&args, second = sizeof args;
    if (cgroup < 0) {
        number = SYS_clone;
        first = CLONE_VM | CLONE_VFORK | SIGCHLD;
        second = (long)(child_stack + sizeof child_stack);
    }
    long pid;
    __asm__ volatile("int $0x80\n\t"
                     "test %%eax, %%eax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "call *%%esi\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(pid)
                     : "0"(number), "b"(first), "c"(second), "d"(0), "S"(child), "D"(0)
                     : "memory", "cc");
    if (pid < 0) {
        errno = -pid;
        return -1;
    }
    return pid;
}

/* Blocking for the command, not for the agent. `agent` is the index of the agent's end. */
static bool make_pipe(int ends[2], int agent)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    if (fcntl(ends[agent], F_SETFL, O_NONBLOCK | agent) == 0)
        return true;
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    return false;
}

bool exec_frame(const struct frame *frame, const char *root, int cgroup)
{
    struct reader reader = read_payload(frame);
    uint8_t flags = read_u8(&reader);
    uint32_t window = read_u32(&reader);
    const char *cwd = read_str(&reader, MAX_PATH);
    uint32_t argc = read_list(&reader, argv, MAX_ARGS);
    read_list(&reader, envp, MAX_ARGS);
    if (!read_all(&reader) || flags & ~EXEC_STDIN || window > MAX_WINDOW || argc == 0)
        return false;

    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
    pid_t pid = -1;
    if (make_pipe(out, 0) && make_pipe(err, 0) && (!(flags & EXEC_STDIN) || make_pipe(in, 1))) {
        start.in = flags & EXEC_STDIN ? in[0] : dev_null;
        start.out = out[1];
        start.err = err[1];
        start.root = root;
        start.cwd = cwd;
        start.stage = 0;
        pid = spawn(cgroup);
    }
    int error = errno;
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    if (pid < 0 || start.stage) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        close_fd(&err[0]);
        if (pid < 0)
            send_fail(frame->stream, STAGE_LIMIT, error, argv[0]);
        else
            send_fail(frame->stream, start.stage, start.error, start.stage == STAGE_CWD ? cwd : argv[0]);
        return true;
    }

    struct stream *stream = stream_open(frame->stream, COMMAND);
    stream->pid = pid;
    stream->credit = window;
    stream->in.fd = in[1];
    stream->out.fd = out[0];
    stream->err.fd = err[0];
    send_u32(F_STARTED, stream->id, pid);
    if (flags & EXEC_STDIN) {
        stream->window = big_stdin < BIG_STDIN ? STDIN_WINDOW : STDIN_WINDOW_SMALL;
        big_stdin += stream->window == STDIN_WINDOW;
        stream_grant(stream, stream->window);
    }
    return true;
}

void exec_signal(struct stream *stream, int number)
{
    if (stream->pid)
        kill(-stream->pid, number);
}

void exec_terminate(struct stream *stream, uint32_t grace_ms)
{
    if (!stream->pid)
        return;
    terminating += !stream->kill_at;
    stream->kill_at = now_ms() + grace_ms;
    exec_signal(stream, SIGTERM);
    /* A stopped one would not see it. */
    exec_signal(stream, SIGCONT);
}

int64_t exec_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; terminating && i < stream_count; i++)
        if (streams[i]->kill_at && streams[i]->kill_at < next)
            next = streams[i]->kill_at;
    return next;
}

void exec_kill_overdue(void)
{
    int64_t now = terminating ? now_ms() : 0;
    for (int i = 0; terminating && i < stream_count; i++) {
        if (!streams[i]->kill_at || streams[i]->kill_at > now)
            continue;
        exec_signal(streams[i], SIGKILL);
        streams[i]->kill_at = INT64_MAX;
    }
}

/* Bytes the command took, or zero when its pipe is full. A command that reads no more takes all and loses it. */
static uint32_t feed(struct stream *stream, const uint8_t *data, uint32_t length)
{
    uint32_t taken = 0;
    while (taken < length && stream->in.fd >= 0) {
        ssize_t written = write(stream->in.fd, data + taken, length - taken);
        if (written >= 0)
            taken += written;
        else if (errno == EAGAIN)
            return taken;
        else if (errno != EINTR)
            close_fd(&stream->in.fd);
    }
    return length;
}

void exec_stdin(struct stream *stream, const uint8_t *data, uint32_t length)
{
    uint32_t taken = stream->held ? 0 : feed(stream, data, length);
    uint8_t *ring = stdin_ring[stream->slot];
    /* The credit given out never exceeds the ring, so what is left has room in it. */
    for (uint32_t done = taken; done < length; ) {
        uint32_t tail = (stream->head + stream->held) % STDIN_WINDOW;
        uint32_t part = length - done < STDIN_WINDOW - tail ? length - done : STDIN_WINDOW - tail;
        memcpy(ring + tail, data + done, part);
        stream->held += part;
        stream->ring_used = true;
        done += part;
    }
    stream_grant(stream, taken);
}

void exec_stdin_eof(struct stream *stream)
{
    if (!stream->held)
        close_fd(&stream->in.fd);
}

static void feed_held(struct stream *stream)
{
    uint8_t *ring = stdin_ring[stream->slot];
    uint32_t before = stream->held;
    while (stream->held) {
        uint32_t part = STDIN_WINDOW - stream->head;
        if (part > stream->held)
            part = stream->held;
        uint32_t taken = feed(stream, ring + stream->head, part);
        stream->head = (stream->head + taken) % STDIN_WINDOW;
        stream->held -= taken;
        if (taken < part)
            break;
    }
    if (!stream->held && stream->eof)
        close_fd(&stream->in.fd);
    stream_grant(stream, before - stream->held);
}

static void poll_output(const struct stream *stream, struct pipe_end *pipe, bool readable)
{
    pipe->polled = -1;
    /* A pipe that may not be read now stays out: its hang-up would be reported for ever. */
    if (readable && pipe->fd >= 0 && stream->credit && (stream->pid || pipe->left))
        pipe->polled = poll_add(pipe->fd, POLLIN);
}

void exec_poll(struct stream *stream, bool outputs)
{
    poll_output(stream, &stream->out, outputs);
    poll_output(stream, &stream->err, outputs);
    stream->in.polled = stream->held ? poll_add(stream->in.fd, POLLOUT) : -1;
}

static short seen(const struct pipe_end *pipe)
{
    return pipe->polled < 0 ? 0 : polls[pipe->polled].revents;
}

static void close_output(struct pipe_end *pipe)
{
    large_pipes -= pipe->enlarged;
    pipe->enlarged = false;
    pipe->left = 0;
    close_fd(&pipe->fd);
}

static void enlarge(struct pipe_end *pipe)
{
    int waiting;
    if (pipe->enlarged || large_pipes == MAX_LARGE || ioctl(pipe->fd, FIONREAD, &waiting) < 0)
        return;
    if ((uint32_t)waiting + MAX_DATA >= 65536 && fcntl(pipe->fd, F_SETPIPE_SZ, PIPE_LARGE) > 0) {
        pipe->enlarged = true;
        large_pipes++;
    }
}

static uint32_t pump_output(struct stream *stream, struct pipe_end *pipe, enum channel channel)
{
    short events = seen(pipe);
    if (pipe->fd < 0 || !(events || (!stream->pid && pipe->left)))
        return 0;
    if (events && !(events & POLLIN)) {
        close_output(pipe);
        return 0;
    }
    uint32_t want = stream->credit < MAX_DATA ? stream->credit : MAX_DATA;
    if (!stream->pid && pipe->left < want)
        want = pipe->left;
    uint8_t *at = tx_data();
    if (!want || !at)
        return 0;
    ssize_t got = read(pipe->fd, at, want);
    if (got > 0) {
        tx_data_done(stream->id, channel, got);
        stream->credit -= got;
        pipe->left -= stream->pid ? 0 : got;
        if (got == MAX_DATA)
            enlarge(pipe);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_output(pipe);
    } else if (!stream->pid) {
        /* Somebody else has read what was counted here. */
        pipe->left = 0;
    }
    return got > 0 ? got : 0;
}

static void discard(struct pipe_end *pipe)
{
    if (pipe->fd < 0)
        return;
    if (seen(pipe) & POLLHUP) {
        close_output(pipe);
        return;
    }
    large_pipes -= pipe->enlarged;
    pipe->enlarged = false;
    if (discarded_count == MAX_DISCARDED) {
        close(discarded[0]);
        memmove(discarded, discarded + 1, --discarded_count * sizeof *discarded);
    }
    /* Not looked at before its first poll. */
    discarded_polled[discarded_count] = -1;
    discarded[discarded_count++] = pipe->fd;
    pipe->fd = -1;
}

void exec_close(struct stream *stream)
{
    close_fd(&stream->in.fd);
    close_output(&stream->out);
    close_output(&stream->err);
    big_stdin -= stream->window == STDIN_WINDOW;
    terminating -= stream->kill_at != 0;
    if (stream->ring_used)
        madvise(stdin_ring[stream->slot], STDIN_WINDOW, MADV_DONTNEED);
    stream_close(stream);
}

uint32_t exec_pump(struct stream *stream)
{
    uint32_t sent = 0;
    if (seen(&stream->in))
        feed_held(stream);
    if (stream->stderr_first)
        sent = pump_output(stream, &stream->err, CH_STDERR);
    sent += pump_output(stream, &stream->out, CH_STDOUT);
    if (!stream->stderr_first)
        sent += pump_output(stream, &stream->err, CH_STDERR);
    stream->stderr_first = !stream->stderr_first;

    if (!stream->pid && !stream->out.left && !stream->err.left) {
        send_exit(stream->id, stream->how, stream->code);
        discard(&stream->out);
        discard(&stream->err);
        exec_close(stream);
    }
    return sent;
}

void exec_poll_discarded(void)
{
    for (int i = 0; i < discarded_count; i++)
        discarded_polled[i] = poll_add(discarded[i], POLLIN);
}

void exec_pump_discarded(void)
{
    static uint8_t waste[32768];
    int kept = 0;
    for (int i = 0; i < discarded_count; i++) {
        bool ready = discarded_polled[i] >= 0 && polls[discarded_polled[i]].revents;
        ssize_t got = ready ? read(discarded[i], waste, sizeof waste) : 1;
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            close(discarded[i]);
        else
            discarded[kept++] = discarded[i];
    }
    discarded_count = kept;
}

/* What stands in the pipe now is the command's; what comes later is from what it left in the background. */
static void count_left(struct pipe_end *pipe)
{
    int waiting = 0;
    if (pipe->fd < 0)
        return;
    if (seen(pipe) == POLLHUP || ioctl(pipe->fd, FIONREAD, &waiting) < 0 || waiting < 0)
        waiting = 0;
    pipe->left = waiting;
}

static void command_ended(struct stream *stream, int status)
{
    stream->pid = 0;
    terminating -= stream->kill_at != 0;
    stream->kill_at = 0;
    stream->how = WIFSIGNALED(status) ? SIGNALED : EXITED;
    stream->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    count_left(&stream->out);
    count_left(&stream->err);
}

static struct stream *find_command(pid_t pid)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND && streams[i]->pid == pid)
            return streams[i];
    return NULL;
}

/*
 * While a command is being terminated, the next zombie is looked at first: as long as it is one, its group's number
 * cannot be anybody else's.
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
    if (stream && stream->kill_at)
        exec_signal(stream, SIGKILL);
    return waitpid(zombie.si_pid, status, WNOHANG);
}

enum reaped exec_reap(void)
{
    for (int reaped = 0; reaped < MAX_REAPED; reaped++) {
        int status;
        pid_t pid = next_zombie(&status);
        if (pid <= 0)
            return pid < 0 && errno == ECHILD ? NO_CHILDREN : CHILDREN_LEFT;
        struct stream *stream = find_command(pid);
        if (stream)
            command_ended(stream, status);
    }
    return MORE_TO_REAP;
}

#define _GNU_SOURCE
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "flush.h"
#include "mounts.h"
#include "pipes.h"
#include "send.h"
#include "starting.h"
#include "util.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define PAGE_STRINGS (PAGE / sizeof(char *))
/* Room for a list and the NULL that ends it, in whole pages. */
#define LIST_STRINGS ((MAX_ARGS + 1 + PAGE_STRINGS - 1) / PAGE_STRINGS * PAGE_STRINGS)
/* Bytes of a list's memory that are kept once its command has started. */
#define KEPT_STRINGS (4 * PAGE_STRINGS)
/* The descriptor by which a copy of the agent tells that it fails, behind the standard streams. */
#define TELL 3

/* One set for all commands: the agent waits until its child has executed the program, or the child has a copy. */
static _Alignas(PAGE) char *argv[LIST_STRINGS], *envp[LIST_STRINGS];
/* The most strings in a list since memory was last given back. */
static uint32_t longest;
static struct {
    const struct command *command;
    int tell; /* where a copy of the agent tells that it fails; -1 if the agent waits */
    volatile int stage, error;
} start;
static uint8_t child_stack[8192] __attribute__((aligned(16)));
static char candidate[MAX_PATH + 1];
static int dev_null = -1;

bool exec_init(void)
{
    dev_null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return dev_null >= 0;
}

/* What a failure names. */
static const char *failed_at(enum fail_stage stage)
{
    return stage == STAGE_CWD ? start.command->cwd : argv[0];
}

static _Noreturn void child_fails(enum fail_stage stage, int error)
{
    start.stage = stage;
    start.error = error;
    if (start.tell >= 0)
        starting_fails(start.tell, stage, error, failed_at(stage));
    _exit(127);
}

/* Like execvp(3), but with access() before execve(), which builds half an address space before it fails. */
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

/* Gives up the agent's descriptors, of which a copy has all: a pipe has its end only when nobody has it open. */
static bool keep_own_files(void)
{
    if (start.tell != TELL && dup3(start.tell, TELL, O_CLOEXEC) < 0)
        return false;
    start.tell = TELL;
    return syscall(SYS_close_range, TELL + 1, ~0u, 0) == 0;
}

/*
 * Runs in the agent's memory, on a stack of its own, and may change nothing there but `start` and `candidate`; or in a copy
 * of it.
 */
static _Noreturn void child(void)
{
    const struct command *command = start.command;
    const struct rlimit files = { SOFT_FILES, HARD_FILES };
    sigset_t none;
    sigemptyset(&none);
    setsid();
    if (dup2(command->in, 0) < 0 || dup2(command->out, 1) < 0 || dup2(command->err, 2) < 0
        || (command->terminal && ioctl(0, TIOCSCTTY, 0) < 0) || (start.tell >= 0 && !keep_own_files())
        || setrlimit(RLIMIT_NOFILE, &files) < 0)
        child_fails(STAGE_LIMIT, errno);
    if (command->root && chroot(command->root) < 0)
        child_fails(STAGE_CWD, errno);
    if (chdir(command->cwd) < 0)
        child_fails(STAGE_CWD, errno);
    /* The agent neither handles nor ignores signals but only blocks them, so nothing else has to be reset. */
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute();
    child_fails(STAGE_EXEC, errno);
}

/*
 * Like vfork(2), but with a stack of its own, and straight into the box's control group: moving a process there
 * afterwards waits until all CPUs have passed a grace period. In assembly, because the child must not return through a
 * C frame.
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

/* Like fork(2), and straight into the box's control group. */
static pid_t spawn_copy(int cgroup)
{
    struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = cgroup };
    pid_t pid = cgroup < 0 ? fork() : syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        child();
    return pid;
}

/* Makes a pipe that blocks for the command but not for the agent. `agent` is the index of the agent's end. */
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

bool exec_read(struct reader *reader, struct command *command)
{
    command->cwd = read_str(reader, MAX_PATH);
    uint32_t argc = read_list(reader, argv, MAX_ARGS);
    uint32_t envc = read_list(reader, envp, MAX_ARGS);
    uint32_t longer = argc > envc ? argc : envc;
    longest = longer > longest ? longer : longest;
    return read_all(reader) && argc > 0;
}

/* Long command lines are rare, so the memory of their lists is given back. */
static void release_lists(void)
{
    const size_t rest = sizeof argv - KEPT_STRINGS * sizeof *argv;
    if (longest >= KEPT_STRINGS) {
        madvise(argv + KEPT_STRINGS, rest, MADV_DONTNEED);
        madvise(envp + KEPT_STRINGS, rest, MADV_DONTNEED);
    }
    longest = 0;
}

struct stream *exec_start(uint32_t id, uint32_t window, const struct command *command)
{
    int tell[2] = { -1, -1 };
    bool copied = has_volumes;
    pid_t pid = copied && !make_pipe(tell, 0) ? -1 : 0;
    start.command = command;
    start.tell = tell[1];
    start.stage = 0;
    if (pid == 0)
        pid = copied ? spawn_copy(command->cgroup) : spawn(command->cgroup);
    int error = errno;
    close_fd(&tell[1]);
    if (pid < 0 || start.stage) {
        if (pid < 0)
            send_fail(id, STAGE_LIMIT, error, argv[0]);
        else
            send_fail(id, start.stage, start.error, failed_at(start.stage));
        close_fd(&tell[0]);
        release_lists();
        return NULL;
    }
    release_lists();
    struct stream *stream = stream_open(id, COMMAND);
    stream->start.fd = tell[0];
    stream->pid = stream->session = pid;
    stream->credit = window;
    stream->out_of_memory = out_of_memory_count();
    if (!copied)
        send_u32(F_STARTED, id, pid);
    flush_after_start();
    return stream;
}

bool exec_frame(const struct frame *frame, const char *root, int cgroup)
{
    struct reader reader = read_payload(frame);
    uint8_t flags = read_u8(&reader);
    uint32_t window = read_u32(&reader);
    struct command command = { .root = root, .cgroup = cgroup };
    if (!exec_read(&reader, &command) || flags & ~(EXEC_STDIN | EXEC_JOINED) || window > MAX_WINDOW)
        return false;

    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
    struct stream *stream = NULL;
    if (make_pipe(out, 0) && (flags & EXEC_JOINED || make_pipe(err, 0))
        && (!(flags & EXEC_STDIN) || make_pipe(in, 1))) {
        command.in = flags & EXEC_STDIN ? in[0] : dev_null;
        command.out = out[1];
        command.err = flags & EXEC_JOINED ? out[1] : err[1];
        stream = exec_start(frame->stream, window, &command);
    } else {
        send_fail(frame->stream, STAGE_LIMIT, errno, argv[0]);
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    if (!stream) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        close_fd(&err[0]);
        return true;
    }
    stream->in.fd = in[1];
    stream->out.fd = out[0];
    stream->err.fd = err[0];
    if (flags & EXEC_STDIN)
        stdin_grant(stream);
    return true;
}

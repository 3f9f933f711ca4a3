#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

/* Behind the standard streams, which are the agent's. */
#define CONNECTION 3
/* Bytes of messages that wait for the agent, as the kernel counts them. */
#define BUFFER (64 << 10)
/* As nice(2) has it: above everything in the box. */
#define PRIORITY (-20)

static _Noreturn void run(int end, int directory, void (*work)(int connection, const void *argument), const void *argument)
{
    /* Not in the agent's session, nor longer than it. */
    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || fchdir(directory) < 0 || dup2(end, CONNECTION) < 0
        || syscall(SYS_close_range, CONNECTION + 1, ~0u, 0) < 0)
        _exit(1);
    if (in_guest && setpriority(PRIO_PROCESS, 0, PRIORITY) < 0)
        report("priority of a helper", errno);
    work(CONNECTION, argument);
    _exit(0);
}

int helper_start(int directory, void (*work)(int connection, const void *argument), const void *argument)
{
    const int buffer = BUFFER;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    pid_t pid = -1;
    if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) == 0
        && setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) == 0)
        pid = fork();
    if (pid == 0)
        run(ends[1], directory, work, argument);
    int error = errno;
    close_fd(&ends[1]);
    if (pid < 0)
        close_fd(&ends[0]);
    errno = error;
    return ends[0];
}

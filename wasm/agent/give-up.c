/* The end of an agent that cannot serve: PID 1 must not end, and orphans are still its to reap. */
#define _GNU_SOURCE
#include "agent.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Leaves no zombie. -1 when it cannot be told of new ones. */
static int watch_children(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -1;
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

_Noreturn void give_up(int port, const char *step, int error)
{
    report(step, error);
    /* Negative descriptors are ignored by poll(). */
    struct pollfd children = { .fd = watch_children(), .events = POLLIN };
    if (port < 0)
        port = port_open();
    send_fail(0, STAGE_SETUP, error, step);
    for (;;) {
        struct signalfd_siginfo information;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (port >= 0 && (!tx_flush(port) || tx_empty()))
            port = -1;
        struct pollfd both[] = { children, { .fd = port, .events = POLLOUT } };
        if (poll(both, 2, -1) < 0)
            continue;
        /* One that is gone would be reported at once for ever. */
        if (both[1].revents & (POLLHUP | POLLERR | POLLNVAL))
            port = -1;
        /* Before the next look: what ends after it tells again. */
        if (both[0].revents && read(children.fd, &information, sizeof information) < 0)
            continue;
    }
}

#define _GNU_SOURCE
#include "give-up.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "port.h"
#include "send.h"
#include "util.h"

/* A descriptor that is readable when a child ends; -1 if there is none. */
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
    /* poll() ignores negative descriptors. */
    struct pollfd children = { .fd = watch_children(), .events = POLLIN };
    if (port < 0)
        port = port_open();
    send_fail(0, STAGE_SETUP, error, step);
    for (;;) {
        struct signalfd_siginfo information;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (port >= 0 && (!tx_write(port) || tx_empty()))
            port = -1;
        struct pollfd both[] = { children, { .fd = port, .events = POLLOUT } };
        if (poll(both, 2, -1) < 0)
            continue;
        /* poll() would report a port that is gone at once, again and again. */
        if (both[1].revents & (POLLHUP | POLLERR | POLLNVAL))
            port = -1;
        /* Read before the next waitpid(), so that a child that ends after it is reported again. */
        if (both[0].revents && read(children.fd, &information, sizeof information) < 0)
            continue;
    }
}

#define _GNU_SOURCE
#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define PORT_NAME "virtio-1"
/* The host connects the port within milliseconds. This is for slow machines. */
#define PORT_WAIT_MS 20000
#define PORT_STEP_MS 10

#define PORT_CLASS "/sys/class/virtio-ports/"

static bool has_name(const char *entry)
{
    char path[300] = PORT_CLASS, name[32] = "";
    int fd = open(strcat(strcat(path, entry), "/name"), O_RDONLY | O_CLOEXEC);
    bool same = fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, PORT_NAME "\n") == 0;
    close_fd(&fd);
    return same;
}

/* Opens the port by its name, because its number depends on the other devices. */
static int find_port(void)
{
    DIR *dir = opendir(PORT_CLASS);
    int fd = -1, error = ENODEV;
    if (!dir)
        return -1;
    for (struct dirent *entry; fd < 0 && (entry = readdir(dir)); ) {
        char path[300] = "/dev/";
        if (entry->d_name[0] == '.' || !has_name(entry->d_name))
            continue;
        fd = open(strcat(path, entry->d_name), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        error = errno;
    }
    closedir(dir);
    errno = error;
    return fd;
}

/* Fails if the host's end is not there yet: such a port can be opened, and hangs up. */
static int open_connected(void)
{
    int fd = find_port();
    struct pollfd port = { .fd = fd, .events = POLLOUT };
    if (fd < 0)
        return -1;
    if (poll(&port, 1, 0) >= 0 && !(port.revents & (POLLHUP | POLLERR)))
        return fd;
    close(fd);
    errno = EPIPE;
    return -1;
}

int port_open(void)
{
    const struct timespec step = { .tv_nsec = PORT_STEP_MS * 1000000 };
    int fd = open_connected();
    for (int waited = 0; fd < 0 && waited < PORT_WAIT_MS; waited += PORT_STEP_MS) {
        nanosleep(&step, NULL);
        fd = open_connected();
    }
    return fd;
}

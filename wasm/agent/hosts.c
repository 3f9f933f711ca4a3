#define _GNU_SOURCE
#include "hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol.h"
#include "util.h"

/* Longer than any that people write. A longer one is left alone. */
#define MAX_HOSTS 65536

/* Whether a line has the name, other than as its first word. */
static bool has_name(const char *hosts, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = hosts; *line; line += *line == '\n') {
        const char *end = line + strcspn(line, "\n#");
        bool first = true;
        while (line < end) {
            line += strspn(line, " \t\r");
            size_t word = strcspn(line, " \t\r\n#");
            if (!first && word == length && memcmp(line, name, length) == 0)
                return true;
            first = false;
            line += word;
        }
        line += strcspn(line, "\n");
    }
    return false;
}

static bool open_hosts(int flags, int *fd)
{
    struct stat status;
    /* The box may have put anything there, so this must not wait. */
    *fd = open("/etc/hosts", flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd >= 0 && fstat(*fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size < MAX_HOSTS)
        return true;
    close_fd(fd);
    return false;
}

void hosts_add(const char *name)
{
    static char hosts[MAX_HOSTS + 1];
    int fd;
    if (!*name || !open_hosts(O_RDONLY, &fd))
        return;
    ssize_t got = read(fd, hosts, MAX_HOSTS);
    close_fd(&fd);
    if (got < 0)
        return;
    hosts[got] = 0;
    if (has_name(hosts, name) || !open_hosts(O_WRONLY | O_APPEND, &fd))
        return;
    char line[MAX_HOSTNAME + 32] = "";
    strcat(strcat(line, got && hosts[got - 1] != '\n' ? "\n127.0.1.1\t" : "127.0.1.1\t"), name);
    strcat(line, "\n");
    if (write(fd, line, strlen(line)) < 0)
        report("/etc/hosts", errno);
    close_fd(&fd);
}

#define _GNU_SOURCE
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in-volume.h"
#include "util.h"

#define RESOLV_CONF "/etc/resolv.conf"
/* The image `tiny` has a file of this line alone. */
#define FIRST_LINE "# Written when the box gets a network\n"
#define SECOND_LINE "# and kept as it is without the line above.\n"
#define MAX_OURS (sizeof FIRST_LINE SECOND_LINE + 64)

/* Adds the address to the text, in dotted notation. */
static void append_address(char *text, uint32_t address)
{
    char digits[24];
    for (int shift = 24; shift >= 0; shift -= 8)
        strcat(strcat(text, format_decimal(address >> shift & 255, digits)), shift ? "." : "\n");
}

/* Whether the file is ours to write. It must not wait: the box may have put anything there. */
static bool is_ours(int fd, const char *wanted)
{
    char text[MAX_OURS];
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    if (got < 0)
        return false;
    text[got] = 0;
    return got == 0 || (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0 && strcmp(text, wanted) != 0);
}

bool resolver_set(uint32_t dns)
{
    char text[MAX_OURS] = FIRST_LINE SECOND_LINE "nameserver ";
    append_address(text, dns);
    /* One in a volume is the box's own, and might have to be waited for. */
    if (in_volume(RESOLV_CONF, false) != 0)
        return false;
    int fd = open(RESOLV_CONF, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool missing = fd < 0 && errno == ENOENT, ours = fd >= 0 && is_ours(fd, text);
    close_fd(&fd);
    if (!missing && !ours)
        return false;
    int mode = missing ? O_CREAT | O_EXCL : O_TRUNC;
    fd = open(RESOLV_CONF, mode | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    bool written = fd >= 0 && write(fd, text, strlen(text)) >= 0;
    if (!written)
        report(RESOLV_CONF, errno);
    close_fd(&fd);
    return written;
}

#define _GNU_SOURCE
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util.h"

/* Appears with the mount of /dev/sdb. The box's root has the same /sys. */
#define RESERVED "/sys/fs/ext4/sdb/reserved_clusters"

/* The kernel's own number of blocks; empty while the reserve is not open. */
static char kept[24];

void reserve_open(void)
{
    int fd = open(RESERVED, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, kept, sizeof kept - 1);
    close_fd(&fd);
    kept[got > 0 ? got : 0] = 0;
    /* Without it, only a full disk is in trouble. */
    if (!kept[0] || write_file(RESERVED, "0") < 0)
        report("opening the reserve", errno);
}

void reserve_restore(void)
{
    int error = errno;
    if (kept[0] && write_file(RESERVED, kept) < 0)
        report("restoring the reserve", errno);
    kept[0] = 0;
    errno = error;
}

#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool in_guest;
int proc_dir = -1;

bool proc_open(void)
{
    proc_dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return proc_dir >= 0;
}

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* printf would be a third of this program. */
char *format_decimal(uint64_t value, char digits[24])
{
    char *at = digits + 23;
    *at = 0;
    do
        *--at = '0' + value % 10;
    while (value /= 10);
    return at;
}

uint64_t parse_decimal(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (*text - '0');
    return value;
}

void report(const char *what, int error)
{
    char line[128] = "agent: ", digits[24];
    strncat(line, what, 80);
    strcat(strcat(strcat(line, ": error "), format_decimal(error, digits)), "\n");
    if (write(2, line, strlen(line)) < 0)
        return;
}

int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = strlen(text), written = write(fd, text, length);
    int error = errno;
    close(fd);
    errno = error;
    return written == length ? 0 : -1;
}

int make_directories(char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return -1;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

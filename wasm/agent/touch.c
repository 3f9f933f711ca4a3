#define _GNU_SOURCE
#include "touch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"
#include "util.h"
#include "volumes.h"

/* The connection to the helper, which may wait for a volume; -1 while there is none. */
static int helper = -1;

/* Gives a file of a volume a time that the host ignores: whoever watches it sees a change. */
static void touch(const char *path)
{
    const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = TOUCH_SECONDS } };
    const struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    int file = syscall(SYS_openat2, AT_FDCWD, path + 1, &how, sizeof how);
    if (file < 0)
        return;
    /* If that fails, the file is gone, or its volume is. */
    utimensat(file, "", times, AT_EMPTY_PATH);
    close(file);
}

static void touch_all(int connection, const void *unused)
{
    char path[MAX_PATH + 1];
    ssize_t got;
    (void)unused;
    while ((got = recv(connection, path, MAX_PATH, 0)) > 0) {
        path[got] = 0;
        touch(path);
    }
}

/* False if there is no helper to take it. */
static bool pass_on(const char *path)
{
    if (helper >= 0 && send(helper, path, strlen(path), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        close_fd(&helper);
    return helper >= 0;
}

bool touch_frame(const struct frame *frame, bool serving)
{
    struct reader reader = read_payload(frame);
    const char *path = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || *path != '/')
        return false;
    if (!serving || volumes_root() < 0 || !path[1] || pass_on(path))
        return true;
    helper = helper_start(volumes_root(), touch_all, NULL);
    if (!pass_on(path))
        report("touch", errno);
    return true;
}

void touch_stop(void)
{
    close_fd(&helper);
}

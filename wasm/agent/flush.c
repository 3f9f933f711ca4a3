/*
 * Flushes: what the box writes reaches its disk soon after. syncfs(2) waits for the disk, so a thread calls it. Being
 * one of PID 1, the thread is outside the box's control group, and no signal from the box ends it.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* After a command or a file has ended, before a flush begins: more of them often follow at once. */
#define CALM_MS 40
/* From the first write that no flush covers to the flush that does. */
#define INTERVAL_MS 500
int flush_fd = -1;
/* The thread's end of the connection to it. */
static int thread_fd = -1;
static bool serving;
/* The thread is at work, and the host knows. */
static bool under_way, announced;
/* Since when something may have been written that no flush covers, 0: nothing has. */
static int64_t since;
/* When the last command or file since the last flush ended, 0: none has. */
static int64_t ended;
/* The agent itself has written since the last flush began. */
static bool wrote;
/* The processor time that the box had used when the last flush began. */
static uint64_t used;

static void *work(void *unused)
{
    uint32_t error;
    if (in_guest && setpriority(PRIO_PROCESS, 0, FLUSH_PRIORITY) < 0)
        report("priority of flushes", errno);
    while (read(thread_fd, &error, sizeof error) == sizeof error) {
        /* In test mode the disk is somebody else's. */
        error = in_guest && syncfs(box_disk) < 0 ? errno : 0;
        if (write(thread_fd, &error, sizeof error) != sizeof error)
            break;
    }
    report("flushes have ended", errno);
    /* The agent is told by a hang-up. */
    close(thread_fd);
    return unused;
}

bool flush_open(void)
{
    int ends[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    flush_fd = ends[0];
    thread_fd = ends[1];
    errno = pthread_create(&thread, NULL, work, NULL);
    return errno == 0;
}

void flush_serve(void)
{
    serving = true;
    /* Making the box has written. */
    flush_after_write();
}

void flush_stop(void)
{
    serving = false;
    since = ended = 0;
}

void flush_disconnected(void)
{
    announced = false;
}

void flush_after_start(void)
{
    if (serving && !since)
        since = now_ms();
}

void flush_after_write(void)
{
    wrote = true;
    flush_after_start();
}

void flush_after_end(void)
{
    flush_after_start();
    if (serving)
        ended = now_ms();
}

int64_t flush_due(void)
{
    if (!since || under_way || !tx_has(TX_RESERVE))
        return INT64_MAX;
    int64_t due = since + INTERVAL_MS;
    return ended && ended + CALM_MS < due ? ended + CALM_MS : due;
}

static void finish(uint32_t error)
{
    under_way = false;
    if (announced)
        send_u32(F_FLUSHED, 0, error);
    announced = false;
}

/* False: it could not be asked for, and may be later. */
static bool begin(void)
{
    const uint32_t request = 0;
    /* The thread is idle, so there is room. */
    if (flush_fd >= 0 && send(flush_fd, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return false;
    under_way = announced = true;
    send_empty(F_FLUSH, 0);
    /* Without its thread nothing is flushed, and nobody is to wait for it. */
    if (flush_fd < 0)
        finish(EIO);
    return true;
}

/* The thread has told how a flush ended, or has ended itself. */
static void hear(void)
{
    uint32_t error;
    ssize_t got = recv(flush_fd, &error, sizeof error, MSG_DONTWAIT);
    if (got == sizeof error)
        finish(error);
    if (got != 0)
        return;
    close_fd(&flush_fd);
    finish(EIO);
}

void flush_step(short events)
{
    if (events)
        hear();
    int64_t now = since ? now_ms() : 0;
    if (flush_due() > now)
        return;
    /* In this order: once nobody is left, nobody uses more. */
    bool runs = box_runs();
    uint64_t now_used = box_used();
    bool written = ended || wrote || now_used != used;
    /* Where it could not begin, another try follows an interval later. */
    bool failed = written && !begin();
    used = now_used;
    ended = 0;
    wrote = failed;
    since = runs || failed ? now : 0;
}

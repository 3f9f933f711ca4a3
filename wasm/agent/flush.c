#define _GNU_SOURCE
#include "flush.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cgroup.h"
#include "send.h"
#include "util.h"

/* From the end of a command or a file to the flush, because more of them often follow at once. */
#define CALM_MS 40
/* From the first write that no flush covers to the flush. */
#define INTERVAL_MS 500
/* As nice(2) has it: above everything in the box. */
#define PRIORITY (-20)

int flush_fd = -1;
/* The thread's end of the connection between the two. */
static int thread_fd = -1;
/* Set before the thread is asked for anything; -1 in test mode, where the disk is not a box's. */
static int disk_fd = -1;
static bool serving;
/* A flush is under way; and the host has been told, and waits for its end. */
static bool under_way, announced;
/* When something may have been written that no flush covers; 0 if nothing has. */
static int64_t unflushed_since;
/* When the last command or file ended since the last flush; 0 if none has. */
static int64_t ended_at;
/* The agent itself has written since the last flush began. */
static bool wrote;
/* The processor time that the box had used when the last flush began. */
static uint64_t processor_time;

static void *flush_on_request(void *unused)
{
    uint32_t error;
    if (in_guest && setpriority(PRIO_PROCESS, 0, PRIORITY) < 0)
        report("priority of flushes", errno);
    while (read(thread_fd, &error, sizeof error) == sizeof error) {
        error = disk_fd >= 0 && syncfs(disk_fd) < 0 ? errno : 0;
        if (write(thread_fd, &error, sizeof error) != sizeof error)
            break;
    }
    report("flushes have ended", errno);
    /* Tells the agent by a hang-up. */
    close(thread_fd);
    return unused;
}

bool flush_init(void)
{
    int ends[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    flush_fd = ends[0];
    thread_fd = ends[1];
    errno = pthread_create(&thread, NULL, flush_on_request, NULL);
    return errno == 0;
}

void flush_raise_kernel_priority(void)
{
    char digits[24] = "";
    int fd = open("/sys/fs/ext4/sdb/journal_task", O_RDONLY | O_CLOEXEC);
    uint64_t journal = fd >= 0 && read(fd, digits, sizeof digits - 1) > 0 ? parse_decimal(digits) : 0;
    close_fd(&fd);
    if (!journal || setpriority(PRIO_PROCESS, journal, PRIORITY) < 0)
        report("priority of the journal", errno);
    if (write_file("/sys/devices/virtual/workqueue/writeback/nice", "-20") < 0)
        report("priority of writing", errno);
}

void flush_start(int disk)
{
    disk_fd = disk;
    serving = true;
    /* SETUP itself has written. */
    flush_after_write();
}

void flush_stop(void)
{
    serving = false;
    unflushed_since = ended_at = 0;
}

void flush_disconnected(void)
{
    announced = false;
}

void flush_after_start(void)
{
    if (serving && !unflushed_since)
        unflushed_since = now_ms();
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
        ended_at = now_ms();
}

int64_t flush_deadline(void)
{
    if (!unflushed_since || under_way || !tx_has_room(TX_RESERVE))
        return INT64_MAX;
    int64_t due = unflushed_since + INTERVAL_MS;
    return ended_at && ended_at + CALM_MS < due ? ended_at + CALM_MS : due;
}

static void finish(uint32_t error)
{
    under_way = false;
    if (announced)
        send_u32(F_FLUSHED, 0, error);
    announced = false;
}

/* False if the thread could not be asked, and may be asked later. */
static bool begin(void)
{
    const uint32_t request = 0;
    /* The thread is idle, so there is room. */
    if (flush_fd >= 0 && send(flush_fd, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return false;
    under_way = announced = true;
    send_empty(F_FLUSH, 0);
    /* Without its thread there is no flush to wait for. */
    if (flush_fd < 0)
        finish(EIO);
    return true;
}

/* Receives how a flush ended, or that the thread has. */
static void receive_result(void)
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
        receive_result();
    int64_t now = unflushed_since ? now_ms() : 0;
    if (flush_deadline() > now)
        return;
    /* In this order: a box that has no process will not use more processor time. */
    bool runs = box_has_processes();
    uint64_t used = box_processor_time();
    bool written = ended_at || wrote || used != processor_time;
    /* If it could not begin, another try follows an interval later. */
    bool failed = written && !begin();
    processor_time = used;
    ended_at = 0;
    wrote = failed;
    unflushed_since = runs || failed ? now : 0;
}

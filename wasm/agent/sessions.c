/*
 * Sessions of commands: everybody in them, whatever process group they have made for themselves. No signal goes to a
 * session, so its processes are looked for in /proc.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Over all processes, in one turn: one that reaches everybody, one that finds nobody new, one for a race. */
#define MAX_PASSES 3
/*
 * In which KILL looks for more. One that a debugger holds at its end is found for ever, and nobody can run while the
 * agent looks.
 */
#define MAX_TURNS 8
/* Of the kernel's flags of a process: it is ending. */
#define PF_EXITING 4
#define PENDING_KILL (1u << (SIGKILL - 1))
/* In /proc/PID/stat, counted from the first field behind the name. */
#define FIELD_FLAGS 6
#define FIELD_PENDING 28

/* Open from the beginning: what the box does with its mounts does not matter. */
static int proc = -1;

bool sessions_open(void)
{
    proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return proc >= 0;
}

static uint32_t number(const char *digits)
{
    uint32_t value = 0;
    while (*digits >= '0' && *digits <= '9')
        value = value * 10 + (*digits++ - '0');
    return value;
}

/* The field that is so many behind `at`, or an empty one. */
static const char *field(const char *at, int index)
{
    for (; index > 0 && *at; at++)
        index -= *at == ' ';
    return at;
}

#define STAT_SIZE 1024

/* What /proc/PID/stat says of a process from its state on; NULL: it is not there any more. */
static const char *read_state(const char *pid, char stat[STAT_SIZE])
{
    char path[32];
    size_t length = strnlen(pid, sizeof path - sizeof "/stat");
    memcpy(path, pid, length);
    memcpy(path + length, "/stat", sizeof "/stat");
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, stat, STAT_SIZE - 1);
    close_fd(&fd);
    if (got <= 0)
        return NULL;
    stat[got] = 0;
    /* Its name may hold anything, parentheses and spaces too; behind it are numbers. */
    const char *name_end = strrchr(stat, ')');
    return name_end ? field(name_end, 1) : NULL;
}

/*
 * Whether there is no more to fear of a process: it has ended, is ending, or KILL waits for it, with which it cannot
 * fork any more. In the guest nobody dies before the agent sleeps, so it is this that a pass can see of another.
 */
static bool is_over(const char *pid)
{
    char stat[STAT_SIZE];
    const char *state = read_state(pid, stat);
    return !state || *state == 'Z' || *state == 'X' || number(field(state, FIELD_FLAGS)) & PF_EXITING
        || number(field(state, FIELD_PENDING)) & PENDING_KILL;
}

static struct stream *find_sweep(pid_t session)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->sweep && streams[i]->session == session)
            return streams[i];
    return NULL;
}

static void reach(struct stream *stream, pid_t pid, const char *name)
{
    bool over;
    switch (stream->sweep) {
    case SWEEP_TERM:
        /* The command's own group has got it. */
        if (getpgid(pid) == stream->session)
            return;
        kill(pid, SIGTERM);
        kill(pid, SIGCONT);
        return;
    case SWEEP_KILL:
        /* Whatever it looks like: a process whose first thread has ended looks like a zombie, and runs. */
        over = is_over(name);
        stream->found |= kill(pid, SIGKILL) == 0 && !over;
        return;
    default:
        stream->found |= !is_over(name);
    }
}

/* Every process, by its number, its session and its name in /proc. */
static void for_each(void (*found)(pid_t pid, pid_t session, const char *name))
{
    static _Alignas(struct dirent) uint8_t entries[4096];
    int got = lseek(proc, 0, SEEK_SET) < 0 ? -1 : getdents(proc, (struct dirent *)entries, sizeof entries);
    for (; got > 0; got = getdents(proc, (struct dirent *)entries, sizeof entries)) {
        for (int at = 0; at < got; ) {
            const struct dirent *entry = (const struct dirent *)(entries + at);
            pid_t pid = number(entry->d_name), session = pid > 0 ? getsid(pid) : -1;
            if (session > 0)
                found(pid, session, entry->d_name);
            at += entry->d_reclen;
        }
    }
    if (got < 0)
        report("/proc", errno);
}

static void sweep(pid_t pid, pid_t session, const char *name)
{
    struct stream *stream = find_sweep(session);
    if (stream)
        reach(stream, pid, name);
}

static struct {
    pid_t session;
    bool works;
} looked_at;

static void look(pid_t pid, pid_t session, const char *name)
{
    (void)pid;
    char stat[STAT_SIZE];
    if (session != looked_at.session || looked_at.works)
        return;
    const char *state = read_state(name, stat);
    looked_at.works = state && (*state == 'R' || *state == 'D');
}

bool session_works(pid_t session)
{
    looked_at.session = session;
    looked_at.works = false;
    for_each(look);
    return looked_at.works;
}

void sessions_sweep(void)
{
    for (int passes = 0; passes < MAX_PASSES; passes++) {
        bool wanted = false;
        for (int i = 0; i < stream_count; i++) {
            wanted |= streams[i]->sweep != NO_SWEEP;
            streams[i]->found &= streams[i]->sweep == NO_SWEEP;
        }
        if (!wanted)
            return;
        for_each(sweep);
        for (int i = 0; i < stream_count; i++)
            if (streams[i]->sweep != SWEEP_KILL || !streams[i]->found)
                streams[i]->sweep = NO_SWEEP;
    }
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->sweep && ++streams[i]->turns == MAX_TURNS)
            streams[i]->sweep = NO_SWEEP;
}

#define _GNU_SOURCE
#include "sessions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "streams.h"
#include "util.h"

/* Passes over all processes in one turn: one reaches all, one finds nothing new, and one is for a race. */
#define MAX_PASSES 3
/*
 * Turns in which SWEEP_KILL looks for more. A process that a debugger holds at its end is found forever, and no process
 * can run while the agent looks.
 */
#define MAX_TURNS 8
/* The flag of a process that is ending, as the kernel numbers them. */
#define PF_EXITING 4
#define PENDING_KILL (1u << (SIGKILL - 1))
/* Fields of /proc/PID/stat, counted from the first one behind the name. */
#define FIELD_PARENT 1
#define FIELD_FLAGS 6
#define FIELD_THREADS 17
#define FIELD_PENDING 28

/* The field `index` fields behind `at`; an empty string if there are fewer. */
static const char *field(const char *at, int index)
{
    for (; index > 0 && *at; at++)
        index -= *at == ' ';
    return at;
}

#define STAT_SIZE 1024

/* Reads /proc/PID/stat, and returns the text from the state on; NULL if there is no such process any more. */
static const char *read_state(const char *pid, char stat[STAT_SIZE])
{
    char path[32];
    size_t length = strnlen(pid, sizeof path - sizeof "/stat");
    memcpy(path, pid, length);
    memcpy(path + length, "/stat", sizeof "/stat");
    int fd = openat(proc_dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, stat, STAT_SIZE - 1);
    close_fd(&fd);
    if (got <= 0)
        return NULL;
    stat[got] = 0;
    /* The name may contain anything, including parentheses and spaces. Behind it are numbers. */
    const char *name_end = strrchr(stat, ')');
    return name_end ? field(name_end, 1) : NULL;
}

/*
 * Whether a process has ended, is ending or has KILL pending, and so cannot fork any more. In the guest no process dies
 * before the agent sleeps, so a pending KILL is all that a pass can see of the one before it.
 */
static bool is_ending(const char *pid)
{
    char stat[STAT_SIZE];
    const char *state = read_state(pid, stat);
    return !state || *state == 'Z' || *state == 'X' || parse_decimal(field(state, FIELD_FLAGS)) & PF_EXITING
        || parse_decimal(field(state, FIELD_PENDING)) & PENDING_KILL;
}

/*
 * Whether others still see a process: it has not ended yet, even if it is about to, or the agent has not reaped it. One
 * whose first thread has ended looks like a zombie but runs. Other zombies are their parents' matter.
 */
static bool is_left(const char *pid)
{
    char stat[STAT_SIZE];
    const char *state = read_state(pid, stat);
    if (!state)
        return false;
    if (*state != 'Z' && *state != 'X')
        return true;
    return parse_decimal(field(state, FIELD_PARENT)) == (uint64_t)getpid()
        || parse_decimal(field(state, FIELD_THREADS)) > 1;
}

static struct stream *find_sweep(pid_t session)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->sweep && streams[i]->session == session)
            return streams[i];
    return NULL;
}

static void sweep_process(struct stream *stream, pid_t pid, const char *name)
{
    bool ending;
    switch (stream->sweep) {
    case SWEEP_TERM:
        /* The command's own group has already received it. */
        if (getpgid(pid) == stream->session)
            return;
        kill(pid, SIGTERM);
        kill(pid, SIGCONT);
        return;
    case SWEEP_KILL:
        /* Killed in any case: a process whose first thread has ended looks like a zombie but runs. */
        ending = is_ending(name);
        stream->found |= kill(pid, SIGKILL) == 0 && !ending;
        return;
    default:
        stream->found |= is_left(name);
    }
}

/* Calls back for every process, with its number, its session and its name in /proc. */
static void for_each_process(void (*found)(pid_t pid, pid_t session, const char *name))
{
    static _Alignas(struct dirent) uint8_t entries[4096];
    int got = lseek(proc_dir, 0, SEEK_SET) < 0 ? -1 : getdents(proc_dir, (struct dirent *)entries, sizeof entries);
    for (; got > 0; got = getdents(proc_dir, (struct dirent *)entries, sizeof entries)) {
        for (int at = 0; at < got; ) {
            const struct dirent *entry = (const struct dirent *)(entries + at);
            pid_t pid = parse_decimal(entry->d_name), session = pid > 0 ? getsid(pid) : -1;
            if (session > 0)
                found(pid, session, entry->d_name);
            at += entry->d_reclen;
        }
    }
    if (got < 0)
        report("/proc", errno);
}

static void sweep_if_wanted(pid_t pid, pid_t session, const char *name)
{
    struct stream *stream = find_sweep(session);
    if (stream)
        sweep_process(stream, pid, name);
}

static struct {
    pid_t session;
    bool works;
} looked_at;

static void look_if_working(pid_t pid, pid_t session, const char *name)
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
    for_each_process(look_if_working);
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
        for_each_process(sweep_if_wanted);
        for (int i = 0; i < stream_count; i++)
            if (streams[i]->sweep != SWEEP_KILL || !streams[i]->found)
                streams[i]->sweep = NO_SWEEP;
    }
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->sweep && ++streams[i]->sweep_turns == MAX_TURNS)
            streams[i]->sweep = NO_SWEEP;
}

#define _GNU_SOURCE
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "streams.h"
#include "util.h"

#define CGROUP "/sys/fs/cgroup/"

int box_cgroup = -1;
/* Files of the group, -1 without control groups. */
static int memory_events = -1, group_events = -1, cpu_stat = -1;

void cgroup_create(void)
{
    if (mount("cgroup2", CGROUP, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
        || write_file(CGROUP "cgroup.subtree_control", "+memory +pids") < 0
        || (mkdir(CGROUP "box", 0755) < 0 && errno != EEXIST))
        report("cgroup", errno);
    else
        box_cgroup = open(CGROUP "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memory_events = open(CGROUP "box/memory.events", O_RDONLY | O_CLOEXEC);
    group_events = open(CGROUP "box/cgroup.events", O_RDONLY | O_CLOEXEC);
    cpu_stat = open(CGROUP "box/cpu.stat", O_RDONLY | O_CLOEXEC);
}

static int limit(const char *path, uint64_t value)
{
    char digits[24];
    if (box_cgroup < 0 && value) {
        errno = ENOSYS;
        return -1;
    }
    return box_cgroup < 0 ? 0 : write_file(path, value ? format_decimal(value, digits) : "max");
}

int cgroup_limit_memory(uint64_t bytes)
{
    return limit(CGROUP "box/memory.max", bytes);
}

int cgroup_limit_processes(uint64_t count)
{
    return limit(CGROUP "box/pids.max", count);
}

/* The number after `name` and a space on a line of a file of the group; `otherwise` if there is no such line. */
static uint64_t read_number(int fd, const char *name, uint64_t otherwise)
{
    /* A line break first, so that each line follows one. */
    char text[512] = "\n";
    size_t length = strlen(name);
    ssize_t got = fd < 0 ? -1 : pread(fd, text + 1, sizeof text - 2, 0);
    if (got <= 0)
        return otherwise;
    text[got + 1] = 0;
    for (const char *line = text; line; line = strchr(line + 1, '\n'))
        if (strncmp(line + 1, name, length) == 0 && line[1 + length] == ' ')
            return parse_decimal(line + length + 2);
    return otherwise;
}

uint64_t out_of_memory_count(void)
{
    return read_number(memory_events, "oom_kill", 0);
}

static bool any_command(void)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            return true;
    return false;
}

/* Without control groups, open commands are the processes that the agent knows of, and count as busy. */
bool box_has_processes(void)
{
    return read_number(group_events, "populated", any_command()) != 0;
}

uint64_t box_processor_time(void)
{
    static uint64_t looks;
    return read_number(cpu_stat, "usage_usec", looks += any_command());
}

/* The control group of the box's processes. */
#ifndef BOXRUN_CGROUP_H
#define BOXRUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* The group's directory; -1 before boot, and on a kernel without control groups. */
extern int box_cgroup;

void cgroup_create(void);
/* Limits of the group; 0 is no limit. On a kernel without control groups any other limit is ENOSYS. */
int cgroup_limit_memory(uint64_t bytes);
int cgroup_limit_processes(uint64_t count);

/* Whether the box has a process. */
bool box_has_processes(void);
/* The processor time that all processes of the box have used, in no particular unit. */
uint64_t box_processor_time(void);
/* The number of processes of the box that the kernel has killed because memory was used up. */
uint64_t out_of_memory_count(void);

#endif

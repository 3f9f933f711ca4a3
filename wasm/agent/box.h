/* The guest around the agent: the mounts at boot, the box that SETUP makes, and its end. */
#ifndef BOXRUN_BOX_H
#define BOXRUN_BOX_H

#include <stdint.h>

#include "protocol.h"
#include "volumes.h"

struct setup {
    uint64_t clock, disk_size, memory_limit;
    uint32_t process_limit, entropy_length;
    const uint8_t *entropy;
    const char *hostname;
    char *workdir;
    uint32_t volume_count;
    struct volume volumes[MAX_VOLUMES];
};

/* The root of the box's disk, to which no path leads once the box is the root; -1 until it is mounted. */
extern int box_disk;

/* The following return NULL, or the step that failed, with errno. */

/*
 * Does everything that does not depend on the box, so that a boot image contains it. The initramfs needs only /init:
 * directories are made here.
 */
const char *box_boot(void);
/* Mounts the disk, and makes the box the root of everything. */
const char *box_prepare(void);
/* Gives the box what is its own. `*size` is that of its file system in the end. */
const char *box_setup(const struct setup *setup, uint64_t *size);
/*
 * Makes the disk as clean as an unmount would: the journal is empty, and the next mount has nothing to recover. The
 * overlay is the agent's own root and cannot be unmounted.
 */
const char *box_unmount(void);

int clock_set(uint64_t ns);

#endif

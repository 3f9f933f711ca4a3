/* The mounts of the box, as the kernel lists them. */
#ifndef BOXRUN_MOUNTS_H
#define BOXRUN_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_MOUNTS 4096

struct mount {
    uint32_t id;
    uint32_t parent;   /* the mount on which it was mounted */
    const char *root;  /* what of its file system it shows: "/" is all of it */
    const char *point; /* where it is now */
    bool volume;       /* it shows a part of the file system of the volumes */
};

/* The box has volumes. Set once, at SETUP. */
extern bool has_volumes;
/* The mounts that mounts_read() has found, in the kernel's order. */
extern struct mount mounts[MAX_MOUNTS];
extern int mount_count;

/* Reads the list of what is mounted below the agent's root. -1 with errno, EOVERFLOW if there are too many mounts. */
int mounts_read(void);

#endif

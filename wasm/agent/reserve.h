/*
 * The blocks that ext4 keeps from ordinary writes: 2 % of the disk, at most 4096. Full disks have no others, and often a
 * few less than ext4 wants to keep, since it writes its own metadata there. So freeing a block does not allow to use it.
 */
#ifndef BOXRUN_RESERVE_H
#define BOXRUN_RESERVE_H

/* Lets the agent write to these blocks, while nothing else runs in the box, until reserve_restore(). */
void reserve_open(void);
/* Keeps errno. */
void reserve_restore(void);

#endif

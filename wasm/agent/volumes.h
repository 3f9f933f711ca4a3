/* Volumes: directories of the host's, which the box sees through the 9p device. */
#ifndef BOXRUN_VOLUMES_H
#define BOXRUN_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

struct volume {
    bool readonly;
    char *path; /* where the box sees it; absolute */
};

/*
 * Mounts the volumes, each by its number, and makes missing directories of their paths. Returns NULL, or the step that
 * failed, with errno. Without volumes, nothing is done.
 */
const char *volumes_mount(const struct volume *volumes, uint32_t count);
/*
 * The directory of all volumes by their numbers, to which the host's paths lead, whatever the box has mounted. What the box
 * cannot write can be written there, as far as the host permits it. -1 if there are none. In test mode, it is the root.
 */
int volumes_root(void);
/* Unmounts the volumes, wherever they are now. What they were given by then is the host's afterwards. */
void volumes_unmount(void);
/* The name of the step that mounts this volume, valid until the next call. */
const char *volume_step(const struct volume *volume);

#endif

/* A helper that watches a file or a directory by inotify, and tells the agent what changes. */
#ifndef BOXRUN_WATCHER_H
#define BOXRUN_WATCHER_H

#include <stdbool.h>

struct watcher {
    const char *path;
    bool recursive;
    bool again; /* another watcher has ended meanwhile: changes are missing */
};

/* Watches until what is watched is gone, or the agent does not listen any more. `argument` is a struct watcher. */
void watcher_run(int connection, const void *argument);

#endif

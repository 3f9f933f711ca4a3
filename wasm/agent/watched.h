/* The directories that a watcher watches. The first is the root of the tree; each other is an entry of one of them. */
#ifndef BOXRUN_WATCHED_H
#define BOXRUN_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct watched {
    int wd;         /* the number that inotify gave it */
    int parent;     /* that of the directory it is in; -1 for the root */
    uint32_t since; /* orders what came into its place one after the other */
    bool listed;    /* its entries were looked at */
    char *name;     /* NULL: watched no more */
};

/* Adds a directory. -1 with errno, ENOSPC if there are too many. */
int watched_add(int wd, int parent, const char *name);
/* NULL if there is none. Valid until the next call of watched_add(). */
struct watched *watched_find(int wd);
/* The directory of this name in another; of several, which exchanged their places, the first that came. */
struct watched *watched_child(int parent, const char *name);
/* The next directory that is not listed. NULL if all are. */
struct watched *watched_unlisted(void);
/* Changes the place of a directory. -1 with errno. */
int watched_move(struct watched *directory, int parent, const char *name);
/* Forgets a directory, without what is below it. */
void watched_forget(struct watched *directory);
/* Ends the watches of a directory and of all below it. */
void watched_remove(int inotify, struct watched *directory);
/* Forgets all. */
void watched_clear(void);
/*
 * Writes the path of an entry from the root of the tree; `name` is "" for the directory itself. -1 with errno: ENAMETOOLONG, or
 * ENOENT if one above it is watched no more.
 */
int watched_path(int wd, const char *name, char path[MAX_PATH + 1]);

#endif

/* The watches of a watcher: on what it was asked for, on the directory that this is in, and on the directories below. */
#ifndef BOXRUN_STANDING_H
#define BOXRUN_STANDING_H

#include <stdbool.h>

#include "protocol.h"

/* The descriptor of inotify; -1 if nothing is watched. */
extern int inotify;
/* The watch of the directory that has what is watched, and its name there; -1 for the root of everything. */
extern int anchor;
extern char anchor_name[MAX_NAME + 1];
/* What is watched is a directory: it is the root of those in watched.h. */
extern bool is_directory;
/* With all below it. */
bool recursive(void);

/* Watches from now on what has the path, instead of what was watched before. -1 with errno. */
int standing_begin(const char *path, bool with_all_below);
/*
 * Watches a directory that is an entry of one in the tree, unless a file system is mounted there or it is gone. What it has
 * is not looked at yet. -1 with errno.
 */
int standing_enter(int wd, const char *name);
/* Looks at all directories that have not been, and enters theirs. Calls `found` with every entry. -1 with errno. */
int standing_list(void (*found)(int wd, const char *name));

#endif

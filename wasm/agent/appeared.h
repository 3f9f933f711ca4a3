/*
 * Entries of new directories that a watcher has reported because it found them there. If they appeared after the watch of
 * their directory began, the kernel reports them, too.
 */
#ifndef BOXRUN_APPEARED_H
#define BOXRUN_APPEARED_H

#include <stdbool.h>

/* Notes an entry. Beyond some ten thousand, they are forgotten, and reported twice. */
void appeared_add(int wd, const char *name);
/* Whether the entry was noted. It is no more afterwards. */
bool appeared_take(int wd, const char *name);
/* Forgets all: the kernel has reported everything up to the last note. */
void appeared_clear(void);

#endif

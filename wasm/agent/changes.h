/* The changes that a watcher has seen, on their way to the agent. */
#ifndef BOXRUN_CHANGES_H
#define BOXRUN_CHANGES_H

#include <stdint.h>

#include "protocol.h"

/* The first byte of a watcher's message to the agent. */
enum watcher_message {
    WATCHER_STANDS = 1,  /* from now on, it sees everything */
    WATCHER_CHANGES = 2, /* changes follow, as the frame for the host has them, MAX_CHANGE bytes at most */
    WATCHER_ENDED = 3,   /* what was watched is gone */
    WATCHER_FAILED = 4,  /* u32 errno */
};

/* Each of these exits once the agent does not listen any more. */

/* Sends a message without changes. WATCHER_FAILED has the errno. */
void changes_say(int connection, enum watcher_message message, uint32_t error);
/*
 * Adds a change, and sends what has gathered if it has no room. The path before is that of CHANGE_RENAMED, else "". A
 * CHANGE_CHANGED that repeats the last one is left out.
 */
void changes_add(int connection, enum change change, const char *path, const char *before);
/* Sends what has gathered. */
void changes_flush(int connection);

#endif

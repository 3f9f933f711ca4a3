/* The poll set of a turn of the main loop. */
#ifndef BOXRUN_POLLS_H
#define BOXRUN_POLLS_H

#include <poll.h>

#include "protocol.h"

/* The agent's ends of the pipes of ended commands, whose background processes may still print. */
#define MAX_DISCARDED 64
/* The main loop has 3 descriptors open, and a stream at most 3, polled or not: a command's stdin, stdout and stderr. */
#define MAX_POLLS (3 + 3 * MAX_STREAMS + MAX_DISCARDED)

extern struct pollfd polls[MAX_POLLS];
extern int poll_count;

/* Adds a descriptor, and returns its index. */
int poll_add(int fd, short events);

#endif

/*
 * Quiet times, in which commands are left alone: their output stays in the pipes, and STARTED in the buffer. Each write
 * to the port costs an interrupt in the emulator, and each wake-up of the agent a switch away from the command.
 */
#ifndef BOXRUN_QUIET_H
#define BOXRUN_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A command has started. If it is short, its STARTED, DATA and EXIT become one write. A quiet time that is on is not
 * extended, as starts could otherwise follow each other forever.
 */
void quiet_after_start(void);
/* A little output was sent, and more may follow. */
void quiet_after_output(void);
/* Something has happened that the host or a command may be waiting for. */
void quiet_end(void);
/* Whether a quiet time is on. Ends one that is over. */
bool quiet_is_on(void);
/* When the quiet time ends; INT64_MAX if none is on. */
int64_t quiet_deadline(void);

#endif

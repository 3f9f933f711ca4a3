/* The end of commands: signals, grace periods, reaping, and the sessions that are to end with them. */
#ifndef BOXRUN_ENDS_H
#define BOXRUN_ENDS_H

#include <stdint.h>

#include "streams.h"

/* Result of a reaping: living children, no children at all, or more zombies than one turn takes. */
enum reaped { CHILDREN_LEFT, NO_CHILDREN, MORE_TO_REAP };

/* Signals the command's process group, while its number is certainly its own. KILL goes to the whole session. */
void command_signal(struct stream *stream, int number);
void command_terminate(struct stream *stream, uint32_t grace_ms);
/* Closes the command's terminal. What has not ended after a grace period is killed. */
void command_hang_up(struct stream *stream);
/* Moves the command's input and output, and returns the bytes of output sent. Ends the stream if all is sent. */
uint32_t command_pump(struct stream *stream);
/* Closes the pipes and the stream, without touching the command's processes. */
void command_close(struct stream *stream);

/* Reaps children, and notes the end of commands. */
enum reaped commands_reap(void);
/* Kills commands whose grace period is over, and signals the sessions that are to end. Called in every turn. */
void commands_end_overdue(void);
/*
 * When the next grace period ends, or the next look for what was killed is due; INT64_MAX if there is neither; 0 if this
 * turn could not reach all of a session.
 */
int64_t commands_deadline(void);

#endif

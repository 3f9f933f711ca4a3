/*
 * Late output: what the children of a command print after its main process has ended, as in `cmd > >(tee log)`. It is
 * the command's output as long as it comes soon.
 */
#ifndef BOXRUN_LATE_H
#define BOXRUN_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "streams.h"

/* Begins to wait, after the main process has ended. After late_stop() there is no wait. */
void late_begin(struct stream *stream);
/* Ends the wait, if there is one: what is in the pipes now is the last of the output. */
void late_finish(struct stream *stream);
/* Ends the wait of every command, and lets no other begin. */
void late_stop(void);
/* Whether the wait goes on after a turn in which so many bytes were sent. */
bool late_waits(struct stream *stream, uint32_t sent);
/* When a silence or a wait runs out; INT64_MAX if no command is late, or all wait for credit. */
int64_t late_deadline(void);

#endif

/*
 * Commands whose program is not executed yet. In a box with volumes, the kernel may wait for one of them when it enters a
 * command's working directory, or loads its program. A copy of the agent does that there, and a pipe tells what came of it:
 * it ends without a word when the program is executed, or when the copy was killed before.
 */
#ifndef BOXRUN_STARTING_H
#define BOXRUN_STARTING_H

#include "streams.h"

enum start { START_WAITS, START_DONE, START_FAILED };

/* Tells the agent that the command could not be started, and why. For the copy. */
void starting_fails(int pipe, enum fail_stage stage, int error, const char *detail);
/* Adds the pipe to the poll set, unless the command is left alone in this turn. */
void starting_poll(struct stream *stream, bool alone);
/* Looks what came of the start, and answers it with STARTED or FAIL. After FAIL, the stream is to be closed. */
enum start starting_pump(struct stream *stream);

#endif

/* FILE: operations that take a few system calls, and LIST, which is sent in turns for as long as there is credit. */
#ifndef BOXRUN_OPERATIONS_H
#define BOXRUN_OPERATIONS_H

#include <stdbool.h>

#include "decode.h"
#include "streams.h"

/* Does the operation, and answers. A LIST becomes a stream. False if the frame breaks the protocol. */
bool operation_frame(const struct frame *frame);
/* Whether list_pump() has something to do. */
bool list_ready(const struct stream *stream);
/* Sends the next entries. May end the stream. */
void list_pump(struct stream *stream);

#endif

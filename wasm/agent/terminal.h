/* Terminals: a command on a pseudoterminal of its own, whose two directions are the command's stdin and stdout. */
#ifndef BOXRUN_TERMINAL_H
#define BOXRUN_TERMINAL_H

#include <stdbool.h>

#include "decode.h"
#include "streams.h"

/* Handles TERMINAL: starts a command, and answers. False if the frame breaks the protocol. */
bool terminal_frame(const struct frame *frame, int cgroup);
/* Handles RESIZE. `stream` may be NULL: the command has ended. False if the frame breaks the protocol. */
bool terminal_resize(const struct frame *frame, struct stream *stream);

#endif

/* WATCH: streams of changes, which a helper for each of them sees. */
#ifndef BOXRUN_WATCH_H
#define BOXRUN_WATCH_H

#include <stdbool.h>

#include "decode.h"
#include "streams.h"

/* Opens the stream, or answers why it cannot be. False if the frame breaks the protocol. */
bool watch_frame(const struct frame *frame);
/* Adds the stream's helper to the poll set, if what it says can be passed on. */
void watch_poll(struct stream *stream, bool may_send);
/* Passes on what the helper has said. */
void watch_pump(struct stream *stream);

#endif

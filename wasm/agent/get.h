/* GET, a download. */
#ifndef BOXRUN_GET_H
#define BOXRUN_GET_H

#include <stdbool.h>

#include "decode.h"
#include "streams.h"

/* Opens the stream, and answers. False if the frame breaks the protocol. */
bool get_frame(const struct frame *frame);
/* Whether get_pump() has something to do. */
bool get_ready(const struct stream *stream);
/* Sends the next part of the file. May end the stream. */
void get_pump(struct stream *stream);

#endif

/*
 * PUT, an upload. A regular file is written beside its target and renamed over it; anything else, and what cannot be
 * replaced, is written in place.
 */
#ifndef BOXRUN_PUT_H
#define BOXRUN_PUT_H

#include <stdbool.h>
#include <stdint.h>

#include "decode.h"
#include "streams.h"

/* Opens the stream, and answers. False if the frame breaks the protocol. */
bool put_frame(const struct frame *frame);
void put_data(struct stream *stream, const uint8_t *data, uint32_t length);
void put_eof(struct stream *stream);

#endif

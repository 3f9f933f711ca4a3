/* Connections to servers in the box: TCP to its loopback, under credit both ways. */
#ifndef BOXRUN_CONNECTION_H
#define BOXRUN_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "decode.h"
#include "streams.h"

/* Handles CONNECT: begins to connect. False if the frame breaks the protocol. */
bool connection_frame(const struct frame *frame);
/* Adds the connection to the poll set; for data of the server only if `outputs`. */
void connection_poll(struct stream *stream, bool outputs);
/* Moves data both ways. Ends the stream when both sides have ended, or the connection has failed. */
void connection_pump(struct stream *stream);
/* When a connection is to be made anew; INT64_MAX if none is. `connection_pump` does so. */
int64_t connections_deadline(void);
/* Resets the connection and closes the stream, without an answer. */
void connection_abort(struct stream *stream);
/* Sends FAIL, and aborts. */
void connection_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why);

#endif

/* The pipes of commands, and the sockets of connections: input and output under credit, and the output left in them after a command's end. */
#ifndef BOXRUN_PIPES_H
#define BOXRUN_PIPES_H

#include <stdbool.h>
#include <stdint.h>

#include "streams.h"

/* Grants the host its first window of input. */
void stdin_grant(struct stream *stream);
void stdin_data(struct stream *stream, const uint8_t *data, uint32_t length);
void stdin_eof(struct stream *stream);

/* Adds the pipes to the poll set; output only if `outputs`. */
void pipes_poll(struct stream *stream, bool outputs);
/* Moves what it can, and returns the bytes of output that it sent. */
uint32_t pipes_pump(struct stream *stream);

/* Whether a pipe has output in it. Closes those that nothing can write to any more. */
bool pipes_have_output(struct stream *stream);
/* The command is over: of its output, what is in the pipes now is still sent. */
void pipes_count_remaining(struct stream *stream);
bool pipes_remaining(const struct stream *stream);

void pipes_close(struct stream *stream);
/*
 * Takes the output pipes of an ended command from its stream. What its background processes print is read and thrown
 * away. One pipe more than MAX_DISCARDED closes the oldest.
 */
void pipes_discard(struct stream *stream);
void pipes_poll_discarded(void);
void pipes_pump_discarded(void);

#endif

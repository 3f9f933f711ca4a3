/* The life of the box: PREPARE, SETUP, NETWORK and SHUTDOWN. */
#ifndef BOXRUN_LIFECYCLE_H
#define BOXRUN_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode.h"
#include "ends.h"

/* In this order. Only SERVING is a box that is somebody's. A failed PREPARE or SETUP leads to DOWN at once. */
enum phase { IN_BASE, PREPARED, SERVING, TERMINATING, KILLING, DOWN };

enum phase lifecycle_phase(void);
bool shutting_down(void);

/* Each handles its frame and answers. False if the frame breaks the protocol. */
bool prepare_frame(void);
bool setup_frame(const struct frame *frame);
bool network_frame(const struct frame *frame);

/* Begins a shutdown, unless one is under way. */
void shutdown_begin(uint32_t grace_ms);
/* Continues a shutdown that is under way, after a turn, and answers once it is done. */
void shutdown_step(enum reaped reaped);
/* When shutdown_step() has something to do; INT64_MAX if no shutdown is under way. */
int64_t shutdown_deadline(void);

#endif

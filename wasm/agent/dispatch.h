/* Handlers of the host's frames: each checks whether its frame may come now, and passes it on. */
#ifndef BOXRUN_DISPATCH_H
#define BOXRUN_DISPATCH_H

#include <stdbool.h>

#include "decode.h"

/* Handles a frame whose header has been checked. False if the frame breaks the protocol. */
bool dispatch(const struct frame *frame);

#endif

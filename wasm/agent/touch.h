/* TOUCH: tells the box's programs, by inotify, of changes that the host has made in volumes. */
#ifndef BOXRUN_TOUCH_H
#define BOXRUN_TOUCH_H

#include <stdbool.h>

#include "decode.h"

/* Handles the frame, unless the box is shutting down. False if it breaks the protocol. */
bool touch_frame(const struct frame *frame, bool serving);
/* Ends the helper. */
void touch_stop(void);

#endif

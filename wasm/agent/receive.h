/* The buffer of what the host has sent. */
#ifndef BOXRUN_RECEIVE_H
#define BOXRUN_RECEIVE_H

#include <stdbool.h>

/* Whether the port may be read: there is room, and an answer has room. */
bool receive_has_room(void);
/* Whether the host has broken the protocol. Nothing that it sends is read any more. */
bool receive_refused(void);
/* Reads the port. False if the host has closed the connection; `hung_up` is whether poll() says so. */
bool receive(int port, bool hung_up);
/* Handles the frames that have arrived whole, as long as answers have room. */
void receive_dispatch(void);
/* Drops everything, because the connection is gone. */
void receive_reset(void);

#endif

/* The console port to the host. */
#ifndef BOXRUN_PORT_H
#define BOXRUN_PORT_H

/* Waits until the port exists and is connected. -1, with errno, after a timeout. */
int port_open(void);

#endif

/* /etc/resolv.conf, from which programs know whom to ask for the addresses of names. */
#ifndef BOXRUN_RESOLVER_H
#define BOXRUN_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Names the DNS server, 0x0a000203 for 10.0.2.3. A file that is missing or empty is written, and one that begins with
 * our own first line is brought up to date. Everything else is the box's: a file without that line, a link, a
 * directory. What cannot be written is left to the box. True if it was written.
 */
bool resolver_set(uint32_t dns);

#endif

/* The box's way out: the network card that the emulator gives the guest, which is down until the host asks for it. */
#ifndef BOXRUN_NETWORK_H
#define BOXRUN_NETWORK_H

#include <stdint.h>

/* Addresses are numbers: 10.0.2.15 is 0x0a00020f. */
struct network {
    uint32_t address, gateway, dns, mtu;
    uint8_t prefix;
};

/*
 * Gives the card its address, makes it the way to everything, and names its DNS server in /etc/resolv.conf. Returns
 * NULL, or the step that failed, with errno.
 */
const char *network_up(const struct network *network);

#endif

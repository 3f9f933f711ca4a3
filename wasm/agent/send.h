/* The one buffer in which frames for the host gather before they are sent. */
#ifndef BOXRUN_SEND_H
#define BOXRUN_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/*
 * The room that the answers to one host frame, or to one event of a stream, may need: the longest VOLUME or FAIL, and
 * some small frames. SHUTDOWN also sends every stream a FAIL of 29 bytes.
 */
#define TX_RESERVE (2048u + 32u * MAX_STREAMS)

bool tx_has_room(size_t bytes);
bool tx_empty(void);
/* True if a frame waits that must not be delayed by milliseconds. STARTED, CREDIT and FLUSH may be. */
bool tx_urgent(void);
/* True if nothing waits, or nothing but FLUSH, which can wait until FLUSHED follows it. */
bool tx_only_flush(void);
/* Writes the buffer, or as much of it as there is room for. False if the connection is lost. */
bool tx_write(int fd);
/* Drops what was not sent, because its connection is gone. */
void tx_reset(void);

/*
 * A DATA frame is read straight into the buffer: tx_data() returns the place for its payload, or NULL if a whole
 * frame has no room now; tx_data_done() completes it.
 */
uint8_t *tx_data(void);
void tx_data_done(uint32_t stream, enum channel channel, uint32_t length);

void send_empty(enum frame_type type, uint32_t stream);
void send_u32(enum frame_type type, uint32_t stream, uint32_t value);
void send_u64(enum frame_type type, uint32_t stream, uint64_t value);
/* Sends DATA that is short enough for TX_RESERVE. */
void send_file_data(uint32_t stream, const uint8_t *data, uint32_t length);
void send_hello(void);
void send_exit(uint32_t stream, enum exit_how how, uint32_t code);
void send_stat(uint32_t stream, uint64_t size, uint32_t mode, uint64_t mtime_ms);
/* The paths have at most MAX_PATH bytes. */
void send_volume(uint32_t stream, const char *path, const char *second);
void send_fail(uint32_t stream, enum fail_stage stage, int error, const char *detail);

#endif

/* Checked decoding of host frames, and the one buffer in which guest frames gather before they are sent. */
#ifndef BOXRUN_FRAMES_H
#define BOXRUN_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

struct frame {
    uint32_t length;
    uint32_t stream;
    uint8_t type;
    uint8_t channel;
    uint8_t *payload;
};

/* False: the header alone already breaks the protocol, whatever the payload. */
bool frame_header(const uint8_t *at, struct frame *frame);

/* A payload being read. Any field that does not fit sets `bad`; later fields then read as 0 or "". */
struct reader {
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

struct reader read_payload(const struct frame *frame);
uint8_t read_u8(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
/* In place, and terminated by a zero: the text moves one byte down, over its own length. */
char *read_str(struct reader *reader, uint32_t max);
uint8_t *read_bytes(struct reader *reader, uint32_t min, uint32_t max, uint32_t *length);
/* Fills `list` with at most `max` strings and a final NULL. */
uint32_t read_list(struct reader *reader, char **list, uint32_t max);
/* True when every field was there and nothing is left over. */
bool read_all(const struct reader *reader);

/*
 * Room that one host frame, or one event of a stream, may need for its answers: the longest FAIL and some small frames;
 * for SHUTDOWN, a FAIL of 29 bytes to every stream beside them.
 */
#define TX_RESERVE (2048u + 32u * MAX_STREAMS)

bool tx_has(size_t bytes);
bool tx_empty(void);
/* Whether more than STARTED and CREDIT waits, which nobody waits for within a few milliseconds. */
bool tx_urgent(void);
/* Drops what was not sent: the connection it was meant for is gone. */
void tx_reset(void);
/* Whether nothing waits but FLUSH, which says nothing before FLUSHED follows it. */
bool tx_lazy(void);
/* Writes what has gathered. False: the connection is lost. Bytes may remain when it is full. */
bool tx_flush(int fd);

/* Where the payload of a DATA frame goes, or NULL when a whole one has no room now; then its length. */
uint8_t *tx_data(void);
void tx_data_done(uint32_t stream, enum channel channel, uint32_t length);

void send_empty(enum frame_type type, uint32_t stream);
void send_u32(enum frame_type type, uint32_t stream, uint32_t value);
void send_u64(enum frame_type type, uint32_t stream, uint64_t value);
/* A short frame of DATA, which needs no more room than TX_RESERVE. */
void send_file_data(uint32_t stream, const uint8_t *data, uint32_t length);
void send_hello(void);
void send_exit(uint32_t stream, enum exit_how how, uint32_t code);
void send_stat(uint32_t stream, uint64_t size, uint32_t mode, uint64_t mtime_ms);
void send_fail(uint32_t stream, enum fail_stage stage, int error, const char *detail);

#endif

/* Decoding of the host's frames. Every length is checked here. */
#ifndef BOXRUN_DECODE_H
#define BOXRUN_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct frame {
    uint32_t length;
    uint32_t stream;
    uint8_t type;
    uint8_t channel;
    uint8_t *payload;
};

/* Decodes everything but the payload. False if the header alone already breaks the protocol. */
bool decode_header(const uint8_t *at, struct frame *frame);

/*
 * A payload that is being read, field by field. A field that does not fit sets `bad`; from then on every field reads as
 * 0 or "".
 */
struct reader {
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

struct reader read_payload(const struct frame *frame);
uint8_t read_u8(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
/* Decodes in place: moves the text one byte down, over its own length, and terminates it with a zero. */
char *read_str(struct reader *reader, uint32_t max);
uint8_t *read_bytes(struct reader *reader, uint32_t min, uint32_t max, uint32_t *length);
/* Fills `list` with at most `max` strings and a final NULL, and returns their number. */
uint32_t read_list(struct reader *reader, char **list, uint32_t max);
/* True if every field was there and nothing is left over. */
bool read_all(const struct reader *reader);

#endif

#define _GNU_SOURCE
#include "decode.h"

#include <stddef.h>
#include <string.h>

bool decode_header(const uint8_t *at, struct frame *frame)
{
    uint16_t reserved;
    memcpy(&frame->length, at, 4);
    memcpy(&frame->stream, at + 4, 4);
    frame->type = at[8];
    frame->channel = at[9];
    memcpy(&reserved, at + 10, 2);

    /* Each type has bounds of its length, and belongs to a stream or to the connection. */
    uint32_t min = 0, max = MAX_PAYLOAD;
    bool on_stream = true;
    switch (frame->type) {
    case F_SETUP: min = 60; max = 2048 + MAX_PATH + MAX_VOLUMES * (5 + MAX_PATH); on_stream = false; break;
    case F_SHUTDOWN: case F_PING: min = max = 4; on_stream = false; break;
    case F_CLOCK: min = max = 8; on_stream = false; break;
    case F_PREPARE: max = 0; on_stream = false; break;
    case F_NETWORK: min = max = 17; on_stream = false; break;
    case F_TOUCH: min = 5; max = 4 + MAX_PATH; on_stream = false; break;
    case F_EXEC: min = 21; break;
    case F_TERMINAL: min = 28; break;
    case F_RESIZE: min = max = 8; break;
    case F_CONNECT: min = max = 8; break;
    case F_PUT: case F_GET: min = 9; max = 8 + MAX_PATH; break;
    case F_FILE: min = 18; max = 17 + 2 * MAX_PATH; break;
    case F_WATCH: min = 10; max = 9 + MAX_PATH; break;
    case F_SIGNAL: case F_TERMINATE: case F_CREDIT: min = max = 4; break;
    case F_ABORT: case F_EOF: max = 0; break;
    case F_DATA: min = 1; max = MAX_DATA; break;
    default: return false;
    }
    bool channel = frame->channel == 0 || (frame->type == F_DATA && frame->channel == CH_FILE);
    return channel && reserved == 0 && frame->length >= min && frame->length <= max
        && (frame->stream != 0) == on_stream;
}

struct reader read_payload(const struct frame *frame)
{
    return (struct reader){ .at = frame->payload, .end = frame->payload + frame->length, .bad = false };
}

static uint8_t *take(struct reader *reader, uint32_t bytes)
{
    if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
        reader->bad = true;
        return NULL;
    }
    uint8_t *at = reader->at;
    reader->at += bytes;
    return at;
}

uint8_t read_u8(struct reader *reader)
{
    uint8_t *at = take(reader, 1);
    return at ? *at : 0;
}

uint32_t read_u32(struct reader *reader)
{
    uint32_t value = 0;
    uint8_t *at = take(reader, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

uint64_t read_u64(struct reader *reader)
{
    uint64_t value = 0;
    uint8_t *at = take(reader, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

uint8_t *read_bytes(struct reader *reader, uint32_t min, uint32_t max, uint32_t *length)
{
    *length = read_u32(reader);
    if (*length < min || *length > max)
        reader->bad = true;
    return take(reader, *length);
}

char *read_str(struct reader *reader, uint32_t max)
{
    uint32_t length;
    uint8_t *at = read_bytes(reader, 0, max, &length);
    if (!at || memchr(at, 0, length)) {
        reader->bad = true;
        return "";
    }
    char *text = memmove(at - 1, at, length);
    text[length] = 0;
    return text;
}

uint32_t read_list(struct reader *reader, char **list, uint32_t max)
{
    uint32_t count = read_u32(reader);
    if (count > max)
        reader->bad = true;
    uint32_t i = 0;
    for (; i < count && !reader->bad; i++)
        list[i] = read_str(reader, MAX_PAYLOAD);
    list[i] = NULL;
    return i;
}

bool read_all(const struct reader *reader)
{
    return !reader->bad && reader->at == reader->end;
}

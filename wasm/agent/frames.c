#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Two whole frames of DATA in one turn, and room for the small frames of every stream beside them. */
#define TX_SIZE (3 * (MAX_DATA + FRAME_HEADER))
_Static_assert(TX_RESERVE <= MAX_DATA + FRAME_HEADER, "two whole frames fit beside the reserve");
/* Most that one message of the console port carries. */
#define PORT_WRITE 32768u

static uint8_t tx[TX_SIZE];
static size_t tx_start, tx_end;
static bool urgent, lazy = true;

bool frame_header(const uint8_t *at, struct frame *frame)
{
    uint16_t reserved;
    memcpy(&frame->length, at, 4);
    memcpy(&frame->stream, at + 4, 4);
    frame->type = at[8];
    frame->channel = at[9];
    memcpy(&reserved, at + 10, 2);

    /* What each type allows: the bounds of its length, and whether it belongs to a stream. */
    uint32_t min = 0, max = MAX_PAYLOAD;
    bool on_stream = true;
    switch (frame->type) {
    case F_SETUP: min = 56; max = 2048 + MAX_PATH; on_stream = false; break;
    case F_SHUTDOWN: case F_PING: min = max = 4; on_stream = false; break;
    case F_CLOCK: min = max = 8; on_stream = false; break;
    case F_PREPARE: max = 0; on_stream = false; break;
    case F_EXEC: min = 21; break;
    case F_TERMINAL: min = 28; break;
    case F_RESIZE: min = max = 8; break;
    case F_PUT: case F_GET: min = 9; max = 8 + MAX_PATH; break;
    case F_FILE: min = 18; max = 17 + 2 * MAX_PATH; break;
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

bool tx_has(size_t bytes)
{
    return TX_SIZE - tx_end >= bytes;
}

bool tx_empty(void)
{
    return tx_end == 0;
}

bool tx_urgent(void)
{
    return urgent;
}

bool tx_lazy(void)
{
    return lazy;
}

void tx_reset(void)
{
    tx_start = tx_end = 0;
    urgent = false;
    lazy = true;
}

bool tx_flush(int fd)
{
    while (tx_start < tx_end) {
        size_t bytes = tx_end - tx_start;
        ssize_t sent = write(fd, tx + tx_start, bytes < PORT_WRITE ? bytes : PORT_WRITE);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            tx_end -= tx_start;
            memmove(tx, tx + tx_start, tx_end);
            tx_start = 0;
            return true;
        }
        if (sent <= 0)
            return false;
        tx_start += sent;
    }
    tx_reset();
    return true;
}

static void header(uint8_t *at, uint32_t length, uint32_t stream, enum frame_type type, enum channel channel)
{
    memcpy(at, &length, 4);
    memcpy(at + 4, &stream, 4);
    at[8] = type;
    at[9] = channel;
    at[10] = at[11] = 0;
}

uint8_t *tx_data(void)
{
    return tx_has(FRAME_HEADER + MAX_DATA + TX_RESERVE) ? tx + tx_end + FRAME_HEADER : NULL;
}

void tx_data_done(uint32_t stream, enum channel channel, uint32_t length)
{
    header(tx + tx_end, length, stream, F_DATA, channel);
    tx_end += FRAME_HEADER + length;
    urgent = true;
    lazy = false;
}

/*
 * Callers ask tx_has(TX_RESERVE) before they take in what makes them answer, so this has room. Should that
 * ever be wrong, the frame is dropped rather than memory overwritten, and the console says so.
 */
static bool has_room(uint32_t length)
{
    if (tx_has(FRAME_HEADER + length))
        return true;
    report("a frame is lost", ENOBUFS);
    return false;
}

static void send(enum frame_type type, uint32_t stream, const void *payload, uint32_t length)
{
    if (!has_room(length))
        return;
    header(tx + tx_end, length, stream, type, 0);
    memcpy(tx + tx_end + FRAME_HEADER, payload, length);
    tx_end += FRAME_HEADER + length;
    urgent |= type != F_STARTED && type != F_CREDIT && type != F_FLUSH;
    lazy &= type == F_FLUSH;
}

void send_empty(enum frame_type type, uint32_t stream)
{
    send(type, stream, "", 0);
}

void send_u32(enum frame_type type, uint32_t stream, uint32_t value)
{
    send(type, stream, &value, sizeof value);
}

void send_u64(enum frame_type type, uint32_t stream, uint64_t value)
{
    send(type, stream, &value, sizeof value);
}

void send_hello(void)
{
    const uint32_t payload[2] = { PROTOCOL_VERSION, MAX_PAYLOAD };
    send(F_HELLO, 0, payload, sizeof payload);
}

void send_file_data(uint32_t stream, const uint8_t *data, uint32_t length)
{
    if (!has_room(length))
        return;
    memcpy(tx + tx_end + FRAME_HEADER, data, length);
    tx_data_done(stream, CH_FILE, length);
}

void send_exit(uint32_t stream, enum exit_how how, uint32_t code)
{
    uint8_t payload[5] = { how };
    memcpy(payload + 1, &code, 4);
    send(F_EXIT, stream, payload, sizeof payload);
}

void send_stat(uint32_t stream, uint64_t size, uint32_t mode, uint64_t mtime_ms)
{
    uint8_t payload[20];
    memcpy(payload, &size, 8);
    memcpy(payload + 8, &mode, 4);
    memcpy(payload + 12, &mtime_ms, 8);
    send(F_STAT, stream, payload, sizeof payload);
}

void send_fail(uint32_t stream, enum fail_stage stage, int error, const char *detail)
{
    uint8_t payload[9 + MAX_DETAIL] = { stage };
    uint32_t number = error, length = strnlen(detail, MAX_DETAIL);
    memcpy(payload + 1, &number, 4);
    memcpy(payload + 5, &length, 4);
    memcpy(payload + 9, detail, length);
    send(F_FAIL, stream, payload, 9 + length);
}

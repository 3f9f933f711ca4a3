#define _GNU_SOURCE
#include "send.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* Room for two whole DATA frames in one turn, and for the small frames of every stream. */
#define TX_SIZE (3 * (MAX_DATA + FRAME_HEADER))
_Static_assert(TX_RESERVE <= MAX_DATA + FRAME_HEADER, "two whole frames fit beside the reserve");
/* The most that one message of the console port carries. */
#define PORT_WRITE 32768u

static uint8_t tx[TX_SIZE];
static size_t tx_start, tx_end;
static bool urgent, only_flush = true;

bool tx_has_room(size_t bytes)
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

bool tx_only_flush(void)
{
    return only_flush;
}

void tx_reset(void)
{
    tx_start = tx_end = 0;
    urgent = false;
    only_flush = true;
}

bool tx_write(int fd)
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

static void write_header(uint8_t *at, uint32_t length, uint32_t stream, enum frame_type type, enum channel channel)
{
    memcpy(at, &length, 4);
    memcpy(at + 4, &stream, 4);
    at[8] = type;
    at[9] = channel;
    at[10] = at[11] = 0;
}

uint8_t *tx_data(void)
{
    return tx_has_room(FRAME_HEADER + MAX_DATA + TX_RESERVE) ? tx + tx_end + FRAME_HEADER : NULL;
}

void tx_data_done(uint32_t stream, enum channel channel, uint32_t length)
{
    write_header(tx + tx_end, length, stream, F_DATA, channel);
    tx_end += FRAME_HEADER + length;
    urgent = true;
    only_flush = false;
}

/*
 * Callers check tx_has_room(TX_RESERVE) before they take in what they will have to answer, so there should be room. If
 * there is none, the frame is dropped, and the console says so.
 */
static bool has_room_for_frame(uint32_t length)
{
    if (tx_has_room(FRAME_HEADER + length))
        return true;
    report("a frame is lost", ENOBUFS);
    return false;
}

static void append(enum frame_type type, uint32_t stream, const void *payload, uint32_t length)
{
    if (!has_room_for_frame(length))
        return;
    write_header(tx + tx_end, length, stream, type, 0);
    memcpy(tx + tx_end + FRAME_HEADER, payload, length);
    tx_end += FRAME_HEADER + length;
    urgent |= type != F_STARTED && type != F_CREDIT && type != F_FLUSH;
    only_flush &= type == F_FLUSH;
}

void send_empty(enum frame_type type, uint32_t stream)
{
    append(type, stream, "", 0);
}

void send_u32(enum frame_type type, uint32_t stream, uint32_t value)
{
    append(type, stream, &value, sizeof value);
}

void send_u64(enum frame_type type, uint32_t stream, uint64_t value)
{
    append(type, stream, &value, sizeof value);
}

void send_hello(void)
{
    const uint32_t payload[2] = { PROTOCOL_VERSION, MAX_PAYLOAD };
    append(F_HELLO, 0, payload, sizeof payload);
}

void send_file_data(uint32_t stream, const uint8_t *data, uint32_t length)
{
    if (!has_room_for_frame(length))
        return;
    memcpy(tx + tx_end + FRAME_HEADER, data, length);
    tx_data_done(stream, CH_FILE, length);
}

void send_exit(uint32_t stream, enum exit_how how, uint32_t code)
{
    uint8_t payload[5] = { how };
    memcpy(payload + 1, &code, 4);
    append(F_EXIT, stream, payload, sizeof payload);
}

void send_stat(uint32_t stream, uint64_t size, uint32_t mode, uint64_t mtime_ms)
{
    uint8_t payload[20];
    memcpy(payload, &size, 8);
    memcpy(payload + 8, &mode, 4);
    memcpy(payload + 12, &mtime_ms, 8);
    append(F_STAT, stream, payload, sizeof payload);
}

static uint8_t *write_text(uint8_t *at, const char *text)
{
    uint32_t length = strlen(text);
    memcpy(at, &length, 4);
    memcpy(at + 4, text, length);
    return at + 4 + length;
}

void send_volume(uint32_t stream, const char *path, const char *second)
{
    static uint8_t payload[2 * (4 + MAX_PATH)];
    _Static_assert(sizeof payload + 2 * FRAME_HEADER <= TX_RESERVE, "there is room for it");
    append(F_VOLUME, stream, payload, write_text(write_text(payload, path), second) - payload);
}

void send_fail(uint32_t stream, enum fail_stage stage, int error, const char *detail)
{
    uint8_t payload[9 + MAX_DETAIL] = { stage };
    uint32_t number = error, length = strnlen(detail, MAX_DETAIL);
    memcpy(payload + 1, &number, 4);
    memcpy(payload + 5, &length, 4);
    memcpy(payload + 9, detail, length);
    append(F_FAIL, stream, payload, 9 + length);
}

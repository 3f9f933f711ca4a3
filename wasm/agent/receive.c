#define _GNU_SOURCE
#include "receive.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "dispatch.h"
#include "send.h"
#include "util.h"

/* The most that is read in one turn, so that every stream gets its turn. */
#define RX_CHUNK 65536u
/* One buffer of the port's driver. A read that returns less has emptied the port. */
#define PORT_READ 4096
/* Bytes of the buffer's memory that are kept while the buffer is empty: more than any frame but a long EXEC takes. */
#define RX_KEPT (4 * RX_CHUNK)

static _Alignas(PAGE) uint8_t rx[(FRAME_HEADER + MAX_PAYLOAD + RX_CHUNK + PAGE - 1) / PAGE * PAGE];
static size_t rx_start, rx_end;
static bool refused;

bool receive_has_room(void)
{
    return sizeof rx - rx_end >= RX_CHUNK && tx_has_room(TX_RESERVE);
}

bool receive_refused(void)
{
    return refused;
}

void receive_reset(void)
{
    rx_start = rx_end = 0;
    refused = false;
}

bool receive(int port, bool hung_up)
{
    size_t room = sizeof rx - rx_end, limit = rx_end + (room < RX_CHUNK ? room : RX_CHUNK);
    /* Room comes from sending answers, which a host that is gone does not take. */
    if (!room)
        return !hung_up;
    while (rx_end < limit) {
        ssize_t got = read(port, rx + rx_end, limit - rx_end);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (got < 0)
            break;
        rx_end += got;
        if (got < PORT_READ)
            break;
    }
    return true;
}

/* Dispatches a frame. Under a sanitizer, a read beyond the frame's end is an error, although the buffer goes on. */
static bool dispatch_guarded(const struct frame *frame)
{
#ifdef __SANITIZE_ADDRESS__
    uint8_t *end = frame->payload + frame->length;
    size_t rest = rx + sizeof rx - end;
    __asan_poison_memory_region(end, rest);
    bool valid = dispatch(frame);
    __asan_unpoison_memory_region(end, rest);
    return valid;
#else
    return dispatch(frame);
#endif
}

void receive_dispatch(void)
{
    struct frame frame;
    while (!refused && rx_end - rx_start >= FRAME_HEADER && tx_has_room(TX_RESERVE)) {
        bool valid = decode_header(rx + rx_start, &frame);
        if (valid && rx_end - rx_start < FRAME_HEADER + frame.length)
            break;
        frame.payload = rx + rx_start + FRAME_HEADER;
        rx_start += FRAME_HEADER + frame.length;
        if (!valid || !dispatch_guarded(&frame)) {
            send_fail(0, STAGE_PROTOCOL, EPROTO, "frame");
            refused = true;
        }
    }
    if (rx_start == rx_end || refused) {
        /* Long command lines are rare, so their memory is given back. */
        if (rx_end > RX_KEPT)
            madvise(rx + RX_KEPT, sizeof rx - RX_KEPT, MADV_DONTNEED);
        rx_start = rx_end = 0;
    } else if (sizeof rx - rx_end < RX_CHUNK) {
        rx_end -= rx_start;
        memmove(rx, rx + rx_start, rx_end);
        rx_start = 0;
    }
}

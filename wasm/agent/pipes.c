#define _GNU_SOURCE
#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "polls.h"
#include "send.h"
#include "util.h"

/* Granted to a sender of stdin, and kept here while the command does not read. */
#define STDIN_WINDOW (256u << 10)
/* Granted instead while MAX_BIG_STDIN streams have the full window, so that all together hold at most 12 MB. */
#define STDIN_WINDOW_SMALL (16u << 10)
#define MAX_BIG_STDIN 32
/* A pipe that is found full is enlarged to this, which saves switches between a flood's writer and the agent. */
#define PIPE_LARGE (1 << 20)
/* Read at most of a terminal after its shell has ended: more than the kernel keeps in one. */
#define TERMINAL_LEFT (128 << 10)
/* The number of pipes enlarged at a time, because what they hold is kernel memory. */
#define MAX_LARGE 32

/* In whole pages, so that they can be given back. */
static _Alignas(PAGE) uint8_t stdin_ring[MAX_STREAMS][STDIN_WINDOW];
static int big_stdin, large_pipes;
static int discarded[MAX_DISCARDED], discarded_polled[MAX_DISCARDED], discarded_count;

void stdin_grant(struct stream *stream)
{
    stream->window = big_stdin < MAX_BIG_STDIN ? STDIN_WINDOW : STDIN_WINDOW_SMALL;
    big_stdin += stream->window == STDIN_WINDOW;
    stream_grant(stream, stream->window);
}

/* Ends the input. The peer of a connection is told: the socket has another descriptor. */
static void close_input(struct stream *stream)
{
    if (stream->kind == CONNECTION && stream->in.fd >= 0 && shutdown(stream->in.fd, SHUT_WR) < 0)
        stream->error = errno;
    close_fd(&stream->in.fd);
}

/* Returns the bytes that the pipe took: fewer if it is full, all if its reader has closed it, which loses them. */
static uint32_t write_stdin(struct stream *stream, const uint8_t *data, uint32_t length)
{
    uint32_t taken = 0;
    while (taken < length && stream->in.fd >= 0) {
        ssize_t written = write(stream->in.fd, data + taken, length - taken);
        if (written >= 0)
            taken += written;
        else if (errno == EAGAIN)
            return taken;
        else if (errno != EINTR) {
            stream->error = errno;
            close_fd(&stream->in.fd);
        }
    }
    return length;
}

void stdin_data(struct stream *stream, const uint8_t *data, uint32_t length)
{
    uint32_t taken = stream->held ? 0 : write_stdin(stream, data, length);
    uint8_t *ring = stdin_ring[stream->slot];
    /* The ring is as large as the most credit, so there is room for the rest. */
    for (uint32_t done = taken; done < length; ) {
        uint32_t tail = (stream->head + stream->held) % STDIN_WINDOW;
        uint32_t part = length - done < STDIN_WINDOW - tail ? length - done : STDIN_WINDOW - tail;
        memcpy(ring + tail, data + done, part);
        stream->held += part;
        stream->ring_used = true;
        done += part;
    }
    stream_grant(stream, taken);
}

void stdin_eof(struct stream *stream)
{
    if (!stream->held)
        close_input(stream);
}

static void write_held_stdin(struct stream *stream)
{
    uint8_t *ring = stdin_ring[stream->slot];
    uint32_t before = stream->held;
    while (stream->held) {
        uint32_t part = STDIN_WINDOW - stream->head;
        if (part > stream->held)
            part = stream->held;
        uint32_t taken = write_stdin(stream, ring + stream->head, part);
        stream->head = (stream->head + taken) % STDIN_WINDOW;
        stream->held -= taken;
        if (taken < part)
            break;
    }
    if (!stream->held && stream->eof)
        close_input(stream);
    stream_grant(stream, before - stream->held);
}

/* Whether output may come that is not counted: of a command that runs or has left processes behind, or of a server. */
static bool goes_on(const struct stream *stream)
{
    return stream->pid || stream->late || stream->kind == CONNECTION;
}

static void poll_output(const struct stream *stream, struct pipe_end *pipe, bool readable)
{
    pipe->polled = -1;
    /* A pipe that may not be read now is left out, because poll() would report its hang-up at once, again and again. */
    if (readable && pipe->fd >= 0 && stream->credit && stream->start.fd < 0 && (goes_on(stream) || pipe->remaining))
        pipe->polled = poll_add(pipe->fd, POLLIN);
}

void pipes_poll(struct stream *stream, bool outputs)
{
    poll_output(stream, &stream->out, outputs);
    poll_output(stream, &stream->err, outputs);
    stream->in.polled = stream->held ? poll_add(stream->in.fd, POLLOUT) : -1;
}

static short polled_events(const struct pipe_end *pipe)
{
    return pipe->polled < 0 ? 0 : polls[pipe->polled].revents;
}

static void close_output(struct pipe_end *pipe)
{
    large_pipes -= pipe->enlarged;
    pipe->enlarged = false;
    pipe->remaining = 0;
    close_fd(&pipe->fd);
}

static void enlarge(struct pipe_end *pipe)
{
    int waiting;
    if (pipe->enlarged || large_pipes == MAX_LARGE || ioctl(pipe->fd, FIONREAD, &waiting) < 0)
        return;
    if ((uint32_t)waiting + MAX_DATA >= 65536 && fcntl(pipe->fd, F_SETPIPE_SZ, PIPE_LARGE) > 0) {
        pipe->enlarged = true;
        large_pipes++;
    }
}

static uint32_t read_output(struct stream *stream, struct pipe_end *pipe, enum channel channel)
{
    /* If the command is over, no more is read than was counted then. */
    bool counted = !goes_on(stream);
    uint32_t want = stream->credit < MAX_DATA ? stream->credit : MAX_DATA;
    if (counted && pipe->remaining < want)
        want = pipe->remaining;
    uint8_t *at = tx_data();
    if (!want || !at)
        return 0;
    ssize_t got = read(pipe->fd, at, want);
    if (got > 0) {
        tx_data_done(stream->id, channel, got);
        stream->credit -= got;
        pipe->remaining -= counted ? got : 0;
        if (got == MAX_DATA)
            enlarge(pipe);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        stream->error = got < 0 ? errno : stream->error;
        close_output(pipe);
    } else if (counted) {
        /* Another process has read what was counted. */
        pipe->remaining = 0;
    }
    return got > 0 ? got : 0;
}

static uint32_t pump_output(struct stream *stream, struct pipe_end *pipe, enum channel channel)
{
    short events = polled_events(pipe);
    if (pipe->fd < 0 || !(events || (!stream->pid && (stream->late || pipe->remaining))))
        return 0;
    if (events && !(events & POLLIN)) {
        close_output(pipe);
        return 0;
    }
    uint32_t sent = read_output(stream, pipe, channel);
    /* Most commands leave no process behind. Seeing the end of the pipe at once saves them a turn. */
    if (stream->late && sent && sent < MAX_DATA && pipe->fd >= 0)
        sent += read_output(stream, pipe, channel);
    return sent;
}

/* False if nothing can write to the pipe any more. */
static bool drop_output(int fd)
{
    static uint8_t dropped[32768];
    ssize_t got = read(fd, dropped, sizeof dropped);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void discard(struct pipe_end *pipe)
{
    /* Most commands leave no process behind. Seeing the end of the pipe at once saves them a turn. */
    if (pipe->fd < 0 || !drop_output(pipe->fd)) {
        close_output(pipe);
        return;
    }
    large_pipes -= pipe->enlarged;
    pipe->enlarged = false;
    if (discarded_count == MAX_DISCARDED) {
        close(discarded[0]);
        memmove(discarded, discarded + 1, --discarded_count * sizeof *discarded);
    }
    /* Not in the poll set before the next turn. */
    discarded_polled[discarded_count] = -1;
    discarded[discarded_count++] = pipe->fd;
    pipe->fd = -1;
}

void pipes_close(struct stream *stream)
{
    close_fd(&stream->in.fd);
    close_output(&stream->out);
    close_output(&stream->err);
    big_stdin -= stream->window == STDIN_WINDOW;
    if (stream->ring_used)
        madvise(stdin_ring[stream->slot], STDIN_WINDOW, MADV_DONTNEED);
    stream->ring_used = false;
    stream->window = stream->held = 0;
}

uint32_t pipes_pump(struct stream *stream)
{
    uint32_t sent = 0;
    if (polled_events(&stream->in))
        write_held_stdin(stream);
    if (stream->stderr_first)
        sent = pump_output(stream, &stream->err, CH_STDERR);
    sent += pump_output(stream, &stream->out, CH_STDOUT);
    if (!stream->stderr_first)
        sent += pump_output(stream, &stream->err, CH_STDERR);
    stream->stderr_first = !stream->stderr_first;
    return sent;
}

void pipes_discard(struct stream *stream)
{
    discard(&stream->out);
    discard(&stream->err);
}

void pipes_poll_discarded(void)
{
    for (int i = 0; i < discarded_count; i++)
        discarded_polled[i] = poll_add(discarded[i], POLLIN);
}

void pipes_pump_discarded(void)
{
    int kept = 0;
    for (int i = 0; i < discarded_count; i++) {
        bool ready = discarded_polled[i] >= 0 && polls[discarded_polled[i]].revents;
        if (ready && !drop_output(discarded[i]))
            close(discarded[i]);
        else
            discarded[kept++] = discarded[i];
    }
    discarded_count = kept;
}

static void count_remaining(struct pipe_end *pipe)
{
    int waiting = 0;
    if (pipe->fd < 0)
        return;
    if (polled_events(pipe) == POLLHUP || ioctl(pipe->fd, FIONREAD, &waiting) < 0 || waiting < 0)
        waiting = 0;
    pipe->remaining = waiting;
}

void pipes_count_remaining(struct stream *stream)
{
    /* The kernel does not tell how much a terminal holds, but hangs it up with its session, so its output ends. */
    if (stream->terminal)
        stream->out.remaining = stream->out.fd < 0 ? 0 : TERMINAL_LEFT;
    else
        count_remaining(&stream->out);
    count_remaining(&stream->err);
}

bool pipes_remaining(const struct stream *stream)
{
    return stream->out.remaining || stream->err.remaining;
}

static bool has_output(struct pipe_end *pipe)
{
    struct pollfd now = { .fd = pipe->fd, .events = POLLIN };
    if (pipe->fd < 0 || poll(&now, 1, 0) <= 0)
        return false;
    if (now.revents & POLLIN)
        return true;
    close_output(pipe);
    return false;
}

bool pipes_have_output(struct stream *stream)
{
    bool out = has_output(&stream->out), err = has_output(&stream->err);
    return out || err;
}

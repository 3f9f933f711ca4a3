/* The pool of streams, the poll set of a turn, and the clock: what every part of the agent uses. */
#define _GNU_SOURCE
#include "agent.h"

#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stream *streams[MAX_STREAMS];
int stream_count;
struct pollfd polls[MAX_POLL];
int poll_count;

/* streams[] holds all of it: the open ones first, and the one closed last is opened next. */
static struct stream pool[MAX_STREAMS];

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int poll_add(int fd, short events)
{
    polls[poll_count] = (struct pollfd){ .fd = fd, .events = events };
    return poll_count++;
}

void streams_init(void)
{
    for (int i = 0; i < MAX_STREAMS; i++)
        streams[i] = &pool[i];
}

struct stream *stream_open(uint32_t id, enum kind kind)
{
    struct stream *stream = streams[stream_count++];
    uint16_t slot = stream - pool;
    memset(stream, 0, offsetof(struct stream, name));
    stream->slot = slot;
    stream->id = id;
    stream->kind = kind;
    stream->in.fd = stream->out.fd = stream->err.fd = stream->fd = stream->dir = -1;
    stream->in.polled = stream->out.polled = stream->err.polled = -1;
    return stream;
}

void stream_close(struct stream *stream)
{
    int i = 0;
    while (streams[i] != stream)
        i++;
    streams[i] = streams[--stream_count];
    streams[stream_count] = stream;
}

struct stream *stream_find(uint32_t id)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->id == id)
            return streams[i];
    return NULL;
}

void stream_grant(struct stream *stream, uint32_t bytes)
{
    stream->owed += bytes;
    if (stream->eof || stream->owed < stream->window / 4 || !stream->owed)
        return;
    send_u32(F_CREDIT, stream->id, stream->owed);
    stream->granted += stream->owed;
    stream->owed = 0;
}

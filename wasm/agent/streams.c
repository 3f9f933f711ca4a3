#define _GNU_SOURCE
#include "streams.h"

#include <stddef.h>
#include <string.h>

#include "send.h"

/* All of the pool: the open streams come first, and the one closed last is opened next. */
struct stream *streams[MAX_STREAMS];
int stream_count;

static struct stream pool[MAX_STREAMS];

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
    stream->start.fd = stream->in.fd = stream->out.fd = stream->err.fd = stream->fd = stream->dir = -1;
    stream->start.polled = stream->in.polled = stream->out.polled = stream->err.polled = -1;
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

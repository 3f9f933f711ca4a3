#define _GNU_SOURCE
#include "transfers.h"

#include <errno.h>
#include <unistd.h>

#include "send.h"
#include "temporary.h"
#include "util.h"

void file_close(struct stream *stream)
{
    close_fd(&stream->fd);
    close_fd(&stream->dir);
    stream_close(stream);
}

void file_abort(struct stream *stream)
{
    if (stream->kind == PUT && stream->fd >= 0 && !stream->in_place)
        unlinkat(stream->dir, temporary_name(stream->temporary), 0);
    file_close(stream);
}

void file_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why)
{
    send_fail(stream->id, stream->in_place && stream->bytes ? STAGE_PARTLY : stage, error, why);
    file_abort(stream);
}

void file_fail(struct stream *stream, enum fail_stage stage, const char *detail)
{
    send_fail(stream->id, stage, errno, detail);
    file_abort(stream);
}

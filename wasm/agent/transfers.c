#define _GNU_SOURCE
#include "transfers.h"

#include <errno.h>
#include <unistd.h>

#include "send.h"
#include "util.h"

/* Hidden, and in the target's directory, so that the final rename stays within one file system. */
#define TEMPORARY ".boxrun-"

const char *temporary_name(uint32_t number)
{
    static char name[sizeof TEMPORARY + 8] = TEMPORARY;
    for (int i = 0; i < 8; i++)
        name[sizeof TEMPORARY - 1 + i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
    return name;
}

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

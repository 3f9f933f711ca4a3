#define _GNU_SOURCE
#include "starting.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "polls.h"
#include "send.h"
#include "util.h"

/* In one piece, because a pipe takes so many bytes at once. */
struct failure {
    uint32_t stage;
    int32_t error;
    char detail[MAX_DETAIL + 1];
};

void starting_fails(int pipe, enum fail_stage stage, int error, const char *detail)
{
    struct failure failure = { .stage = stage, .error = error };
    memcpy(failure.detail, detail, strnlen(detail, MAX_DETAIL));
    /* If that fails, it looks as if the program had ended at once. */
    if (write(pipe, &failure, sizeof failure) < 0)
        return;
}

void starting_poll(struct stream *stream, bool alone)
{
    stream->start.polled = stream->start.fd < 0 || alone ? -1 : poll_add(stream->start.fd, POLLIN);
}

enum start starting_pump(struct stream *stream)
{
    struct failure failure;
    bool told = stream->start.polled >= 0 && polls[stream->start.polled].revents;
    if (stream->start.fd < 0)
        return START_DONE;
    if (!told && stream->pid)
        return START_WAITS;
    ssize_t got = read(stream->start.fd, &failure, sizeof failure);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return START_WAITS;
    close_fd(&stream->start.fd);
    if (got == sizeof failure) {
        send_fail(stream->id, failure.stage, failure.error, failure.detail);
        return START_FAILED;
    }
    send_u32(F_STARTED, stream->id, stream->pid ? stream->pid : stream->left_behind);
    return START_DONE;
}

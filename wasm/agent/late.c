#define _GNU_SOURCE
#include "late.h"

#include "pipes.h"
#include "sessions.h"
#include "util.h"

/* The silence after which no more output is expected. */
#define QUIET_MS 100
/*
 * How often a silence is extended because a process of the session is working at its end: on a slow host, one line may
 * take longer than QUIET_MS. A count and not a time, because no process works while the host stands still.
 */
#define MAX_LOOKS 10
/* From the end of the main process, whatever is printed. */
#define LATE_MS 5000

/* The number of streams that are late. */
static int waiting;
static bool stopped;

void late_begin(struct stream *stream)
{
    if (stopped) {
        pipes_count_remaining(stream);
        return;
    }
    int64_t now = now_ms();
    waiting += !stream->late;
    stream->late = true;
    stream->late_quiet = now + QUIET_MS;
    stream->late_looks = 0;
    stream->late_end = now + LATE_MS;
    stream->late_stalled = 0;
}

void late_finish(struct stream *stream)
{
    if (!stream->late)
        return;
    waiting--;
    stream->late = false;
    pipes_count_remaining(stream);
}

void late_stop(void)
{
    stopped = true;
    for (int i = 0; i < stream_count; i++)
        late_finish(streams[i]);
}

static bool all_closed(const struct stream *stream)
{
    return stream->out.fd < 0 && stream->err.fd < 0;
}

/* Whether output waits for credit. The timeouts do not run meanwhile. */
static bool waits_for_credit(struct stream *stream, int64_t now)
{
    if (!stream->credit && pipes_have_output(stream)) {
        if (!stream->late_stalled)
            stream->late_stalled = now;
        return true;
    }
    if (stream->late_stalled) {
        stream->late_end += now - stream->late_stalled;
        stream->late_quiet = now + QUIET_MS;
        stream->late_looks = 0;
        stream->late_stalled = 0;
    }
    return false;
}

bool late_waits(struct stream *stream, uint32_t sent)
{
    if (!stream->late)
        return false;
    int64_t now = now_ms();
    if (sent) {
        stream->late_quiet = now + QUIET_MS;
        stream->late_looks = 0;
    }
    if (waits_for_credit(stream, now))
        return true;
    if (!all_closed(stream) && now < stream->late_end) {
        if (now < stream->late_quiet)
            return true;
        /* Output is read in the next turn; without any, a working session may be about to print some. */
        if (pipes_have_output(stream)
            || (!all_closed(stream) && stream->late_looks++ < MAX_LOOKS && session_works(stream->left_behind))) {
            stream->late_quiet = now + QUIET_MS;
            return true;
        }
    }
    late_finish(stream);
    return false;
}

int64_t late_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; waiting && i < stream_count; i++) {
        const struct stream *stream = streams[i];
        if (!stream->late || stream->late_stalled)
            continue;
        int64_t due = stream->late_quiet < stream->late_end ? stream->late_quiet : stream->late_end;
        if (due < next)
            next = due;
    }
    return next;
}

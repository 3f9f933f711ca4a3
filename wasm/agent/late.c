/*
 * What a command's children print after its main process has ended, as `cmd > >(tee log)` has it: it is the command's
 * output for as long as it comes soon.
 */
#define _GNU_SOURCE
#include "agent.h"

/* Of silence, after which nothing more is expected. */
#define QUIET_MS 100
/*
 * How often a silence goes on when somebody of the session is at work at its end: on a slow host one line may take
 * longer than QUIET_MS. Counted, not measured: a host that stands still for a second gives nobody time to work.
 */
#define MAX_LOOKS 10
/* From the end of the main process, however much is printed. */
#define LATE_MS 5000

/* Streams that are late. */
static int waiting;

void late_begin(struct stream *stream)
{
    int64_t now = now_ms();
    waiting += !stream->late;
    stream->late = true;
    stream->late_quiet = now + QUIET_MS;
    stream->late_looks = 0;
    stream->late_end = now + LATE_MS;
    stream->late_stalled = 0;
}

void late_over(struct stream *stream)
{
    if (!stream->late)
        return;
    waiting--;
    stream->late = false;
    pipes_count_left(stream);
}

static bool all_closed(const struct stream *stream)
{
    return stream->out.fd < 0 && stream->err.fd < 0;
}

/* No clock runs while it is the reader who is waited for. True: so it is. */
static bool stalled(struct stream *stream, int64_t now)
{
    if (!stream->credit && pipes_stand(stream)) {
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
    if (stalled(stream, now))
        return true;
    if (!all_closed(stream) && now < stream->late_end) {
        if (now < stream->late_quiet)
            return true;
        /* It is read in the next turn; or the silence goes on, for those who are about to end it. */
        if (pipes_stand(stream)
            || (!all_closed(stream) && stream->late_looks++ < MAX_LOOKS && session_works(stream->left))) {
            stream->late_quiet = now + QUIET_MS;
            return true;
        }
    }
    late_over(stream);
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

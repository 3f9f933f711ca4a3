/* End of a transfer, which PUT, GET, LIST and WATCH have in common. */
#ifndef BOXRUN_TRANSFERS_H
#define BOXRUN_TRANSFERS_H

#include "streams.h"

/* Closes the files and the stream, without an answer. */
void file_close(struct stream *stream);
/* Does that, and removes what an unfinished PUT has written beside its target. */
void file_abort(struct stream *stream);
/* Sends FAIL, and aborts. The stage is STAGE_PARTLY, whatever is given, if something was written in place. */
void file_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why);
/* Sends FAIL with errno and exactly this stage, and aborts. */
void file_fail(struct stream *stream, enum fail_stage stage, const char *detail);

#endif

/* The pool of streams. */
#ifndef BOXRUN_STREAMS_H
#define BOXRUN_STREAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol.h"

enum kind { COMMAND, CONNECTION, PUT, GET, LIST, WATCH };

/* Action of the next pass over all processes on those of a command's session: see sessions.h. */
enum sweep { NO_SWEEP, SWEEP_LOOK, SWEEP_TERM, SWEEP_KILL };

/* The agent's end of one of a command's pipes. */
struct pipe_end {
    int fd;             /* -1 if closed */
    int polled;         /* index in this turn's poll set, -1 if not in it */
    uint32_t remaining; /* bytes of output still to send once the command has ended */
    bool enlarged;
};

struct stream {
    uint32_t id;
    enum kind kind;
    uint16_t slot;    /* index in the pool */
    bool eof;         /* the host has sent EOF */
    uint32_t credit;  /* bytes that the agent may send */
    uint32_t granted; /* bytes that the host may send */
    uint32_t owed;    /* bytes taken in, and not yet granted again */
    uint32_t window;  /* granted + owed + the bytes in the ring; 0 if the host may send nothing */

    /* COMMAND: its processes */
    pid_t pid;         /* the main process and its group; 0 once reaped */
    pid_t session;     /* the same number; 0 once EXIT does not wait for processes of the session */
    pid_t left_behind; /* the same number, once the main process is reaped; it now names those left behind */
    enum sweep sweep;
    bool found;          /* the last sweep found a process of the session */
    uint8_t sweep_turns; /* turns that SWEEP_KILL has taken */
    int64_t kill_at;     /* the end of TERMINATE's grace; 0 if there was none, INT64_MAX once killed */
    int64_t look_at;     /* killed: when to look again whether a process of the session is left */
    int64_t look_until;  /* killed: when EXIT waits for them no longer; 0 before the first look */
    uint64_t out_of_memory; /* out_of_memory_count() when it started */
    uint8_t how;         /* what EXIT will say: enum exit_how, and its code */
    uint32_t code;

    struct pipe_end start; /* COMMAND: tells what came of its start: see starting.h */

    /* COMMAND: its pipes; CONNECTION: the two directions of its socket, in `in` and `out` */
    struct pipe_end in, out, err;
    bool terminal;      /* in and out are the two directions of a terminal */
    bool stderr_first;  /* in the next turn */
    uint32_t head, held; /* input in the slot's ring, which the pipe had no room for; LIST: entries not sent */
    bool ring_used;

    /* CONNECTION */
    uint16_t port;
    bool second;        /* tries ::1 */
    bool connecting;    /* not answered yet */
    uint8_t retry_ms;   /* the last wait for an answer; 0 before the first */
    int64_t retry_at;   /* connecting: the end of this wait, when it connects anew */
    int64_t timeout_at; /* connecting: the end of all waits */
    bool ended;         /* EOF is sent: the server has no more to say */
    int error;          /* errno with which reading or writing failed; 0 if none did */

    /* COMMAND: late output, see late.h */
    bool late;            /* the main process has ended, and more output may come */
    uint8_t late_looks;   /* at whether the session is working, in this silence */
    int64_t late_quiet;   /* the end of the silence */
    int64_t late_end;     /* the end of all waiting */
    int64_t late_stalled; /* since when output waits for credit; 0 if none does */

    /* WATCH: its helper is polled in `in` */
    bool recursive;
    bool started; /* STARTED is sent */
    bool stands;  /* its helper, which is not the first if others were killed, watches */

    /* PUT, GET, LIST, WATCH; CONNECTION: bytes */
    int fd;  /* PUT: the temporary file, or the file written in place; GET, LIST: what is read; WATCH: its helper */
    int dir; /* PUT: the directory of the temporary file */
    bool in_place, keep_mode;
    uint32_t mode, temporary;
    uint64_t bytes; /* CONNECTION: sent to the host */
    char name[MAX_NAME + 1]; /* PUT: the file's name in the directory; must stay the last field */
};

/* The open streams, in no order. */
extern struct stream *streams[MAX_STREAMS];
extern int stream_count;

void streams_init(void);
/* Opens a stream. There must be fewer than MAX_STREAMS. */
struct stream *stream_open(uint32_t id, enum kind kind);
void stream_close(struct stream *stream);
struct stream *stream_find(uint32_t id);
/*
 * Lets the host send so many more bytes. CREDIT is sent once a quarter of the window is owed, so that few frames
 * are needed.
 */
void stream_grant(struct stream *stream, uint32_t bytes);

#endif

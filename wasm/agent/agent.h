/* What the parts of the agent share: the pool of streams and the few calls between the files. */
#ifndef BOXRUN_AGENT_H
#define BOXRUN_AGENT_H

#include <poll.h>
#include <sys/types.h>

#include "frames.h"

/* Granted to a sender of stdin, and kept here while the command does not read. */
#define STDIN_WINDOW (256u << 10)
/* Instead of it while BIG_STDIN others are open, so that all of them together hold at most 12 MB. */
#define STDIN_WINDOW_SMALL (16u << 10)
#define BIG_STDIN 32
/* Granted to a sender of a file: a write to disk takes long, and this much is under way meanwhile. */
#define PUT_WINDOW (1u << 20)
/* Pipes of ended commands whose background processes may still print. One more closes the oldest. */
#define MAX_DISCARDED 64
/* Pipes, files and directories of one stream: stdin, stdout and stderr; or a directory and its file. */
#define STREAM_FDS 3
#define MAX_POLL (3 + STREAM_FDS * MAX_STREAMS + MAX_DISCARDED)

/* Whole pages: memory is given back in such. */
#define PAGE 4096

enum kind { COMMAND, PUT, GET, LIST };

/* What a look at all processes is to do with those of a command's session: see sessions_sweep. */
enum sweep { NO_SWEEP, SWEEP_LOOK, SWEEP_TERM, SWEEP_KILL };

/* One of a command's pipes, at the agent's end. */
struct pipe_end {
    int fd;          /* -1: closed */
    int polled;      /* index of this turn's poll entry, -1: none */
    uint32_t left;   /* output bytes still to send once the command has ended */
    bool enlarged;
};

struct stream {
    uint32_t id;
    enum kind kind;
    uint16_t slot;    /* in the pool */
    bool eof;         /* the host has sent EOF */
    uint32_t credit;  /* bytes that we may send */
    uint32_t granted; /* bytes that the host may send */
    uint32_t owed;    /* bytes taken in and not granted again yet */
    uint32_t window;  /* granted + owed + what waits in the ring; 0: the host may send nothing */

    pid_t pid;       /* COMMAND: its process and group, 0 once reaped */
    pid_t session;   /* COMMAND: the same number, 0 once its EXIT waits for nobody of it */
    pid_t left;      /* COMMAND: the same number, once its process is reaped: of those it has left behind */
    enum sweep sweep;
    bool found;      /* by the last sweep: somebody of the session was left */
    uint8_t turns;   /* that SWEEP_KILL has taken */
    bool terminal;   /* COMMAND: in and out are the two directions of one */
    bool stderr_first;
    uint8_t how;
    uint32_t code;
    uint64_t out_of_memory; /* COMMAND: out_of_memory_count() at its start */
    int64_t kill_at; /* end of the grace of TERMINATE, 0: not asked, INT64_MAX: killed */
    bool late;       /* its process has ended, and more output is waited for: see late.c */
    /* While it is: end of the silence, the end of it all, and since when the reader holds it up (0: no) */
    int64_t late_quiet, late_end, late_stalled;
    uint8_t late_looks; /* at whether somebody is at work, in this silence */
    struct pipe_end in, out, err;
    uint32_t head, held; /* stdin that the pipe had no room for, in the slot's ring; LIST: entries not sent */
    bool ring_used;

    int fd, dir;     /* PUT: the temporary file and its directory, or what is written in place; GET, LIST: what is read */
    bool in_place, keep_mode; /* PUT */
    uint32_t mode, temporary;
    uint64_t bytes;
    char name[256];  /* PUT: the file's name in the directory */
};

/* streams.c. The open streams, in no order. */
extern struct stream *streams[MAX_STREAMS];
extern int stream_count;
/* The poll set of this turn. */
extern struct pollfd polls[MAX_POLL];
extern int poll_count;

void streams_init(void);
/* Not when MAX_STREAMS are open. */
struct stream *stream_open(uint32_t id, enum kind kind);
void stream_close(struct stream *stream);
struct stream *stream_find(uint32_t id);
/*
 * Lets the host send so many bytes more: at once when a quarter of the window is due, so that few frames do
 * it.
 */
void stream_grant(struct stream *stream, uint32_t bytes);
int poll_add(int fd, short events);
void close_fd(int *fd);
int64_t now_ms(void);

/* main.c */
extern bool in_guest; /* PID 1 of a guest, not the test mode on a host */
extern int dev_null;
/*
 * A time in which commands are left alone, unless one is on already: else one could follow the other for
 * ever.
 */
void quiet_start(void);
void quiet_end(void);

/* What reaping found: children that live, none at all, or more zombies than one turn takes. */
enum reaped { CHILDREN_LEFT, NO_CHILDREN, MORE_TO_REAP };

/* dispatch.c */
extern int64_t shutdown_deadline;
bool shutting_down(void);
/* False: it breaks the protocol. */
bool dispatch(const struct frame *frame);
void shutdown_step(enum reaped children_left);

/* exec.c. What its frame says of a command, and the descriptors that are to be its own. */
struct command {
    const char *root, *cwd;
    int cgroup, in, out, err;
    bool terminal;   /* the three are one, which is to control its session */
};
/* Reads what every command has, which ends its frame. False: it breaks the protocol. */
bool exec_read(struct reader *reader, struct command *command);
/* Starts the command that was read last, and answers. Its stream has no descriptors yet; NULL: it did not start. */
struct stream *exec_start(uint32_t id, uint32_t window, const struct command *command);
/* Starts a command, chrooted when there is a root, and answers. False: it breaks the protocol. */
bool exec_frame(const struct frame *frame, const char *root, int cgroup);

/* ends.c */
/* To the command's whole group, as long as its number cannot be another's; KILL to its session. */
void exec_signal(struct stream *stream, int number);
void exec_terminate(struct stream *stream, uint32_t grace_ms);
/* Closes a command's terminal; who does not end by that is killed after a while. */
void exec_hang_up(struct stream *stream);
/* When the next grace ends, INT64_MAX: none runs; 0: this turn could not reach all of a session. */
int64_t exec_deadline(void);
/* Kills those whose grace is over, and reaches the sessions of all that are to end. */
void exec_end_overdue(void);
enum reaped exec_reap(void);
/* Lets go of the pipes and closes the stream; the command itself is not touched. */
void exec_close(struct stream *stream);

/* sessions.c */
bool sessions_open(void);
/*
 * Does to all sessions what their streams' `sweep` says, and clears it: LOOK finds out whether anybody is left, TERM
 * (with CONT) goes to those outside the command's group, KILL to everybody, until nobody is found. Where that takes
 * too long for one turn, KILL stays set; after some turns everybody who can be reached has been.
 */
void sessions_sweep(void);
/* Whether anybody of a session runs, or waits for the disk. */
bool session_works(pid_t session);

/* late.c */
/* The main process has ended: waits for what its children print. */
void late_begin(struct stream *stream);
/* Waits no longer: what stands in the pipes now is the last of it. */
void late_over(struct stream *stream);
/* Whether more is waited for, after a turn in which so many bytes were sent. */
bool late_waits(struct stream *stream, uint32_t sent);
/* When a pump is due to find that somebody is silent; INT64_MAX: never. */
int64_t late_deadline(void);

/* terminal.c. Each is false when it breaks the protocol. */
bool terminal_frame(const struct frame *frame, int cgroup);
bool terminal_resize(const struct frame *frame, struct stream *stream);

/* pipes.c */
void stdin_grant(struct stream *stream);
void stdin_data(struct stream *stream, const uint8_t *data, uint32_t length);
void stdin_eof(struct stream *stream);
/* `outputs`: whether what it prints may be read in this turn. */
void pipes_poll(struct stream *stream, bool outputs);
void pipes_poll_discarded(void);
/* The bytes of output taken. May end the stream. */
uint32_t pipes_pump(struct stream *stream);
void pipes_pump_discarded(void);
/* The command is over: what stands in its pipes now is still its own. */
void pipes_count_left(struct stream *stream);
/* Whether output stands in a pipe. Closes those that nobody can write to any more. */
bool pipes_stand(struct stream *stream);
void pipes_close(struct stream *stream);

/* files.c. Each answers; false: it breaks the protocol. */
bool put_frame(const struct frame *frame);
bool get_frame(const struct frame *frame);
void put_data(struct stream *stream, const uint8_t *data, uint32_t length);
void put_eof(struct stream *stream);
/* True while it could send more at once. */
bool get_ready(const struct stream *stream);
void get_pump(struct stream *stream);
/* Ends a transfer or a list. */
void file_close(struct stream *stream);
/* Removes what an unfinished PUT has written, and closes the stream. */
void file_abort(struct stream *stream);
/* Aborts it and tells the host: STAGE_PARTLY, whatever the stage, where something was written in place. */
void file_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why);
/* mkdir -p; the path is changed on the way and restored. */
int make_directories(char *path);

/* flush.c. */
/* Of those who flush, as of nice(2): above everything in the box. */
#define FLUSH_PRIORITY (-20)
/* Readable when a flush has ended, and when what flushes has: see flush_step. -1 from then on. */
extern int flush_fd;
/* Starts what flushes; false: it could not be started. */
bool flush_open(void);
/* From now on the disk is a box's; and from now on it is not. */
void flush_serve(void);
void flush_stop(void);
/* Nobody waits for the end of the flush under way. */
void flush_disconnected(void);
/* A command has started, which may write; the agent has written; a command or a file has ended. */
void flush_after_start(void);
void flush_after_write(void);
void flush_after_end(void);
/* When flush_step has something to do, INT64_MAX: when a flush ends or something happens. */
int64_t flush_due(void);
void flush_step(short events);

/* operations.c. Answers; false: it breaks the protocol. */
bool operation_frame(const struct frame *frame);
bool list_ready(const struct stream *stream);
void list_pump(struct stream *stream);

/* port.c. Waits for the port to be there and connected; -1 when it does not come. */
int port_open(void);

/* give-up.c. Tells the host why, if there is a port: it ends the machine. Until then reaps children. */
_Noreturn void give_up(int port, const char *step, int error);

/* box.c. What returns a string returns the step that failed, with its errno, or NULL. */
struct setup {
    uint64_t clock, disk_size, memory_limit;
    uint32_t process_limit, entropy_length;
    const uint8_t *entropy;
    const char *hostname;
    char *workdir;
};
/* The cgroup of the box's processes, -1 before boot and on a kernel without one. */
extern int box_cgroup;
/* The root of the box's disk, which no path leads to once the box is the root; -1 until it is mounted. */
extern int box_disk;
/* Whether a process of the box lives, and the processor time that all of them have used, in any unit. */
bool box_runs(void);
uint64_t box_used(void);
const char *boot(void);
/* Mounts the disk and makes the box the root of everything; then SETUP makes it somebody's. */
const char *box_prepare(void);
const char *box_setup(const struct setup *setup, uint64_t *size);
const char *box_unmount(void);
/* How many processes of the box the kernel has killed for want of memory. */
uint64_t out_of_memory_count(void);
int clock_set(uint64_t ns);
/* hosts.c. Gives /etc/hosts a line with the name of this host, where there is none. */
void hosts_add(const char *name);
/* To the console. */
void report(const char *what, int error);

#endif

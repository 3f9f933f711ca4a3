/* The start of commands, without a shell and without a copy of the agent's memory. */
#ifndef BOXRUN_EXEC_H
#define BOXRUN_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "decode.h"
#include "streams.h"

/* Limits of open files of commands. The agent has the second. */
#define SOFT_FILES 1024
#define HARD_FILES 4096

struct command {
    const char *root; /* what it is chrooted into, or NULL */
    const char *cwd;
    int cgroup;       /* the control group it starts in, or -1 */
    int in, out, err; /* its standard streams */
    bool terminal;    /* the three are one terminal, which is to control its session */
};

/* Opens /dev/null. False, with errno, if that fails. */
bool exec_init(void);
/* Reads the end of a frame: working directory, argv and environment. False if it breaks the protocol. */
bool exec_read(struct reader *reader, struct command *command);
/*
 * Starts the command that was read last, and answers, unless that takes time: see starting.h. Returns its stream, which
 * has no pipes yet, or NULL if it did not start.
 */
struct stream *exec_start(uint32_t id, uint32_t window, const struct command *command);
/* Handles EXEC: starts a command on pipes, and answers. False if the frame breaks the protocol. */
bool exec_frame(const struct frame *frame, const char *root, int cgroup);

#endif

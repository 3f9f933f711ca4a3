/*
 * Flushes: what the box writes reaches its disk soon after. syncfs(2) waits for the disk, so a thread calls it. As part
 * of PID 1, the thread is outside the box's control group, and no signal from the box reaches it.
 */
#ifndef BOXRUN_FLUSH_H
#define BOXRUN_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

/* Readable when flush_step() has something to read; -1 once the thread has ended. */
extern int flush_fd;

/* Starts the thread. False, with errno, if that fails. */
bool flush_init(void);
/* Gives the kernel's own writers of the disk priority over all processes of the box. Reports what fails. */
void flush_raise_kernel_priority(void);

/* Flushes the file system of this directory from now on; of none if it is -1. */
void flush_start(int disk);
void flush_stop(void);
/* The host that waits for the end of the flush under way is gone. */
void flush_disconnected(void);

/* A command has started, which may write. */
void flush_after_start(void);
/* The agent has written. */
void flush_after_write(void);
/* A command or a file has ended. */
void flush_after_end(void);

/* When flush_step() has something to do; INT64_MAX if only an event may change that. */
int64_t flush_deadline(void);
/* Begins a flush that is due, and ends one that is done. `events` are those of flush_fd. */
void flush_step(short events);

#endif

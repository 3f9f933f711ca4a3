/*
 * Sessions of commands: all their processes, whichever process groups they have made. The kernel cannot signal a
 * session, so its processes are looked up in /proc.
 */
#ifndef BOXRUN_SESSIONS_H
#define BOXRUN_SESSIONS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Does what each stream's `sweep` says to the processes of its session, and resets it:
 *
 *     SWEEP_LOOK   sets `found` if a process is left, which may be about to end or be a zombie of the agent
 *     SWEEP_TERM   sends TERM and CONT to those outside the command's process group
 *     SWEEP_KILL   sends KILL to all, until none is found
 *
 * SWEEP_KILL stays set if it takes too long for one turn. After some turns it is given up: everything that can be
 * killed has been.
 */
void sessions_sweep(void);
/* Whether a process of the session runs, or waits for the disk. */
bool session_works(pid_t session);

#endif

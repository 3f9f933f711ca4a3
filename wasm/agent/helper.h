/* Processes that do for the agent what may take long, or hang. They are its children, outside the box's control group. */
#ifndef BOXRUN_HELPER_H
#define BOXRUN_HELPER_H

/*
 * Starts a process that calls `work` with its end of a connection of messages (SOCK_SEQPACKET), and ends when that returns. It
 * has a copy of the agent's memory, no other descriptor of the agent's, and `directory` as its working directory. Returns
 * the agent's end, which does not block and hangs up when the process is gone; -1 with errno.
 */
int helper_start(int directory, void (*work)(int connection, const void *argument), const void *argument);

#endif

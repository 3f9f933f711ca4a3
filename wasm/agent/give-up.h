/* Last state of an agent that cannot serve: PID 1 must not end, and must still reap orphans. */
#ifndef BOXRUN_GIVE_UP_H
#define BOXRUN_GIVE_UP_H

/* Tells the host why, if there is a port (`port`, or one that is opened if that is -1), so that it ends the machine. */
_Noreturn void give_up(int port, const char *step, int error);

#endif

/* /etc/hosts, through which programs look up the name of the machine they are on. */
#ifndef BOXRUN_HOSTS_H
#define BOXRUN_HOSTS_H

/*
 * Adds a line with the host's name, unless there is one. Everything else in the file stays as it is. A file that is
 * missing or cannot be written is left to the box.
 */
void hosts_add(const char *name);

#endif

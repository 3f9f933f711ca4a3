/*
 * Whether a path leads into a volume. This is found out without a system call on anything in one, for which the agent
 * would wait, and with it everybody else.
 */
#ifndef BOXRUN_IN_VOLUME_H
#define BOXRUN_IN_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns 1 if the absolute path leads into a volume, 0 if it does not or what it names is missing, -1 with errno if that
 * cannot be told. A symbolic link at its end is followed if `follow` is set, or if a slash is behind it.
 */
int in_volume(const char *path, bool follow);
/* Whether volumes are mounted on entries of an open directory. */
bool holds_volumes(int directory);
/* Whether a volume is mounted on this entry. For directories of which the above is true, and was asked last. */
bool entry_in_volume(int directory, const char *name);
/*
 * If a path leads into a volume, ends the stream with VOLUME; if that cannot be told, with FAIL. False if neither does,
 * and the agent may use both. `second` is "" if there is none.
 */
bool answered_in_volume(uint32_t stream, const char *path, const char *second, bool follow);

#endif

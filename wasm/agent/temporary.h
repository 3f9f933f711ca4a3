/* Names of files that are being written beside the place that they will take by a rename. */
#ifndef BOXRUN_TEMPORARY_H
#define BOXRUN_TEMPORARY_H

#include <stdbool.h>
#include <stdint.h>

/* The name with a number, valid until the next call. */
const char *temporary_name(uint32_t number);
/* Whether a name is one of these, or of those that the host gives such files in volumes. */
bool is_temporary(const char *name);

#endif

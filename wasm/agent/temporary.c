#define _GNU_SOURCE
#include "temporary.h"

#include <string.h>

/* Hidden, and in the target's directory, so that the final rename stays within one file system. */
#define TEMPORARY ".boxrun-"

const char *temporary_name(uint32_t number)
{
    static char name[sizeof TEMPORARY + 8] = TEMPORARY;
    for (int i = 0; i < 8; i++)
        name[sizeof TEMPORARY - 1 + i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
    return name;
}

bool is_temporary(const char *name)
{
    return strncmp(name, TEMPORARY, sizeof TEMPORARY - 1) == 0;
}

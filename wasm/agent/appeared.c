#define _GNU_SOURCE
#include "appeared.h"

#include <stdint.h>
#include <string.h>

#define SLOTS (1u << 15)
#define MOST (SLOTS / 2)

/* Their hashes, at the first place that was free from the one that the hash begins with. 0 is free. */
static uint64_t slots[SLOTS];
static uint32_t count;

/* FNV-1a. 0 and 1 mean something else here. */
static uint64_t hash_of(int wd, const char *name)
{
    uint64_t hash = 14695981039346656037u ^ (uint32_t)wd;
    for (hash *= 1099511628211u; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    return hash | 2;
}

/* The place of a hash, or the free one behind its chain. */
static uint64_t *slot_of(uint64_t hash)
{
    uint32_t at = hash >> 32 & (SLOTS - 1);
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (SLOTS - 1);
    return &slots[at];
}

void appeared_add(int wd, const char *name)
{
    uint64_t hash = hash_of(wd, name), *slot = slot_of(hash);
    if (*slot || count == MOST)
        return;
    *slot = hash;
    count++;
}

bool appeared_take(int wd, const char *name)
{
    uint64_t hash = hash_of(wd, name), *slot = slot_of(hash);
    if (!count || !*slot)
        return false;
    /* Taken, and not free: others may be behind it. */
    *slot = 1;
    return true;
}

void appeared_clear(void)
{
    if (count)
        memset(slots, 0, sizeof slots);
    count = 0;
}

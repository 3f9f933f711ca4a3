#define _GNU_SOURCE
#include "quiet.h"

#include "util.h"

#define AFTER_START_MS 16
#define AFTER_OUTPUT_MS 1

/* The end of the quiet time; 0 if none is on. */
static int64_t quiet_until;

void quiet_after_start(void)
{
    if (!quiet_until)
        quiet_until = now_ms() + AFTER_START_MS;
}

void quiet_after_output(void)
{
    quiet_until = now_ms() + AFTER_OUTPUT_MS;
}

void quiet_end(void)
{
    quiet_until = 0;
}

bool quiet_is_on(void)
{
    if (quiet_until && now_ms() >= quiet_until)
        quiet_until = 0;
    return quiet_until != 0;
}

int64_t quiet_deadline(void)
{
    return quiet_until ? quiet_until : INT64_MAX;
}

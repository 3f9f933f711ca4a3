#define _GNU_SOURCE
#include "polls.h"

struct pollfd polls[MAX_POLLS];
int poll_count;

int poll_add(int fd, short events)
{
    polls[poll_count] = (struct pollfd){ .fd = fd, .events = events };
    return poll_count++;
}

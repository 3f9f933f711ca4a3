#define _GNU_SOURCE
#include "changes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t batch[1 + MAX_CHANGE] = { WATCHER_CHANGES };
static size_t used = 1;
/* Where the last change begins, if it is a CHANGE_CHANGED; 0 if not. */
static size_t repeatable;

static void send_message(int connection, const void *message, size_t length)
{
    while (send(connection, message, length, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            _exit(0);
}

void changes_say(int connection, enum watcher_message message, uint32_t error)
{
    uint8_t bytes[5] = { message };
    memcpy(bytes + 1, &error, sizeof error);
    changes_flush(connection);
    send_message(connection, bytes, message == WATCHER_FAILED ? sizeof bytes : 1);
}

static void append_text(const char *text)
{
    uint32_t length = strlen(text);
    memcpy(batch + used, &length, sizeof length);
    memcpy(batch + used + sizeof length, text, length);
    used += sizeof length + length;
}

static bool repeats(const char *path)
{
    size_t length = strlen(path);
    return repeatable && used - repeatable == 5 + length && memcmp(batch + repeatable + 5, path, length) == 0;
}

void changes_add(int connection, enum change change, const char *path, const char *before)
{
    if (change == CHANGE_CHANGED && repeats(path))
        return;
    size_t length = 1 + 4 + strlen(path) + (change == CHANGE_RENAMED ? 4 + strlen(before) : 0);
    if (used + length > sizeof batch)
        changes_flush(connection);
    repeatable = change == CHANGE_CHANGED ? used : 0;
    batch[used++] = change;
    append_text(path);
    if (change == CHANGE_RENAMED)
        append_text(before);
}

void changes_flush(int connection)
{
    if (used > 1)
        send_message(connection, batch, used);
    used = 1;
    repeatable = 0;
}

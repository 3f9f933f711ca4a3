#define _GNU_SOURCE
#include "watcher.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "appeared.h"
#include "changes.h"
#include "standing.h"
#include "temporary.h"
#include "watched.h"

#define EVENTS (64 << 10)
/* How long the second half of a rename may come after the first, which the kernel has queued just before it. */
#define HALF_MS 5

static int connection;
/* The path as it was asked for, without slashes at its end; "" is the root. */
static char root[MAX_PATH + 1];

static _Alignas(struct inotify_event) char events[EVENTS];
static size_t events_at, events_end;
/* Bytes of events that may repeat what was found by looking. */
static size_t doubtful;

static _Noreturn void end(enum watcher_message message, uint32_t error)
{
    changes_say(connection, message, error);
    _exit(0);
}

/* The path of the watch itself is gone, so the watch is. */
static _Noreturn void end_removed(void)
{
    changes_add(connection, CHANGE_REMOVED, *root ? root : "/", "");
    end(WATCHER_ENDED, 0);
}

/* Writes the path in the box of an entry. False if it is too long to be told. */
static bool path_of(int wd, const char *name, char path[MAX_PATH + 1])
{
    char within[MAX_PATH + 1];
    size_t length = strlen(root);
    if (watched_path(wd, name, within) < 0)
        return false;
    if (length + 1 + strlen(within) > MAX_PATH)
        return false;
    memcpy(path, root, length);
    path[length] = '/';
    strcpy(path + length + 1, within);
    return true;
}

static void report_root(enum change change)
{
    changes_add(connection, change, *root ? root : "/", "");
}

static void report_entry(enum change change, int wd, const char *name)
{
    char path[MAX_PATH + 1];
    if (is_temporary(name))
        return;
    if (path_of(wd, name, path))
        changes_add(connection, change, path, "");
    else
        report_root(CHANGE_OVERFLOW);
}

static void found(int wd, const char *name)
{
    appeared_add(wd, name);
    report_entry(CHANGE_CREATED, wd, name);
}

/* Watches what is new below the directory, and reports it. */
static void enter(int wd, const char *name)
{
    int queued = 0;
    if (!recursive())
        return;
    if (standing_enter(wd, name) < 0 || standing_list(found) < 0)
        end(WATCHER_FAILED, errno);
    if (ioctl(inotify, FIONREAD, &queued) == 0)
        doubtful = events_end - events_at + queued;
}

static void leave(int wd, const char *name)
{
    struct watched *directory = watched_child(wd, name);
    if (directory)
        watched_remove(inotify, directory);
}

/* Begins anew, without what happened meanwhile. */
static void begin_again(void)
{
    events_at = events_end = doubtful = 0;
    appeared_clear();
    if (standing_begin(*root ? root : "/", recursive()) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            end_removed();
        end(WATCHER_FAILED, errno);
    }
    report_root(CHANGE_OVERFLOW);
}

/* Moves the unread events to the front and reads more, if there are any within the time. */
static bool read_events(int wait_ms)
{
    struct pollfd poll_set[] = { { .fd = inotify, .events = POLLIN }, { .fd = connection } };
    memmove(events, events + events_at, events_end - events_at);
    events_end -= events_at;
    events_at = 0;
    if (poll(poll_set, 2, wait_ms) < 0 || poll_set[1].revents & (POLLHUP | POLLERR))
        _exit(0);
    if (!poll_set[0].revents)
        return false;
    ssize_t got = read(inotify, events + events_end, sizeof events - events_end);
    events_end += got > 0 ? got : 0;
    return got > 0;
}

static struct inotify_event *event_at(size_t at)
{
    return (struct inotify_event *)(events + at);
}

static size_t size_of(const struct inotify_event *event)
{
    return sizeof *event + event->len;
}

/* The other half of a rename, among the events that were read; NULL if what was renamed is not in the tree any more. */
static struct inotify_event *other_half(uint32_t cookie)
{
    for (size_t at = events_at; at < events_end; at += size_of(event_at(at))) {
        struct inotify_event *event = event_at(at);
        if (event->mask & IN_MOVED_TO && event->cookie == cookie)
            return watched_find(event->wd) ? event : NULL;
    }
    return NULL;
}

static void report_rename(int wd, const char *name, int new_wd, const char *new_name)
{
    char before[MAX_PATH + 1], path[MAX_PATH + 1];
    bool was_hidden = is_temporary(name), is_hidden = is_temporary(new_name);
    if (was_hidden || is_hidden) {
        report_entry(CHANGE_REMOVED, wd, name);
        report_entry(CHANGE_CREATED, new_wd, new_name);
    } else if (path_of(wd, name, before) && path_of(new_wd, new_name, path)) {
        changes_add(connection, CHANGE_RENAMED, path, before);
    } else {
        report_root(CHANGE_OVERFLOW);
    }
}

/* Handles the first half of a rename. `event` is a copy: more events may be read meanwhile. */
static void moved_from(const struct inotify_event *event, const char *name)
{
    struct inotify_event *other = other_half(event->cookie);
    if (!other && events_at == events_end && read_events(HALF_MS))
        other = other_half(event->cookie);
    if (!other) {
        report_entry(CHANGE_REMOVED, event->wd, name);
        if (event->mask & IN_ISDIR)
            leave(event->wd, name);
        return;
    }
    report_rename(event->wd, name, other->wd, other->name);
    /* Done. */
    other->mask = 0;
    if (!(event->mask & IN_ISDIR))
        return;
    struct watched *directory = watched_child(event->wd, name);
    if (!directory)
        /* It was moved before it could be watched at its first place. */
        enter(other->wd, other->name);
    else if (watched_move(directory, other->wd, other->name) < 0)
        end(WATCHER_FAILED, errno);
}

static void handle_entry(const struct inotify_event *event, const char *name)
{
    bool known = event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
        && appeared_take(event->wd, name);
    if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
        if (!known)
            report_entry(CHANGE_CREATED, event->wd, name);
        if (event->mask & IN_ISDIR)
            enter(event->wd, name);
    } else if (event->mask & IN_MOVED_FROM) {
        moved_from(event, name);
    } else if (event->mask & IN_DELETE) {
        report_entry(CHANGE_REMOVED, event->wd, name);
        if (event->mask & IN_ISDIR)
            leave(event->wd, name);
    } else if (event->mask & (IN_MODIFY | IN_ATTRIB)) {
        report_entry(CHANGE_CHANGED, event->wd, name);
    }
}

/* Handles an event of what is watched, as an entry of the directory that it is in. */
static void handle_anchor(const struct inotify_event *event, const char *name)
{
    if (event->mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED))
        end_removed();
    if (strcmp(name, anchor_name) != 0)
        return;
    if (event->mask & (IN_DELETE | IN_MOVED_FROM) || (is_directory && event->mask & IN_MOVED_TO))
        end_removed();
    if (event->mask & (IN_CREATE | IN_MOVED_TO))
        report_root(CHANGE_CREATED);
    else if (event->mask & (IN_MODIFY | IN_ATTRIB))
        report_root(CHANGE_CHANGED);
}

/* Handles an event of a directory itself. */
static void handle_directory(const struct inotify_event *event, struct watched *directory)
{
    bool is_root = directory->parent < 0;
    if (is_root && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
        end_removed();
    if (event->mask & IN_IGNORED)
        watched_forget(directory);
    else if (is_root && event->mask & IN_ATTRIB)
        report_root(CHANGE_CHANGED);
}

/* Takes the next event. */
static void handle_next(void)
{
    const struct inotify_event *next = event_at(events_at), event = *next;
    size_t size = size_of(next);
    char name[MAX_NAME + 1] = "";
    strncat(name, event.len ? next->name : "", MAX_NAME);
    events_at += size;
    doubtful = doubtful > size ? doubtful - size : 0;
    struct watched *directory = watched_find(event.wd);
    if (event.mask & IN_Q_OVERFLOW)
        begin_again();
    else if (event.wd == anchor)
        handle_anchor(&event, name);
    else if (directory && !event.len)
        handle_directory(&event, directory);
    else if (directory)
        handle_entry(&event, name);
    if (!doubtful)
        appeared_clear();
}

void watcher_run(int to_agent, const void *argument)
{
    const struct watcher *watcher = argument;
    connection = to_agent;
    strcpy(root, watcher->path);
    if (standing_begin(root, watcher->recursive) < 0 && !(watcher->again && (errno == ENOENT || errno == ENOTDIR)))
        end(WATCHER_FAILED, errno);
    size_t length = strlen(root);
    while (length && root[length - 1] == '/')
        root[--length] = 0;
    if (inotify < 0)
        end_removed();
    changes_say(connection, WATCHER_STANDS, 0);
    if (watcher->again)
        report_root(CHANGE_OVERFLOW);
    for (;;) {
        while (events_at < events_end)
            handle_next();
        if (!read_events(0)) {
            changes_flush(connection);
            read_events(-1);
        }
    }
}

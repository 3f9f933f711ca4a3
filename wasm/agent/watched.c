#define _GNU_SOURCE
#include "watched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

/* In the order of their numbers: inotify counts up. Those that are forgotten stay until there is no room. */
static struct watched all[2 * MAX_WATCHED];
static int count, live;
/* None before it is unlisted. */
static int first_unlisted;
static uint32_t last_since;

static void compact(void)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (all[i].name)
            all[kept++] = all[i];
    count = kept;
    first_unlisted = 0;
}

int watched_add(int wd, int parent, const char *name)
{
    if (count == sizeof all / sizeof *all)
        compact();
    char *copy = live < MAX_WATCHED && (!count || all[count - 1].wd < wd) ? strdup(name) : NULL;
    if (!copy) {
        errno = ENOSPC;
        return -1;
    }
    all[count++] = (struct watched){ .wd = wd, .parent = parent, .since = ++last_since, .name = copy };
    live++;
    return 0;
}

struct watched *watched_find(int wd)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (all[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && all[low].wd == wd && all[low].name ? &all[low] : NULL;
}

struct watched *watched_child(int parent, const char *name)
{
    struct watched *found = NULL;
    for (int i = 0; i < count; i++)
        if (all[i].name && all[i].parent == parent && strcmp(all[i].name, name) == 0
            && (!found || all[i].since < found->since))
            found = &all[i];
    return found;
}

struct watched *watched_unlisted(void)
{
    for (; first_unlisted < count; first_unlisted++)
        if (all[first_unlisted].name && !all[first_unlisted].listed)
            return &all[first_unlisted];
    return NULL;
}

int watched_move(struct watched *directory, int parent, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return -1;
    free(directory->name);
    directory->name = copy;
    directory->parent = parent;
    directory->since = ++last_since;
    return 0;
}

void watched_forget(struct watched *directory)
{
    free(directory->name);
    directory->name = NULL;
    live--;
}

/* Whether a directory is below another, or is it. */
static bool is_within(const struct watched *directory, int above)
{
    for (int steps = 0; directory && steps <= MAX_PATH; steps++) {
        if (directory->wd == above)
            return true;
        directory = watched_find(directory->parent);
    }
    return false;
}

void watched_remove(int inotify, struct watched *directory)
{
    /* A parent is not forgotten before it has been asked for all others. */
    int above = directory->wd;
    for (int i = 0; i < count; i++)
        if (all[i].name && all[i].wd != above && is_within(&all[i], above))
            all[i].since = 0;
    directory->since = 0;
    for (int i = 0; i < count; i++)
        if (all[i].name && !all[i].since) {
            inotify_rm_watch(inotify, all[i].wd);
            watched_forget(&all[i]);
        }
}

void watched_clear(void)
{
    for (int i = 0; i < count; i++)
        free(all[i].name);
    count = live = first_unlisted = 0;
}

int watched_path(int wd, const char *name, char path[MAX_PATH + 1])
{
    char backwards[MAX_PATH + 1];
    size_t length = strlen(name), at = MAX_PATH - length;
    memcpy(backwards + at, name, length + 1);
    for (int steps = 0; ; steps++) {
        const struct watched *directory = watched_find(wd);
        if (!directory || steps > MAX_PATH) {
            errno = ENOENT;
            return -1;
        }
        if (directory->parent < 0)
            break;
        length = strlen(directory->name);
        size_t more = length + (at < MAX_PATH);
        if (more > at) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (at < MAX_PATH)
            backwards[--at] = '/';
        at -= length;
        memcpy(backwards + at, directory->name, length);
        wd = directory->parent;
    }
    memcpy(path, backwards + at, MAX_PATH - at + 1);
    return 0;
}

#define _GNU_SOURCE
#include "in-volume.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "protocol.h"
#include "send.h"
#include "util.h"

/* The kernel's limit when it resolves a path. */
#define MAX_SYMLINKS 40

/* Where the resolution of a path stands. One at a time. */
static struct {
    const struct mount *mount;
    char place[MAX_PATH + 1]; /* without links, "." and ".."; "" is the root */
    size_t length;
    char rest[2 * (MAX_PATH + 1)]; /* what is still to be resolved begins at `next` */
    char *next;
    int links;
    /* In a volume: the place and the rest as they were when it was entered. */
    size_t entry_length;
    const char *entry_rest;
} walk;

static const struct mount *find_mount(uint32_t id)
{
    for (int i = 0; i < mount_count; i++)
        if (mounts[i].id == id)
            return &mounts[i];
    return NULL;
}

/* The mount that is the agent's root, which is mounted on nothing that the agent can see. */
static const struct mount *root_mount(void)
{
    for (int i = 0; i < mount_count; i++)
        if (strcmp(mounts[i].point, "/") == 0 && !find_mount(mounts[i].parent))
            return &mounts[i];
    return NULL;
}

static const struct mount *mounted_on(const struct mount *mount, const char *place)
{
    for (int i = 0; i < mount_count; i++)
        if (mounts[i].parent == mount->id && mounts[i].id != mount->id && strcmp(mounts[i].point, place) == 0)
            return &mounts[i];
    return NULL;
}

static bool is_mount_point(void)
{
    return strcmp(walk.mount->point, walk.length ? walk.place : "/") == 0;
}

/* Goes on to what is mounted at the place, and on that. True if anything is. */
static bool cross_mounts(void)
{
    const char *place = walk.length ? walk.place : "/";
    const struct mount *next;
    bool crossed = false;
    for (int i = 0; i < mount_count && (next = mounted_on(walk.mount, place)); i++) {
        walk.mount = next;
        crossed = true;
    }
    return crossed;
}

static void note_entry(void)
{
    walk.entry_length = walk.length;
    walk.entry_rest = walk.next;
}

static void go_to_root(void)
{
    walk.mount = root_mount();
    walk.length = 0;
    walk.place[0] = 0;
}

static void leave_last(void)
{
    while (walk.length && walk.place[walk.length] != '/')
        walk.length--;
    walk.place[walk.length] = 0;
}

static void go_up(void)
{
    const struct mount *below;
    for (int i = 0; i < mount_count && is_mount_point() && (below = find_mount(walk.mount->parent)); i++)
        walk.mount = below;
    leave_last();
    cross_mounts();
    note_entry();
}

/* Puts the target of the link at the place in front of the rest. -1 with errno. */
static int follow_link(void)
{
    char target[PATH_MAX];
    ssize_t length = readlink(walk.place, target, sizeof target);
    size_t left = strlen(walk.next);
    if (length < 0)
        return -1;
    if (++walk.links > MAX_SYMLINKS) {
        errno = ELOOP;
        return -1;
    }
    if (length + left >= sizeof walk.rest) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memmove(walk.rest + length, walk.next, left + 1);
    memcpy(walk.rest, target, length);
    walk.next = walk.rest;
    if (target[0] == '/')
        go_to_root();
    else
        leave_last();
    return 0;
}

/* Looks at what the box's own file systems have at the place. 1 to go on, 0 if nothing follows, -1 with errno. */
static int look(bool follow)
{
    struct stat status;
    bool last = !*walk.next;
    if (lstat(walk.place, &status) < 0)
        return 0;
    if (S_ISLNK(status.st_mode))
        return last && !follow ? 0 : follow_link() < 0 ? -1 : 1;
    return last || S_ISDIR(status.st_mode);
}

/* Goes to the next name in the path. 1 to go on, 0 if nothing follows, -1 with errno. */
static int go_down(const char *name, size_t length, bool follow)
{
    if (walk.length + 1 + length > MAX_PATH) {
        errno = ENAMETOOLONG;
        return -1;
    }
    walk.place[walk.length] = '/';
    memcpy(walk.place + walk.length + 1, name, length);
    walk.length += 1 + length;
    walk.place[walk.length] = 0;
    if (!cross_mounts())
        return walk.mount->volume ? 1 : look(follow);
    note_entry();
    return 1;
}

/* Resolves until the path is in a volume for good, or ends. 0, or -1 with errno. */
static int resolve(bool follow)
{
    for (;;) {
        const char *name = walk.next + strspn(walk.next, "/");
        size_t length = strcspn(name, "/");
        if (!length)
            return 0;
        walk.next = (char *)name + length;
        bool up = length == 2 && memcmp(name, "..", 2) == 0;
        /* Behind a name that may be a link in the volume, only the volume knows what is above. */
        if (up && walk.mount->volume && !is_mount_point())
            return 0;
        int more = 1;
        if (up)
            go_up();
        else if (length != 1 || *name != '.')
            more = go_down(name, length, follow);
        if (more <= 0)
            return more;
    }
}

/* Writes where in the file system of the volumes the path is. */
static int write_result(char result[MAX_PATH + 1])
{
    const char *root = strcmp(walk.mount->root, "/") == 0 ? "" : walk.mount->root;
    size_t point = strcmp(walk.mount->point, "/") == 0 ? 0 : strlen(walk.mount->point);
    size_t within = walk.entry_length - point, length = strlen(root);
    if (length + within + strlen(walk.entry_rest) > MAX_PATH) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(result, root, length);
    memcpy(result + length, walk.place + point, within);
    strcpy(result + length + within, walk.entry_rest);
    if (!*result)
        strcpy(result, "/");
    return 1;
}

static int find(const char *path, bool follow, char result[MAX_PATH + 1])
{
    size_t length = strlen(path);
    if (!has_volumes)
        return 0;
    if (mounts_read() < 0)
        return -1;
    go_to_root();
    errno = EIO;
    if (!walk.mount)
        return -1;
    memcpy(walk.rest, path, length + 1);
    walk.next = walk.rest;
    walk.links = 0;
    if (resolve(follow) < 0)
        return -1;
    return walk.mount->volume ? write_result(result) : 0;
}

int in_volume(const char *path, bool follow)
{
    static char unused[MAX_PATH + 1];
    return find(path, follow, unused);
}

/* Finds where an open directory is: "" is the root. False if its path is too long. */
static bool path_of(int directory, char path[MAX_PATH + 1])
{
    char link[40] = "self/fd/", digits[24];
    ssize_t length = readlinkat(proc_dir, strcat(link, format_decimal(directory, digits)), path, MAX_PATH + 1);
    if (length < 0 || length > MAX_PATH)
        return false;
    path[length == 1 ? 0 : length] = 0;
    return true;
}

bool holds_volumes(int directory)
{
    char path[MAX_PATH + 1];
    if (!has_volumes || mounts_read() < 0 || !path_of(directory, path))
        return false;
    size_t length = strlen(path);
    for (int i = 0; i < mount_count; i++)
        if (mounts[i].volume && strrchr(mounts[i].point, '/') == mounts[i].point + length
            && memcmp(mounts[i].point, path, length) == 0)
            return true;
    return false;
}

bool entry_in_volume(int directory, const char *name)
{
    char path[MAX_PATH + 1];
    bool possible = false;
    for (int i = 0; i < mount_count && !possible; i++)
        possible = mounts[i].volume && strcmp(strrchr(mounts[i].point, '/') + 1, name) == 0;
    if (!possible || !path_of(directory, path) || strlen(path) + 1 + strlen(name) > MAX_PATH)
        return false;
    return in_volume(strcat(strcat(path, "/"), name), false) == 1;
}

bool answered_in_volume(uint32_t stream, const char *path, const char *second, bool follow)
{
    static char first_found[MAX_PATH + 1], second_found[MAX_PATH + 1];
    first_found[0] = second_found[0] = 0;
    /* A relative path is refused by whoever uses it. */
    if (path[0] != '/' || (*second && *second != '/'))
        return false;
    int first_is = find(path, follow, first_found);
    int second_is = first_is < 0 || !*second ? 0 : find(second, follow, second_found);
    if (first_is < 0 || second_is < 0)
        send_fail(stream, STAGE_OPEN, errno, first_is < 0 ? path : second);
    else if (first_is || second_is)
        send_volume(stream, first_found, second_found);
    return first_is || second_is;
}

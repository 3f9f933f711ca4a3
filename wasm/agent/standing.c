#define _GNU_SOURCE
#include "standing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"
#include "watched.h"

#define ENTRIES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB)
#define DIRECTORY (ENTRIES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define ANCHOR_OF_FILE (ENTRIES | IN_DELETE_SELF | IN_ONLYDIR)
#define ANCHOR_OF_DIRECTORY (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)
/* How often a path may lead elsewhere while it is looked at. */
#define TRIES 10

int inotify = -1, anchor = -1;
char anchor_name[MAX_NAME + 1];
bool is_directory;

static bool is_recursive;
/* The root of the tree, to open what is below it; -1 if nothing is. */
static int root = -1;

bool recursive(void)
{
    return is_recursive;
}

/* Watches what an open descriptor stands for, wherever it is by now. */
static int add_watch(int fd, uint32_t mask)
{
    char path[40] = "self/fd/", digits[24];
    return inotify_add_watch(inotify, strcat(path, format_decimal(fd, digits)), mask);
}

/* Watches the directory that has what is open. 1, or 0 if it is there no more, -1 with errno. */
static int drop_anchor(int fd, const struct stat *status)
{
    char link[40] = "self/fd/", digits[24], path[MAX_PATH + 1];
    ssize_t length = readlink(strcat(link, format_decimal(fd, digits)), path, MAX_PATH);
    if (length < 0)
        return -1;
    path[length] = 0;
    char *name = strrchr(path, '/');
    if (path[0] != '/' || !name[1])
        return 1;
    if (strlen(name + 1) > MAX_NAME)
        return 0;
    strcpy(anchor_name, name + 1);
    name[name == path] = 0;
    int above = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (above < 0)
        return 0;
    struct stat now;
    anchor = add_watch(above, is_directory ? ANCHOR_OF_DIRECTORY : ANCHOR_OF_FILE);
    int error = errno;
    bool same = anchor >= 0 && fstatat(above, anchor_name, &now, AT_SYMLINK_NOFOLLOW) == 0
        && now.st_ino == status->st_ino && now.st_dev == status->st_dev;
    close(above);
    errno = error;
    if (anchor < 0)
        return -1;
    if (!same)
        inotify_rm_watch(inotify, anchor);
    return same;
}

/* Opens what has the path, and watches that it stays there. The descriptor, or -1 with errno. */
static int open_anchored(const char *path)
{
    for (int i = 0; i < TRIES; i++) {
        struct stat status;
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
            return -1;
        anchor = -1;
        is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
        int dropped = drop_anchor(fd, &status);
        if (dropped > 0)
            return fd;
        int error = errno;
        close(fd);
        errno = error;
        if (dropped < 0)
            return -1;
    }
    errno = EAGAIN;
    return -1;
}

static void ignore(int wd, const char *name)
{
    (void)wd;
    (void)name;
}

/* Opens a directory of the tree, without a step into another file system: it could hang. */
static int open_in_tree(const char *path, uint64_t flags)
{
    const struct open_how how = {
        .flags = flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    return syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
}

/* Whether a directory could not be opened because it is none of the tree, or none any more. */
static bool is_out_of_tree(void)
{
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV;
}

static int begin_tree(int fd)
{
    int wd = add_watch(fd, DIRECTORY);
    if (wd < 0 || watched_add(wd, -1, "") < 0)
        return -1;
    if (!is_recursive)
        return 0;
    root = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return root < 0 ? -1 : standing_list(ignore);
}

int standing_begin(const char *path, bool with_all_below)
{
    is_recursive = with_all_below;
    watched_clear();
    close_fd(&root);
    close_fd(&inotify);
    inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int fd = inotify < 0 ? -1 : open_anchored(path);
    int done = fd < 0 ? -1 : is_directory ? begin_tree(fd) : 0;
    int error = errno;
    close_fd(&fd);
    if (done < 0)
        close_fd(&inotify);
    errno = error;
    return done;
}

int standing_enter(int wd, const char *name)
{
    char path[MAX_PATH + 1];
    if (watched_path(wd, name, path) < 0)
        return errno == ENOENT ? 0 : -1;
    int fd = open_in_tree(path, O_PATH);
    if (fd < 0)
        return is_out_of_tree() ? 0 : -1;
    int entered = add_watch(fd, DIRECTORY), error = errno;
    close(fd);
    errno = error;
    if (entered < 0)
        return -1;
    struct watched *known = watched_find(entered);
    if (!known)
        return watched_add(entered, wd, name);
    return known->parent == wd && strcmp(known->name, name) == 0 ? 0 : watched_move(known, wd, name);
}

/* Looks at the entries of an open directory of the tree. */
static int list_directory(int fd, int wd, void (*found)(int wd, const char *name))
{
    _Alignas(struct dirent) char entries[8192];
    for (;;) {
        int got = getdents(fd, (struct dirent *)entries, sizeof entries);
        if (got <= 0)
            return got;
        for (int at = 0; at < got; ) {
            const struct dirent *entry = (const struct dirent *)(entries + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            found(wd, entry->d_name);
            if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && standing_enter(wd, entry->d_name) < 0)
                return -1;
        }
    }
}

int standing_list(void (*found)(int wd, const char *name))
{
    for (struct watched *directory; (directory = watched_unlisted()); ) {
        char path[MAX_PATH + 1];
        int wd = directory->wd;
        directory->listed = true;
        if (watched_path(wd, "", path) < 0) {
            if (errno == ENOENT)
                continue;
            return -1;
        }
        int fd = open_in_tree(path, O_RDONLY);
        if (fd < 0 && is_out_of_tree())
            continue;
        int done = fd < 0 ? -1 : list_directory(fd, wd, found), error = errno;
        close_fd(&fd);
        errno = error;
        if (done < 0 && !is_out_of_tree())
            return -1;
    }
    return 0;
}

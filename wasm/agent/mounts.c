#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* In test mode, names the file that stands for the kernel's list. */
#define TEST_LIST "BOXRUN_AGENT_MOUNTS"
#define VOLUME_TYPE "9p"
/* More than the list of MAX_MOUNTS usual mounts takes. */
#define LIST_BYTES (256u << 10)

bool has_volumes;
struct mount mounts[MAX_MOUNTS];
int mount_count;

static char list[LIST_BYTES + 1];

/* Cuts the next word from a line, and moves `*at` behind it. Returns "" at the end. */
static char *cut_word(char **at)
{
    char *word = *at, *end = strchrnul(word, ' ');
    *at = *end ? end + 1 : end;
    *end = 0;
    return word;
}

static bool is_octal(const char *digits)
{
    for (int i = 0; i < 3; i++)
        if (digits[i] < '0' || digits[i] > '7')
            return false;
    return true;
}

/* The kernel writes blanks and backslashes in paths as \ and three octal digits. */
static char *unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at; to++) {
        bool escaped = *at == '\\' && is_octal(at + 1);
        *to = escaped ? (at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0') : *at;
        at += escaped ? 4 : 1;
    }
    *to = 0;
    return text;
}

/* A line has the fields: id, parent, device, root, mount point, options, any number of others, "-", type, and more. */
static void parse_line(char *line, struct mount *mount)
{
    mount->id = parse_decimal(cut_word(&line));
    mount->parent = parse_decimal(cut_word(&line));
    cut_word(&line);
    mount->root = unescape(cut_word(&line));
    mount->point = unescape(cut_word(&line));
    while (*line && strcmp(cut_word(&line), "-") != 0)
        ;
    mount->volume = strcmp(cut_word(&line), VOLUME_TYPE) == 0;
}

/* Reads the whole list, which the kernel gives out in pieces. */
static int read_list(void)
{
    const char *test = in_guest ? NULL : getenv(TEST_LIST);
    int fd = openat(proc_dir, test ? test : "self/mountinfo", O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && used < LIST_BYTES) {
        got = read(fd, list + used, LIST_BYTES - used);
        used += got > 0 ? got : 0;
    }
    close_fd(&fd);
    list[used] = 0;
    if (used == LIST_BYTES)
        errno = EOVERFLOW;
    return got < 0 || used == LIST_BYTES ? -1 : 0;
}

int mounts_read(void)
{
    mount_count = 0;
    if (read_list() < 0)
        return -1;
    for (char *line = list; *line; ) {
        if (mount_count == MAX_MOUNTS) {
            errno = EOVERFLOW;
            return -1;
        }
        char *end = strchrnul(line, '\n'), *next = *end ? end + 1 : end;
        *end = 0;
        parse_line(line, &mounts[mount_count++]);
        line = next;
    }
    return 0;
}

#define _GNU_SOURCE
#include "operations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flush.h"
#include "in-volume.h"
#include "send.h"
#include "transfers.h"
#include "util.h"

/* Entries of one turn. Each costs a stat and perhaps a read of the disk, for which every other stream waits. */
#define LIST_TURN 64
/* Bytes that are read of a directory at a time. */
#define DIRENTS 4096
/* The range of a JavaScript Date, in seconds. */
#define MAX_SECONDS 8640000000000ll

static _Alignas(struct dirent) uint8_t dirents[MAX_STREAMS][DIRENTS];

static int64_t milliseconds(const struct timespec *time)
{
    int64_t seconds = time->tv_sec;
    if (seconds >= MAX_SECONDS)
        return MAX_SECONDS * 1000;
    if (seconds < -MAX_SECONDS)
        return -MAX_SECONDS * 1000;
    return seconds * 1000 + time->tv_nsec / 1000000;
}

/* Writes an entry to `to`, which has room for MAX_ENTRY bytes, and returns its length. */
static uint32_t encode_entry(uint8_t *to, const struct stat *status, const char *name)
{
    uint64_t size = status->st_size;
    int64_t mtime = milliseconds(&status->st_mtim);
    uint32_t numbers[] = { status->st_mode, status->st_uid, status->st_gid, strnlen(name, MAX_NAME) };
    memcpy(to, &size, 8);
    memcpy(to + 8, &mtime, 8);
    memcpy(to + 16, numbers, sizeof numbers);
    memcpy(to + 32, name, numbers[3]);
    return 32 + numbers[3];
}

static int make_directory(const char *path, uint32_t mode)
{
    if (mkdir(path, mode & 0777) < 0)
        return -1;
    /* mkdir() applies the umask and does not set all bits. */
    return chmod(path, mode);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* mkdir -p, with this mode for the last directory. */
static int make_directory_and_parents(char *path, uint32_t mode)
{
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; )
        path[--length] = 0;
    if (is_directory(path))
        return 0;
    char *last = strrchr(path, '/');
    if (last > path) {
        *last = 0;
        int made = make_directories(path);
        *last = '/';
        if (made < 0)
            return -1;
    }
    if (make_directory(path, mode) == 0)
        return 0;
    int error = errno;
    /* Another process has made it meanwhile; or the path is "/new/.", whose upper part is the directory itself. */
    if (error == EEXIST && is_directory(path))
        return 0;
    errno = error;
    return -1;
}

static int stat_path(uint32_t id, const char *path, int flags, uint64_t *bytes)
{
    struct stat status;
    uint8_t entry[MAX_ENTRY];
    if (fstatat(AT_FDCWD, path, &status, flags) < 0)
        return -1;
    *bytes = encode_entry(entry, &status, "");
    send_file_data(id, entry, *bytes);
    return 0;
}

static int open_list(uint32_t id, uint32_t window, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    struct stream *stream = stream_open(id, LIST);
    stream->fd = fd;
    stream->credit = window;
    return 0;
}

/* Does the operation, or opens the stream of a LIST. -1 with errno if it failed. */
static int operate(const struct frame *frame, uint8_t operation, uint32_t mode, uint32_t window, char *path,
                   const char *second, uint64_t *bytes)
{
    errno = EINVAL;
    if (path[0] != '/' || (operation == FILE_RENAME && second[0] != '/'))
        return -1;
    switch (operation) {
    case FILE_STAT:
        return stat_path(frame->stream, path, 0, bytes);
    case FILE_LSTAT:
        return stat_path(frame->stream, path, AT_SYMLINK_NOFOLLOW, bytes);
    case FILE_MKDIR:
        return make_directory(path, mode);
    case FILE_MKDIRS:
        return make_directory_and_parents(path, mode);
    case FILE_RENAME:
        return rename(path, second);
    case FILE_REMOVE:
        return unlink(path);
    default: /* FILE_LIST */
        return open_list(frame->stream, window, path);
    }
}

bool operation_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint8_t operation = read_u8(&reader);
    uint32_t mode = read_u32(&reader);
    uint32_t window = read_u32(&reader);
    char *path = read_str(&reader, MAX_PATH);
    char *second = read_str(&reader, MAX_PATH);
    if (!read_all(&reader) || operation < FILE_STAT || operation > FILE_REMOVE || mode > MAX_MODE
        || window < MAX_ENTRY || window > MAX_WINDOW || !*path
        || (*second != 0) != (operation == FILE_RENAME))
        return false;
    bool follow = operation == FILE_STAT || operation == FILE_LIST;
    if (answered_in_volume(frame->stream, path, second, follow))
        return true;
    uint64_t bytes = 0;
    if (operate(frame, operation, mode, window, path, second, &bytes) < 0)
        send_fail(frame->stream, STAGE_OPEN, errno, path);
    else if (operation != FILE_LIST)
        send_u64(F_DONE, frame->stream, bytes);
    /* Even if it failed: it may have made directories. */
    if (operation >= FILE_MKDIR)
        flush_after_end();
    return true;
}

bool list_ready(const struct stream *stream)
{
    return stream->kind == LIST && stream->credit >= MAX_ENTRY;
}

/* The next entry other than "." and "..". NULL at the end, with errno 0, and on failure. */
static const struct dirent *next_entry(struct stream *stream)
{
    uint8_t *buffer = dirents[stream->slot];
    for (;;) {
        if (stream->head == stream->held) {
            errno = 0;
            int got = getdents(stream->fd, (struct dirent *)buffer, DIRENTS);
            if (got <= 0)
                return NULL;
            stream->head = 0;
            stream->held = got;
        }
        const struct dirent *entry = (const struct dirent *)(buffer + stream->head);
        stream->head += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry;
    }
}

/* Like lstat(2), but without a wait for a volume that is mounted there. */
static int stat_entry(const struct stream *stream, const struct dirent *entry, bool volumes, struct stat *status)
{
    if (!volumes || !entry_in_volume(stream->fd, entry->d_name))
        return fstatat(stream->fd, entry->d_name, status, AT_SYMLINK_NOFOLLOW);
    memset(status, 0, sizeof *status);
    status->st_mode = entry->d_type == DT_DIR ? S_IFDIR | 0755 : S_IFREG | 0644;
    return 0;
}

/*
 * Writes entries to `to` as far as this turn, the credit and the directory go, and returns their bytes. Sets `*ended`
 * at the end of the directory, with errno 0, and on failure.
 */
static uint32_t encode_entries(struct stream *stream, uint8_t *to, bool *ended)
{
    uint32_t used = 0, most = stream->credit < MAX_DATA ? stream->credit : MAX_DATA;
    bool volumes = holds_volumes(stream->fd);
    for (int i = 0; i < LIST_TURN && most - used >= MAX_ENTRY; i++) {
        struct stat status;
        const struct dirent *entry = next_entry(stream);
        *ended = !entry;
        if (!entry)
            return used;
        if (stat_entry(stream, entry, volumes, &status) == 0)
            used += encode_entry(to + used, &status, entry->d_name);
        else if (errno != ENOENT) { /* removed meanwhile */
            *ended = true;
            return used;
        }
    }
    return used;
}

void list_pump(struct stream *stream)
{
    bool ended = false;
    uint8_t *at = tx_data();
    if (!list_ready(stream) || !at)
        return;
    uint32_t used = encode_entries(stream, at, &ended);
    int error = errno;
    if (used)
        tx_data_done(stream->id, CH_FILE, used);
    stream->credit -= used;
    stream->bytes += used;
    if (!ended)
        return;
    if (error)
        send_fail(stream->id, STAGE_READ, error, "list");
    else
        send_u64(F_DONE, stream->id, stream->bytes);
    file_close(stream);
}

#define _GNU_SOURCE
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "protocol.h"
#include "util.h"

/* The name by which the emulator knows its 9p device. */
#define DEVICE "host9p"
/* In a file system of the memory, and gone before the box runs. */
#define ASIDE "/run/.volumes"
/*
 * version=9p2000.L   the host's server speaks no other
 * msize              the largest request for which the device has descriptors
 * cache=mmap         what the host changes is seen at once, and MAP_SHARED works
 * access=any         the server decides who may do what, by no user of the box
 */
#define OPTIONS "trans=virtio,version=9p2000.L,msize=512000,cache=mmap,access=any"
#define FLAGS (MS_NODEV | MS_NOSUID)

/* Descriptor of the mount of all volumes, which has no place in the box; -1 if there is none. */
static int root = -1;

const char *volume_step(const struct volume *volume)
{
    static char step[MAX_DETAIL + 1];
    memcpy(step, "volume ", 8);
    strncat(step, volume->path, MAX_DETAIL - 7);
    return step;
}

static int bind_volume(const struct volume *volume, uint32_t number)
{
    char source[sizeof ASIDE + 24] = ASIDE "/", digits[24];
    strcat(source, format_decimal(number, digits));
    if (make_directories(volume->path) < 0 || mount(source, volume->path, NULL, MS_BIND, NULL) < 0)
        return -1;
    return volume->readonly ? mount(NULL, volume->path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | FLAGS, NULL) : 0;
}

static const char *bind_volumes(const struct volume *volumes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (bind_volume(&volumes[i], i) < 0)
            return volume_step(&volumes[i]);
    return NULL;
}

const char *volumes_mount(const struct volume *volumes, uint32_t count)
{
    if (!count)
        return NULL;
    /* One mount for all: the kernel lets the device be mounted once. */
    if (mkdir(ASIDE, 0700) < 0 || mount(DEVICE, ASIDE, "9p", FLAGS, OPTIONS) < 0)
        return "volumes";
    root = open(ASIDE, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *failed = root < 0 ? "volumes" : bind_volumes(volumes, count);
    if (!failed && (umount2(ASIDE, MNT_DETACH) < 0 || rmdir(ASIDE) < 0))
        failed = "volumes";
    return failed;
}

int volumes_root(void)
{
    if (root < 0 && !in_guest)
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root;
}

void volumes_unmount(void)
{
    /* Nothing is unmounted that is still open. */
    close_fd(&root);
    if (!has_volumes)
        return;
    if (mounts_read() < 0) {
        report("mounts", errno);
        return;
    }
    /* From the last, so that those come first that were mounted on others. */
    for (int i = mount_count - 1; i >= 0; i--)
        if (mounts[i].volume && umount2(mounts[i].point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            report(mounts[i].point, errno);
}

#define _GNU_SOURCE
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "flush.h"
#include "hosts.h"
#include "protocol.h"
#include "reserve.h"
#include "util.h"

#define EXT4_RESIZE _IOW('f', 16, uint64_t)

int box_disk = -1;

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags,
                    const char *options)
{
    if (mkdir(target, 0755) < 0 && errno != EEXIST)
        return -1;
    return mount(source, target, type, flags, options);
}

/* Adds what commands expect in /dev beside the kernel's own nodes. A box can do without. */
static void fill_dev(void)
{
    static const char *const links[][2] = {
        { "/proc/self/fd", "/dev/fd" },     { "/proc/self/fd/0", "/dev/stdin" },
        { "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
        { "pts/ptmx", "/dev/ptmx" },
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
            report(links[i][1], errno);
    if (mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666,gid=5") < 0)
        report("devpts", errno);
    if (mount_at("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
        report("/dev/shm", errno);
}

static void raise_loopback(void)
{
    struct ifreq request = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        report("loopback", errno);
    close_fd(&fd);
}

const char *box_boot(void)
{
    bool mounted = mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL) == 0;
    /* If the kernel gave no console, pipes would get the numbers 0 to 2, which children overwrite. */
    int fd;
    do
        fd = open("/dev/console", O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd < 3);
    close_fd(&fd);
    if (!mounted)
        return "mount /dev";
    if (mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return "mount /proc";
    if (mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return "mount /sys";
    if (mount_at("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
        return "mount /run";
    fill_dev();
    cgroup_create();
    raise_loopback();
    if (mount_at("/dev/sda", "/base", "erofs", MS_RDONLY, NULL) < 0)
        return "mount base";
    /* In case a flush is late, the kernel writes dirty pages within two to three seconds. */
    if (write_file("/proc/sys/vm/dirty_writeback_centisecs", "100") < 0
        || write_file("/proc/sys/vm/dirty_expire_centisecs", "100") < 0)
        report("writing in time", errno);
    /* For commands that run in the base before SETUP. An image may lack these directories. */
    if (mount("/dev", "/base/dev", NULL, MS_BIND | MS_REC, NULL) < 0
        || mount("/proc", "/base/proc", NULL, MS_BIND | MS_REC, NULL) < 0)
        report("bind into base", errno);
    return NULL;
}

int clock_set(uint64_t ns)
{
    const struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    return clock_settime(CLOCK_REALTIME, &time);
}

/* Two boxes from one boot image would otherwise draw the same random numbers. */
static int reseed(const uint8_t *entropy, uint32_t length)
{
    struct {
        struct rand_pool_info info;
        uint8_t bytes[MAX_ENTROPY];
    } pool = { .info = { .entropy_count = length * 8, .buf_size = length } };
    memcpy(pool.info.buf, entropy, length);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int done = ioctl(fd, RNDADDENTROPY, &pool);
    /* ENODATA: the generator was not ready, and will draw its first key from what was just added. */
    if (done == 0 && ioctl(fd, RNDRESEEDCRNG) < 0 && errno != ENODATA)
        done = -1;
    memset(&pool, 0, sizeof pool);
    close(fd);
    return done;
}

/* Reads the size of the ext4 file system from its superblock: statfs leaves out what the file system itself takes. */
static int ext4_size(int device, uint64_t *blocks, uint32_t *block_size)
{
    uint8_t super[1024];
    uint32_t low, high, log;
    if (pread(device, super, sizeof super, 1024) != sizeof super)
        return -1;
    memcpy(&low, super + 0x4, 4);
    memcpy(&log, super + 0x18, 4);
    memcpy(&high, super + 0x150, 4);
    if (log > 6) {
        errno = EUCLEAN;
        return -1;
    }
    *block_size = 1024u << log;
    *blocks = (uint64_t)high << 32 | low;
    return 0;
}

/* Changes an option of the mounted disk, and keeps the others. */
static int remount_disk(const char *option)
{
    return fchdir(box_disk) < 0 || mount(NULL, ".", NULL, MS_REMOUNT | MS_NOATIME, option) < 0 ? -1 : chdir("/");
}

static int grow_disk(int device, uint64_t wanted, uint64_t *size)
{
    uint64_t blocks;
    uint32_t block_size;
    if (ext4_size(device, &blocks, &block_size) < 0)
        return -1;
    uint64_t wanted_blocks = wanted / block_size;
    if (wanted_blocks > blocks) {
        /* Under noinit_itable the kernel would write every new inode table now: 16 MB for each GB. */
        if (remount_disk("init_itable") < 0 || ioctl(box_disk, EXT4_RESIZE, &wanted_blocks) < 0
            || remount_disk("noinit_itable") < 0 || ext4_size(device, &blocks, &block_size) < 0)
            return -1;
    }
    *size = blocks * block_size;
    return 0;
}

static int size_disk(uint64_t wanted, uint64_t *size)
{
    int device = open("/dev/sdb", O_RDONLY | O_CLOEXEC);
    int done = device < 0 ? -1 : grow_disk(device, wanted, size);
    close_fd(&device);
    return done;
}

static int mount_disk(void)
{
    /*
     * noatime         reading does not write
     * remount-ro      a damaged disk is not damaged further
     * noinit_itable   the kernel does not write empty inode tables in the background long after the mount
     * dioread_lock    whatever commits the journal, including another program's fsync, first writes out the blocks that
     *                 files were given; with nolock, they read as zeroes until later. See kernel/ext4-ordered.patch
     * commit=1        in case a flush is late
     */
    if (mount_at("/dev/sdb", "/disk", "ext4", MS_NOATIME, "errors=remount-ro,noinit_itable,dioread_lock,commit=1") < 0)
        return -1;
    box_disk = open("/disk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return box_disk < 0 ? -1 : 0;
}

static int move_into_box(const char *from)
{
    char to[16] = "/box";
    strcat(to, from);
    if (mount(from, to, NULL, MS_MOVE, NULL) == 0)
        return 0;
    return errno == ENOENT && mkdir(to, 0755) == 0 ? mount(from, to, NULL, MS_MOVE, NULL) : -1;
}

/* Like switch_root(8). Commands inherit the agent's root. */
static int enter_box(void)
{
    if (chdir("/box") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return -1;
    return chdir("/");
}

/* Without redirect_dir, rename(2) of a directory of the base image would fail. */
#define OVERLAY "lowerdir=/base,upperdir=/disk/upper,workdir=/disk/work,redirect_dir=on,xino=on"

static int mount_overlay(void)
{
    if ((mkdir("/disk/upper", 0755) < 0 && errno != EEXIST) || (mkdir("/disk/work", 0755) < 0 && errno != EEXIST))
        return -1;
    return mount_at("overlay", "/box", "overlay", 0, OVERLAY);
}

const char *box_prepare(void)
{
    if (mount_disk() < 0)
        return "disk";
    flush_raise_kernel_priority();
    /* The mount makes a directory. Without a block for that, it would be read-only, and nothing could be removed. */
    reserve_open();
    int mounted = mount_overlay();
    reserve_restore();
    if (mounted < 0)
        return "overlay";
    if (move_into_box("/proc") < 0 || move_into_box("/sys") < 0 || move_into_box("/dev") < 0
        || move_into_box("/run") < 0 || enter_box() < 0)
        return "root";
    /* So that a boot image that is taken now has nothing on its way to the disk. */
    sync();
    return NULL;
}

const char *box_setup(const struct setup *setup, uint64_t *size)
{
    if (clock_set(setup->clock) < 0)
        return "clock";
    if (reseed(setup->entropy, setup->entropy_length) < 0)
        return "entropy";
    if (sethostname(setup->hostname, strlen(setup->hostname)) < 0)
        return "hostname";
    if (cgroup_limit_memory(setup->memory_limit) < 0)
        return "memory limit";
    if (cgroup_limit_processes(setup->process_limit) < 0)
        return "process limit";
    if (size_disk(setup->disk_size, size) < 0)
        return "disk size";
    /* A full disk is no reason not to start: only a started box can remove something. */
    reserve_open();
    hosts_add(setup->hostname);
    const char *failed = volumes_mount(setup->volumes, setup->volume_count);
    /* Afterwards, because it may lie in a volume. */
    if (!failed && make_directories(setup->workdir) < 0)
        failed = "working directory";
    reserve_restore();
    return failed;
}

const char *box_unmount(void)
{
    volumes_unmount();
    if (box_disk < 0)
        return NULL;
    /* The disk alone: what a volume does not take in is the volume's loss. */
    if (syncfs(box_disk) < 0)
        report("writing out the disk", errno);
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return "remount overlay";
    if (fchdir(box_disk) < 0 || mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return "remount disk";
    return NULL;
}

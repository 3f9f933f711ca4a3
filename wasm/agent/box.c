/* The guest around the agent: its mounts at boot, the box made by SETUP, and its end. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CGROUP "/sys/fs/cgroup/"
#define EXT4_RESIZE _IOW('f', 16, uint64_t)

int box_cgroup = -1;
int box_disk = -1;
/* Of the box's control group, -1 without one. */
static int cgroup_memory = -1, cgroup_events = -1, cgroup_cpu = -1;

/* The digits of a number, at the end of `digits`: printf would be a third of this program. */
static char *decimal(uint64_t value, char digits[24])
{
    char *at = digits + 23;
    *at = 0;
    do
        *--at = '0' + value % 10;
    while (value /= 10);
    return at;
}

void report(const char *what, int error)
{
    char line[128] = "agent: ", digits[24];
    strncat(line, what, 80);
    strcat(strcat(strcat(line, ": error "), decimal(error, digits)), "\n");
    if (write(2, line, strlen(line)) < 0)
        return;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = strlen(text), written = write(fd, text, length);
    int error = errno;
    close(fd);
    errno = error;
    return written == length ? 0 : -1;
}

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags,
                    const char *options)
{
    if (mkdir(target, 0755) < 0 && errno != EEXIST)
        return -1;
    return mount(source, target, type, flags, options);
}

/* What commands expect in /dev beside the kernel's own nodes. Missing ones cost comfort, not the box. */
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

static void make_cgroup(void)
{
    if (mount("cgroup2", CGROUP, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
        || write_file(CGROUP "cgroup.subtree_control", "+memory +pids") < 0
        || (mkdir(CGROUP "box", 0755) < 0 && errno != EEXIST))
        report("cgroup", errno);
    else
        box_cgroup = open(CGROUP "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cgroup_memory = open(CGROUP "box/memory.events", O_RDONLY | O_CLOEXEC);
    cgroup_events = open(CGROUP "box/cgroup.events", O_RDONLY | O_CLOEXEC);
    cgroup_cpu = open(CGROUP "box/cpu.stat", O_RDONLY | O_CLOEXEC);
}

/* The number that follows `name` and a space on a line of a file of the control group; `none` where there is no such line. */
static uint64_t cgroup_number(int fd, const char *name, uint64_t none)
{
    /* Room for the line's end before the first line. */
    char text[512] = "\n";
    size_t length = strlen(name);
    ssize_t got = fd < 0 ? -1 : pread(fd, text + 1, sizeof text - 2, 0);
    if (got <= 0)
        return none;
    text[got + 1] = 0;
    for (const char *line = text; line; line = strchr(line + 1, '\n')) {
        if (strncmp(line + 1, name, length) != 0 || line[1 + length] != ' ')
            continue;
        uint64_t value = 0;
        for (const char *at = line + length + 2; *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (*at - '0');
        return value;
    }
    return none;
}

uint64_t out_of_memory_count(void)
{
    return cgroup_number(cgroup_memory, "oom_kill", 0);
}

static bool any_command(void)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            return true;
    return false;
}

/* Without a control group only commands are known of, and are taken to be busy. */
bool box_runs(void)
{
    return cgroup_number(cgroup_events, "populated", any_command()) != 0;
}

uint64_t box_used(void)
{
    static uint64_t looks;
    return cgroup_number(cgroup_cpu, "usage_usec", looks += any_command());
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

/*
 * Everything that does not depend on the box, so that a snapshot taken after it has it done. The initramfs
 * needs only /init: directories are made here.
 */
const char *boot(void)
{
    bool mounted = mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL) == 0;
    /* Without a console given by the kernel, pipes would get the numbers 0 to 2, which children overwrite. */
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
    make_cgroup();
    raise_loopback();
    if (mount_at("/dev/sda", "/base", "erofs", MS_RDONLY, NULL) < 0)
        return "mount base";
    /* A second line, should a flush be late: the kernel writes dirty pages within two to three seconds. */
    if (write_file("/proc/sys/vm/dirty_writeback_centisecs", "100") < 0
        || write_file("/proc/sys/vm/dirty_expire_centisecs", "100") < 0)
        report("writing in time", errno);
    /* For what runs there before SETUP; an image without these directories goes without. */
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

/* Two boxes made from one snapshot would draw the same random numbers without it. */
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
    /* ENODATA: not ready before, so it will draw its first key from what was just added. */
    if (done == 0 && ioctl(fd, RNDRESEEDCRNG) < 0 && errno != ENODATA)
        done = -1;
    memset(&pool, 0, sizeof pool);
    close(fd);
    return done;
}

/*
 * Of the ext4 file system on `device`, from its superblock: statfs leaves out what the file system itself
 * takes.
 */
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

/* Of a mounted ext4, keeping the rest as it was mounted. */
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
     * noatime: reading would write. errors=remount-ro: a damaged disk is not damaged further. noinit_itable:
     * the kernel would go on writing empty inode tables in the background long after the mount. dioread_lock: whatever
     * commits the journal, an fsync of somebody else too, first writes out the blocks that files have been given; with
     * nolock they read as zeroes until later. See kernel/ext4-ordered.patch. commit=1: a second line, should a flush be late.
     */
    if (mount_at("/dev/sdb", "/disk", "ext4", MS_NOATIME, "errors=remount-ro,noinit_itable,dioread_lock,commit=1") < 0)
        return -1;
    box_disk = open("/disk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return box_disk < 0 ? -1 : 0;
}

/* Flushes are not to wait for their turn among the box's processes. Without it they are later on a busy box. */
static void hurry_flushes(void)
{
    uint64_t journal = 0;
    char digits[24] = "";
    int fd = open("/sys/fs/ext4/sdb/journal_task", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, digits, sizeof digits - 1) > 0)
        for (const char *at = digits; *at >= '0' && *at <= '9'; at++)
            journal = journal * 10 + (*at - '0');
    close_fd(&fd);
    if (!journal || setpriority(PRIO_PROCESS, journal, FLUSH_PRIORITY) < 0)
        report("priority of the journal", errno);
    if (write_file("/sys/devices/virtual/workqueue/writeback/nice", "-20") < 0)
        report("priority of writing", errno);
}

static int limit(const char *path, uint64_t value)
{
    char digits[24];
    if (box_cgroup < 0 && value) {
        errno = ENOSYS;
        return -1;
    }
    return box_cgroup < 0 ? 0 : write_file(path, value ? decimal(value, digits) : "max");
}

static int move_into_box(const char *from)
{
    char to[16] = "/box";
    strcat(to, from);
    if (mount(from, to, NULL, MS_MOVE, NULL) == 0)
        return 0;
    return errno == ENOENT && mkdir(to, 0755) == 0 ? mount(from, to, NULL, MS_MOVE, NULL) : -1;
}

/* As switch_root does it: commands inherit the agent's root. */
static int enter_box(void)
{
    if (chdir("/box") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return -1;
    return chdir("/");
}

/* Rename of a directory of the base image works as on any disk only with redirect_dir. */
#define OVERLAY "lowerdir=/base,upperdir=/disk/upper,workdir=/disk/work,redirect_dir=on,xino=on"

const char *box_prepare(void)
{
    if (mount_disk() < 0)
        return "disk";
    hurry_flushes();
    if ((mkdir("/disk/upper", 0755) < 0 && errno != EEXIST)
        || (mkdir("/disk/work", 0755) < 0 && errno != EEXIST)
        || mount_at("overlay", "/box", "overlay", 0, OVERLAY) < 0)
        return "overlay";
    if (move_into_box("/proc") < 0 || move_into_box("/sys") < 0 || move_into_box("/dev") < 0
        || move_into_box("/run") < 0 || enter_box() < 0)
        return "root";
    /* A snapshot taken now has nothing on its way to the disk. */
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
    if (limit(CGROUP "box/memory.max", setup->memory_limit) < 0)
        return "memory limit";
    if (limit(CGROUP "box/pids.max", setup->process_limit) < 0)
        return "process limit";
    if (size_disk(setup->disk_size, size) < 0)
        return "disk size";
    hosts_add(setup->hostname);
    return make_directories(setup->workdir) < 0 ? "working directory" : NULL;
}

/*
 * The overlay is the agent's own root and cannot go. Read-only, it and the disk below are as clean as
 * unmounted: the journal is empty, and the next mount has nothing to recover.
 */
const char *box_unmount(void)
{
    sync();
    if (box_disk < 0)
        return NULL;
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return "remount overlay";
    if (fchdir(box_disk) < 0 || mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return "remount disk";
    return NULL;
}

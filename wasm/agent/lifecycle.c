#define _GNU_SOURCE
#include "lifecycle.h"

#include <errno.h>
#include <signal.h>

#include "box.h"
#include "connection.h"
#include "flush.h"
#include "late.h"
#include "mounts.h"
#include "network.h"
#include "send.h"
#include "touch.h"
#include "transfers.h"
#include "util.h"
#include "volumes.h"

/* The time after KILL for processes that hang in the kernel. */
#define KILL_GRACE_MS 2000

static enum phase phase;
/* The end of the grace period of TERMINATING or KILLING. */
static int64_t grace_end;

enum phase lifecycle_phase(void)
{
    return phase;
}

bool shutting_down(void)
{
    return phase == TERMINATING || phase == KILLING;
}

int64_t shutdown_deadline(void)
{
    return shutting_down() ? grace_end : INT64_MAX;
}

/* A box that is made in part is not served. */
static bool fail_setup(const char *step)
{
    send_fail(0, STAGE_SETUP, errno, step);
    phase = DOWN;
    return true;
}

bool prepare_frame(void)
{
    if (phase != IN_BASE)
        return false;
    const char *failed = in_guest ? box_prepare() : NULL;
    if (failed)
        return fail_setup(failed);
    send_u64(F_DONE, 0, 0);
    phase = PREPARED;
    return true;
}

static void read_volumes(struct reader *reader, struct setup *setup)
{
    setup->volume_count = read_u32(reader);
    reader->bad |= setup->volume_count > MAX_VOLUMES;
    for (uint32_t i = 0; i < setup->volume_count && !reader->bad; i++) {
        uint8_t flags = read_u8(reader);
        setup->volumes[i].readonly = flags & VOLUME_READONLY;
        setup->volumes[i].path = read_str(reader, MAX_PATH);
        reader->bad |= flags > VOLUME_READONLY;
    }
}

/* Returns NULL, or the step whose path is not absolute, with errno. */
static const char *check_paths(const struct setup *setup)
{
    errno = EINVAL;
    if (setup->workdir[0] != '/')
        return "working directory";
    for (uint32_t i = 0; i < setup->volume_count; i++)
        if (setup->volumes[i].path[0] != '/')
            return volume_step(&setup->volumes[i]);
    return NULL;
}

bool setup_frame(const struct frame *frame)
{
    struct setup setup;
    struct reader reader = read_payload(frame);
    setup.clock = read_u64(&reader);
    setup.entropy = read_bytes(&reader, MIN_ENTROPY, MAX_ENTROPY, &setup.entropy_length);
    setup.hostname = read_str(&reader, MAX_HOSTNAME);
    setup.disk_size = read_u64(&reader);
    setup.memory_limit = read_u64(&reader);
    setup.process_limit = read_u32(&reader);
    setup.workdir = read_str(&reader, MAX_PATH);
    read_volumes(&reader, &setup);
    if (!read_all(&reader) || setup.clock > INT64_MAX || phase > PREPARED)
        return false;
    uint64_t size = setup.disk_size;
    const char *failed = check_paths(&setup);
    has_volumes = setup.volume_count > 0;
    if (in_guest && !failed && phase == IN_BASE)
        failed = box_prepare();
    if (in_guest && !failed)
        failed = box_setup(&setup, &size);
    if (failed)
        return fail_setup(failed);
    send_u64(F_READY, 0, size);
    phase = SERVING;
    flush_start(box_disk);
    return true;
}

bool network_frame(const struct frame *frame)
{
    struct network network;
    struct reader reader = read_payload(frame);
    network.address = read_u32(&reader);
    network.prefix = read_u8(&reader);
    network.gateway = read_u32(&reader);
    network.dns = read_u32(&reader);
    network.mtu = read_u32(&reader);
    if (!read_all(&reader) || network.prefix < 1 || network.prefix > 30 || network.mtu < MIN_MTU
        || network.mtu > MAX_MTU || phase < SERVING)
        return false;
    if (phase > SERVING) {
        send_fail(0, STAGE_LIMIT, ESHUTDOWN, "network");
        return true;
    }
    const char *failed = in_guest ? network_up(&network) : NULL;
    if (failed)
        send_fail(0, STAGE_SETUP, errno, failed);
    else
        send_u64(F_DONE, 0, 0);
    return true;
}

/* Test mode runs on a developer's machine, so there it signals only what it has started. */
static void signal_all(int number)
{
    if (in_guest) {
        kill(-1, number);
        return;
    }
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->kind == COMMAND)
            command_signal(streams[i], number);
}

void shutdown_begin(uint32_t grace_ms)
{
    if (shutting_down())
        return;
    for (int i = stream_count - 1; i >= 0; i--) {
        if (streams[i]->kind == CONNECTION)
            connection_give_up(streams[i], STAGE_LIMIT, ESHUTDOWN, "shutdown");
        else if (streams[i]->kind != COMMAND)
            file_give_up(streams[i], STAGE_LIMIT, ESHUTDOWN, "shutdown");
    }
    signal_all(SIGTERM);
    signal_all(SIGCONT);
    late_stop();
    touch_stop();
    /* Unmounting writes out what is left. */
    flush_stop();
    phase = TERMINATING;
    grace_end = now_ms() + grace_ms;
}

void shutdown_step(enum reaped reaped)
{
    if (!shutting_down() || (reaped != NO_CHILDREN && now_ms() < grace_end))
        return;
    if (reaped != NO_CHILDREN && phase == TERMINATING) {
        signal_all(SIGKILL);
        phase = KILLING;
        grace_end = now_ms() + KILL_GRACE_MS;
        return;
    }
    const char *failed = in_guest ? box_unmount() : NULL;
    if (failed)
        send_fail(0, STAGE_WRITE, errno, failed);
    else
        send_u64(F_DONE, 0, 0);
    phase = DOWN;
}

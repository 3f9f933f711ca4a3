#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "exec.h"
#include "pipes.h"
#include "send.h"
#include "util.h"

static bool read_size(struct reader *reader, struct winsize *size)
{
    uint32_t columns = read_u32(reader), rows = read_u32(reader);
    *size = (struct winsize){ .ws_col = columns, .ws_row = rows };
    return columns >= 1 && columns <= MAX_TERMINAL_SIZE && rows >= 1 && rows <= MAX_TERMINAL_SIZE;
}

/* Opens the command's side by an ioctl and not by its name, so that the box's /dev/pts does not matter. */
static int open_peer(int terminal, const struct winsize *size)
{
    int locked = 0;
    struct termios settings;
    if (terminal < 0 || ioctl(terminal, TIOCSPTLCK, &locked) < 0)
        return -1;
    int peer = ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (peer < 0)
        return -1;
    if (ioctl(peer, TIOCSWINSZ, size) < 0 || tcgetattr(peer, &settings) < 0)
        goto fail;
    /* Backspace then erases a whole character. */
    settings.c_iflag |= IUTF8;
    if (tcsetattr(peer, TCSANOW, &settings) == 0)
        return peer;
fail:
    close_fd(&peer);
    return -1;
}

bool terminal_frame(const struct frame *frame, int cgroup)
{
    struct reader reader = read_payload(frame);
    uint32_t window = read_u32(&reader);
    struct winsize size;
    struct command command = { .cgroup = cgroup, .terminal = true };
    bool fits = read_size(&reader, &size);
    if (!exec_read(&reader, &command) || !fits || window > MAX_WINDOW)
        return false;

    int output = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int peer = open_peer(output, &size);
    int input = peer < 0 ? -1 : fcntl(output, F_DUPFD_CLOEXEC, 0);
    struct stream *stream = NULL;
    if (input < 0) {
        send_fail(frame->stream, STAGE_LIMIT, errno, "terminal");
    } else {
        command.in = command.out = command.err = peer;
        stream = exec_start(frame->stream, window, &command);
    }
    close_fd(&peer);
    if (!stream) {
        close_fd(&input);
        close_fd(&output);
        return true;
    }
    stream->terminal = true;
    stream->in.fd = input;
    stream->out.fd = output;
    stdin_grant(stream);
    return true;
}

bool terminal_resize(const struct frame *frame, struct stream *stream)
{
    struct reader reader = read_payload(frame);
    struct winsize size;
    if (!read_size(&reader, &size) || !read_all(&reader))
        return false;
    /* An error means that the command is ending, which its EXIT will tell. */
    if (stream && stream->out.fd >= 0)
        ioctl(stream->out.fd, TIOCSWINSZ, &size);
    return !stream || stream->terminal;
}

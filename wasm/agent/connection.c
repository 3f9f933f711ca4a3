#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipes.h"
#include "polls.h"
#include "send.h"
#include "util.h"

#define STEP "connection"
/*
 * While a server's backlog is full, the kernel drops the SYN, and repeats it only after 1, 3, 7 s. On the loopback
 * nothing else delays an answer, and a server that dropped the SYN knows nothing of the connection. So one without an
 * answer is closed and made anew, after waits from the first to the longest.
 */
#define FIRST_RETRY_MS 10
#define LONGEST_RETRY_MS 160
/* The kernel's own limit with 6 repetitions. */
#define CONNECT_MS 127000

/* A connection to the port, which may still be under way; -1 with errno if it was refused. */
static int connect_to(const struct sockaddr *address, socklen_t length)
{
    int one = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* Bytes of the host are passed on at once: it has gathered them. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0
        && (connect(fd, address, length) == 0 || errno == EINPROGRESS))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int begin(struct stream *stream)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(stream->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(stream->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    stream->out.fd = stream->second ? connect_to((const struct sockaddr *)&v6, sizeof v6)
                                    : connect_to((const struct sockaddr *)&v4, sizeof v4);
    /* A descriptor for each direction, as commands have them. */
    if (stream->out.fd >= 0)
        stream->in.fd = fcntl(stream->out.fd, F_DUPFD_CLOEXEC, 0);
    return stream->in.fd < 0 ? errno : 0;
}

/* The errno with which connecting has failed; 0 if it has not, EINPROGRESS if that is not known yet. */
static int outcome(const struct stream *stream)
{
    struct pollfd now = { .fd = stream->out.fd, .events = POLLOUT };
    int error = 0;
    socklen_t length = sizeof error;
    if (poll(&now, 1, 0) == 0)
        return EINPROGRESS;
    return getsockopt(stream->out.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

/* Sets the end of the next wait. False if there has been time enough. */
static bool wait_longer(struct stream *stream)
{
    int64_t now = now_ms();
    if (!stream->retry_ms)
        stream->timeout_at = now + CONNECT_MS;
    else if (now >= stream->timeout_at)
        return false;
    stream->retry_ms = !stream->retry_ms ? FIRST_RETRY_MS
                       : stream->retry_ms < LONGEST_RETRY_MS ? stream->retry_ms * 2 : LONGEST_RETRY_MS;
    stream->retry_at = now + stream->retry_ms;
    return true;
}

/* Connects, as far as that goes without waiting, and answers if it is done. */
static void advance(struct stream *stream)
{
    int error = stream->connecting ? outcome(stream) : begin(stream);
    if (!stream->connecting && !error)
        error = outcome(stream);
    /* Servers that listen on "localhost" may have taken its IPv6 address alone. */
    if (error == ECONNREFUSED && !stream->second) {
        pipes_close(stream);
        stream->second = true;
        error = begin(stream);
        if (!error)
            error = outcome(stream);
        if (error && error != EINPROGRESS)
            error = ECONNREFUSED;
    }
    stream->connecting = error == EINPROGRESS;
    if (stream->connecting && wait_longer(stream))
        return;
    if (stream->connecting)
        error = ETIMEDOUT;
    if (error) {
        connection_give_up(stream, STAGE_OPEN, error, STEP);
        return;
    }
    send_u32(F_STARTED, stream->id, 0);
    stdin_grant(stream);
}

bool connection_frame(const struct frame *frame)
{
    struct reader reader = read_payload(frame);
    uint32_t window = read_u32(&reader), port = read_u32(&reader);
    if (!read_all(&reader) || window > MAX_WINDOW || port < 1 || port > 65535)
        return false;
    struct stream *stream = stream_open(frame->stream, CONNECTION);
    stream->credit = window;
    stream->port = port;
    advance(stream);
    return true;
}

void connection_poll(struct stream *stream, bool outputs)
{
    if (stream->connecting)
        stream->in.polled = poll_add(stream->in.fd, POLLOUT);
    else
        pipes_poll(stream, outputs);
}

void connection_pump(struct stream *stream)
{
    if (stream->connecting) {
        /* Its data is polled from the next turn on. */
        if (stream->in.polled >= 0 && polls[stream->in.polled].revents) {
            advance(stream);
        } else if (now_ms() >= stream->retry_at) {
            pipes_close(stream);
            stream->connecting = false;
            advance(stream);
        }
        return;
    }
    stream->bytes += pipes_pump(stream);
    if (stream->out.fd >= 0)
        return;
    if (stream->error) {
        connection_give_up(stream, STAGE_READ, stream->error, STEP);
        return;
    }
    if (!stream->ended)
        send_empty(F_EOF, stream->id);
    stream->ended = true;
    if (stream->in.fd >= 0)
        return;
    send_u64(F_DONE, stream->id, stream->bytes);
    pipes_close(stream);
    stream_close(stream);
}

int64_t connections_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < stream_count; i++) {
        const struct stream *stream = streams[i];
        if (stream->kind == CONNECTION && stream->connecting && stream->retry_at < next)
            next = stream->retry_at;
    }
    return next;
}

void connection_abort(struct stream *stream)
{
    /* Closed so, the server sees a reset: what is cut off must not look complete. */
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    int fd = stream->out.fd >= 0 ? stream->out.fd : stream->in.fd;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        report(STEP, errno);
    pipes_close(stream);
    stream_close(stream);
}

void connection_give_up(struct stream *stream, enum fail_stage stage, int error, const char *why)
{
    send_fail(stream->id, stage, error, why);
    connection_abort(stream);
}

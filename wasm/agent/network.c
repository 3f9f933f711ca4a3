#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flush.h"
#include "reserve.h"
#include "resolver.h"
#include "util.h"

#define CARD "eth0"
/*
 * Nothing is lost between the guest and its host, but a busy host may answer late. By default, the guest would send
 * everything again after 200 ms.
 */
#define RTO_MIN_MS 3000

static int set_address(int fd, unsigned long request, uint32_t address)
{
    struct ifreq card = { .ifr_name = CARD };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(address) } };
    memcpy(&card.ifr_addr, &in, sizeof in);
    return ioctl(fd, request, &card);
}

static int set_mtu(int fd, uint32_t mtu)
{
    struct ifreq card = { .ifr_name = CARD, .ifr_mtu = mtu };
    return ioctl(fd, SIOCSIFMTU, &card);
}

/* Without ARP: the host is the only other machine, and takes every packet. */
static int raise_card(int fd)
{
    struct ifreq card = { .ifr_name = CARD };
    if (ioctl(fd, SIOCGIFFLAGS, &card) < 0)
        return -1;
    card.ifr_flags |= IFF_NOARP | IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &card);
}

struct number_attribute {
    struct rtattr header;
    uint32_t value;
};
#define NUMBER(attribute, number) \
    { .header = { .rta_len = sizeof(struct number_attribute), .rta_type = attribute }, .value = number }

static int exchange(int fd, const void *request, size_t length)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr result;
    } answer;
    if (send(fd, request, length, 0) < 0)
        return -1;
    /* The kernel has answered by the time send() returns. */
    ssize_t got = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0)
        return -1;
    if ((size_t)got < sizeof answer.header + sizeof answer.result.error || answer.header.nlmsg_type != NLMSG_ERROR) {
        errno = EPROTO;
        return -1;
    }
    errno = -answer.result.error;
    return answer.result.error == 0 ? 0 : -1;
}

/* The address has a connected route since the card is up; this one leads everywhere else. */
static int add_default_route(uint32_t gateway)
{
    struct {
        struct nlmsghdr header;
        struct rtmsg route;
        struct number_attribute gateway, card;
        struct rtattr metrics;
        struct number_attribute locked, rto_min;
    } request = {
        .header = {
            .nlmsg_len = sizeof request,
            .nlmsg_type = RTM_NEWROUTE,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
        },
        .route = {
            .rtm_family = AF_INET,
            .rtm_table = RT_TABLE_MAIN,
            .rtm_protocol = RTPROT_BOOT,
            .rtm_scope = RT_SCOPE_UNIVERSE,
            .rtm_type = RTN_UNICAST,
        },
        .gateway = NUMBER(RTA_GATEWAY, htonl(gateway)),
        .card = NUMBER(RTA_OIF, if_nametoindex(CARD)),
        .metrics = { .rta_len = sizeof(struct rtattr) + 2 * sizeof(struct number_attribute), .rta_type = RTA_METRICS },
        /* The kernel uses a least retransmission timeout only if it is locked. */
        .locked = NUMBER(RTAX_LOCK, 1u << RTAX_RTO_MIN),
        .rto_min = NUMBER(RTAX_RTO_MIN, RTO_MIN_MS),
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int done = fd < 0 ? -1 : exchange(fd, &request, sizeof request);
    close_fd(&fd);
    return done;
}

static const char *set_up(int fd, const struct network *network)
{
    uint32_t mask = ~0u << (32 - network->prefix);
    if (fd < 0)
        return "socket";
    if (set_mtu(fd, network->mtu) < 0)
        return "MTU";
    /* While it is down, so that no route of another size comes in between. */
    if (set_address(fd, SIOCSIFADDR, network->address) < 0 || set_address(fd, SIOCSIFNETMASK, mask) < 0)
        return "address";
    if (raise_card(fd) < 0)
        return "card";
    return add_default_route(network->gateway) < 0 ? "route" : NULL;
}

const char *network_up(const struct network *network)
{
    /* The host speaks IPv4 alone: without addresses, programs do not try the other. */
    if (write_file("/proc/sys/net/ipv6/conf/" CARD "/disable_ipv6", "1") < 0)
        report("IPv6", errno);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const char *failed = set_up(fd, network);
    int error = errno;
    close_fd(&fd);
    errno = error;
    if (failed)
        return failed;
    /* As at SETUP, a full disk is no reason to go without. */
    reserve_open();
    if (resolver_set(network->dns))
        flush_after_write();
    reserve_restore();
    return NULL;
}

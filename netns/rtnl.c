/* SPDX-License-Identifier: Apache-2.0 */
/* rtnl.c - links, addresses and routes by rtnetlink (rtnetlink(7)), with libmnl loaded on first
 * use. */
#include "netns/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dl.h"
#include "base/mem.h"

enum { MESSAGE_BYTES = 1024, ANSWER_BYTES = 8192 };

static struct {
    struct mnl_socket *(*open2)(int bus, int flags);
    int (*bind)(struct mnl_socket *nl, unsigned groups, pid_t pid);
    int (*close)(struct mnl_socket *nl);
    ssize_t (*sendto)(const struct mnl_socket *nl, const void *p, size_t n);
    ssize_t (*recvfrom)(const struct mnl_socket *nl, void *p, size_t n);
    struct nlmsghdr *(*put_header)(void *buf);
    void *(*put_extra)(struct nlmsghdr *nlh, size_t size);
    void (*attr_put)(struct nlmsghdr *nlh, uint16_t type, size_t len, const void *data);
    struct nlattr *(*nest_start)(struct nlmsghdr *nlh, uint16_t type);
    void (*nest_end)(struct nlmsghdr *nlh, struct nlattr *start);
    isol8_error error;
    int status;
} mnl;

static pthread_once_t mnl_once = PTHREAD_ONCE_INIT;

static void mnl_load(void)
{
    static const struct dl_symbol symbols[] = {
        { "mnl_socket_open2", &mnl.open2 },
        { "mnl_socket_bind", &mnl.bind },
        { "mnl_socket_close", &mnl.close },
        { "mnl_socket_sendto", &mnl.sendto },
        { "mnl_socket_recvfrom", &mnl.recvfrom },
        { "mnl_nlmsg_put_header", &mnl.put_header },
        { "mnl_nlmsg_put_extra_header", &mnl.put_extra },
        { "mnl_attr_put", &mnl.attr_put },
        { "mnl_attr_nest_start", &mnl.nest_start },
        { "mnl_attr_nest_end", &mnl.nest_end },
        { NULL, NULL },
    };

    mnl.status = dl_load("libmnl.so.0", symbols, &mnl.error);
}

struct rtnl {
    struct mnl_socket *sock;
    unsigned seq;
};

int rtnl_open(struct rtnl **out, isol8_error *err)
{
    (void)pthread_once(&mnl_once, mnl_load);
    if (mnl.status < 0) {
        if (err != NULL)
            *err = mnl.error;
        return mnl.status;
    }
    auto_rtnl struct rtnl *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return err_nomem(err);
    r->sock = mnl.open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (r->sock == NULL || mnl.bind(r->sock, 0, MNL_SOCKET_AUTOPID) < 0)
        return err_sys(err, errno, "cannot open an rtnetlink socket");
    *out = take_ptr(&r);
    return 0;
}

void rtnl_close(struct rtnl *r)
{
    if (r == NULL)
        return;
    if (r->sock != NULL)
        (void)mnl.close(r->sock);
    free(r);
}

/* Send a request and wait for its acknowledgement. Return: 0 or -errno. */
static int talk(struct rtnl *r, struct nlmsghdr *nlh)
{
    char answer[ANSWER_BYTES] __attribute__((aligned(8)));
    const struct nlmsghdr *head = (const struct nlmsghdr *)answer;

    nlh->nlmsg_flags = (uint16_t)(nlh->nlmsg_flags | NLM_F_REQUEST | NLM_F_ACK);
    nlh->nlmsg_seq = ++r->seq;
    if (mnl.sendto(r->sock, nlh, nlh->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t n = mnl.recvfrom(r->sock, answer, sizeof(answer));
        if (n < 0)
            return -errno;
        if ((size_t)n >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && head->nlmsg_seq == r->seq &&
            head->nlmsg_type == NLMSG_ERROR)
            return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
    }
}

static struct nlmsghdr *begin(void *buf, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *nlh = mnl.put_header(buf);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = flags;
    return nlh;
}

int rtnl_veth(struct rtnl *r, const char *name, const char *peer_name, int peer_netns,
              isol8_error *err)
{
    char buf[MESSAGE_BYTES] __attribute__((aligned(8)));
    struct nlmsghdr *nlh = begin(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    (void)mnl.put_extra(nlh, sizeof(struct ifinfomsg));
    mnl.attr_put(nlh, IFLA_IFNAME, strlen(name) + 1, name);
    struct nlattr *info = mnl.nest_start(nlh, IFLA_LINKINFO);
    mnl.attr_put(nlh, IFLA_INFO_KIND, strlen("veth"), "veth");
    struct nlattr *data = mnl.nest_start(nlh, IFLA_INFO_DATA);
    struct nlattr *peer = mnl.nest_start(nlh, VETH_INFO_PEER);
    (void)mnl.put_extra(nlh, sizeof(struct ifinfomsg));
    mnl.attr_put(nlh, IFLA_IFNAME, strlen(peer_name) + 1, peer_name);
    mnl.attr_put(nlh, IFLA_NET_NS_FD, sizeof(uint32_t), &(uint32_t){ (uint32_t)peer_netns });
    mnl.nest_end(nlh, peer);
    mnl.nest_end(nlh, data);
    mnl.nest_end(nlh, info);
    int e = talk(r, nlh);
    return e < 0 ? err_sys(err, -e, "cannot create the link '%s'", name) : 0;
}

/* Index of a link in this thread's namespace; the name was made by us, so it exists. */
static int link_index(const char *name, isol8_error *err)
{
    unsigned index = if_nametoindex(name);

    return index == 0 ? err_sys(err, errno, "cannot find the link '%s'", name) : (int)index;
}

int rtnl_up(struct rtnl *r, const char *name, isol8_error *err)
{
    char buf[MESSAGE_BYTES] __attribute__((aligned(8)));
    int index = link_index(name, err);

    if (index < 0)
        return index;
    struct nlmsghdr *nlh = begin(buf, RTM_NEWLINK, 0);
    struct ifinfomsg *ifi = mnl.put_extra(nlh, sizeof(*ifi));
    ifi->ifi_index = index;
    ifi->ifi_flags = IFF_UP;
    ifi->ifi_change = IFF_UP;
    int e = talk(r, nlh);
    return e < 0 ? err_sys(err, -e, "cannot bring the link '%s' up", name) : 0;
}

int rtnl_address(struct rtnl *r, const char *name, struct in_addr address, uint8_t prefix,
                 isol8_error *err)
{
    char buf[MESSAGE_BYTES] __attribute__((aligned(8)));
    int index = link_index(name, err);

    if (index < 0)
        return index;
    struct nlmsghdr *nlh = begin(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *ifa = mnl.put_extra(nlh, sizeof(*ifa));
    ifa->ifa_family = AF_INET;
    ifa->ifa_prefixlen = prefix;
    ifa->ifa_index = (uint32_t)index;
    mnl.attr_put(nlh, IFA_LOCAL, sizeof(address), &address);
    mnl.attr_put(nlh, IFA_ADDRESS, sizeof(address), &address);
    int e = talk(r, nlh);
    return e < 0 ? err_sys(err, -e, "cannot give the link '%s' an address", name) : 0;
}

int rtnl_default_route(struct rtnl *r, struct in_addr gateway, isol8_error *err)
{
    char buf[MESSAGE_BYTES] __attribute__((aligned(8)));
    struct nlmsghdr *nlh = begin(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *rtm = mnl.put_extra(nlh, sizeof(*rtm));

    rtm->rtm_family = AF_INET;
    rtm->rtm_table = RT_TABLE_MAIN;
    rtm->rtm_protocol = RTPROT_STATIC;
    rtm->rtm_scope = RT_SCOPE_UNIVERSE;
    rtm->rtm_type = RTN_UNICAST;
    mnl.attr_put(nlh, RTA_GATEWAY, sizeof(gateway), &gateway);
    int e = talk(r, nlh);
    return e < 0 ? err_sys(err, -e, "cannot set the default route") : 0;
}

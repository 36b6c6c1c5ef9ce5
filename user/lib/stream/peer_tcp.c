// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tcp:HOST:PORT, tcp:[ADDRESS]:PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stream/peer.h"

#define BACKLOG 64

static int bad_address(const struct vf_peer *peer, const char *why, struct vferry_error *err)
{
	return vferry_fail(
		err, -EINVAL,
		"%s: %s; a TCP peer is tcp:HOST:PORT, with an IPv6 address in [brackets]",
		peer->name, why);
}

static int parse(struct vf_peer *peer, struct vferry_error *err)
{
	char *host = peer->rest;
	char *colon = strrchr(peer->rest, ':');
	char *end;
	unsigned long port;

	if (!colon)
		return bad_address(peer, "there is no port", err);
	*colon = '\0';
	if (*host == '[') {
		host++;
		if (colon[-1] != ']')
			return bad_address(peer, "the bracket is not closed", err);
		colon[-1] = '\0';
	} else if (strchr(host, ':')) {
		return bad_address(peer, "more than one colon", err);
	}
	port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
		return bad_address(peer, "the port is no number from 0 to 65535", err);
	/* No host means this machine, never "all interfaces". */
	peer->host = strdup(*host ? host : "localhost");
	peer->port = strdup(colon + 1);
	if (!peer->host || !peer->port)
		return vferry_fail(err, -ENOMEM, "no memory for a peer's address");
	return 0;
}

void vf_peer_tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 10 }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
	};

	/* On a unix socket they fail, which does no harm. */
	for (unsigned int i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			   sizeof(options[i].value));
}

/* Waits for a connect() under way. Return: 0, -ETIMEDOUT or what became of it. */
static int connected(int fd, uint64_t deadline_ns)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t size = sizeof(error);
	int ret;

	do {
		uint64_t now = vf_now_ns();
		uint64_t left_ms = now < deadline_ns ? (deadline_ns - now) / 1000000 + 1 : 0;

		ret = poll(&pfd, 1, left_ms > 3600000 ? 3600000 : (int)left_ms);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

static int connect_one(const struct addrinfo *ai, uint64_t deadline_ns)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen))
		ret = errno == EINPROGRESS ? connected(fd, deadline_ns) : -errno;
	if (!ret && fcntl(fd, F_SETFL, 0))
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	vf_peer_tune(fd);
	return fd;
}

static int no_connection(const struct vf_peer *peer, int ret, struct vferry_error *err)
{
	const char *hint = "";

	if (ret == -ECONNREFUSED)
		hint = ": is 'vferry recv' listening there? It listens on loopback only, unless "
		       "--insecure";
	else if (ret == -ETIMEDOUT)
		hint = ": is the host up, and does a firewall let the port through?";
	return vferry_fail(err, ret, "cannot connect to %s: %s%s", peer->name, strerror(-ret),
			   hint);
}

static int tcp_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		       struct vferry_error *err)
{
	uint64_t deadline = vf_peer_deadline(opts);
	struct addrinfo *list;
	int ret = vf_resolve(peer->host, peer->port, false, deadline, &list, err);

	if (ret)
		return ret;
	ret = -EHOSTUNREACH;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		ret = connect_one(ai, deadline);
		if (ret >= 0)
			break;
	}
	freeaddrinfo(list);
	if (ret < 0)
		return no_connection(peer, ret, err);
	link->in = ret;
	link->out = ret;
	link->socket = true;
	return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
	return false;
}

static int listen_one(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, ret;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Port 0 lets the kernel choose: say which it was. */
static void name_bound(struct vf_peer *peer, int fd)
{
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&bound, &size) ||
	    getnameinfo((struct sockaddr *)&bound, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(peer->name, sizeof(peer->name),
		 bound.ss_family == AF_INET6 ? "tcp:[%s]:%s" : "tcp:%s:%s", host, port);
}

static int tcp_listen(struct vf_peer *peer, const struct vf_peer_opts *opts,
		      struct vferry_error *err)
{
	struct addrinfo *list;
	int ret = vf_resolve(peer->host, peer->port, true, vf_peer_deadline(opts), &list, err);

	if (ret)
		return ret;
	ret = -EADDRNOTAVAIL;
	/* IPv4 first: who connects to "localhost" tries both, who connects to 127.0.0.1 only that. */
	for (int family = 0; family < 2 && ret < 0; family++)
		for (struct addrinfo *ai = list; ai && ret < 0; ai = ai->ai_next) {
			if ((ai->ai_family == AF_INET6) != family)
				continue;
			if (!opts->insecure && !is_loopback(ai->ai_addr)) {
				freeaddrinfo(list);
				return vferry_fail(
					err, -EPERM,
					"%s is not a loopback address, and a TCP stream is neither "
					"encrypted nor authenticated: use exec: with ssh or unix: "
					"between hosts, or --insecure on a network that you trust",
					peer->name);
			}
			ret = listen_one(ai);
		}
	freeaddrinfo(list);
	if (ret < 0)
		return vferry_fail(err, ret, "cannot listen on %s: %s%s", peer->name,
				   strerror(-ret),
				   ret == -EADDRINUSE ? ": someone else does; another port?" : "");
	name_bound(peer, ret);
	return ret;
}

const struct vf_peer_kind vf_peer_tcp = {
	.prefix = "tcp:",
	.parse = parse,
	.connect = tcp_connect,
	.listen = tcp_listen,
};

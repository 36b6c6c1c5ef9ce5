// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unix:PATH */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "stream/peer.h"

#define BACKLOG 64

static int parse(struct vf_peer *peer, struct vferry_error *err)
{
	struct sockaddr_un address;
	size_t length = strlen(peer->rest);

	if (!length)
		return vferry_fail(err, -EINVAL, "%s: the path is missing: unix:PATH", peer->name);
	if (length >= sizeof(address.sun_path))
		return vferry_fail(err, -ENAMETOOLONG,
				   "%s: the path has %zu bytes, a socket's may have %zu",
				   peer->name, length, sizeof(address.sun_path) - 1);
	return 0;
}

static struct sockaddr_un address_of(const struct vf_peer *peer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, peer->rest, strlen(peer->rest));
	return address;
}

/* A full backlog makes connect() wait: bounded by the send timeout, which it honours. */
static int connect_by(int fd, const struct sockaddr_un *address, uint64_t deadline)
{
	struct timeval none = { 0 };
	int ret;

	do {
		uint64_t now = vf_now_ns();
		uint64_t left_us = now < deadline ? (deadline - now) / 1000 + 1 : 1;
		struct timeval limit = {
			.tv_sec = (time_t)(left_us / 1000000),
			.tv_usec = (suseconds_t)(left_us % 1000000),
		};

		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	} while (ret == -EINTR && vf_now_ns() < deadline);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return ret == -EAGAIN || ret == -EINTR ? -ETIMEDOUT : ret;
}

static int unix_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
			struct vferry_error *err)
{
	struct sockaddr_un address = address_of(peer);
	const char *hint = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return vferry_fail(err, -errno, "cannot make a socket: %s", strerror(errno));
	ret = connect_by(fd, &address, vf_peer_deadline(opts));
	if (ret) {
		close(fd);
		if (ret == -ENOENT || ret == -ECONNREFUSED)
			hint = ": is 'vferry recv' listening there?";
		else if (ret == -EPROTOTYPE)
			hint = ": the socket is not one that vferry listens on";
		return vferry_fail(err, ret, "cannot connect to %s: %s%s", peer->name,
				   strerror(-ret), hint);
	}
	link->in = fd;
	link->out = fd;
	link->socket = true;
	return 0;
}

/* A socket file that nobody listens on any more, left by one who was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
	int ret = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;

	if (ret == -EADDRINUSE && is_stale(address)) {
		unlink(address->sun_path);
		ret = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	}
	/* Nobody can connect before listen(), so the mode counts from the first moment. */
	if (!ret && (chmod(address->sun_path, 0600) || listen(fd, BACKLOG)))
		ret = -errno;
	return ret;
}

static int unix_listen(struct vf_peer *peer, const struct vf_peer_opts *opts,
		       struct vferry_error *err)
{
	struct sockaddr_un address = address_of(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return vferry_fail(err, -errno, "cannot make a socket: %s", strerror(errno));
	ret = bind_and_listen(fd, &address);
	if (ret) {
		close(fd);
		return vferry_fail(
			err, ret, "cannot listen on %s: %s%s", peer->name, strerror(-ret),
			ret == -EADDRINUSE ? ": someone listens there, or it is another file" : "");
	}
	vf_peer_made(peer, address.sun_path);
	return fd;
}

const struct vf_peer_kind vf_peer_unix = {
	.prefix = "unix:",
	.parse = parse,
	.connect = unix_connect,
	.listen = unix_listen,
};

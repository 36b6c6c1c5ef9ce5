// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "ring/ring.h"

#define SLICE_NS 100000000ULL

static int try_connect(const char *path, uint64_t deadline_ns)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int sock;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	strcpy(name.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	while (connect(sock, (const struct sockaddr *)&name, sizeof(name))) {
		int ret = -errno;
		struct timespec pause = { .tv_nsec = 5000000 };

		/* EAGAIN: more callers are queued than the keeper's backlog holds. */
		if (ret == -EAGAIN && vf_now_ns() < deadline_ns) {
			nanosleep(&pause, NULL);
			continue;
		}
		close(sock);
		return ret == -EAGAIN ? -ETIMEDOUT : ret;
	}
	return sock;
}

/* Somebody in group vferry, not root, reaches root's keeper too. */
static int try_root(const char *own, uint64_t deadline_ns)
{
	const char *name = strrchr(own, '/');
	char path[PATH_MAX];

	if (geteuid() == 0 || getenv("VFERRY_RUN_DIR") || !name)
		return -ENOENT;
	snprintf(path, sizeof(path), "/run/vferry/keep%s", name);
	return try_connect(path, deadline_ns);
}

int vf_keeper_connect(const char *address, uint64_t deadline_ns, struct vferry_error *err)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int sock, ret;

	ret = vf_keeper_socket(address, path, sizeof(path), err);
	if (ret)
		return ret;
	sock = try_connect(path, deadline_ns);
	if (sock == -ENOENT || sock == -ECONNREFUSED) {
		sock = try_root(path, deadline_ns);
		if (sock == -ECONNREFUSED)
			sock = -ENOENT;
	}
	if (sock == -ENOENT)
		return vferry_fail(err, -ENOENT,
				   "no keeper holds %s (%s); start one with: vferry keep %s",
				   address, path, address);
	if (sock == -EACCES || sock == -EPERM)
		return vferry_fail(err, -EACCES,
				   "%s: permission denied: the keeper of %s lets in root, its own "
				   "user and group vferry",
				   path, address);
	if (sock < 0)
		return vferry_fail(err, sock, "%s: cannot reach the keeper of %s: %s", path,
				   address, strerror(-sock));
	return sock;
}

static int wait_for(int sock, short events, uint64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = sock, .events = events };
	sigset_t pending, blocked;

	for (;;) {
		uint64_t now = vf_now_ns(), left;
		struct timespec ts = { 0 };
		int n;

		left = deadline_ns > now ? deadline_ns - now : 0;
		if (left > SLICE_NS)
			left = SLICE_NS;
		ts.tv_nsec = (long)left;
		n = ppoll(&poll_fd, 1, &ts, NULL);
		if (n > 0)
			return 0;
		if (n < 0)
			return -errno;
		if (vf_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		/* A caller that takes its signals from a signalfd would wait here for ever. */
		if (!sigpending(&pending) && !pthread_sigmask(SIG_BLOCK, NULL, &blocked) &&
		    ((sigismember(&pending, SIGINT) && sigismember(&blocked, SIGINT)) ||
		     (sigismember(&pending, SIGTERM) && sigismember(&blocked, SIGTERM)) ||
		     (sigismember(&pending, SIGHUP) && sigismember(&blocked, SIGHUP))))
			return -EINTR;
	}
}

int vf_keeper_send_fd(int sock, const struct vf_keeper_request *request, int fd,
		      struct vferry_error *err)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint64_t deadline = vf_now_ns() + 5000000000ULL;
	uint8_t bytes[VF_KEEPER_REQUEST_MAX];
	struct iovec iov = { bytes, vf_keeper_encode(request, bytes) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	while (sendmsg(sock, &message, MSG_NOSIGNAL) < 0) {
		int ret = -errno;

		if (ret == -EAGAIN)
			ret = wait_for(sock, POLLOUT, deadline);
		if (ret == -EPIPE || ret == -ECONNRESET)
			return vferry_fail(err, -ECONNRESET, "the keeper has ended");
		if (ret && ret != -EINTR)
			return vferry_fail(err, ret, "cannot write to the keeper: %s",
					   strerror(-ret));
	}
	return 0;
}

int vf_keeper_send(int sock, const struct vf_keeper_request *request, struct vferry_error *err)
{
	return vf_keeper_send_fd(sock, request, -1, err);
}

/* Takes the descriptors out of the control buffer: the first VF_KEEPER_FDS to @fds, the others are closed. */
static unsigned int take_fds(struct msghdr *message, int *fds)
{
	unsigned int count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t bytes;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = c->cmsg_len - CMSG_LEN(0);
		for (size_t i = 0; i + sizeof(int) <= bytes; i += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i, sizeof(fd));
			if (fds && count < VF_KEEPER_FDS)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

ssize_t vf_keeper_receive(int sock, void *bytes, size_t room, int *fds, unsigned int *fd_count,
			  uint64_t deadline_ns, struct vferry_error *err)
{
	union {
		char room[CMSG_SPACE(VF_KEEPER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = bytes, .iov_len = room };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int taken;
	ssize_t n;
	int ret;

	if (fd_count)
		*fd_count = 0;
	for (;;) {
		message.msg_control = fds ? control.room : NULL;
		message.msg_controllen = fds ? sizeof(control.room) : 0;
		n = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		ret = -errno;
		if (ret == -EAGAIN)
			ret = wait_for(sock, POLLIN, deadline_ns);
		if (ret == -ETIMEDOUT)
			return vferry_fail(err, ret, "the keeper did not answer in time");
		if (ret == -EINTR)
			return vferry_fail(err, ret, "interrupted while waiting for the keeper");
		if (ret == -ECONNRESET)
			break;
		if (ret)
			return vferry_fail(err, ret, "cannot read from the keeper: %s",
					   strerror(-ret));
	}
	if (n <= 0)
		return vferry_fail(err, -ECONNRESET, "the keeper has ended");
	taken = take_fds(&message, fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (unsigned int i = 0; i < taken; i++)
			close(fds[i]);
		return vferry_fail(err, -EPROTO,
				   "the keeper sent a message beyond %zu bytes, or "
				   "descriptors that there is no room for (RLIMIT_NOFILE)",
				   room);
	}
	if (fd_count)
		*fd_count = taken;
	return n;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "bus/vfio_user_msg.h"
#include "ring/ring.h"

const char *vf_vu_command_name(unsigned int command)
{
	static const char *const names[] = {
		[VFIO_USER_VERSION] = "VERSION",
		[VFIO_USER_DMA_MAP] = "DMA_MAP",
		[VFIO_USER_DMA_UNMAP] = "DMA_UNMAP",
		[VFIO_USER_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
		[VFIO_USER_DEVICE_GET_REGION_INFO] = "DEVICE_GET_REGION_INFO",
		[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = "DEVICE_GET_REGION_IO_FDS",
		[VFIO_USER_DEVICE_GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO",
		[VFIO_USER_DEVICE_SET_IRQS] = "DEVICE_SET_IRQS",
		[VFIO_USER_REGION_READ] = "REGION_READ",
		[VFIO_USER_REGION_WRITE] = "REGION_WRITE",
		[VFIO_USER_DMA_READ] = "DMA_READ",
		[VFIO_USER_DMA_WRITE] = "DMA_WRITE",
		[VFIO_USER_DEVICE_RESET] = "DEVICE_RESET",
		[VFIO_USER_REGION_WRITE_MULTI] = "REGION_WRITE_MULTI",
	};

	if (command < sizeof(names) / sizeof(names[0]) && names[command])
		return names[command];
	return "an unknown command";
}

static int lost(struct vf_vu *vu, int code, const char *why, struct vferry_error *err)
{
	if (!vu->lost)
		vu->lost = why;
	return vferry_fail(err, code, "%s: the connection is over: %s", vu->name, vu->lost);
}

/* Waits for @events; 0, -ETIMEDOUT or -errno. */
static int wait_for(struct vf_vu *vu, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd pfd = { .fd = vu->fd, .events = events };
		uint64_t now = vf_now_ns();
		struct timespec ts;
		int ret;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)((deadline_ns - now) / 1000000000ULL);
		ts.tv_nsec = (long)((deadline_ns - now) % 1000000000ULL);
		ret = ppoll(&pfd, 1, &ts, NULL);
		if (ret > 0)
			return 0;
		if (ret < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(struct vf_vu *vu, struct iovec *iov, size_t count, const int *fds,
		    unsigned int fds_count, uint64_t deadline_ns, struct vferry_error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
		struct cmsghdr align;
	} control;
	bool begun = false;

	while (count) {
		struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
		ssize_t sent;

		if (fds_count && !begun) {
			struct cmsghdr *cmsg;

			memset(&control, 0, sizeof(control));
			message.msg_control = control.bytes;
			message.msg_controllen = CMSG_SPACE(sizeof(int) * fds_count);
			cmsg = CMSG_FIRSTHDR(&message);
			cmsg->cmsg_level = SOL_SOCKET;
			cmsg->cmsg_type = SCM_RIGHTS;
			cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds_count);
			memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fds_count);
		}
		sent = sendmsg(vu->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			int ret = wait_for(vu, POLLOUT, deadline_ns);

			if (ret == -ETIMEDOUT && !begun)
				return vferry_fail(err, ret,
						   "%s: the server takes no message: it has not "
						   "read its socket before the deadline",
						   vu->name);
			if (ret)
				return lost(vu, ret,
					    "the server stopped reading in the middle of a message",
					    err);
			continue;
		}
		if (sent < 0)
			return lost(vu, -ENODEV, strerror(errno), err);
		begun = true;
		while (count && (size_t)sent >= iov->iov_len) {
			sent -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count && sent) {
			iov->iov_base = (char *)iov->iov_base + sent;
			iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

/* Descriptors that came along with what is being read. */
struct luggage {
	int fds[VFIO_USER_MAX_FDS];
	unsigned int count;
	bool too_many;
};

static void drop(struct luggage *luggage)
{
	while (luggage->count)
		close(luggage->fds[--luggage->count]);
}

static void unpack(struct msghdr *message, struct luggage *luggage)
{
	struct cmsghdr *cmsg;

	if (message->msg_flags & MSG_CTRUNC)
		luggage->too_many = true;
	for (cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		unsigned int count;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (luggage->count < VFIO_USER_MAX_FDS) {
				luggage->fds[luggage->count++] = fd;
			} else {
				close(fd);
				luggage->too_many = true;
			}
		}
	}
}

static ssize_t take_part(struct vf_vu *vu, void *to, size_t bytes, struct luggage *luggage)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = bytes };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got = recvmsg(vu->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got > 0)
		unpack(&message, luggage);
	return got;
}

/* --- a connection that may outlive this process --- */

#define WHOLE_ROOM 65536

/*
 * Takes a message from the socket by one call, when all of it is there: a death between two calls would leave half a
 * message to the successor. One that is larger, or does not come, is left to the usual way.
 */
static void take_whole(struct vf_vu *vu, struct luggage *luggage, uint64_t deadline_ns)
{
	struct timespec pause = { .tv_nsec = 50000 };
	struct vfio_user_hdr header;
	uint32_t size;
	ssize_t got;
	int there;

	for (; !wait_for(vu, POLLIN, deadline_ns); nanosleep(&pause, NULL)) {
		struct pollfd closed = { .fd = vu->fd, .events = POLLRDHUP };

		got = recv(vu->fd, &header, sizeof(header), MSG_PEEK | MSG_DONTWAIT);
		if (got == (ssize_t)sizeof(header)) {
			size = le32toh(header.size);
			if (size < sizeof(header) || size > WHOLE_ROOM)
				return;
			if (!ioctl(vu->fd, FIONREAD, &there) && there >= 0 &&
			    (uint32_t)there >= size) {
				got = take_part(vu, vu->whole, size, luggage);
				vu->whole_at = 0;
				vu->whole_bytes = got > 0 ? (size_t)got : 0;
				return;
			}
		}
		if (poll(&closed, 1, 0) > 0)
			return;
	}
}

static ssize_t from_whole(struct vf_vu *vu, void *to, size_t bytes)
{
	size_t part = vu->whole_bytes - vu->whole_at;

	if (part > bytes)
		part = bytes;
	memcpy(to, vu->whole + vu->whole_at, part);
	vu->whole_at += part;
	return (ssize_t)part;
}

int vf_vu_keep(struct vf_vu *vu, struct vf_bus_kept *kept, struct vferry_error *err)
{
	vu->whole = malloc(WHOLE_ROOM);
	if (!vu->whole)
		return vferry_fail(err, -ENOMEM, "no memory");
	kept->message = vu->next_id;
	kept->stale = vu->stale;
	kept->max_fds = vu->max_fds;
	kept->max_xfer = vu->max_xfer;
	vu->kept = kept;
	return 0;
}

static void count_stale(struct vf_vu *vu, int more)
{
	vu->stale = (uint16_t)(vu->stale + more);
	if (vu->kept)
		vu->kept->stale = vu->stale;
}

/* Reads exactly @bytes. *@begun: something of this message has been read, so there is no giving up without losing the place. */
static int receive(struct vf_vu *vu, void *to, size_t bytes, struct luggage *luggage, bool *begun,
		   uint64_t deadline_ns, struct vferry_error *err)
{
	while (bytes) {
		ssize_t got;

		if (vu->whole && vu->whole_at == vu->whole_bytes && !*begun)
			take_whole(vu, luggage, deadline_ns);
		got = vu->whole_at < vu->whole_bytes ? from_whole(vu, to, bytes)
						     : take_part(vu, to, bytes, luggage);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			int ret = wait_for(vu, POLLIN, deadline_ns);

			if (ret == -ETIMEDOUT && !*begun)
				return ret;
			if (ret)
				return lost(vu, ret,
					    "the server stopped in the middle of a message", err);
			continue;
		}
		if (got < 0)
			return lost(vu, -ENODEV, strerror(errno), err);
		if (!got)
			return lost(vu, -ENODEV,
				    *begun ? "the server closed it in the middle of a message"
					   : "the server closed it",
				    err);
		*begun = true;
		to = (char *)to + got;
		bytes -= (size_t)got;
	}
	return 0;
}

static int skip(struct vf_vu *vu, size_t bytes, struct luggage *luggage, uint64_t deadline_ns,
		struct vferry_error *err)
{
	bool begun = true;
	char waste[4096];

	while (bytes) {
		size_t part = bytes < sizeof(waste) ? bytes : sizeof(waste);
		int ret = receive(vu, waste, part, luggage, &begun, deadline_ns, err);

		if (ret)
			return ret;
		bytes -= part;
	}
	return 0;
}

/* A request of the server's own: its memory is mapped by descriptor, so there is nothing that it needs to ask. */
static int decline(struct vf_vu *vu, const struct vfio_user_hdr *request, uint64_t deadline_ns,
		   struct vferry_error *err)
{
	struct vfio_user_hdr reply = {
		.message_id = request->message_id,
		.command = request->command,
		.size = htole32(sizeof(reply)),
		.flags = htole32(VFIO_USER_F_REPLY | VFIO_USER_F_ERROR),
		.error = htole32(EOPNOTSUPP),
	};
	struct iovec iov = { .iov_base = &reply, .iov_len = sizeof(reply) };

	if (le32toh(request->flags) & VFIO_USER_F_NO_REPLY)
		return 0;
	return send_all(vu, &iov, 1, NULL, 0, deadline_ns, err);
}

/* What is wrong with a header, or NULL. */
static const char *bad_header(const struct vfio_user_hdr *header)
{
	uint32_t size = le32toh(header->size);
	uint32_t type = le32toh(header->flags) & VFIO_USER_F_TYPE_MASK;

	if (size < sizeof(*header))
		return "a message's size is less than its header's";
	if (size > VFIO_USER_MAX_MESSAGE)
		return "a message's size is beyond what was negotiated";
	if (type != VFIO_USER_F_COMMAND && type != VFIO_USER_F_REPLY)
		return "a message is neither command nor reply (flags)";
	return NULL;
}

/* The reply to @id has come: its payload, and its descriptors, into @call. */
static int take_reply(struct vf_vu *vu, struct vf_vu_call *call, const struct vfio_user_hdr *header,
		      struct luggage *luggage, uint64_t deadline_ns, struct vferry_error *err)
{
	uint32_t payload = le32toh(header->size) - (uint32_t)sizeof(*header);
	const char *name = vf_vu_command_name(call->command);
	bool begun = true;
	int ret;

	if (le16toh(header->command) != call->command)
		return lost(vu, -EPROTO, "a reply names another command than its request", err);
	if (le32toh(header->flags) & VFIO_USER_F_ERROR) {
		uint32_t code = le32toh(header->error);

		ret = skip(vu, payload, luggage, deadline_ns, err);
		if (ret)
			return ret;
		if (!code || code > 4095)
			return vferry_fail(
				err, -EPROTO,
				"%s: the answer to %s is an error without a usable errno "
				"(error %u)",
				vu->name, name, code);
		return vferry_fail(err, -(int)code, "%s: the device refuses %s: %s (errno %u)",
				   vu->name, name, strerror((int)code), code);
	}
	if (payload < call->in_min || payload > call->in[0].iov_len + call->in[1].iov_len) {
		ret = skip(vu, payload, luggage, deadline_ns, err);
		if (ret)
			return ret;
		return vferry_fail(err, -EPROTO,
				   "%s: the answer to %s has a payload of %u bytes where %u to %zu "
				   "can be",
				   vu->name, name, payload, call->in_min,
				   call->in[0].iov_len + call->in[1].iov_len);
	}
	call->in_bytes = payload;
	for (unsigned int i = 0; i < 2 && payload; i++) {
		uint32_t part =
			payload < call->in[i].iov_len ? payload : (uint32_t)call->in[i].iov_len;

		ret = receive(vu, call->in[i].iov_base, part, luggage, &begun, deadline_ns, err);
		if (ret)
			return ret;
		payload -= part;
	}
	if (luggage->too_many || luggage->count > call->in_fds_room)
		return vferry_fail(
			err, -EPROTO,
			"%s: the answer to %s brings %u descriptors or more, expected at "
			"most %u",
			vu->name, name, luggage->count, call->in_fds_room);
	for (unsigned int i = 0; i < luggage->count; i++)
		call->in_fds[i] = luggage->fds[i];
	call->in_fds_count = luggage->count;
	luggage->count = 0;
	return 0;
}

static int await_reply(struct vf_vu *vu, struct vf_vu_call *call, uint16_t id, uint64_t deadline_ns,
		       struct vferry_error *err)
{
	for (;;) {
		struct luggage luggage = { .count = 0 };
		struct vfio_user_hdr header;
		bool begun = false, mine;
		const char *bad;
		int ret;

		/* Also against a server that fills the socket with anything but the answer. */
		if (vf_now_ns() >= deadline_ns)
			return lost(vu, -ETIMEDOUT, "the server sends anything but the answer",
				    err);
		ret = receive(vu, &header, sizeof(header), &luggage, &begun, deadline_ns, err);
		if (ret == -ETIMEDOUT && !begun) {
			count_stale(vu, 1);
			return vferry_fail(err, ret, "%s: no answer to %s within %.3f s", vu->name,
					   vf_vu_command_name(call->command),
					   (double)vu->timeout_ns / 1e9);
		}
		bad = ret ? NULL : bad_header(&header);
		if (bad)
			ret = lost(vu, -EPROTO, bad, err);
		if (ret) {
			drop(&luggage);
			return ret;
		}
		mine = (le32toh(header.flags) & VFIO_USER_F_TYPE_MASK) == VFIO_USER_F_REPLY &&
		       le16toh(header.message_id) == id;
		if (mine) {
			ret = take_reply(vu, call, &header, &luggage, deadline_ns, err);
			drop(&luggage);
			return ret;
		}
		ret = skip(vu, le32toh(header.size) - sizeof(header), &luggage, deadline_ns, err);
		drop(&luggage);
		if (ret)
			return ret;
		if ((le32toh(header.flags) & VFIO_USER_F_TYPE_MASK) == VFIO_USER_F_COMMAND) {
			ret = decline(vu, &header, deadline_ns, err);
			if (ret)
				return ret;
			continue;
		}
		/* The late answer to a request that was given up. */
		if (!vu->stale)
			return lost(vu, -EPROTO, "a reply with a message id that nothing waits for",
				    err);
		count_stale(vu, -1);
	}
}

int vf_vu_exchange(struct vf_vu *vu, struct vf_vu_call *call, struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + vu->timeout_ns;
	uint16_t id = vu->next_id++;
	struct vfio_user_hdr header = {
		.message_id = htole16(id),
		.command = htole16(call->command),
		.flags = htole32(VFIO_USER_F_COMMAND),
	};
	struct iovec iov[3] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		call->out[0],
		call->out[1],
	};
	int ret;

	call->in_bytes = 0;
	call->in_fds_count = 0;
	if (vu->kept)
		vu->kept->message = vu->next_id;
	if (vu->lost)
		return lost(vu, -ENODEV, vu->lost, err);
	if (call->out_fds_count > vu->max_fds)
		return vferry_fail(err, -E2BIG,
				   "%s: %s with %u descriptors, the server takes %u (max_msg_fds)",
				   vu->name, vf_vu_command_name(call->command), call->out_fds_count,
				   vu->max_fds);
	header.size = htole32((uint32_t)(sizeof(header) + iov[1].iov_len + iov[2].iov_len));
	ret = send_all(vu, iov, 3, call->out_fds, call->out_fds_count, deadline, err);
	if (ret)
		return ret;
	return await_reply(vu, call, id, deadline, err);
}

int vf_vu_connect(struct vf_vu *vu, const char *path, uint64_t timeout_ns, struct vferry_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret;

	*vu = (struct vf_vu){
		.fd = -1,
		.max_fds = 1,
		.max_xfer = VFIO_USER_MAX_XFER,
		.timeout_ns = timeout_ns,
		.name = path,
	};
	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return vferry_fail(err, -EINVAL,
				   "vfio-user:%s: a socket's path has 1 to %zu characters", path,
				   sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	vu->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (vu->fd < 0)
		return vferry_fail(err, -errno, "no socket: %s", strerror(errno));
	if (!connect(vu->fd, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	ret = -errno;
	vf_vu_close(vu);
	switch (ret) {
	case -ENOENT:
		return vferry_fail(err, ret, "%s: no such socket; is the owner device running?",
				   path);
	case -ECONNREFUSED:
		return vferry_fail(err, ret,
				   "%s: nobody listens at this socket; its owner device has ended",
				   path);
	case -EACCES:
	case -EPERM:
		return vferry_fail(err, -EACCES,
				   "%s: no permission to connect; the socket's owner or group must "
				   "allow this user",
				   path);
	case -EAGAIN:
		return vferry_fail(err, -EBUSY,
				   "%s: the server accepts no connection: its backlog is full, so "
				   "another client holds the device",
				   path);
	case -EPROTOTYPE:
		return vferry_fail(err, ret, "%s: a socket of another kind than vfio-user's stream",
				   path);
	}
	return vferry_fail(err, ret, "%s: cannot connect: %s", path, strerror(-ret));
}

void vf_vu_close(struct vf_vu *vu)
{
	if (vu->fd >= 0)
		close(vu->fd);
	vu->fd = -1;
	free(vu->whole);
	vu->whole = NULL;
}

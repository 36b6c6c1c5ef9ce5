// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One vfio-user connection: framing, descriptors, answers. It waits with io_uring and never blocks. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "server.h"

#define TURN_MESSAGES 64U /* of one connection before the others have their turn */
#define BODY_FIRST    4096U

static void conn_pump(struct conn *conn);

static struct owner *owner_of(struct conn *conn)
{
	return conn->server->fn->owner;
}

static void drop_fds(struct conn *conn)
{
	for (unsigned int i = 0; i < conn->fd_count; i++)
		if (conn->fds[i] >= 0)
			owner_close(owner_of(conn), conn->fds[i]);
	conn->fd_count = 0;
}

static void conn_put(struct conn *conn)
{
	if (!conn->dead || conn->poll.busy || conn->waiting)
		return;
	reply_free(&conn->reply);
	free(conn->body);
	free(conn->out);
	free(conn);
}

static void end(struct conn *conn)
{
	conn->dead = true;
	vf_timer_stop(owner_of(conn)->ring, &conn->timer);
	if (conn->claiming)
		conn->waiting = conn->claiming = false;
	vf_ring_cancel(owner_of(conn)->ring, &conn->poll);
	close(conn->fd);
	drop_fds(conn);
	server_lost(conn->server, conn);
	conn_put(conn);
}

void conn_close(struct conn *conn)
{
	if (conn->dead)
		return;
	/* The poll holds the socket: end it first, so that the client notices. */
	shutdown(conn->fd, SHUT_RDWR);
	end(conn);
}

bool conn_pause(struct conn *conn)
{
	if (conn->dead || conn->paused || conn->waiting || conn->have || conn->out_count)
		return false;
	conn->paused = true;
	return true;
}

void conn_go_on(struct conn *conn)
{
	conn->paused = false;
	conn_pump(conn);
}

void conn_give(struct conn *conn)
{
	end(conn);
}

bool conn_peer_gone(const struct conn *conn)
{
	struct pollfd fd = { .fd = conn->fd, .events = POLLRDHUP };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLRDHUP | POLLERR);
}

/* --- waiting ---------------------------------------------------------------------------------------------- */

static void conn_event(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct conn *conn = container_of(op, struct conn, poll);

	if (conn->dead) {
		conn_put(conn);
		return;
	}
	conn_pump(conn);
}

static void conn_wait(struct conn *conn, short events)
{
	struct io_uring_sqe *sqe;

	if (conn->poll.busy)
		return;
	conn->poll.done = conn_event;
	sqe = vf_ring_sqe(owner_of(conn)->ring, &conn->poll);
	io_uring_prep_poll_add(sqe, conn->fd, (unsigned int)events);
}

static void conn_timer(struct vf_timer *timer)
{
	struct conn *conn = container_of(timer, struct conn, timer);

	if (conn->negotiated)
		conn_pump(conn);
	else if (!conn->waiting)
		conn_close(conn);
}

/* --- answers ---------------------------------------------------------------------------------------------- */

/* False when the connection is over. */
static bool flush(struct conn *conn)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
		struct cmsghdr align;
	} control;

	while (conn->out_done < conn->out_count) {
		struct iovec iov = { conn->out + conn->out_done, conn->out_count - conn->out_done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (conn->out_fd_count) {
			struct cmsghdr *cmsg;

			memset(&control, 0, sizeof(control));
			msg.msg_control = control.bytes;
			msg.msg_controllen = CMSG_SPACE(sizeof(int) * conn->out_fd_count);
			cmsg = CMSG_FIRSTHDR(&msg);
			cmsg->cmsg_level = SOL_SOCKET;
			cmsg->cmsg_type = SCM_RIGHTS;
			cmsg->cmsg_len = CMSG_LEN(sizeof(int) * conn->out_fd_count);
			memcpy(CMSG_DATA(cmsg), conn->out_fds, sizeof(int) * conn->out_fd_count);
		}
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			conn_wait(conn, POLLOUT);
			return true;
		}
		if (n <= 0) {
			conn_close(conn);
			return false;
		}
		conn->out_done += (size_t)n;
		conn->out_fd_count = 0;
	}
	conn->out_count = conn->out_done = 0;
	if (conn->last) {
		conn_close(conn);
		return false;
	}
	return true;
}

/* Answers the message in hand and makes room for the next. False when the connection is over. */
static bool conn_answer(struct conn *conn, int result)
{
	struct reply *reply = &conn->reply;
	size_t count = sizeof(struct vfio_user_hdr) + (result ? 0 : reply->count);
	uint32_t flags = le32toh(conn->head.hdr.flags);
	struct vfio_user_hdr hdr = {
		.message_id = conn->head.hdr.message_id,
		.command = conn->head.hdr.command,
		.size = htole32((uint32_t)count),
		.flags = htole32(VFIO_USER_F_REPLY | (result ? VFIO_USER_F_ERROR : 0)),
		.error = htole32((uint32_t)-result),
	};
	uint8_t *out;

	if (result && owner_of(conn)->opts.verbose)
		fprintf(stderr, "vferry-owner: function %u: %s\n", conn->server->fn->number,
			reply->words[0] ? reply->words : strerror(-result));
	drop_fds(conn);
	conn->have = 0;
	if (conn->room > BODY_FIRST) {
		free(conn->body);
		conn->body = NULL;
		conn->room = 0;
	}
	if (flags & VFIO_USER_F_NO_REPLY) {
		if (conn->last)
			conn_close(conn);
		return !conn->dead;
	}
	out = realloc(conn->out, count);
	if (!out) {
		conn_close(conn);
		return false;
	}
	conn->out = out;
	memcpy(out, &hdr, sizeof(hdr));
	if (!result && reply->count)
		memcpy(out + sizeof(hdr), reply->data, reply->count);
	conn->out_count = count;
	conn->out_done = 0;
	conn->out_fd_count = result ? 0 : reply->fd_count;
	memcpy(conn->out_fds, reply->fds, sizeof(conn->out_fds));
	return flush(conn);
}

/* A message whose end cannot be known, or a peer that floods: say why, and part. */
static bool conn_refuse(struct conn *conn, const char *words)
{
	conn->last = true;
	conn->reply.count = 0;
	snprintf(conn->reply.words, sizeof(conn->reply.words), "%s", words);
	return conn_answer(conn, -EINVAL);
}

/* --- messages --------------------------------------------------------------------------------------------- */

static bool greet(struct conn *conn, struct message *message)
{
	int ret = message_version(message, &conn->caps, &conn->reply);

	if (!ret)
		ret = server_claim(conn->server, conn);
	if (ret == -EAGAIN) {
		conn->waiting = conn->claiming = true;
		return false;
	}
	if (ret) {
		conn->last = true;
		return conn_answer(conn, ret);
	}
	conn->negotiated = true;
	vf_timer_stop(owner_of(conn)->ring, &conn->timer);
	return conn_answer(conn, 0);
}

static void quiet_now(void *arg)
{
	conn_resume(arg);
}

/* The message in hand is whole. False: wait, or over. */
static bool dispatch(struct conn *conn)
{
	struct function *fn = conn->server->fn;
	struct message message = {
		.id = le16toh(conn->head.hdr.message_id),
		.command = le16toh(conn->head.hdr.command),
		.flags = le32toh(conn->head.hdr.flags),
		.body = conn->body,
		.count = conn->have - sizeof(conn->head),
		.fds = conn->fds,
		.fd_count = conn->fd_count,
		.max_fds = conn->caps.max_fds,
	};
	enum message_reach reach;
	int ret;

	conn->reply.count = 0;
	conn->reply.fd_count = 0;
	conn->reply.words[0] = '\0';
	if (!conn->negotiated)
		return greet(conn, &message);
	reach = message_reach(fn, &message);
	conn->quiesce.done = quiet_now;
	conn->quiesce.arg = conn;
	if (reach != MESSAGE_PLAIN &&
	    !fn_quiesce(fn->owner, reach == MESSAGE_QUIETS_ALL ? NULL : fn, &conn->quiesce)) {
		conn->waiting = true;
		return false;
	}
	ret = message_handle(fn, &message, &conn->reply);
	/* The message may have taken the function away. */
	if (conn->dead)
		return false;
	return conn_answer(conn, ret);
}

/* Up to @count bytes and the descriptors beside them. 1 some, 0 none now, -1 over. */
static int receive(struct conn *conn, uint8_t *to, size_t count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { to, count };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	bool flood = false;
	ssize_t n;

	do
		n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		conn_close(conn);
		return -1;
	}
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		size_t fds;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		fds = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (conn->fd_count < VFIO_USER_MAX_FDS) {
				conn->fds[conn->fd_count++] = fd;
			} else {
				owner_close(owner_of(conn), fd);
				flood = true;
			}
		}
	}
	conn->have += (size_t)n;
	if (flood || msg.msg_flags & MSG_CTRUNC) {
		conn_refuse(conn, "more than 16 descriptors in a message");
		return -1;
	}
	return 1;
}

static bool head_valid(struct conn *conn, size_t *size)
{
	size_t most = conn->negotiated ? VFIO_USER_MAX_MESSAGE : VERSION_MESSAGE_MAX;

	*size = le32toh(conn->head.hdr.size);
	return *size >= sizeof(conn->head) && *size <= most &&
	       (le32toh(conn->head.hdr.flags) & VFIO_USER_F_TYPE_MASK) == VFIO_USER_F_COMMAND;
}

/* The body's buffer grows with what has come, not with what was announced. */
static bool body_room(struct conn *conn, size_t need)
{
	size_t have = conn->have - sizeof(conn->head), room = conn->room;
	uint8_t *body;

	if (have < room)
		return true;
	room = room ? room * 2 : BODY_FIRST;
	if (room > need && need > BODY_FIRST)
		room = need;
	body = realloc(conn->body, room);
	if (!body) {
		conn_close(conn);
		return false;
	}
	conn->body = body;
	conn->room = room;
	return true;
}

/* Reads on in the message. 1 it is whole, 0 wait for more, -1 over. */
static int message_read(struct conn *conn)
{
	size_t size, need, room;
	int ret;

	while (conn->have < sizeof(conn->head)) {
		ret = receive(conn, conn->head.bytes + conn->have, sizeof(conn->head) - conn->have);
		if (ret <= 0)
			return ret;
	}
	if (!head_valid(conn, &size)) {
		conn_refuse(conn, "a message with an impossible size or type");
		return -1;
	}
	while (conn->have < size) {
		need = size - sizeof(conn->head);
		if (!body_room(conn, need))
			return -1;
		room = conn->room - (conn->have - sizeof(conn->head));
		if (room > size - conn->have)
			room = size - conn->have;
		ret = receive(conn, conn->body + (conn->have - sizeof(conn->head)), room);
		if (ret <= 0)
			return ret;
	}
	return 1;
}

static void conn_pump(struct conn *conn)
{
	if (conn->dead || conn->paused || conn->waiting || !flush(conn))
		return;
	for (unsigned int n = 0; n < TURN_MESSAGES; n++) {
		int ret;

		/* The last answer first: a client that does not read gets no further. */
		if (conn->out_count)
			return;
		ret = message_read(conn);
		if (ret < 0)
			return;
		if (!ret) {
			conn_wait(conn, POLLIN);
			return;
		}
		if (!dispatch(conn))
			return;
	}
	vf_timer_set(owner_of(conn)->ring, &conn->timer, vf_now_ns());
}

void conn_resume(struct conn *conn)
{
	conn->waiting = conn->claiming = false;
	if (conn->dead)
		conn_put(conn);
	else if (dispatch(conn))
		conn_pump(conn);
}

struct conn *conn_new(struct server *server, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return NULL;
	}
	conn->server = server;
	conn->fd = fd;
	conn->timer.fn = conn_timer;
	vf_timer_set(server->fn->owner->ring, &conn->timer, vf_now_ns() + SERVER_GREETING_NS);
	conn_wait(conn, POLLIN);
	return conn;
}

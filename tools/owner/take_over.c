// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DIR/take-over.sock: one datagram is a request, one the answer, "ok" or "error WORDS".
 *
 *   give N PATH M    to the owner that has the connection: hand VF N's to VF M of the owner at PATH
 *   take M           from that owner to the other one, with descriptors (take_state.c)
 *
 * Both VFs have to be in Freeze: nothing is inside then, and what the client says meanwhile waits in the socket. The
 * giver reads no further until the taker has answered; it keeps the connection when the answer is an error.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "take_over.h"

#define NAME	      "take-over.sock"
#define REQUEST_BYTES 256U
#define REQUESTS_MAX  64U

struct request {
	struct vf_op op;
	struct request *next;
	struct take_over *room;
	int asker; /* who said give or take */
	int taker; /* the other owner, while it is asked; else -1 */
	struct function *fn;
	bool dead;
};

struct take_over {
	struct vf_op accept;
	struct vf_timer retry;
	struct owner *owner;
	struct request *requests;
	unsigned int count;
	int listener;
	bool ending;
	char path[108];
};

static void wait_for(struct request *request, int fd);

/* --- one request ------------------------------------------------------------------------------------------ */

static void request_put(struct request *request)
{
	struct request **link = &request->room->requests;

	if (!request->dead || request->op.busy)
		return;
	while (*link != request)
		link = &(*link)->next;
	*link = request->next;
	request->room->count--;
	free(request);
}

static void request_close(struct request *request)
{
	if (request->dead)
		return;
	request->dead = true;
	vf_ring_cancel(request->room->owner->ring, &request->op);
	close(request->asker);
	if (request->taker >= 0)
		close(request->taker);
	request_put(request);
}

static void answer(struct request *request, int ret, const struct vferry_error *err)
{
	char text[300];
	int length = ret ? snprintf(text, sizeof(text), "error %.250s", err->text)
			 : snprintf(text, sizeof(text), "ok");

	if (send(request->asker, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    request->room->owner->opts.verbose)
		fprintf(stderr, "vferry-owner: take-over: the asker is gone: %s\n", text);
	request_close(request);
}

static struct function *vf_at(struct owner *owner, unsigned int number, struct vferry_error *err)
{
	if (!number || number > owner->opts.vfs || !fn_exists(&owner->vfs[number])) {
		vferry_fail(err, -ENODEV, "there is no VF %u", number);
		return NULL;
	}
	if (owner->vfs[number].mode != VFERRY_MODE_FREEZE || owner->vfs[number].io->inflight) {
		vferry_fail(err, -EBUSY, "VF %u is not in Freeze", number);
		return NULL;
	}
	return &owner->vfs[number];
}

/* --- taking ----------------------------------------------------------------------------------------------- */

static int take_client(struct owner *owner, unsigned int number, struct take_fds *fds,
		       struct vferry_error *err)
{
	struct function *fn = vf_at(owner, number, err);
	struct version_caps caps;
	int ret;

	if (!fn)
		return err->code;
	if (fn->io->server->client || fn->io->server->leaving || fn->io->server->stale)
		return vferry_fail(err, -EBUSY, "VF %u has a client", number);
	ret = take_load(fn, fds, &caps, err);
	if (ret)
		return ret;
	ret = server_adopt(fn->io->server, fds->fds[0], &caps);
	fds->fds[0] = -1;
	return ret ? vferry_fail(err, ret, "no memory") : 0;
}

/* --- giving ----------------------------------------------------------------------------------------------- */

static int send_take(int taker, unsigned int number, struct take_fds *fds, struct vferry_error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * TAKE_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	char text[32];
	struct iovec iov = { text, (size_t)snprintf(text, sizeof(text), "take %u", number) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * fds->count),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds->count);
	memcpy(CMSG_DATA(cmsg), fds->fds, sizeof(int) * fds->count);
	if (sendmsg(taker, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return vferry_fail(err, -errno, "the other owner: %s", strerror(errno));
	return 0;
}

static int reach(const char *path, int *taker, struct vferry_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return vferry_fail(err, -ENAMETOOLONG, "%.100s: too long", path);
	strcpy(address.sun_path, path);
	*taker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*taker < 0)
		return vferry_fail(err, -errno, "socket: %s", strerror(errno));
	if (connect(*taker, (struct sockaddr *)&address, sizeof(address)))
		return vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int give_client(struct request *request, unsigned int number, const char *path,
		       unsigned int to, struct vferry_error *err)
{
	struct function *fn = vf_at(request->room->owner, number, err);
	struct take_fds fds = { .count = 1 };
	struct conn *client;
	int ret;

	if (!fn)
		return err->code;
	client = fn->io->server->client;
	if (!client)
		return vferry_fail(err, -ENOTCONN, "VF %u has no client", number);
	if (fn->io->doorbells.count)
		return vferry_fail(err, -EOPNOTSUPP,
				   "VF %u's client rings by eventfd, which cannot be taken over",
				   number);
	if (!conn_pause(client))
		return vferry_fail(err, -EAGAIN, "VF %u's client is in the middle of a message",
				   number);
	fds.fds[0] = client->fd;
	ret = reach(path, &request->taker, err);
	if (!ret)
		ret = take_save(fn, &client->caps, &fds, err);
	if (!ret) {
		ret = send_take(request->taker, to, &fds, err);
		close(fds.fds[1]);
	}
	if (ret) {
		conn_go_on(client);
		return ret;
	}
	request->fn = fn;
	wait_for(request, request->taker);
	return 0;
}

static void given(struct request *request)
{
	/* It may have been dropped meanwhile, and another client may be there. */
	struct conn *client = request->fn->io->server->client;
	struct vferry_error err = { 0 };
	char text[300];
	ssize_t n = recv(request->taker, text, sizeof(text) - 1, MSG_DONTWAIT);
	int ret = 0;

	text[n > 0 ? n : 0] = '\0';
	if (client && !client->paused)
		client = NULL;
	if (n <= 0)
		ret = vferry_fail(&err, -EPIPE, "the other owner is gone");
	else if (strcmp(text, "ok"))
		ret = vferry_fail(&err, -EIO, "the other owner: %s", text);
	if (client && ret)
		conn_go_on(client);
	else if (client)
		conn_give(client);
	answer(request, ret, &err);
}

/* --- requests --------------------------------------------------------------------------------------------- */

/* The datagram and its descriptors. Its length, or -errno. */
static ssize_t receive(int fd, char *text, struct take_fds *fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * TAKE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { text, REQUEST_BYTES - 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	fds->count = 0;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		size_t count;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds->fds, CMSG_DATA(cmsg), count * sizeof(int));
		fds->count = (unsigned int)count;
	}
	text[n] = '\0';
	return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EMSGSIZE : n;
}

static void asked(struct request *request)
{
	struct vferry_error err = { 0 };
	unsigned int number, to;
	struct take_fds fds;
	char text[REQUEST_BYTES], path[REQUEST_BYTES];
	ssize_t n = receive(request->asker, text, &fds);
	int ret;

	if (n > 0 && sscanf(text, "take %u", &number) == 1)
		ret = take_client(request->room->owner, number, &fds, &err);
	else if (n > 0 && sscanf(text, "give %u %255s %u", &number, path, &to) == 3)
		ret = give_client(request, number, path, to, &err);
	else
		ret = vferry_fail(&err, -EINVAL, "give N PATH M, or take M");
	for (unsigned int i = 0; i < fds.count; i++)
		if (fds.fds[i] >= 0)
			owner_close(request->room->owner, fds.fds[i]);
	/* A gift is answered when the other owner has answered. */
	if (ret || request->taker < 0)
		answer(request, ret, &err);
}

static void request_event(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct request *request = container_of(op, struct request, op);

	if (request->dead)
		request_put(request);
	else if (request->fn)
		given(request);
	else
		asked(request);
}

static void wait_for(struct request *request, int fd)
{
	request->op.done = request_event;
	io_uring_prep_poll_add(vf_ring_sqe(request->room->owner->ring, &request->op), fd, POLLIN);
}

/* --- the socket ------------------------------------------------------------------------------------------- */

static void listen_on(struct take_over *room);

static void accepted(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct take_over *room = container_of(op, struct take_over, accept);
	struct request *request;

	if (room->ending) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res < 0) {
		vf_timer_set(room->owner->ring, &room->retry, vf_now_ns() + 100000000);
		return;
	}
	request = room->count < REQUESTS_MAX ? calloc(1, sizeof(*request)) : NULL;
	if (request) {
		request->room = room;
		request->asker = res;
		request->taker = -1;
		request->next = room->requests;
		room->requests = request;
		room->count++;
		wait_for(request, res);
	} else {
		close(res);
	}
	listen_on(room);
}

static void listen_on(struct take_over *room)
{
	room->accept.done = accepted;
	io_uring_prep_accept(vf_ring_sqe(room->owner->ring, &room->accept), room->listener, NULL,
			     NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void accept_again(struct vf_timer *timer)
{
	listen_on(container_of(timer, struct take_over, retry));
}

int take_over_new(struct owner *owner, struct vferry_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct take_over *room = calloc(1, sizeof(*room));
	int ret;

	if (!room)
		return vferry_fail(err, -ENOMEM, "no memory");
	room->owner = owner;
	room->retry.fn = accept_again;
	owner->io->take_over = room;
	ret = snprintf(room->path, sizeof(room->path), "%s/%s", owner->opts.socket_dir, NAME);
	room->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (room->listener < 0 || ret >= (int)sizeof(room->path))
		return vferry_fail(err, -EINVAL, "no socket %s", room->path);
	memcpy(address.sun_path, room->path, sizeof(room->path));
	unlink(room->path);
	if (bind(room->listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(room->listener, SERVER_BACKLOG))
		return vferry_fail(err, -errno, "cannot listen on %s: %s", room->path,
				   strerror(errno));
	listen_on(room);
	return 0;
}

void take_over_end(struct owner *owner)
{
	struct take_over *room = owner->io->take_over;

	if (!room || room->ending)
		return;
	room->ending = true;
	vf_timer_stop(owner->ring, &room->retry);
	unlink(room->path);
	vf_ring_cancel(owner->ring, &room->accept);
	if (room->listener >= 0)
		close(room->listener);
	for (struct request *request = room->requests, *next; request; request = next) {
		next = request->next;
		request_close(request);
	}
}

void take_over_free(struct owner *owner)
{
	struct take_over *room = owner->io->take_over;

	while (room && room->requests) {
		struct request *next = room->requests->next;

		free(room->requests);
		room->requests = next;
	}
	free(room);
	owner->io->take_over = NULL;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A function's socket. Whoever says VERSION first has the function; a few strangers may stand at the door at a time,
 * the one who has said nothing for longest goes when another comes, so that ten thousand silent connections keep
 * nobody out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "server.h"

#define RETRY_NS 100000000ULL /* after an accept that failed, as without free descriptors */

static void server_accept(struct server *server);

static void stranger_evict(struct server *server)
{
	struct conn *oldest = NULL;

	for (struct conn *conn = server->conns; conn; conn = conn->next)
		if (!conn->negotiated && !conn->waiting)
			oldest = conn;
	if (oldest)
		conn_close(oldest);
}

static unsigned int strangers(const struct server *server)
{
	unsigned int count = 0;

	for (const struct conn *conn = server->conns; conn; conn = conn->next)
		count += !conn->negotiated;
	return count;
}

static void server_accepted(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct server *server = container_of(op, struct server, accept);
	struct conn *conn;

	if (server->ending) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res < 0) {
		vf_timer_set(server->fn->owner->ring, &server->retry, vf_now_ns() + RETRY_NS);
		return;
	}
	if (strangers(server) >= SERVER_STRANGERS)
		stranger_evict(server);
	if (strangers(server) >= SERVER_STRANGERS) {
		close(res); /* they all wait for the last client to be gone */
	} else {
		conn = conn_new(server, res);
		if (conn) {
			conn->next = server->conns;
			server->conns = conn;
		}
	}
	server_accept(server);
}

static void server_accept(struct server *server)
{
	struct io_uring_sqe *sqe = vf_ring_sqe(server->fn->owner->ring, &server->accept);

	server->accept.done = server_accepted;
	io_uring_prep_accept(sqe, server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void server_retry(struct vf_timer *timer)
{
	server_accept(container_of(timer, struct server, retry));
}

/* --- whose function it is --------------------------------------------------------------------------------- */

static void forget_memory(struct function *fn)
{
	dma_unmap_all(&fn->io->dma);
	if (!fn->io->in_service && !fn->io->inflight)
		dma_reap(&fn->io->dma);
}

static void left(void *arg)
{
	struct server *server = arg;
	struct function *fn = server->fn;

	server->leaving = false;
	if (!server->stale)
		fn_flr(fn);
	server->stale = false;
	forget_memory(fn);
	for (struct conn *conn = server->conns; conn;) {
		struct conn *next = conn->next;

		if (conn->claiming) {
			/* It may close itself and others: begin anew. */
			conn_resume(conn);
			next = server->conns;
		}
		conn = next;
	}
}

/* The last client is gone: quiet first, then reset. The reset of a PF takes its VFs with it. */
static void leave(struct server *server)
{
	struct function *fn = server->fn;
	bool all = !fn->number && !server->stale;

	server->leaving = true;
	server->quiesce.done = left;
	server->quiesce.arg = server;
	if (fn_quiesce(fn->owner, all ? NULL : fn, &server->quiesce))
		left(server);
}

int server_claim(struct server *server, struct conn *conn)
{
	if (!fn_exists(server->fn))
		return -ENODEV;
	/* A client that closes and connects again at once must not find itself busy. */
	if (server->client && server->client != conn && conn_peer_gone(server->client))
		conn_close(server->client);
	if (server->client && server->client != conn)
		return -EBUSY;
	if (server->stale && !server->leaving)
		leave(server);
	if (server->leaving)
		return -EAGAIN;
	server->client = conn;
	return 0;
}

int server_adopt(struct server *server, int fd, const struct version_caps *caps)
{
	struct conn *conn = conn_new(server, fd);

	if (!conn)
		return -ENOMEM;
	vf_timer_stop(server->fn->owner->ring, &conn->timer);
	conn->negotiated = true;
	conn->caps = *caps;
	conn->next = server->conns;
	server->conns = conn;
	server->client = conn;
	return 0;
}

void server_lost(struct server *server, struct conn *conn)
{
	struct conn **link = &server->conns;
	struct function *fn = server->fn;

	while (*link && *link != conn)
		link = &(*link)->next;
	if (*link)
		*link = conn->next;
	if (server->client != conn)
		return;
	server->client = NULL;
	doorbells_drop(fn);
	msix_drop(fn);
	if (server->ending)
		return;
	/* Retained, the device works on in the old client's memory until a new one comes. */
	server->stale = fn->owner->opts.retain;
	if (!server->stale)
		leave(server);
}

void server_drop_client(struct server *server)
{
	if (server && server->client)
		conn_close(server->client);
}

/* --- the socket ------------------------------------------------------------------------------------------- */

static int server_listen(struct server *server, struct vferry_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret;

	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return vferry_fail(err, -errno, "socket: %s", strerror(errno));
	memcpy(address.sun_path, server->path, sizeof(server->path));
	/* The folder is locked by this process: a socket in it is what a dead owner left behind. */
	unlink(server->path);
	ret = bind(server->listener, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	if (!ret && listen(server->listener, SERVER_BACKLOG))
		ret = -errno;
	if (!ret)
		return 0;
	close(server->listener);
	server->listener = -1;
	return vferry_fail(err, ret, "cannot listen on %s: %s", server->path, strerror(-ret));
}

int server_new(struct function *fn, const char *path, struct vferry_error *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int ret;

	if (!server)
		return vferry_fail(err, -ENOMEM, "no memory");
	if (strlen(path) >= sizeof(server->path)) {
		free(server);
		return vferry_fail(err, -ENAMETOOLONG,
				   "%s: a socket's path has at most %zu bytes; choose a shorter "
				   "--socket-dir",
				   path, sizeof(server->path) - 1);
	}
	memcpy(server->path, path, strlen(path));
	server->fn = fn;
	server->retry.fn = server_retry;
	ret = server_listen(server, err);
	if (ret) {
		free(server);
		return ret;
	}
	fn->io->server = server;
	server_accept(server);
	return 0;
}

void server_end(struct function *fn)
{
	struct server *server = fn->io ? fn->io->server : NULL;

	if (!server || server->ending)
		return;
	server->ending = true;
	vf_timer_stop(fn->owner->ring, &server->retry);
	unlink(server->path);
	vf_ring_cancel(fn->owner->ring, &server->accept);
	close(server->listener);
	while (server->conns)
		conn_close(server->conns);
}

void server_free(struct function *fn)
{
	if (!fn->io)
		return;
	free(fn->io->server);
	fn->io->server = NULL;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Connections: accepted, listened to until one makes an offer, and let go. Silence costs a place among 64, no more. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "migrate/fault_point.h"
#include "migrate/recv.h"

static void over(struct vf_connection *connection)
{
	connection->over = true;
}

static struct vf_lane *lane_of(struct vf_connection *connection, uint32_t number)
{
	struct vf_move *move = &connection->recv->move;

	return connection->chosen && number < move->count ? move->lanes[number] : NULL;
}

/* The peer says what cannot be: this connection is over, and the run with it when it was the source's. */
static void disown(struct vf_connection *connection, int error, const struct vferry_error *why)
{
	over(connection);
	if (connection->chosen)
		vf_move_broken(&connection->recv->move, error, why);
}

static void *room(void *arg, const struct vf_frame *frame)
{
	struct vf_connection *connection = arg;
	struct vferry_error why;
	void *memory;

	if (connection->over)
		return NULL;
	if (frame->type == VF_FRAME_CONTEXT) {
		struct vf_lane *lane = lane_of(connection, frame->lane);

		if (lane)
			return vf_destination_room(lane, frame);
		vferry_fail(&why, -EBADMSG,
			    "%s sent CONTEXT for VF number %u, which it has not offered",
			    connection->link.name, frame->lane);
		disown(connection, -EBADMSG, &why);
		return NULL;
	}
	memory = vf_inbox_room(&connection->inbox, frame, &why);
	if (!memory)
		disown(connection, -EBADMSG, &why);
	return memory;
}

static void offered(struct vf_connection *connection, const struct vf_frame *frame,
		    const void *payload)
{
	struct vferry_error why;
	struct vf_offer offer;

	if (vf_offer_parse(&offer, payload, frame->length, &why)) {
		struct vf_recv *recv = connection->recv;

		/* Said to the user only of a peer that had the word alone. */
		if (!recv->source || recv->source == connection)
			recv->failed = why;
		if (!recv->source && recv->listen_fd < 0)
			recv->refused_run = true;
		disown(connection, why.code, &why);
		return;
	}
	vf_recv_offer(connection, frame->lane, &offer);
}

static void frame_came(void *arg, const struct vf_frame *frame, void *payload)
{
	struct vf_connection *connection = arg;
	struct vf_move *move = &connection->recv->move;
	struct vf_lane *lane;
	struct vferry_error why;

	if (connection->over)
		return;
	if (connection->chosen)
		vf_move_progress(move);
	VF_FAULT_POINT("destination-frame-came");
	if (frame->type == VF_FRAME_OFFER) {
		offered(connection, frame, payload);
	} else if (frame->type == VF_FRAME_QUERY) {
		vf_recv_query(connection, payload, frame->length);
	} else {
		lane = lane_of(connection, frame->lane);
		if (lane && vf_destination_of(lane)->offered) {
			vf_destination_frame(lane, frame, payload);
		} else {
			vferry_fail(&why, -EPROTO, "%s sent %s for VF number %u before an offer",
				    connection->link.name, vf_frame_name(frame->type), frame->lane);
			disown(connection, -EPROTO, &why);
		}
	}
	vf_inbox_clear(&connection->inbox);
}

static void broken(void *arg, int error, const struct vferry_error *why)
{
	struct vf_connection *connection = arg;

	over(connection);
	if (connection->chosen) {
		vf_move_broken(&connection->recv->move, error, why);
	} else if (connection->recv->listen_fd < 0) {
		connection->recv->refused_run = true;
		if (error)
			connection->recv->failed = *why;
		else
			vferry_fail(&connection->recv->failed, -EBADMSG, "%s: the stream is empty",
				    connection->link.name);
	}
}

static struct vf_connection *place(struct vf_recv *recv)
{
	for (unsigned int i = 0; i < VF_CONNECTIONS; i++)
		if (!recv->connections[i].used)
			return &recv->connections[i];
	return NULL;
}

/* Its memory is the kernel's until vf_recv_tidy(): a place that is made here is not free yet. */
static void make_place(struct vf_recv *recv)
{
	struct vf_connection *oldest = NULL;

	for (unsigned int i = 0; i < VF_CONNECTIONS; i++) {
		struct vf_connection *connection = &recv->connections[i];

		if (!connection->chosen && !connection->over &&
		    (!oldest || connection->since_ns < oldest->since_ns))
			oldest = connection;
	}
	if (oldest)
		over(oldest);
}

int vf_recv_connection(struct vf_recv *recv, const struct vf_link *link, struct vferry_error *err)
{
	struct vf_connection *connection = place(recv);
	const struct vf_stream_events events = {
		.room = room,
		.frame = frame_came,
		.broken = broken,
		.arg = connection,
	};
	int ret;

	if (!connection)
		return vferry_fail(err, -EBUSY, "too many connections");
	memset(connection, 0, sizeof(*connection));
	connection->recv = recv;
	connection->link = *link;
	connection->since_ns = vf_now_ns();
	ret = vf_stream_new(&connection->stream, recv->move.ring, &connection->link, &events, err);
	connection->used = !ret;
	return ret;
}

static void accept_next(struct vf_recv *recv);

static void take_in(struct vf_recv *recv, struct vf_link *link)
{
	if (vf_recv_connection(recv, link, NULL))
		vf_link_close(link, 0);
}

static void accepted(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_recv *recv = (struct vf_recv *)((char *)op - offsetof(struct vf_recv, accept));
	struct vf_link link;

	if (res == -ECANCELED || recv->listen_fd < 0) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res >= 0) {
		vf_peer_accept_link(recv->peer, res, &link);
		/* It may be the source: it waits for a place, and nobody else is let in before. */
		if (!place(recv)) {
			make_place(recv);
			recv->waiting = link;
			return;
		}
		take_in(recv, &link);
	}
	accept_next(recv);
}

static void accept_next(struct vf_recv *recv)
{
	recv->accept.done = accepted;
	io_uring_prep_accept(vf_ring_sqe(recv->move.ring, &recv->accept), recv->listen_fd, NULL,
			     NULL, SOCK_CLOEXEC);
}

static void look_around(struct vf_timer *timer)
{
	struct vf_recv *recv = (struct vf_recv *)((char *)timer - offsetof(struct vf_recv, tidy));
	uint64_t now = vf_now_ns();

	for (unsigned int i = 0; i < VF_CONNECTIONS; i++) {
		struct vf_connection *connection = &recv->connections[i];

		if (connection->used && !connection->chosen && recv->listen_fd >= 0 &&
		    now - connection->since_ns > VF_CONNECTION_NS)
			over(connection);
	}
	vf_timer_set(recv->move.ring, timer, now + 200000000ULL);
}

int vf_recv_listen(struct vf_recv *recv, struct vferry_error *err)
{
	struct vf_link link = { .in = -1, .out = -1 };
	int ret;

	recv->tidy.fn = look_around;
	vf_timer_set(recv->move.ring, &recv->tidy, vf_now_ns() + 200000000ULL);
	if (vf_peer_listens(recv->peer)) {
		ret = vf_peer_listen(recv->peer, &recv->peer_opts, err);
		if (ret < 0)
			return ret;
		recv->listen_fd = ret;
		accept_next(recv);
		return 0;
	}
	ret = vf_peer_open_in(recv->peer, &recv->peer_opts, &link, err);
	if (ret)
		return ret;
	return vf_recv_connection(recv, &link, err);
}

static void drop(struct vf_connection *connection)
{
	struct vf_recv *recv = connection->recv;

	if (connection->chosen) {
		const struct vf_stream_stats *stats = vf_stream_stats(connection->stream);

		recv->move.result->zc_sends += stats->zc_sends;
		recv->move.result->zc_copied += stats->zc_copied;
		recv->move.result->plain_sends += stats->plain_sends;
		recv->move.stream = NULL;
	}
	vf_stream_free(connection->stream);
	vf_inbox_clear(&connection->inbox);
	vf_link_close(&connection->link, recv->move.timeout_ns);
	connection->used = false;
}

void vf_recv_tidy(struct vf_recv *recv)
{
	for (unsigned int i = 0; i < VF_CONNECTIONS; i++) {
		struct vf_connection *connection = &recv->connections[i];

		/* The source's goes last: what it was told may be under way. */
		if (connection->used && connection->over && !connection->chosen)
			drop(connection);
	}
	if (recv->waiting.out >= 0 && place(recv)) {
		struct vf_link link = recv->waiting;

		recv->waiting.out = -1;
		take_in(recv, &link);
		accept_next(recv);
	}
}

void vf_recv_close(struct vf_recv *recv)
{
	vf_timer_stop(recv->move.ring, &recv->tidy);
	if (recv->listen_fd >= 0) {
		int fd = recv->listen_fd;

		recv->listen_fd = -1;
		vf_ring_cancel(recv->move.ring, &recv->accept);
		while (recv->accept.busy && vf_ring_turn(recv->move.ring, UINT64_MAX) >= 0)
			;
		close(fd);
	}
	if (recv->waiting.out >= 0)
		vf_link_close(&recv->waiting, 0);
	for (unsigned int i = 0; i < VF_CONNECTIONS; i++)
		if (recv->connections[i].used)
			drop(&recv->connections[i]);
}

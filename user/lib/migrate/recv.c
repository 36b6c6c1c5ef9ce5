// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry_recv(): wait for an offer, borrow the VFs, serve one run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bus/lent.h"
#include "migrate/host_id.h"
#include "migrate/recv.h"

#define LINGER_NS 2000000000ULL
#define ASKED_NS  5000000000ULL

static void say_to_all(struct vf_connection *connection, int code, const char *text)
{
	struct vf_control *frame = &connection->answer;
	struct vf_words words = { .code = code };
	int length;

	if (connection->link.out < 0 || frame->busy)
		return;
	snprintf(words.text, sizeof(words.text), "%s", text);
	length = vf_words_pack((char *)frame->body, sizeof(frame->body), &words);
	if (length < 0)
		return;
	memset(&frame->tx, 0, sizeof(frame->tx));
	frame->busy = true;
	frame->tx.frame.type = VF_FRAME_REFUSE;
	frame->tx.frame.lane = VF_LANE_ALL;
	frame->tx.parts[0] = (struct iovec){ frame->body, (size_t)length };
	frame->tx.count = 1;
	frame->tx.done = vf_control_sent;
	frame->move = &connection->recv->move;
	vf_stream_send(connection->stream, &frame->tx);
}

/* The whole run cannot be taken: said to the source, and to the user. */
static void refuse_run(struct vf_connection *connection, const struct vferry_error *why)
{
	struct vf_recv *recv = connection->recv;

	say_to_all(connection, why->code, why->text);
	recv->failed = *why;
	recv->refused_run = true;
}

static int begin_run(struct vf_connection *connection, const struct vf_offer *offer,
		     struct vferry_error *err)
{
	struct vf_recv *recv = connection->recv;
	struct vf_move *move = &recv->move;
	const struct vferry_move_opts *opts = move->opts;
	uint32_t slot_bytes = opts->slot_bytes ? opts->slot_bytes : 256u << 10;
	int ret;

	if (offer->lanes != opts->vfs_count)
		return vferry_fail(
			err, -EINVAL,
			"the source sends %u VFs, this side was given %u (--vf): they pair by "
			"order",
			offer->lanes, opts->vfs_count);
	if (offer->together && offer->kind != VF_OFFER_MIGRATION)
		return vferry_fail(
			err, -EPROTO,
			"the stream is of a group (--together), and has no source that answers");
	if (offer->kind == VF_OFFER_SNAPSHOT && !(opts->flags & VFERRY_MOVE_ACTIVATE_SNAPSHOT))
		return vferry_fail(
			err, -EPERM,
			"the stream is a snapshot: its source went on after it was taken, and "
			"activating it makes a second copy. --activate-snapshot says that "
			"this is meant");
	if (offer->kind == VF_OFFER_MIGRATION && connection->link.out < 0)
		return vferry_fail(
			err, -EINVAL,
			"the stream is one side of a conversation, but nobody can be answered "
			"here: it was not written to a file by vferry");
	if (slot_bytes < offer->chunk_bytes)
		slot_bytes = (offer->chunk_bytes + 4095) & ~4095u;
	/* Slots of the source's size, though the arena be small. */
	ret = vf_move_open_owner(move, slot_bytes, sizeof(struct vf_destination),
				 &vf_destination_side, err);
	if (ret)
		return ret;
	move->together = offer->together;
	memcpy(move->group, offer->group, VF_ID_BYTES);
	move->mute = offer->kind != VF_OFFER_MIGRATION;
	move->stream = connection->stream;
	move->tcp_fd = connection->link.socket ? connection->link.in : -1;
	connection->chosen = true;
	recv->source = connection;
	vf_move_progress(move);
	vf_move_watch(move);
	return 0;
}

/* A group bears its leader's id, and nobody else does. */
static bool leads(uint32_t number, const struct vf_offer *offer)
{
	return !offer->together || !number == !memcmp(offer->id, offer->group, VF_ID_BYTES);
}

void vf_recv_offer(struct vf_connection *connection, uint32_t number, const struct vf_offer *offer)
{
	struct vf_recv *recv = connection->recv;
	struct vf_move *move = &recv->move;
	struct vferry_error why;

	if (!recv->source && !recv->refused_run) {
		if (begin_run(connection, offer, &why)) {
			refuse_run(connection, &why);
			return;
		}
	} else if (recv->source != connection) {
		say_to_all(connection, -EBUSY, "another source is being served");
		return;
	}
	if (number >= move->count || vf_destination_of(move->lanes[number])->offered ||
	    memcmp(offer->group, move->group, VF_ID_BYTES) || offer->lanes != move->count ||
	    offer->together != move->together || !leads(number, offer)) {
		vferry_fail(&why, -EPROTO, "%s made an offer that contradicts the one before",
			    connection->link.name);
		connection->over = true;
		vf_move_broken(move, -EPROTO, &why);
		return;
	}
	vf_destination_offer(move->lanes[number], offer);
}

/* Interrupted before anyone came. */
static void nobody_came(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_move *move = (struct vf_move *)((char *)op - offsetof(struct vf_move, interrupt));
	struct vf_recv *recv = (struct vf_recv *)move;

	if (res < 0)
		return;
	move->interrupted = true;
	if (recv->source) {
		for (uint32_t i = 0; i < move->count; i++)
			if (!move->lanes[i]->settled)
				vf_destination_interrupt(move->lanes[i]);
		return;
	}
	vferry_fail(&recv->failed, -EINTR, "interrupted; no source had come, nothing was touched");
	recv->refused_run = true;
}

/*
 * The connection ended while a lane was loaded: its source may have released the VF without having been heard, and asks.
 */
static bool may_be_asked(struct vf_recv *recv)
{
	struct vf_move *move = &recv->move;

	if (!move->listens || !move->broken)
		return false;
	for (uint32_t i = 0; i < move->count; i++) {
		const struct vf_destination *destination = vf_destination_of(move->lanes[i]);

		if (destination->loaded && !destination->asked &&
		    destination->lane.result->outcome == VFERRY_OUTCOME_DISCARDED)
			return true;
	}
	return false;
}

static bool finished(struct vf_recv *recv)
{
	uint64_t now;

	if (recv->refused_run)
		return true;
	if (!recv->source || recv->move.settled < recv->move.count)
		return false;
	now = vf_now_ns();
	if (!recv->settled_ns)
		recv->settled_ns = now;
	return !may_be_asked(recv) || now - recv->settled_ns > ASKED_NS;
}

static void linger(struct vf_recv *recv)
{
	uint64_t deadline = vf_now_ns() + LINGER_NS;

	while (vf_now_ns() < deadline) {
		bool idle = true;

		for (unsigned int i = 0; i < VF_CONNECTIONS; i++) {
			struct vf_connection *connection = &recv->connections[i];

			if (connection->used && !connection->over &&
			    (connection->chosen || connection->answer.busy) &&
			    !vf_stream_idle(connection->stream))
				idle = false;
		}
		if (idle)
			break;
		vf_ring_turn(recv->move.ring, deadline);
	}
}

static int serve(struct vf_recv *recv, struct vferry_error *err)
{
	struct vf_move *move = &recv->move;
	int ret;

	while (!finished(recv)) {
		ret = vf_ring_turn(move->ring, UINT64_MAX);
		if (ret < 0 && ret != -EINTR)
			return vferry_fail(err, ret,
					   "the io_uring loop failed: %s; journals are kept",
					   strerror(-ret));
		vf_recv_tidy(recv);
	}
	linger(recv);
	if (recv->refused_run) {
		*err = recv->failed;
		return err->code;
	}
	return vf_move_verdict(move, err);
}

int vferry_recv(const struct vferry_move_opts *given, struct vferry_move *result,
		struct vferry_error *err)
{
	struct vf_recv *recv = calloc(1, sizeof(*recv));
	struct vferry_move_opts opts;
	struct vferry_error why = { 0 };
	struct vf_move *move;
	int ret;

	if (!err)
		err = &why;
	if (!recv)
		return vferry_fail(err, -ENOMEM, "no memory");
	move = &recv->move;
	recv->listen_fd = -1;
	recv->waiting = (struct vf_link){ .in = -1, .out = -1 };
	vf_move_defaults(&opts, given);
	ret = vf_move_begin(move, &opts, result, err);
	if (!ret)
		ret = vf_host_id(move->host, err);
	if (!ret)
		ret = vf_peer_parse(&recv->peer, opts.peer, err);
	if (!ret) {
		recv->peer_opts = (struct vf_peer_opts){
			.insecure = opts.flags & VFERRY_MOVE_INSECURE,
			.timeout_ns = opts.timeout_ns,
		};
		move->on_broken = vf_destination_broken;
		move->on_interrupt = vf_destination_interrupt;
		move->on_silence = vf_destination_silence;
		ret = vf_recv_listen(recv, err);
	}
	if (!ret) {
		if (opts.interrupt_fd >= 0) {
			move->interrupt.done = nobody_came;
			io_uring_prep_poll_add(vf_ring_sqe(move->ring, &move->interrupt),
					       opts.interrupt_fd, 1 /* POLLIN */);
		}
		move->listens = recv->listen_fd >= 0;
		if (opts.listening)
			opts.listening(opts.arg, opts.peer);
		ret = serve(recv, err);
	}
	if (move->ring)
		vf_recv_close(recv);
	for (uint32_t i = 0; i < move->count; i++)
		vf_destination_free(move->lanes[i]);
	vf_move_end(move);
	vf_peer_free(recv->peer);
	free(recv);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A run: the loop, the owner, the stream, deadlines, and what comes out of it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "bus/lent.h"
#include "migrate/flight.h"
#include "migrate/fault_point.h"
#include "migrate/lane.h"
#include "migrate/settled.h"

void vf_move_defaults(struct vferry_move_opts *opts, const struct vferry_move_opts *given)
{
	size_t size = given->size < sizeof(*opts) ? given->size : sizeof(*opts);

	memset(opts, 0, sizeof(*opts));
	opts->interrupt_fd = -1;
	memcpy(opts, given, size);
	if (!opts->downtime_limit_ns)
		opts->downtime_limit_ns = 50000000ULL;
	if (!opts->timeout_ns)
		opts->timeout_ns = 30000000000ULL;
	if (!opts->hook_timeout_ns)
		opts->hook_timeout_ns = 30000000000ULL;
	opts->slot_bytes = (opts->slot_bytes + 4095) & ~4095u;
	if (opts->hook && !*opts->hook)
		opts->hook = NULL;
}

int vf_move_begin(struct vf_move *move, const struct vferry_move_opts *opts,
		  struct vferry_move *result, struct vferry_error *err)
{
	int ret;

	move->opts = opts;
	move->result = result;
	move->tcp_fd = -1;
	move->timeout_ns = opts->timeout_ns;
	move->begin_ns = move->progress_ns = vf_now_ns();
	snprintf(result->peer, sizeof(result->peer), "%s", opts->peer);
	ret = vf_owner_address(opts->owner, move->address, sizeof(move->address), err);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < opts->vfs_count; i++)
		for (uint32_t n = 0; n < i; n++)
			if (opts->vfs[i] == opts->vfs[n])
				return vferry_fail(err, -EINVAL, "VF %u is named twice",
						   opts->vfs[i]);
	if (!opts->vfs_count || opts->vfs_count > VF_LANES_MAX)
		return vferry_fail(err, -EINVAL, "%u VFs: 1 to %u can be moved in one run",
				   opts->vfs_count, VF_LANES_MAX);
	return vf_ring_new(&move->ring, 256, err);
}

static void command_ended(void *arg, const struct vferry_cmd *cmd)
{
	struct vf_move *move = arg;
	uint8_t lane = cmd->member < VF_MAX_VFS ? move->lane_of[cmd->member] : 0;

	if (lane)
		vf_recorder_command(&move->lanes[lane - 1]->recorder, cmd);
}

static uint32_t recorded_events(const struct vf_move *move)
{
	uint32_t share = (64u << 20) / (move->opts->vfs_count * sizeof(struct vf_record));

	if (!move->opts->record_dir)
		return VF_RECORDER_EVENTS;
	return share < VF_RECORDER_EVENTS_MOST ? share : VF_RECORDER_EVENTS_MOST;
}

static int make_lanes(struct vf_move *move, size_t lane_bytes, const struct vf_side *side,
		      struct vferry_error *err)
{
	uint32_t count = move->opts->vfs_count;

	move->lanes = calloc(count, sizeof(*move->lanes));
	move->chunks = calloc(vf_arena_slots(move->owner->arena), sizeof(*move->chunks));
	if (!move->result->vfs)
		move->result->vfs = calloc(count, sizeof(*move->result->vfs));
	if (!move->lanes || !move->chunks || !move->result->vfs)
		return vferry_fail(err, -ENOMEM, "no memory for %u VFs", count);
	move->result->vf_count = count;
	move->owner->admin->ended = command_ended;
	move->owner->admin->ended_arg = move;
	for (uint32_t i = 0; i < count; i++) {
		struct vf_lane *lane = calloc(1, lane_bytes);

		if (!lane)
			return vferry_fail(err, -ENOMEM, "no memory for %u VFs", count);
		lane->move = move;
		lane->side = side;
		lane->number = i;
		lane->vf = move->opts->vfs[i];
		lane->journal.fd = -1;
		lane->result = &move->result->vfs[i];
		lane->result->vf = lane->vf;
		move->lanes[i] = lane;
		move->count++;
		move->lane_of[lane->vf] = (uint8_t)(i + 1);
		if (vf_recorder_init(&lane->recorder, recorded_events(move)))
			return vferry_fail(err, -ENOMEM, "no memory for %u VFs", count);
	}
	return 0;
}

int vf_move_open_owner(struct vf_move *move, uint32_t slot_bytes, size_t lane_bytes,
		       const struct vf_side *side, struct vferry_error *err)
{
	const struct vferry_move_opts *opts = move->opts;
	struct vferry_owner_opts owner = {
		.size = sizeof(owner),
		.flags = (opts->flags & VFERRY_MOVE_WAIT ? VFERRY_OWNER_WAIT : 0) |
			 (opts->flags & VFERRY_MOVE_NO_START ? VFERRY_OWNER_NO_START : 0),
		.vfs = opts->vfs,
		.vfs_count = opts->vfs_count,
		.slot_bytes = slot_bytes,
		.arena_bytes = opts->arena_bytes,
		/* The owner's own 5 s, or less when the user has less patience. */
		.timeout_ns = opts->timeout_ns < 5000000000ULL ? opts->timeout_ns : 0,
	};
	int ret = vf_owner_open_on(&move->owner, move->ring, opts->owner, &owner, err);

	if (ret)
		return ret;
	/* Under the VFs' loan: nobody opens or settles a journal of theirs now. */
	for (uint32_t i = 0; i < opts->vfs_count; i++) {
		ret = vf_journal_check_free(move->address, opts->vfs[i], err);
		if (ret)
			return ret;
	}
	/* Each VF may hold a slot with fewer than 8 bytes in it, and one more must be free. */
	if (vf_arena_slots(move->owner->arena) <= opts->vfs_count)
		return vferry_fail(
			err, -EINVAL,
			"an arena of %u slots of %u bytes is too small for %u VFs: enlarge "
			"it, or make the slots smaller",
			vf_arena_slots(move->owner->arena), vf_arena_slot_bytes(move->owner->arena),
			opts->vfs_count);
	vf_arena_touch(move->owner->arena, VF_TOUCHED_BYTES);
	return make_lanes(move, lane_bytes, side, err);
}

void vf_move_end(struct vf_move *move)
{
	struct vferry_move *result = move->result;

	if (move->stream) {
		const struct vf_stream_stats *stats = vf_stream_stats(move->stream);

		result->zc_sends = stats->zc_sends;
		result->zc_copied = stats->zc_copied;
		result->plain_sends = stats->plain_sends;
		vf_stream_free(move->stream);
		move->stream = NULL;
	}
	if (move->owner) {
		const struct vferry_admin_stats *stats = vferry_owner_stats(move->owner);

		result->commands = stats->completed;
		result->retries = stats->retried;
	}
	for (uint32_t i = 0; i < move->count; i++)
		vf_journal_close(&move->lanes[i]->journal);
	if (move->ring) {
		vf_timer_stop(move->ring, &move->watchdog);
		vf_ring_cancel(move->ring, &move->interrupt);
	}
	vferry_owner_close(move->owner);
	vf_ring_free(move->ring);
	vf_flight_write(move);
	for (uint32_t i = 0; i < move->count; i++) {
		vf_recorder_free(&move->lanes[i]->recorder);
		free(move->lanes[i]);
	}
	free(move->lanes);
	free(move->chunks);
	vf_inbox_clear(&move->inbox);
	result->total_ns = vf_now_ns() - move->begin_ns;
	result->interrupted = move->interrupted;
	if (move->together && move->count)
		vf_id_text(result->group, move->group);
}

/* --- deadlines and the caller's interrupt --- */

static void interrupted(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_move *move = (struct vf_move *)((char *)op - offsetof(struct vf_move, interrupt));

	if (res < 0)
		return;
	move->interrupted = true;
	for (uint32_t i = 0; i < move->count; i++)
		if (!move->lanes[i]->settled)
			move->on_interrupt(move->lanes[i]);
}

static bool gate_runs(const struct vf_move *move)
{
	for (uint32_t i = 0; i < move->count; i++)
		if (move->lanes[i]->gate.running)
			return true;
	return false;
}

static void watch(struct vf_timer *timer)
{
	struct vf_move *move =
		(struct vf_move *)((char *)timer - offsetof(struct vf_move, watchdog));
	uint64_t now = vf_now_ns();
	/* A process that was stopped has not waited: what came meanwhile is looked at first. */
	if (now - move->watched_ns > move->timeout_ns / 4)
		move->progress_ns = now;
	move->watched_ns = now;
	/* The peer's hook may run as long as ours may. */
	uint64_t limit = move->timeout_ns;

	for (uint32_t i = 0; i < move->count; i++) {
		enum vferry_state state = move->lanes[i]->state;

		if (!move->lanes[i]->settled &&
		    (state == VFERRY_STATE_RELEASED || state == VFERRY_STATE_LOADED))
			limit = move->timeout_ns + move->opts->hook_timeout_ns;
	}
	if (gate_runs(move))
		move->progress_ns = now;
	if (now - move->progress_ns > limit) {
		move->progress_ns = now;
		/* A group's leader last: what it says depends on its members. */
		for (uint32_t i = move->count; i-- > 0;)
			if (!move->lanes[i]->settled)
				move->on_silence(move->lanes[i]);
	}
	vf_timer_set(move->ring, &move->watchdog, now + move->timeout_ns / 16 + 1000000);
}

void vf_move_watch(struct vf_move *move)
{
	move->watchdog.fn = watch;
	move->watched_ns = vf_now_ns();
	vf_timer_set(move->ring, &move->watchdog, vf_now_ns() + move->timeout_ns / 16 + 1000000);
	if (move->opts->interrupt_fd < 0 || move->interrupt.busy)
		return;
	move->interrupt.done = interrupted;
	io_uring_prep_poll_add(vf_ring_sqe(move->ring, &move->interrupt), move->opts->interrupt_fd,
			       POLLIN);
}

void vf_move_broken(struct vf_move *move, int error, const struct vferry_error *why)
{
	if (move->broken)
		return;
	move->broken = true;
	move->broken_error = error;
	if (why)
		move->broken_why = *why;
	for (uint32_t i = 0; i < move->count; i++)
		if (!move->lanes[i]->settled)
			move->on_broken(move->lanes[i]);
}

static void stream_broken(void *arg, int error, const struct vferry_error *why)
{
	vf_move_broken(arg, error, why);
}

static void *control_room(void *arg, const struct vf_frame *frame)
{
	struct vf_move *move = arg;
	struct vferry_error why;
	void *room = vf_inbox_room(&move->inbox, frame, &why);

	if (!room)
		vf_move_broken(move, -EBADMSG, &why);
	return room;
}

static void control_frame(void *arg, const struct vf_frame *frame, void *payload)
{
	struct vf_move *move = arg;

	vf_move_progress(move);
	VF_FAULT_POINT("source-frame-came");
	if (!move->broken)
		move->on_frame(move, frame, payload);
	vf_inbox_clear(&move->inbox);
}

int vf_move_link(struct vf_move *move, const struct vf_link *link, struct vferry_error *err)
{
	const struct vf_stream_events events = {
		.room = control_room,
		.frame = control_frame,
		.broken = stream_broken,
		.arg = move,
	};

	move->tcp_fd = link->socket ? link->out : -1;
	return vf_stream_new(&move->stream, move->ring, link, &events, err);
}

void vf_move_slots(struct vf_move *move)
{
	uint32_t first = move->next_slot_lane;

	for (uint32_t i = 0; i < move->count; i++) {
		struct vf_lane *lane = move->lanes[(first + i) % move->count];

		if (!vf_arena_free_slots(move->owner->arena))
			return;
		if (lane->side->slots)
			lane->side->slots(lane);
	}
	if (move->count)
		move->next_slot_lane = (first + 1) % move->count;
}

int vf_move_verdict(struct vf_move *move, struct vferry_error *err)
{
	const struct vferry_vf_result *first = NULL;
	uint32_t cause = move->group_run.cause;

	/* A group's failure is its first one's, not that of its first VF. */
	if (cause && cause <= move->result->vf_count && move->result->vfs[cause - 1].error)
		first = &move->result->vfs[cause - 1];
	for (uint32_t i = 0; i < move->result->vf_count; i++) {
		const struct vferry_vf_result *result = &move->result->vfs[i];

		if (result->outcome == VFERRY_OUTCOME_IN_DOUBT) {
			char text[sizeof(result->why.text)];

			snprintf(text, sizeof(text), "%s", result->why.text);
			return vferry_fail(err, -EINPROGRESS, "%.300s; %.190s", text,
					   result->undone);
		}
		if (result->error && !first)
			first = result;
	}
	if (!first)
		return 0;
	if (move->interrupted)
		return vferry_fail(err, -EINTR, "interrupted; %s", first->undone);
	return vferry_fail(err, first->error, "%.360s%s%.140s", first->why.text,
			   first->undone[0] ? "; " : "", first->undone);
}

void vferry_move_free(struct vferry_move *move)
{
	free(move->vfs);
	move->vfs = NULL;
	move->vf_count = 0;
}

int vferry_journal_check(const char *owner, uint16_t vf, struct vferry_error *err)
{
	char address[256];
	int ret = vf_owner_address(owner, address, sizeof(address), err);

	if (!ret)
		ret = vf_journal_check_free(address, vf, err);
	return ret ? ret : vf_gone_check(address, vf, NULL, false, err);
}

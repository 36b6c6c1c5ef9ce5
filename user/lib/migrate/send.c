// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry_send(): one owner, one peer, some VFs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "migrate/ask.h"
#include "migrate/group.h"
#include "migrate/settled.h"
#include "migrate/source.h"

#define LINGER_NS 5000000000ULL

static enum vf_offer_kind kind_for(const struct vferry_move_opts *opts, const struct vf_link *link)
{
	if (!link->one_way)
		return VF_OFFER_MIGRATION;
	return opts->flags & VFERRY_MOVE_HAND_OVER ? VF_OFFER_HAND_OVER : VF_OFFER_SNAPSHOT;
}

/* A file must be whole: what was read is back at work, but the copy failed. */
static void copies_failed(struct vf_move *move, int error, const struct vferry_error *why)
{
	for (uint32_t i = 0; i < move->count; i++) {
		struct vferry_vf_result *result = move->lanes[i]->result;

		if (result->outcome != VFERRY_OUTCOME_COPIED || result->error)
			continue;
		result->error = error ? error : -EIO;
		vferry_fail(&result->why, result->error, "VF %u: %s", result->vf, why->text);
		result->outcome = VFERRY_OUTCOME_TAKEN_BACK;
		snprintf(result->undone, sizeof(result->undone),
			 "VF %u is at work; the copy is not complete", result->vf);
	}
}

/* Does a destination that was told DONE still have to say that its journal is gone? */
static bool unheard(const struct vf_move *move)
{
	for (uint32_t i = 0; i < move->count; i++)
		if (move->lanes[i]->result->outcome == VFERRY_OUTCOME_MOVED &&
		    !vf_source_of(move->lanes[i])->heard)
			return true;
	return false;
}

/*
 * All lanes are settled: let what was said last arrive. When the destination says that its journals are gone, ours,
 * which say GONE, have done their service; that the connection ends says nothing, engines die.
 */
static void linger(struct vf_source_run *run, const struct vf_link *link)
{
	struct vf_move *move = &run->move;
	uint64_t wait = move->timeout_ns < LINGER_NS ? move->timeout_ns : LINGER_NS;
	uint64_t deadline = vf_now_ns() + wait;
	bool one_way = run->kind != VF_OFFER_MIGRATION;
	struct vferry_error why;

	while (!move->broken &&
	       (unheard(move) || move->send_error || !vf_stream_idle(move->stream))) {
		/* Data for a disk may take long; as long as it moves it is waited for. */
		if (one_way)
			deadline = move->progress_ns + move->timeout_ns;
		if (vf_now_ns() > deadline)
			break;
		vf_ring_turn(move->ring, deadline);
	}
	if (one_way && !move->broken && !vf_stream_idle(move->stream)) {
		vferry_fail(&why, -ETIMEDOUT, "%s takes nothing any more", link->name);
		copies_failed(move, -ETIMEDOUT, &why);
	} else if (one_way && move->broken) {
		copies_failed(move, move->broken_error, &move->broken_why);
	} else if (one_way && vf_link_sync(link, &why)) {
		copies_failed(move, why.code, &why);
	}
	/* The first one's last: it decides for a group. */
	for (uint32_t i = move->count; i-- > 0;) {
		struct vf_lane *lane = move->lanes[i];

		if (lane->result->outcome != VFERRY_OUTCOME_MOVED)
			continue;
		if (vf_source_of(lane)->heard && !vf_settled_keep(&lane->journal, NULL))
			continue;
		snprintf(
			lane->result->undone, sizeof(lane->result->undone),
			"the destination did not say that it has heard; the journal (GONE) is kept: "
			"vferry recover %s",
			lane->result->id);
	}
}

static int until_settled(struct vf_move *move, struct vferry_error *err)
{
	while (move->settled < move->count) {
		int ret = vf_ring_turn(move->ring, UINT64_MAX);

		if (ret < 0 && ret != -EINTR)
			return vferry_fail(err, ret,
					   "the io_uring loop failed: %s; journals are kept",
					   strerror(-ret));
	}
	return 0;
}

/* It was in doubt, and is not any more: it may be taken back. */
static void again(struct vf_lane *lane)
{
	vf_source_of(lane)->refused = true;
	lane->settled = false;
	lane->result->outcome = VFERRY_OUTCOME_NONE;
	lane->move->settled--;
	vf_move_progress(lane->move);
}

/*
 * What a device whose READ clears has given is kept here, and nowhere else: while it is, a destination that cannot be
 * heard any more is asked, so that a REFUSED can still be followed.
 */
static bool ask_while_kept(struct vf_move *move)
{
	bool back = false;

	for (uint32_t i = 0; i < move->count; i++) {
		struct vf_lane *lane = move->lanes[i];
		struct vf_source *source = vf_source_of(lane);
		enum vferry_state answer;
		struct vferry_error why;
		bool refused;

		if (!source->reads_clear || source->refused ||
		    vf_group_state(lane) != VFERRY_STATE_RELEASED ||
		    lane->result->outcome != VFERRY_OUTCOME_IN_DOUBT)
			continue;
		refused = !vf_ask(move->opts->peer, &vf_group_leader(lane)->journal.record,
				  VFERRY_STATE_RELEASED, move->timeout_ns, move->opts->interrupt_fd,
				  &answer, &why) &&
			  answer == VFERRY_STATE_REFUSED;
		back |= refused;
		if (move->together)
			break; /* the answer is the group's */
		if (!refused)
			continue;
		again(lane);
		vf_source_undo(lane);
	}
	for (uint32_t i = 0; back && move->together && i < move->count; i++)
		again(move->lanes[i]);
	for (uint32_t i = 0; back && move->together && i < move->count; i++)
		vf_source_undo(move->lanes[i]);
	return back;
}

static int run_lanes(struct vf_source_run *run, struct vf_link *link, struct vferry_error *err)
{
	struct vf_move *move = &run->move;
	int ret = vf_move_link(move, link, err);

	if (ret)
		return ret;
	move->on_frame = vf_source_frame;
	move->on_broken = vf_source_broken;
	move->on_interrupt = vf_source_interrupt;
	move->on_silence = vf_source_silence;
	vf_move_progress(move);
	vf_move_watch(move);
	for (uint32_t i = 0; i < move->count; i++)
		vf_source_begin(move->lanes[i]);
	ret = until_settled(move, err);
	if (!ret && ask_while_kept(move))
		ret = until_settled(move, err);
	if (ret)
		return ret;
	linger(run, link);
	ret = vf_move_verdict(move, err);
	if (ret && move->broken)
		vf_link_explain(link, err);
	return ret;
}

/* --- in doubt: ask at once, as vferry recover would later --- */

static void recovered(void *arg, const struct vferry_recovered *told)
{
	struct vferry_move *move = arg;
	struct vferry_vf_result *result = NULL;

	/* On one host there is the destination's journal too. */
	if (strcmp(told->role, vf_role_name(VF_ROLE_SOURCE)))
		return;
	/* Of a group it tells of each. */
	for (uint32_t i = 0; i < move->vf_count; i++)
		if (!strcmp(move->vfs[i].id, told->id))
			result = &move->vfs[i];
	if (!result)
		return;
	if (told->outcome != VFERRY_OUTCOME_MOVED && told->outcome != VFERRY_OUTCOME_TAKEN_BACK) {
		snprintf(result->undone, sizeof(result->undone), "%.230s", told->words);
		return;
	}
	result->outcome = told->outcome;
	snprintf(result->undone, sizeof(result->undone),
		 "the connection was lost, and asked again: %.190s", told->words);
	if (told->outcome == VFERRY_OUTCOME_MOVED) {
		result->error = 0;
		result->state = VFERRY_STATE_GONE;
	}
}

static void ask_again(const struct vferry_move_opts *opts, struct vferry_move *result)
{
	for (uint32_t i = 0; i < result->vf_count; i++) {
		struct vferry_recover_opts how = {
			.size = sizeof(how),
			.id = result->vfs[i].id,
			.peer = opts->peer,
			.timeout_ns = opts->timeout_ns,
			.interrupt_fd = -1,
			.each = recovered,
			.arg = result,
		};

		if (result->vfs[i].outcome != VFERRY_OUTCOME_IN_DOUBT ||
		    result->vfs[i].state != VFERRY_STATE_RELEASED)
			continue;
		vferry_recover(&how, NULL);
		if (result->group[0])
			break; /* asked once for all of it */
	}
}

int vferry_send(const struct vferry_move_opts *given, struct vferry_move *result,
		struct vferry_error *err)
{
	struct vf_source_run run = { 0 };
	struct vferry_move_opts opts;
	struct vf_peer_opts peer_opts;
	struct vf_peer *peer = NULL;
	struct vf_link link = { .in = -1, .out = -1 };
	struct vferry_error why = { 0 };
	bool linked = false;
	int ret;

	vf_move_defaults(&opts, given);
	if (!err)
		err = &why;
	ret = vf_move_begin(&run.move, &opts, result, err);
	run.move.together = opts.flags & VFERRY_MOVE_TOGETHER;
	if (!ret)
		ret = vf_peer_parse(&peer, opts.peer, err);
	if (!ret && vf_id_new(run.move.group))
		ret = vferry_fail(err, -EIO, "no random numbers for the migration's id");
	if (!ret)
		ret = vf_move_open_owner(&run.move, opts.slot_bytes, sizeof(struct vf_source),
					 &vf_source_side, err);
	if (!ret) {
		peer_opts = (struct vf_peer_opts){
			.insecure = opts.flags & VFERRY_MOVE_INSECURE,
			.timeout_ns = opts.timeout_ns,
		};
		ret = vf_peer_connect(peer, &peer_opts, &link, err);
		linked = !ret;
	}
	if (!ret) {
		run.kind = kind_for(&opts, &link);
		run.chunk_bytes = vf_arena_slot_bytes(run.move.owner->arena);
		if (run.move.together && run.kind != VF_OFFER_MIGRATION)
			ret = vferry_fail(
				err, -EOPNOTSUPP,
				"%s cannot answer, and a group (--together) moves only when all "
				"of it is known to have arrived",
				opts.peer);
		else
			ret = run_lanes(&run, &link, err);
	}
	for (uint32_t i = 0; i < run.move.count; i++) {
		struct vf_source *source = vf_source_of(run.move.lanes[i]);

		vf_writer_free(&source->writer);
		vf_source_forget(source);
		vf_retain_close(&source->retain);
	}
	vf_move_end(&run.move);
	if (linked)
		vf_link_close(&link, opts.timeout_ns);
	if (ret == -EINPROGRESS && peer && vf_peer_listens(peer)) {
		ask_again(&opts, result);
		ret = vf_move_verdict(&run.move, err);
	}
	if (ret && ret != -EINPROGRESS && linked && link.one_way && peer)
		vf_peer_discard(peer);
	vf_peer_free(peer);
	return ret;
}

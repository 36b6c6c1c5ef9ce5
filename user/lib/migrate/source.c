// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The source up to the switch: offer, pre-copy, and when to stop. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "migrate/group.h"
#include "migrate/host_id.h"
#include "migrate/settled.h"
#include "migrate/source.h"

/* A pass that brought less than this much of the one before does not pay any more. */
#define STILL_SHRINKS 0.9

static struct vf_source_run *run_of(struct vf_source *source)
{
	return (struct vf_source_run *)source->lane.move;
}

/* --- the passes --- */

static void pass_sized(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	uint64_t size;

	memcpy(&size, lane->cmd.answer, sizeof(size));
	vf_lane_phase(lane, VFERRY_PHASE_SRC_PRECOPY);
	vf_source_read(source, le64toh(size));
}

static void next_pass(struct vf_source *source)
{
	vf_lane_call(&source->lane, VFERRY_CMD_DEV_CTX_SIZE_GET, 0,
		     sizeof(struct vferry_admin_size_result), pass_sized);
}

/*
 * Pre-copy pays as long as the rest, at the rate that was measured, takes longer than the user allows, and each
 * pass leaves less to do than the one before.
 */
static void decide(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	uint64_t size, limit = lane->move->opts->downtime_limit_ns;

	memcpy(&size, lane->cmd.answer, sizeof(size));
	size = le64toh(size);
	source->freeze_estimate = size;
	if ((source->rate > 0 && (double)size / source->rate <= (double)limit) ||
	    size <= vf_arena_slot_bytes(lane->move->owner->arena) ||
	    (source->pass >= 3 &&
	     (double)source->sent_bytes > STILL_SHRINKS * (double)source->prior_bytes) ||
	    source->pass >= VF_PASSES_MAX) {
		vf_source_switch(source);
		return;
	}
	next_pass(source);
}

/* The pass is read, and the destination has staged it. */
static void pass_done(struct vf_source *source)
{
	uint64_t ns = vf_now_ns() - source->pass_begin_ns;
	double rate = ns ? (double)source->sent_bytes / (double)ns : 0;

	if (rate > source->rate)
		source->rate = rate;
	VF_FAULT_POINT("source-pass-done");
	vf_source_look(source);
}

void vf_source_look(struct vf_source *source)
{
	vf_lane_call(&source->lane, VFERRY_CMD_DEV_CTX_SIZE_GET, 1,
		     sizeof(struct vferry_admin_size_result), decide);
}

void vf_source_pass_over(struct vf_source *source)
{
	source->pass_over = true;
	if (run_of(source)->kind != VF_OFFER_MIGRATION || source->staged >= source->pass)
		pass_done(source);
}

static void staged(struct vf_source *source, const struct vf_message *message)
{
	if (message->pass + 1 > source->pass || message->pass < source->staged) {
		vf_lane_fail(&source->lane, -EPROTO,
			     "the destination says that it has staged image %u, %u were sent",
			     message->pass, source->pass);
		return;
	}
	source->staged = message->pass + 1;
	if (source->pass_over && source->staged >= source->pass && !source->final)
		pass_done(source);
}

/* --- the offer --- */

static void no_precopy(struct vf_lane *lane)
{
	vf_source_switch(vf_source_of(lane));
}

static void accepted(struct vf_source *source)
{
	struct vf_lane *lane = &source->lane;

	source->accepted = true;
	source->freeze_estimate = lane->about.size_freeze;
	VF_FAULT_POINT("source-accepted");
	if (lane->mode_found == VFERRY_MODE_FREEZE) {
		vf_source_switch(source);
		return;
	}
	/* What a device cannot give again is read on where the probe has stopped. */
	if (lane->move->opts->flags & VFERRY_MOVE_NO_PRECOPY && !source->reads_clear) {
		vf_probe_drop(&lane->probe);
		vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, no_precopy);
		return;
	}
	vf_lane_phase(lane, VFERRY_PHASE_SRC_PRECOPY);
	vf_source_read_held(source);
}

/* Who accepts is written down with the next state: nobody else may answer for it when it is asked. */
static void taken(struct vf_source *source, const struct vf_message *message)
{
	if (vf_host_id_none(message->host)) {
		vf_lane_fail(&source->lane, -EPROTO,
			     "the destination accepts and does not say who it is");
		return;
	}
	memcpy(source->lane.journal.record.host, message->host, VF_ID_BYTES);
	accepted(source);
}

static void retained(void *arg)
{
	struct vf_source *source = arg;

	if (source->retain.error && !source->lane.failing)
		vf_lane_fail(&source->lane, source->retain.error, "%s", source->retain.why.text);
	if (source->lane.failing)
		vf_lane_quiet(&source->lane);
	else if (source->ended)
		vf_source_final_sent(source);
}

/* Should this engine die, vferry recover puts back from there what the device has not any more. */
static int deposit(struct vf_source *source)
{
	struct vf_lane *lane = &source->lane;
	struct vf_lease *lease = &lane->move->owner->lease;
	struct vferry_error why;
	int ret;

	if (!lease->ops || !lease->ops->deposit)
		return 0;
	ret = lease->ops->deposit(lease, lane->vf, lane->id, source->retain.fd, &why);
	if (ret)
		vf_lane_fail(lane, ret, "what the device gives cannot be left with the keeper: %s",
			     why.text);
	source->deposited = !ret;
	return ret;
}

void vf_source_forget(struct vf_source *source)
{
	struct vf_lane *lane = &source->lane;
	struct vf_lease *lease = &lane->move->owner->lease;

	/* While there is a journal, somebody may have to put it back. */
	if (source->deposited && lane->journal.fd < 0 && lease->ops)
		lease->ops->forget(lease, lane->vf, lane->id);
}

static void offer(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	struct vf_source_run *run = run_of(source);
	struct vf_offer body = {
		.kind = run->kind,
		.lanes = lane->move->count,
		.vf = lane->vf,
		.clock = run->kind == VF_OFFER_MIGRATION,
		.together = lane->move->together,
		.chunk_bytes = run->chunk_bytes,
		.about = lane->about,
	};
	struct vferry_error why;
	char host[64] = "";

	/* A snapshot of what was moved away stays one, too. */
	if (run->kind != VF_OFFER_SNAPSHOT &&
	    vf_gone_check(lane->move->address, lane->vf, lane->move->owner->lease.epoch,
			  lane->about.has_status && !lane->about.device_status, &why)) {
		vf_lane_fail(lane, why.code, "%s", why.text);
		return;
	}
	/* Found frozen without a journal that says why: somebody else's doing, who may have the live copy elsewhere. */
	if (lane->mode_found == VFERRY_MODE_FREEZE && run->kind != VF_OFFER_SNAPSHOT) {
		vf_lane_fail(
			lane, -EBUSY,
			"the VF is in freeze: it was moved away and then reset, or somebody froze it by hand. If "
			"this is the live copy, set it to stop or active first (vferry admin %s mode set stop "
			"--vf %u)",
			lane->move->address, lane->vf);
		return;
	}
	source->reads_clear = lane->about.reads_clear;
	if (source->reads_clear &&
	    vf_retain_open(&source->retain, lane->move->ring, retained, source, &why)) {
		vf_lane_fail(lane, why.code, "%s", why.text);
		return;
	}
	if (vf_lane_open_journal(lane, VF_ROLE_SOURCE, VFERRY_STATE_PRECOPY,
				 (run->kind == VF_OFFER_HAND_OVER ? VF_JOURNAL_ONE_WAY : 0) |
					 (body.together ? VF_JOURNAL_TOGETHER : 0)))
		return;
	if (source->reads_clear && deposit(source))
		return;
	VF_FAULT_POINT("source-offer");
	memcpy(body.id, lane->id, VF_ID_BYTES);
	memcpy(body.group, lane->move->group, VF_ID_BYTES);
	gethostname(host, sizeof(host) - 1);
	snprintf(body.source, sizeof(body.source), "%s %s", host, lane->move->address);
	vf_lane_phase(lane, VFERRY_PHASE_SRC_OFFER);
	if (vf_lane_say_offer(lane, &body)) {
		vf_lane_fail(lane, -EPIPE, "the offer could not be sent");
		return;
	}
	if (run->kind != VF_OFFER_MIGRATION)
		accepted(source);
}

void vf_source_begin(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	source->retain.fd = -1;
	if (vf_id_new(lane->id)) {
		vf_lane_fail(lane, -EIO, "no random numbers for the migration's id");
		return;
	}
	vf_id_text(lane->result->id, lane->id);
	if (lane->move->together && !lane->number)
		memcpy(lane->move->group, lane->id, VF_ID_BYTES);
	vf_source_reader_init(source);
	vf_lane_probe(lane, true, offer);
}

/* --- what the destination says --- */

static void refused(struct vf_source *source, const struct vf_frame *frame, const void *payload)
{
	struct vf_lane *lane = &source->lane;
	struct vferry_error why;
	struct vf_words words;

	if (vf_words_parse(&words, payload, frame->length, &why)) {
		vf_lane_fail(lane, -EBADMSG, "%s", why.text);
		return;
	}
	if (frame->lane != VF_LANE_ALL && memcmp(words.id, lane->id, VF_ID_BYTES)) {
		vf_lane_fail(lane, -EPROTO, "the destination refuses another migration's id");
		return;
	}
	/* From RELEASED on only REFUSED gives the VF back; REFUSE then is a mistake of the peer. */
	if (frame->type == VF_FRAME_REFUSED && lane->state == VFERRY_STATE_RELEASED)
		source->refused = vf_group_refused(source);
	vf_lane_fail(lane, words.code && words.code != -EINTR ? words.code : -ECONNABORTED,
		     "the destination refused: %s", words.text);
}

static void lane_frame(struct vf_source *source, const struct vf_frame *frame, void *payload)
{
	struct vf_lane *lane = &source->lane;
	struct vf_message message;
	struct vferry_error why;

	if (lane->state == VFERRY_STATE_GONE && frame->type == VF_FRAME_STATE &&
	    !vf_message_parse(&message, payload, frame->length, &why) &&
	    !memcmp(message.id, lane->id, VF_ID_BYTES)) {
		vf_group_heard(source);
		return;
	}
	if (lane->settled || lane->undoing)
		return;
	if (frame->type == VF_FRAME_REFUSE || frame->type == VF_FRAME_REFUSED ||
	    frame->type == VF_FRAME_ABORT) {
		refused(source, frame, payload);
		return;
	}
	if (vf_message_parse(&message, payload, frame->length, &why)) {
		vf_lane_fail(lane, -EBADMSG, "%s: %s", vf_frame_name(frame->type), why.text);
		return;
	}
	if (memcmp(message.id, lane->id, VF_ID_BYTES)) {
		vf_lane_fail(lane, -EPROTO, "the destination sent %s for another migration's id",
			     vf_frame_name(frame->type));
		return;
	}
	if (lane->failing) /* on the way back */
		return;
	if (frame->type == VF_FRAME_ACCEPT && !source->accepted &&
	    lane->state == VFERRY_STATE_PRECOPY) {
		source->has_clock = message.flags & VF_ACCEPT_CLOCK;
		taken(source, &message);
	} else if (frame->type == VF_FRAME_STAGED && source->accepted && !source->ended)
		staged(source, &message);
	else if (frame->type == VF_FRAME_PONG && source->after_clock)
		vf_clock_answered(source, &message);
	else if (frame->type == VF_FRAME_LOADED && source->ended &&
		 lane->state == VFERRY_STATE_FROZEN)
		vf_source_loaded(source);
	else if (frame->type == VF_FRAME_ACTIVE && lane->state == VFERRY_STATE_RELEASED)
		vf_source_active(source, &message);
	else
		vf_lane_fail(lane, -EPROTO, "the destination sent %s, which has no place here",
			     vf_frame_name(frame->type));
}

void vf_source_frame(struct vf_move *move, const struct vf_frame *frame, void *payload)
{
	struct vferry_error why;

	if (frame->lane == VF_LANE_ALL && frame->type == VF_FRAME_REFUSE) {
		for (uint32_t i = 0; i < move->count; i++)
			lane_frame(vf_source_of(move->lanes[i]), frame, payload);
		return;
	}
	if (frame->lane >= move->count) {
		vferry_fail(&why, -EBADMSG, "the destination sent %s for VF number %u of %u",
			    vf_frame_name(frame->type), frame->lane, move->count);
		vf_move_broken(move, -EBADMSG, &why);
		return;
	}
	lane_frame(vf_source_of(move->lanes[frame->lane]), frame, payload);
}

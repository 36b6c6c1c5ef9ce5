// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The destination up to LOADED: is this VF fit and unused, and is what arrives a context? */
#include <errno.h>
#include <string.h>
#include <vferry/probes.h>
#include "migrate/destination.h"
#include "migrate/group.h"
#include "migrate/settled.h"

/* --- what arrives --- */

static void pass_staged(struct vf_destination *destination)
{
	struct vf_lane *lane = &destination->lane;
	struct vf_message message = {
		.pass = destination->pass - 1,
		.bytes = destination->writer.written,
	};

	destination->end_due = false;
	if (!destination->final) {
		vf_lane_say(lane, VF_FRAME_STAGED, &message);
		return;
	}
	VF_FAULT_POINT("destination-staged");
	if (vf_lane_state(lane, VFERRY_STATE_LOADED))
		return;
	destination->loaded = true;
	VF_FAULT_POINT("destination-loaded");
	vf_lane_phase(lane, VFERRY_PHASE_DST_LOADED);
	message.ns = vf_now_ns() - destination->last_byte_ns;
	vf_lane_say(lane, VF_FRAME_LOADED, &message);
	vf_destination_loaded(destination);
}

static void slots_free(struct vf_move *move)
{
	if (move->stream)
		vf_stream_resume(move->stream);
}

static void writer_progress(void *arg)
{
	struct vf_destination *destination = arg;

	vf_move_progress(destination->lane.move);
	slots_free(destination->lane.move);
}

static void writer_drained(void *arg)
{
	struct vf_destination *destination = arg;

	if (destination->lane.failing)
		vf_lane_quiet(&destination->lane);
	else if (destination->end_due && !destination->writer.busy)
		pass_staged(destination);
}

static void writer_failed(void *arg, int error, const struct vferry_error *why)
{
	struct vf_destination *destination = arg;
	struct vf_lane *lane = &destination->lane;

	if (error == -EREMOTEIO) {
		lane->result->opcode = VFERRY_CMD_DEV_CTX_WRITE;
		lane->result->status = destination->writer.status;
		lane->result->qualifier = destination->writer.qualifier;
	}
	vf_lane_fail(lane, error, "%s", why->text);
	slots_free(lane->move);
	vf_lane_quiet(lane);
}

static bool takes_context(const struct vf_destination *destination)
{
	const struct vf_lane *lane = &destination->lane;

	return destination->accepted && !lane->failing && !lane->settled &&
	       lane->state == VFERRY_STATE_LOADING && !destination->final;
}

/* A slot comes free only when a WRITE or a look at a VF ends. */
static bool someone_writes(const struct vf_move *move)
{
	for (uint32_t i = 0; i < move->count; i++)
		if (vf_destination_of(move->lanes[i])->writer.busy || move->lanes[i]->probe.running)
			return true;
	return false;
}

void *vf_destination_room(struct vf_lane *lane, const struct vf_frame *frame)
{
	struct vf_destination *destination = vf_destination_of(lane);
	struct vf_arena *arena = lane->move->owner->arena;

	if (frame->length > vf_arena_slot_bytes(arena)) {
		vf_lane_fail(lane, -EBADMSG, "a chunk of %u bytes, at most %u were agreed",
			     frame->length, vf_arena_slot_bytes(arena));
		return NULL;
	}
	/* A file waits for no ACCEPT: what it says next is looked at when the VF has been. */
	if (lane->move->mute && !destination->accepted && !lane->failing && !lane->settled)
		return NULL;
	destination->arriving = vf_arena_get(arena);
	if (!destination->arriving && !someone_writes(lane->move))
		vf_lane_fail(lane, -ENOBUFS, "no slot of the arena is free, and none will be");
	return destination->arriving ? destination->arriving->memory : NULL;
}

static void context(struct vf_destination *destination, const struct vf_frame *frame)
{
	struct vf_lane *lane = &destination->lane;
	struct vf_slot *slot = destination->arriving;
	struct vferry_error why;
	uint64_t now = vf_now_ns(), id;

	destination->arriving = NULL;
	if (!slot)
		return;
	if (!takes_context(destination)) {
		/* What was under way when this side gave up is of no use; anything else is out of place. */
		vf_arena_put(lane->move->owner->arena, slot);
		if (!lane->failing && !lane->settled && lane->state != VFERRY_STATE_ACTIVE)
			vf_lane_fail(lane, -EPROTO,
				     "the source sent CONTEXT, which has no place here");
		return;
	}
	if (frame->aux != destination->pass_bytes) {
		vf_arena_put(lane->move->owner->arena, slot);
		vf_lane_fail(lane, -EBADMSG,
			     "a chunk at offset %llu of image %u, %llu was expected",
			     (unsigned long long)frame->aux, destination->pass,
			     (unsigned long long)destination->pass_bytes);
		return;
	}
	vf_count_copies(lane->move, slot->memory, frame->length);
	if (!destination->pass_bytes)
		destination->pass_begin_ns = now;
	/* The device never sees what is no context. */
	if (vferry_ctx_walk(destination->walker, slot->memory, frame->length, &why)) {
		vf_arena_put(lane->move->owner->arena, slot);
		vf_lane_fail(lane, -EBADMSG, "%s", why.text);
		return;
	}
	memcpy(&id, lane->id, sizeof(id));
	VFERRY_PROBE6(chunk, id, (uint64_t)lane->vf, 1U, frame->length, now, vf_now_ns());
	vf_recorder_span(&lane->recorder, VF_RECORD_CHUNK_IN, 0, now, vf_now_ns(), frame->length);
	destination->pass_bytes += frame->length;
	destination->last_byte_ns = now;
	lane->move->bytes += frame->length;
	vf_writer_add(&destination->writer, slot, frame->length);
	vf_lane_show(lane, VFERRY_PHASE_DST_ACCEPT, destination->pass_bytes, 0);
}

static void end_of_pass(struct vf_destination *destination, const struct vf_message *message)
{
	struct vf_lane *lane = &destination->lane;

	if (!takes_context(destination)) {
		vf_lane_fail(lane, -EPROTO, "the source sent END, which has no place here");
		return;
	}
	if (message->pass != destination->pass || message->bytes != destination->pass_bytes) {
		vf_lane_fail(lane, -EBADMSG,
			     "image %u of %llu bytes ends, %llu bytes of image %u have come",
			     message->pass, (unsigned long long)message->bytes,
			     (unsigned long long)destination->pass_bytes, destination->pass);
		return;
	}
	if (vferry_ctx_walk_open(destination->walker) || message->bytes % VFERRY_CTX_ALIGN) {
		vf_lane_fail(lane, -EBADMSG, "image %u ends before its END field", message->pass);
		return;
	}
	vf_lane_count_pass(lane, message->bytes, vf_now_ns() - destination->pass_begin_ns);
	destination->pass_bytes = 0;
	destination->pass++;
	if (message->flags & VF_END_FINAL) {
		vf_lane_phase(lane, VFERRY_PHASE_DST_FINAL_LAST);
		lane->result->final_bytes = message->bytes;
		destination->final = true;
		if (!vferry_ctx_walk_images(destination->walker)) {
			vf_lane_fail(lane, -EBADMSG, "the stream ends without a context");
			return;
		}
	}
	destination->end_due = true;
	if (!destination->writer.busy)
		pass_staged(destination);
}

/* --- the offer --- */

static void accept_offer(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);
	struct vf_message message = { .bytes = vf_arena_slot_bytes(lane->move->owner->arena) };

	destination->accepted = true;
	message.flags = destination->offer.clock ? VF_ACCEPT_CLOCK : 0;
	memcpy(message.host, lane->move->host, VF_ID_BYTES);
	VF_FAULT_POINT("destination-accept");
	vf_lane_phase(lane, VFERRY_PHASE_DST_ACCEPT);
	vf_lane_say(lane, VF_FRAME_ACCEPT, &message);
	if (lane->move->mute)
		slots_free(lane->move);
}

/* Whatever someone staged here before is not to be mixed with ours. */
static void frozen(struct vf_lane *lane)
{
	VF_FAULT_POINT("destination-frozen");
	vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, accept_offer);
}

static int make_checks(struct vf_destination *destination)
{
	static const struct vferry_ctx_walk_opts opts = {
		.image_bound = 1ULL << 40,
		.fields_max = 1u << 24,
	};
	const struct vf_writer_events events = {
		.progress = writer_progress,
		.drained = writer_drained,
		.failed = writer_failed,
		.arg = destination,
	};
	struct vf_lane *lane = &destination->lane;
	struct vferry_owner *owner = lane->move->owner;

	destination->walker = vferry_ctx_walker_new(&opts);
	if (!destination->walker)
		return -ENOMEM;
	return vf_writer_init(&destination->writer, owner->admin, owner->arena, lane->vf, &events);
}

/* A snapshot is a copy each time; anything else is taken in once. */
static int fresh(struct vf_lane *lane, struct vferry_error *err)
{
	if (vf_destination_of(lane)->offer.kind == VF_OFFER_SNAPSHOT)
		return 0;
	return vf_settled_check_offer(lane->id, lane->move->address, lane->move->owner->lease.epoch,
				      err);
}

static void probed(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);
	const struct vf_offer *offer = &destination->offer;
	bool hand_over = offer->kind == VF_OFFER_HAND_OVER;
	struct vferry_error why;

	slots_free(lane->move);
	if (vf_gone_check(lane->move->address, lane->vf, lane->move->owner->lease.epoch,
			  lane->about.has_status && !lane->about.device_status, &why) ||
	    fresh(lane, &why)) {
		vf_lane_fail(lane, why.code, "%s", why.text);
		return;
	}
	if (!lane->about.has_status) {
		vf_lane_fail(
			lane, -EOPNOTSUPP,
			"its context has no device_status field: whether a guest uses it cannot "
			"be told");
		return;
	}
	if (lane->about.device_status) {
		vf_lane_fail(
			lane, -EBUSY,
			"in use: a driver has set its device_status to 0x%02x. Take a VF that no "
			"guest drives, or reset it",
			lane->about.device_status);
		return;
	}
	if (vf_offer_compare(&offer->about, &lane->about, &why)) {
		vf_lane_fail(lane, why.code, "%s (VF %u of %s)", why.text, offer->vf,
			     offer->source);
		return;
	}
	if (make_checks(destination)) {
		vf_lane_fail(lane, -ENOMEM, "no memory");
		return;
	}
	if (vf_lane_open_journal(lane, VF_ROLE_DESTINATION, VFERRY_STATE_LOADING,
				 (lane->move->mute ? VF_JOURNAL_ONE_WAY : 0) |
					 (hand_over ? VF_JOURNAL_HAND_OVER : 0) |
					 (offer->together ? VF_JOURNAL_TOGETHER : 0)))
		return;
	/* Another receiver may have taken the same stream in since: its journal has made place for ours. */
	if (fresh(lane, &why)) {
		vf_lane_fail(lane, why.code, "%s", why.text);
		return;
	}
	VF_FAULT_POINT("destination-loading");
	vf_lane_mode(lane, VFERRY_MODE_FREEZE, frozen);
}

void vf_destination_offer(struct vf_lane *lane, const struct vf_offer *offer)
{
	struct vf_destination *destination = vf_destination_of(lane);

	destination->offered = true;
	/* Its group has been refused before its own offer came: so is this one. */
	if (lane->failing || lane->settled)
		return;
	destination->offer = *offer;
	memcpy(lane->id, offer->id, VF_ID_BYTES);
	vf_id_text(lane->result->id, lane->id);
	vf_lane_phase(lane, VFERRY_PHASE_DST_OFFER);
	vf_lane_probe(lane, false, probed);
}

/* --- what the source says --- */

static void aborted(struct vf_lane *lane, const struct vf_frame *frame, const void *payload)
{
	struct vferry_error why;
	struct vf_words words;

	if (vf_words_parse(&words, payload, frame->length, &why))
		vf_lane_fail(lane, -EBADMSG, "%s", why.text);
	else if (vf_group_state(lane) >
		 VFERRY_STATE_LOADED) /* it has released already: not its to say */
		vf_lane_fail(lane, -EPROTO, "the source sent ABORT after RELEASE");
	else
		vf_lane_fail(lane, -ECONNABORTED, "the source took its VF back: %s", words.text);
}

void vf_destination_frame(struct vf_lane *lane, const struct vf_frame *frame, void *payload)
{
	struct vf_destination *destination = vf_destination_of(lane);
	struct vf_message message;
	struct vferry_error why;

	if (frame->type == VF_FRAME_CONTEXT) {
		context(destination, frame);
		return;
	}
	if (lane->settled || lane->failing)
		return;
	/* Nothing that a peer says makes an Active VF anything else; what is not DONE is as good as silence. */
	if (lane->state == VFERRY_STATE_ACTIVE) {
		if (frame->type == VF_FRAME_DONE &&
		    !vf_message_parse(&message, payload, frame->length, &why) &&
		    !memcmp(message.id, lane->id, VF_ID_BYTES))
			vf_destination_done(destination);
		return;
	}
	if (frame->type == VF_FRAME_ABORT) {
		aborted(lane, frame, payload);
		return;
	}
	if (vf_message_parse(&message, payload, frame->length, &why)) {
		vf_lane_fail(lane, -EBADMSG, "%s: %s", vf_frame_name(frame->type), why.text);
		return;
	}
	if (memcmp(message.id, lane->id, VF_ID_BYTES)) {
		vf_lane_fail(lane, -EPROTO, "the source sent %s for another migration's id",
			     vf_frame_name(frame->type));
		return;
	}
	if (frame->type == VF_FRAME_PING)
		vf_clock_answer(lane, &message);
	else if (frame->type == VF_FRAME_END)
		end_of_pass(destination, &message);
	else if (frame->type == VF_FRAME_RELEASE && destination->final &&
		 (lane->state == VFERRY_STATE_LOADED || lane->move->mute))
		vf_destination_release(destination);
	else
		vf_lane_fail(lane, -EPROTO, "the source sent %s, which has no place in state %s",
			     vf_frame_name(frame->type), vferry_state_name(lane->state));
}

void vf_destination_free(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	if (destination->arriving)
		vf_arena_put(lane->move->owner->arena, destination->arriving);
	destination->arriving = NULL;
	vf_writer_free(&destination->writer);
	vferry_ctx_walker_free(destination->walker);
	destination->walker = NULL;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A pass: chunks from the device into slots, from the slots to the peer. */
#include <errno.h>
#include <string.h>
#include <vferry/probes.h>
#include "migrate/source.h"

#define UNSENT_MOST 16u /* chunks */

static void let_go(struct vf_chunk *chunk)
{
	struct vf_move *move = chunk->lane->move;

	if (--chunk->holds)
		return;
	vf_arena_put(move->owner->arena, chunk->slot);
	vf_move_slots(move);
}

/*
 * More than this lies long enough for the cache to forget it before the kernel reads it, and costs the device's side
 * wake-ups for single chunks. Where the kernel reads without a copy, it holds as many as the peer has to acknowledge.
 */
static bool hold(void *arg)
{
	struct vf_move *move = ((struct vf_source *)arg)->lane.move;

	if (move->unsent >= UNSENT_MOST && !vf_stream_sends_zc(move->stream))
		move->sated = true;
	else if (move->unsent <= UNSENT_MOST / 2)
		move->sated = false;
	return move->sated;
}

static void chunk_sent(struct vf_tx *tx, int error)
{
	struct vf_chunk *chunk = (struct vf_chunk *)((char *)tx - offsetof(struct vf_chunk, tx));
	struct vf_lane *lane = chunk->lane;
	uint64_t id, now;

	lane->move->unsent--;

	if (!error) {
		now = vf_now_ns();
		vf_move_progress(lane->move);
		vf_recorder_span(&lane->recorder, VF_RECORD_CHUNK_OUT, 0, chunk->begin_ns, now,
				 chunk->length);
		memcpy(&id, lane->id, sizeof(id));
		VFERRY_PROBE6(chunk, id, (uint64_t)lane->vf, 0U, chunk->length, chunk->begin_ns,
			      now);
	} else {
		lane->move->send_error = error;
	}
	let_go(chunk);
}

static void chunk_kept(struct vf_keep *keep)
{
	let_go((struct vf_chunk *)((char *)keep - offsetof(struct vf_chunk, keep)));
}

static void send_chunk(struct vf_source *source, struct vf_slot *slot, uint32_t length)
{
	struct vf_lane *lane = &source->lane;
	struct vf_move *move = lane->move;
	struct vf_chunk *chunk = &move->chunks[slot->number];

	memset(&chunk->tx, 0, sizeof(chunk->tx));
	chunk->lane = lane;
	chunk->slot = slot;
	chunk->length = length;
	chunk->begin_ns = vf_now_ns();
	chunk->holds = 1;
	chunk->tx.frame.type = VF_FRAME_CONTEXT;
	chunk->tx.frame.lane = lane->number;
	chunk->tx.frame.aux = source->pass_bytes;
	chunk->tx.parts[0] = (struct iovec){ slot->memory, length };
	chunk->tx.count = 1;
	chunk->tx.done = chunk_sent;
	vf_count_copies(move, chunk->tx.parts[0].iov_base, length);
	source->pass_bytes += length;
	move->bytes += length;
	if (source->reads_clear) {
		chunk->holds++;
		lane->result->kept_bytes += length;
		vf_retain_add(&source->retain, &chunk->keep, slot->memory, length, chunk_kept);
	}
	move->unsent++;
	vf_stream_send(move->stream, &chunk->tx);
}

static void say_end(struct vf_source *source, uint32_t flags)
{
	struct vf_message message = {
		.flags = flags,
		.pass = source->pass,
		.bytes = source->pass_bytes,
	};

	vf_lane_say(&source->lane, VF_FRAME_END, &message);
	source->ended = flags & VF_END_FINAL;
	source->pass++;
	source->prior_bytes = source->sent_bytes;
	source->sent_bytes = source->pass_bytes;
	vf_lane_count_pass(&source->lane, source->pass_bytes, vf_now_ns() - source->pass_begin_ns);
	if (source->final)
		source->lane.result->final_bytes += source->pass_bytes;
	source->pass_bytes = 0;
	source->end_due = false;
}

static void on_chunk(void *arg, struct vf_slot *slot, uint32_t length)
{
	struct vf_source *source = arg;
	struct vf_lane *lane = &source->lane;

	vf_move_progress(lane->move);
	if (lane->failing || lane->move->broken) {
		/* A device that cannot give it again: kept though it is not sent. */
		if (!source->reads_clear) {
			vf_arena_put(lane->move->owner->arena, slot);
			return;
		}
	}
	if (source->end_due) /* another image after all */
		say_end(source, 0);
	send_chunk(source, slot, length);
	if (!source->final)
		vf_lane_show(lane, VFERRY_PHASE_SRC_PRECOPY, source->pass_bytes,
			     source->reader.remaining);
}

static void on_pass_end(void *arg)
{
	struct vf_source *source = arg;

	if (source->lane.failing)
		return;
	if (source->final)
		source->end_due = true;
	else
		say_end(source, 0);
}

static void on_stopped(void *arg, int error, const struct vferry_error *why)
{
	struct vf_source *source = arg;
	struct vf_lane *lane = &source->lane;

	if (error == -EREMOTEIO) {
		lane->result->opcode = VFERRY_CMD_DEV_CTX_READ;
		lane->result->status = source->reader.status;
		lane->result->qualifier = source->reader.qualifier;
	}
	if (error && !lane->failing)
		vf_lane_fail(lane, error, "%s", why->text);
	if (lane->failing) {
		vf_lane_quiet(lane);
		return;
	}
	if (!source->final) {
		vf_source_pass_over(source);
		return;
	}
	vf_lane_phase(lane, VFERRY_PHASE_SRC_FINAL_READ);
	say_end(source, VF_END_FINAL | (source->pass_bytes ? 0 : VF_END_NOTHING));
	vf_lane_phase(lane, VFERRY_PHASE_SRC_FINAL_SENT);
	vf_source_final_sent(source);
}

void vf_source_reader_init(struct vf_source *source)
{
	const struct vf_reader_events events = {
		.chunk = on_chunk,
		.pass_end = on_pass_end,
		.stopped = on_stopped,
		.hold = hold,
		.arg = source,
	};
	struct vferry_owner *owner = source->lane.move->owner;
	uint32_t share = vf_arena_slots(owner->arena) / source->lane.move->count;

	vf_reader_init(&source->reader, owner->admin, owner->arena, source->lane.vf, &events);
	if (share < source->reader.depth)
		source->reader.depth = share ? share : 1;
}

void vf_source_read(struct vf_source *source, uint64_t estimate)
{
	source->pass_begin_ns = vf_now_ns();
	source->pass_estimate = estimate;
	source->pass_over = false;
	vf_reader_start(&source->reader, estimate, source->lane.mode == VFERRY_MODE_FREEZE);
}

void vf_source_read_held(struct vf_source *source)
{
	struct vf_probe *probe = &source->lane.probe;
	struct vf_slot *slot = probe->slot;
	uint32_t have = probe->have;

	probe->slot = NULL;
	probe->have = 0;
	source->pass_begin_ns = vf_now_ns();
	source->pass_estimate = source->lane.about.size_now + have;
	source->pass_over = false;
	source->reader.bytes = have;
	send_chunk(source, slot, have);
	vf_reader_start(&source->reader, source->lane.about.size_now,
			source->lane.mode == VFERRY_MODE_FREEZE);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "migrate/fault_point.h"
#include "migrate/reader.h"

#define BACKOFF_FIRST_NS 200000ULL
#define BACKOFF_MOST_NS	 20000000ULL

static void answered(struct vferry_cmd *cmd);
static void pump(struct vf_reader *reader);

static void backoff_over(struct vf_timer *timer)
{
	struct vf_reader *reader =
		(struct vf_reader *)((char *)timer - offsetof(struct vf_reader, backoff));

	pump(reader);
}

void vf_reader_init(struct vf_reader *reader, struct vf_admin *admin, struct vf_arena *arena,
		    uint16_t vf, const struct vf_reader_events *events)
{
	memset(reader, 0, sizeof(*reader));
	reader->admin = admin;
	reader->arena = arena;
	reader->ring = admin->ring;
	reader->vf = vf;
	reader->events = *events;
	reader->depth = VF_READER_DEPTH;
	reader->backoff.fn = backoff_over;
}

bool vf_reader_busy(const struct vf_reader *reader)
{
	return reader->running;
}

/*
 * May one more READ go out? Behind the end of an image the device may open the next one, in every mode but
 * Freeze; so that this stays rare, one READ only when at most two chunks remain.
 */
static bool wants_more(const struct vf_reader *reader)
{
	uint64_t under_way = (uint64_t)reader->count * reader->chunk;

	if (!reader->running || reader->stopping || reader->error || reader->at_end ||
	    reader->backoff.slot)
		return false;
	if (!reader->count)
		return true;
	if (reader->count >= reader->depth)
		return false;
	if (reader->frozen) /* one more than the estimate, for the 0 at the end */
		return reader->remaining + reader->chunk > under_way;
	return reader->remaining > under_way + 2ULL * reader->chunk;
}

static void pump(struct vf_reader *reader)
{
	reader->starving = false;
	while (wants_more(reader)) {
		bool held = reader->events.hold && reader->events.hold(reader->events.arg);
		struct vf_slot *slot = held ? NULL : vf_arena_get(reader->arena);
		struct vf_read *read =
			&reader->reads[(reader->head + reader->count) % VF_READER_DEPTH];

		if (!slot) {
			reader->starving = true;
			return;
		}
		*read = (struct vf_read){
			.cmd = {
				.opcode = VFERRY_CMD_DEV_CTX_READ,
				.group_type = VFERRY_GROUP_SRIOV,
				.member = reader->vf,
				.no_retry = true, /* a READ behind it may already have the bytes */
				.relaxed = true,
				.result_count = 1,
				.done = answered,
			},
			.sg = { .iova = slot->iova, .length = slot->bytes },
			.slot = slot,
			.reader = reader,
		};
		read->cmd.result = &read->sg;
		read->cmd.arg = read;
		reader->count++;
		VF_FAULT_POINT("chunk-read");
		vf_admin_submit(reader->admin, &read->cmd);
	}
}

static void stop_if_quiet(struct vf_reader *reader)
{
	int error = reader->error;

	if (!reader->running || reader->count)
		return;
	if (!error && reader->stopping)
		error = -ECANCELED;
	if (!error && !reader->at_end)
		return;
	reader->running = false;
	reader->stopping = false;
	vf_timer_stop(reader->ring, &reader->backoff);
	reader->events.stopped(reader->events.arg, error, &reader->why);
}

static void put_off(struct vf_reader *reader)
{
	uint64_t now = vf_now_ns();

	if (!reader->put_off_since_ns)
		reader->put_off_since_ns = now;
	if (now - reader->put_off_since_ns > reader->admin->timeout_ns) {
		reader->error =
			vferry_fail(&reader->why, -ETIMEDOUT,
				    "the device answered EAGAIN to every dev_ctx_read for "
				    "%llu ms",
				    (unsigned long long)(reader->admin->timeout_ns / 1000000));
		return;
	}
	reader->backoff_ns = reader->backoff_ns ? reader->backoff_ns * 2 : BACKOFF_FIRST_NS;
	if (reader->backoff_ns > BACKOFF_MOST_NS)
		reader->backoff_ns = BACKOFF_MOST_NS;
	vf_timer_set(reader->ring, &reader->backoff, now + reader->backoff_ns);
}

static void take(struct vf_reader *reader, struct vf_read *read)
{
	struct vferry_cmd *cmd = &read->cmd;
	uint32_t length;

	if (cmd->error ||
	    (cmd->status != VFERRY_STATUS_OK && cmd->status != VFERRY_STATUS_EAGAIN)) {
		if (!reader->error && cmd->error) {
			reader->error = vferry_fail(&reader->why, cmd->error, "dev_ctx_read: %s",
						    cmd->why ? cmd->why : strerror(-cmd->error));
		} else if (!reader->error) {
			reader->status = cmd->status;
			reader->qualifier = cmd->qualifier;
			reader->error = vferry_fail(
				&reader->why, -EREMOTEIO,
				"the device answered dev_ctx_read with %s (%u), qualifier %s (%u)",
				vferry_status_name(cmd->status), cmd->status,
				vferry_qualifier_name(cmd->qualifier), cmd->qualifier);
		}
		/* Where the device may still write the slot is lost until the queue has been settled. */
		if (!cmd->abandoned)
			vf_arena_put(reader->arena, read->slot);
		return;
	}
	if (cmd->status == VFERRY_STATUS_EAGAIN) {
		/* No side effect: a READ behind it that was OK has the bytes that come next. */
		vf_arena_put(reader->arena, read->slot);
		put_off(reader);
		return;
	}
	reader->put_off_since_ns = 0;
	reader->backoff_ns = 0;
	memcpy(&length, cmd->output, sizeof(length));
	length = le32toh(length);
	if (length > read->slot->bytes || cmd->used < length) {
		if (!reader->error)
			reader->error = vferry_fail(
				&reader->why, -EPROTO,
				"dev_ctx_read: context_len %u, %u bytes written, room %u: the answer "
				"contradicts itself",
				length, cmd->used, read->slot->bytes);
		vf_arena_put(reader->arena, read->slot);
		return;
	}
	if (!length) {
		vf_arena_put(reader->arena, read->slot);
		reader->at_end = true;
		reader->remaining = 0;
		if (reader->bytes && !reader->error)
			reader->events.pass_end(reader->events.arg);
		reader->bytes = 0;
		return;
	}
	reader->at_end = false;
	reader->chunk = length;
	reader->remaining = reader->remaining > length ? reader->remaining - length : 0;
	if (reader->error) { /* behind a hole: of no use */
		vf_arena_put(reader->arena, read->slot);
		return;
	}
	reader->bytes += length;
	reader->events.chunk(reader->events.arg, read->slot, length);
}

static void answered(struct vferry_cmd *cmd)
{
	struct vf_read *read = cmd->arg;
	struct vf_reader *reader = read->reader;

	read->answered = true;
	/* The device worked in the order of submission, whatever order the answers were seen in. */
	while (reader->count && reader->reads[reader->head].answered) {
		struct vf_read *first = &reader->reads[reader->head];

		first->answered = false;
		reader->head = (reader->head + 1) % VF_READER_DEPTH;
		reader->count--;
		take(reader, first);
	}
	pump(reader);
	stop_if_quiet(reader);
}

void vf_reader_start(struct vf_reader *reader, uint64_t estimate, bool frozen)
{
	reader->running = true;
	reader->stopping = false;
	reader->at_end = false;
	reader->frozen = frozen;
	reader->error = 0;
	reader->remaining = estimate;
	/* The last pass ended with a short chunk: that says nothing about the first ones of this pass. */
	reader->chunk = vf_arena_slot_bytes(reader->arena);
	reader->backoff_ns = 0;
	reader->put_off_since_ns = 0;
	pump(reader);
}

void vf_reader_slots(struct vf_reader *reader)
{
	if (reader->starving)
		pump(reader);
}

void vf_reader_stop(struct vf_reader *reader)
{
	if (!reader->running || reader->stopping)
		return;
	reader->stopping = true;
	reader->starving = false;
	vf_timer_stop(reader->ring, &reader->backoff);
	stop_if_quiet(reader);
}

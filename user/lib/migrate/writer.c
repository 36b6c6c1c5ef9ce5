// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "migrate/fault_point.h"
#include "migrate/writer.h"

/* Enough to keep the device busy for a while; more would only hold slots that the network could fill. */
#define WRITE_BYTES_MAX (2u << 20)

static void answered(struct vferry_cmd *cmd);

int vf_writer_init(struct vf_writer *writer, struct vf_admin *admin, struct vf_arena *arena,
		   uint16_t vf, const struct vf_writer_events *events)
{
	memset(writer, 0, sizeof(*writer));
	writer->admin = admin;
	writer->arena = arena;
	writer->vf = vf;
	writer->events = *events;
	writer->room = vf_arena_slots(arena);
	writer->runs = calloc(writer->room, sizeof(*writer->runs));
	return writer->runs ? 0 : -ENOMEM;
}

void vf_writer_free(struct vf_writer *writer)
{
	if (!writer->runs)
		return;
	vf_writer_drop(writer);
	free(writer->runs);
	writer->runs = NULL;
}

bool vf_writer_busy(const struct vf_writer *writer)
{
	return writer->busy;
}

static void submit(struct vf_writer *writer)
{
	unsigned int count = 0;
	uint32_t bytes = 0;

	if (writer->busy || writer->failed || writer->pending < VFERRY_ADMIN_ALIGN)
		return;
	while (count < VFERRY_CMD_SG_MAX && count < writer->count) {
		const struct vf_run *run = &writer->runs[(writer->head + count) % writer->room];

		if (bytes >= VFERRY_ADMIN_ALIGN && bytes + run->length > WRITE_BYTES_MAX)
			break;
		writer->sg[count].iova = run->slot->iova + run->offset;
		writer->sg[count].length = run->length;
		bytes += run->length;
		count++;
	}
	/* What is beyond a multiple of 8 waits for the next one. */
	for (uint32_t over = bytes % VFERRY_ADMIN_ALIGN; over;) {
		struct vferry_sg *last = &writer->sg[count - 1];
		uint32_t cut = last->length < over ? last->length : over;

		last->length -= cut;
		over -= cut;
		bytes -= cut;
		if (!last->length)
			count--;
	}
	writer->sg_bytes = bytes;
	writer->cmd = (struct vferry_cmd){
		.opcode = VFERRY_CMD_DEV_CTX_WRITE,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = writer->vf,
		.data = writer->sg,
		.data_count = count,
		.done = answered,
		.arg = writer,
	};
	writer->busy = true;
	writer->commands++;
	VF_FAULT_POINT("chunk-write");
	vf_admin_submit(writer->admin, &writer->cmd);
}

static void pop(struct vf_writer *writer)
{
	vf_arena_put(writer->arena, writer->runs[writer->head].slot);
	writer->head = (writer->head + 1) % writer->room;
	writer->count--;
}

static void consume(struct vf_writer *writer, uint32_t bytes)
{
	writer->pending -= bytes;
	while (bytes) {
		struct vf_run *run = &writer->runs[writer->head];
		uint32_t part = run->length < bytes ? run->length : bytes;

		run->offset += part;
		run->length -= part;
		bytes -= part;
		if (!run->length)
			pop(writer);
	}
}

static void answered(struct vferry_cmd *cmd)
{
	struct vf_writer *writer = cmd->arg;
	int error = cmd->error;

	writer->busy = false;
	if (cmd->abandoned) {
		/* The device may still read them: these slots are lost until the queue has been settled. */
		for (uint32_t bytes = writer->sg_bytes; bytes;) {
			struct vf_run *run = &writer->runs[writer->head];
			uint32_t part = run->length < bytes ? run->length : bytes;

			bytes -= part;
			writer->pending -= run->length;
			writer->head = (writer->head + 1) % writer->room;
			writer->count--;
		}
	} else {
		consume(writer, writer->sg_bytes);
	}
	if (error)
		vferry_fail(&writer->why, error, "dev_ctx_write: %s",
			    cmd->why ? cmd->why : strerror(-error));
	if (!error && cmd->status != VFERRY_STATUS_OK) {
		writer->status = cmd->status;
		writer->qualifier = cmd->qualifier;
		error = vferry_fail(
			&writer->why, -EREMOTEIO,
			"the device answered dev_ctx_write with %s (%u), qualifier %s (%u)",
			vferry_status_name(cmd->status), cmd->status,
			vferry_qualifier_name(cmd->qualifier), cmd->qualifier);
	}
	if (error) {
		writer->failed = true;
		vf_writer_drop(writer);
		writer->events.failed(writer->events.arg, error, &writer->why);
		return;
	}
	writer->written += writer->sg_bytes;
	submit(writer);
	writer->events.progress(writer->events.arg);
	if (!writer->busy && !writer->failed)
		writer->events.drained(writer->events.arg);
}

void vf_writer_add(struct vf_writer *writer, struct vf_slot *slot, uint32_t length)
{
	if (writer->failed || !length || writer->count == writer->room) {
		vf_arena_put(writer->arena, slot);
		return;
	}
	writer->runs[(writer->head + writer->count) % writer->room] =
		(struct vf_run){ .slot = slot, .length = length };
	writer->count++;
	writer->pending += length;
	writer->accepted += length;
	submit(writer);
}

void vf_writer_drop(struct vf_writer *writer)
{
	/* What a WRITE under way names stays until it is answered. */
	uint32_t keep = 0;

	if (writer->busy)
		for (uint32_t bytes = writer->sg_bytes; bytes; keep++) {
			uint32_t length = writer->runs[(writer->head + keep) % writer->room].length;

			bytes -= length < bytes ? length : bytes;
		}
	while (writer->count > keep) {
		struct vf_run *run =
			&writer->runs[(writer->head + writer->count - 1) % writer->room];

		writer->pending -= run->length;
		vf_arena_put(writer->arena, run->slot);
		writer->count--;
	}
}

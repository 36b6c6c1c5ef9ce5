/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An owner device in this process, for tests of what stands above the admin interface: commands are executed in the order of
 * submission, answered at the next turn of the ring, with faults at the n-th.
 */
#ifndef FAKE_ADMIN_H
#define FAKE_ADMIN_H

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "admin/admin.h"

struct fake {
	struct vf_admin admin;
	struct vf_ring *ring;
	struct vf_lease lease;
	struct vf_arena *arena;
	struct vferry_cmd *queue[64];
	unsigned int count, most_inflight;
	struct vf_timer timer;

	/* what READ gives: images one after the other, 0 between them */
	uint8_t *context;
	uint64_t image[8];
	unsigned int images, at_image;
	uint64_t at; /* in the image */
	bool ended;  /* the last byte was given: the next READ says 0 */
	uint32_t (*chunk)(struct fake *fake, uint32_t room);
	unsigned int reads, writes;

	/* what WRITE got */
	uint8_t *written;
	uint64_t written_bytes;

	/* the n-th command of all (from 1): an answer instead of execution */
	unsigned int commands, fault_at, fault_times, fault_every;
	uint16_t fault_status;
	int fault_error;
	bool lie; /* context_len beyond what was written */
};

static struct fake *fake_of(struct vf_admin *admin)
{
	return (struct fake *)admin;
}

static void *fake_memory(struct fake *fake, uint64_t iova)
{
	return (uint8_t *)fake->lease.arena + (iova - fake->lease.arena_iova);
}

static void fake_read(struct fake *fake, struct vferry_cmd *cmd)
{
	uint32_t room = cmd->result[0].length, length;
	uint64_t base = 0, left;

	fake->reads++;
	if (fake->ended || fake->at_image == fake->images) {
		fake->ended = false;
		memset(cmd->output, 0, 4);
		return;
	}
	for (unsigned int i = 0; i < fake->at_image; i++)
		base += fake->image[i];
	left = fake->image[fake->at_image] - fake->at;
	length = fake->chunk ? fake->chunk(fake, room) : room;
	if (length > room)
		length = room;
	if (length > left)
		length = (uint32_t)left;
	memcpy(fake_memory(fake, cmd->result[0].iova), fake->context + base + fake->at, length);
	fake->at += length;
	if (fake->at == fake->image[fake->at_image]) {
		fake->at = 0;
		fake->at_image++;
		fake->ended = true;
	}
	cmd->used = fake->lie ? length - 1 : length;
	length = htole32(length);
	memcpy(cmd->output, &length, 4);
}

static void fake_write(struct fake *fake, struct vferry_cmd *cmd)
{
	uint64_t sum = 0;

	fake->writes++;
	for (unsigned int i = 0; i < cmd->data_count; i++) {
		memcpy(fake->written + fake->written_bytes, fake_memory(fake, cmd->data[i].iova),
		       cmd->data[i].length);
		fake->written_bytes += cmd->data[i].length;
		sum += cmd->data[i].length;
	}
	/* The rule that a gathering writer must keep. */
	if (!sum || sum % VFERRY_ADMIN_ALIGN || cmd->data_count > VFERRY_CMD_SG_MAX)
		cmd->error = -EINVAL;
}

static void fake_execute(struct fake *fake, struct vferry_cmd *cmd)
{
	unsigned int n = ++fake->commands;

	if ((fake->fault_at && n >= fake->fault_at && n < fake->fault_at + fake->fault_times) ||
	    (fake->fault_every && !(n % fake->fault_every))) {
		cmd->status = fake->fault_status;
		cmd->error = fake->fault_error;
		return;
	}
	if (cmd->opcode == VFERRY_CMD_DEV_CTX_READ)
		fake_read(fake, cmd);
	else if (cmd->opcode == VFERRY_CMD_DEV_CTX_WRITE)
		fake_write(fake, cmd);
}

static void fake_answer(struct vf_timer *timer)
{
	struct fake *fake = (struct fake *)((char *)timer - offsetof(struct fake, timer));
	unsigned int count = fake->count;
	struct vferry_cmd *queue[64];

	memcpy(queue, fake->queue, sizeof(queue));
	fake->count = 0;
	for (unsigned int i = 0; i < count; i++)
		fake_execute(fake, queue[i]);
	for (unsigned int i = 0; i < count; i++)
		queue[i]->done(queue[i]);
}

static void fake_submit(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	struct fake *fake = fake_of(admin);

	fake->queue[fake->count++] = cmd;
	if (fake->count > fake->most_inflight)
		fake->most_inflight = fake->count;
	vf_timer_set(fake->ring, &fake->timer, vf_now_ns());
}

static const struct vf_admin_ops fake_ops = { .submit = fake_submit };

static struct fake *fake_new(uint64_t context_bytes, uint32_t slots, uint32_t slot_bytes)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	if (vf_ring_new(&fake->ring, 64, NULL))
		abort();
	fake->admin.ops = &fake_ops;
	fake->admin.ring = fake->ring;
	fake->admin.timeout_ns = 300000000;
	fake->timer.fn = fake_answer;
	fake->lease.arena_bytes = (uint64_t)slots * slot_bytes;
	fake->lease.arena_iova = 0x100000;
	fake->lease.arena_fd = -1;
	fake->lease.arena = mmap(NULL, fake->lease.arena_bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vf_arena_new(&fake->arena, &fake->lease, slot_bytes, NULL))
		abort();
	fake->context = malloc(context_bytes + 1);
	fake->written = malloc(context_bytes + 64);
	for (uint64_t i = 0; i < context_bytes; i++)
		fake->context[i] = (uint8_t)(i * 2654435761u >> 13);
	fake->images = 1;
	fake->image[0] = context_bytes;
	return fake;
}

static void fake_free(struct fake *fake)
{
	vf_arena_free(fake->arena);
	munmap(fake->lease.arena, fake->lease.arena_bytes);
	vf_ring_free(fake->ring);
	free(fake->context);
	free(fake->written);
	free(fake);
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The user queue on a device that writes anything at any time into what it shares: used entries, both indices, headers, results,
 * descriptors. What must hold: each command is done once, nothing is written outside of the answer's room, and after
 * the queue's reset all works.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "admin/admin.h"
#include "virtio/vq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE	 8
#define COMMANDS 24
#define ARENA	 16384

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

struct world {
	const uint8_t *at;
	size_t left;
	struct vf_lease lease;
	struct vf_vq_layout layout;
	struct vf_admin *admin;
	struct vf_ring *ring;
	struct vferry_cmd cmds[COMMANDS];
	struct vferry_sg runs[COMMANDS];
	bool under_way[COMMANDS];
	unsigned int resets;
};

static uint32_t number(struct world *world, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes-- && world->left) {
		value = value << 8 | *world->at++;
		world->left--;
	}
	return value;
}

static int kick(struct vf_lease *lease)
{
	return 0;
}

static int reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct world *world = lease->holder;

	memset(lease->rings, 0, world->layout.bytes);
	world->resets++;
	return 0;
}

static int alive(struct vf_lease *lease)
{
	return 0;
}

static int no_fd(struct vf_lease *lease)
{
	return -1;
}

static const struct vf_lease_ops ops = {
	.kick = kick,
	.reset = reset,
	.alive = alive,
	.fd = no_fd,
};

static void done(struct vferry_cmd *cmd)
{
	struct world *world = cmd->arg;
	size_t i = (size_t)(cmd - world->cmds);

	MUST(world->under_way[i]);
	world->under_way[i] = false;
	if (cmd->error)
		return;
	MUST(cmd->used <= (cmd->result_count ? world->runs[i].length : cmd->result_room));
	if (cmd->answer) {
		const unsigned char *bytes = cmd->answer;
		unsigned int sum = 0;

		for (unsigned int k = 0; k < VFERRY_CMD_INLINE_RESULT; k++)
			sum += k < cmd->used ? 0 : bytes[k];
		MUST(!sum);
	}
}

static void submit(struct world *world)
{
	unsigned int i = number(world, 1) % COMMANDS, how = number(world, 1);
	struct vferry_cmd *cmd = &world->cmds[i];

	if (world->under_way[i])
		return;
	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = how & 1 ? VFERRY_CMD_DEV_CTX_READ : VFERRY_CMD_DEV_CTX_WRITE;
	cmd->group_type = 1;
	cmd->member = how >> 6;
	cmd->order = how >> 4 & 3;
	cmd->no_retry = how & 8;
	cmd->inline_length = how & 0x80 ? number(world, 1) : 8;
	cmd->result_room = number(world, 1) * 17;
	world->runs[i] = (struct vferry_sg){ 0x100000 + number(world, 2), number(world, 1) * 8 };
	if (how & 2) {
		cmd->data = &world->runs[i];
		cmd->data_count = 1;
	} else if (how & 4) {
		cmd->result = &world->runs[i];
		cmd->result_count = 1;
	}
	cmd->done = done;
	cmd->arg = world;
	world->under_way[i] = true;
	vf_admin_submit(world->admin, cmd);
}

/* A used entry that may be right. */
static void answer(struct world *world)
{
	struct vring_used *used = (void *)((char *)world->lease.rings + world->layout.used);
	uint16_t index = le16toh(used->idx);

	used->ring[index % SIZE].id = htole32(number(world, 1) % (SIZE + 1));
	used->ring[index % SIZE].len = htole32(number(world, 1));
	used->idx = htole16((uint16_t)(index + 1));
}

static void scribble(struct world *world)
{
	uint64_t at = number(world, 2) % world->lease.rings_bytes;

	((uint8_t *)world->lease.rings)[at] = (uint8_t)number(world, 1);
}

static void open_world(struct world *world, uint32_t how)
{
	world->layout = vf_vq_layout(SIZE);
	world->lease = (struct vf_lease){
		.queue_size = SIZE,
		.event_idx = how & 1,
		.indirect = how & 2,
		.can_reset = true,
		.rings_iova = 0x1000,
		.rings_bytes = 4096 + SIZE * VF_COMMAND_BYTES,
		.avail_offset = world->layout.avail,
		.used_offset = world->layout.used,
		.commands_offset = 4096,
		.doorbell = VF_DOORBELL_RELAY,
		.call_fd = eventfd(0, EFD_CLOEXEC),
		.arena_bytes = ARENA,
		.arena_iova = 0x100000,
		.ops = &ops,
		.holder = world,
	};
	world->lease.rings = aligned_alloc(64, world->lease.rings_bytes);
	world->lease.arena = NULL;
	memset(world->lease.rings, 0, world->lease.rings_bytes);
	MUST(!vf_ring_new(&world->ring, 8, NULL));
	MUST(!vf_user_queue_open(&world->admin, world->ring, &world->lease, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { .at = data, .left = size };

	open_world(&world, number(&world, 1));
	for (unsigned int steps = 0; world.left && steps < 2000; steps++) {
		switch (number(&world, 1) % 8) {
		case 0:
		case 1:
			submit(&world);
			break;
		case 2:
		case 3:
			answer(&world);
			break;
		case 4:
			scribble(&world);
			break;
		case 5:
			vf_admin_cancel(world.admin, &world.cmds[number(&world, 1) % COMMANDS]);
			break;
		case 6:
			MUST(vf_ring_turn(world.ring, 0) >= 0);
			MUST(world.admin->inflight <= SIZE &&
			     world.admin->abandoned <= world.admin->inflight);
			break;
		case 7:
			if (number(&world, 1) % 16)
				break;
			MUST(!vf_admin_settle(world.admin, 0));
			MUST(!world.admin->abandoned);
			break;
		}
	}
	MUST(!vf_admin_settle(world.admin, 0));
	vf_admin_close(world.admin);
	for (unsigned int i = 0; i < COMMANDS; i++)
		MUST(!world.under_way[i]);
	vf_ring_free(world.ring);
	close(world.lease.call_fd);
	free(world.lease.rings);
	return 0;
}

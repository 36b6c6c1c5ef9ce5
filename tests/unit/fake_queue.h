/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The device's end of an admin queue, driven step by step by a test in the same thread. */
#ifndef FAKE_QUEUE_H
#define FAKE_QUEUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "admin/admin.h"
#include "virtio/vq.h"

#define FAKE_RINGS_IOVA 0x10000000ULL
#define FAKE_ARENA_IOVA 0x1000000000ULL
#define FAKE_ARENA	(1U << 20)

struct fake_run {
	unsigned char *bytes;
	uint32_t length;
	bool writable;
};

/* A chain that the device has taken. */
struct fake_chain {
	uint16_t id;
	unsigned int count;
	struct fake_run runs[64];
	struct vferry_admin_hdr header;
	uint32_t readable, room;
};

struct fake {
	struct vf_lease lease;
	struct vf_vq_layout layout;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next;	     /* available entry to take */
	uint16_t used_index; /* as published */
	unsigned int resets, kicks;
	bool gone;
	int end[2]; /* a pipe that stands for the lease's connection */
};

static struct fake *fake_of(struct vf_lease *lease)
{
	return lease->holder;
}

static int fake_kick(struct vf_lease *lease)
{
	fake_of(lease)->kicks++;
	return 0;
}

static int fake_reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct fake *fake = fake_of(lease);

	memset(lease->rings, 0, fake->layout.bytes);
	fake->next = fake->used_index = 0;
	fake->resets++;
	return 0;
}

static int fake_alive(struct vf_lease *lease)
{
	return fake_of(lease)->gone ? -ENODEV : 0;
}

static int fake_fd(struct vf_lease *lease)
{
	return fake_of(lease)->end[0];
}

static void fake_release(struct vf_lease *lease)
{
}

static const struct vf_lease_ops fake_ops = {
	.kick = fake_kick,
	.reset = fake_reset,
	.alive = fake_alive,
	.fd = fake_fd,
	.release = fake_release,
};

static void fake_open(struct fake *fake, uint16_t size, bool event_idx, bool indirect)
{
	uint32_t commands;

	memset(fake, 0, sizeof(*fake));
	fake->layout = vf_vq_layout(size);
	commands = (fake->layout.bytes + 4095) & ~4095U;
	fake->lease = (struct vf_lease){
		.queue = 3,
		.queue_size = size,
		.event_idx = event_idx,
		.indirect = indirect,
		.can_reset = true,
		.rings_bytes = commands + (uint64_t)size * VF_COMMAND_BYTES,
		.rings_iova = FAKE_RINGS_IOVA,
		.desc_offset = fake->layout.desc,
		.avail_offset = fake->layout.avail,
		.used_offset = fake->layout.used,
		.commands_offset = commands,
		.doorbell = VF_DOORBELL_RELAY,
		.kick_fd = -1,
		.call_fd = eventfd(0, EFD_CLOEXEC),
		.arena_bytes = FAKE_ARENA,
		.arena_iova = FAKE_ARENA_IOVA,
		.num_vfs = 8,
		.ops = &fake_ops,
		.holder = fake,
	};
	strcpy(fake->lease.address, "fake:");
	fake->lease.rings = aligned_alloc(4096, (fake->lease.rings_bytes + 4095) & ~4095ULL);
	memset(fake->lease.rings, 0, fake->lease.rings_bytes);
	fake->lease.arena = aligned_alloc(4096, FAKE_ARENA);
	memset(fake->lease.arena, 0, FAKE_ARENA);
	fake->desc = (void *)((char *)fake->lease.rings + fake->layout.desc);
	fake->avail = (void *)((char *)fake->lease.rings + fake->layout.avail);
	fake->used = (void *)((char *)fake->lease.rings + fake->layout.used);
	assert_int_equal(pipe(fake->end), 0);
}

static void fake_close(struct fake *fake)
{
	close(fake->lease.call_fd);
	close(fake->end[0]);
	if (fake->end[1] >= 0)
		close(fake->end[1]);
	free(fake->lease.rings);
	free(fake->lease.arena);
}

static unsigned char *fake_memory(struct fake *fake, uint64_t iova, uint32_t length)
{
	if (iova >= FAKE_ARENA_IOVA) {
		assert_true(iova - FAKE_ARENA_IOVA + length <= FAKE_ARENA);
		return (unsigned char *)fake->lease.arena + (iova - FAKE_ARENA_IOVA);
	}
	assert_true(iova >= FAKE_RINGS_IOVA);
	assert_true(iova - FAKE_RINGS_IOVA + length <= fake->lease.rings_bytes);
	return (unsigned char *)fake->lease.rings + (iova - FAKE_RINGS_IOVA);
}

static void fake_walk(struct fake *fake, const struct vring_desc *table, uint32_t entries,
		      uint16_t at, struct fake_chain *chain)
{
	for (;;) {
		uint16_t flags;
		struct fake_run run;

		assert_true(at < entries);
		flags = le16toh(table[at].flags);
		run.length = le32toh(table[at].len);
		run.bytes = fake_memory(fake, le64toh(table[at].addr), run.length);
		run.writable = flags & VRING_DESC_F_WRITE;
		if (flags & VRING_DESC_F_INDIRECT) {
			fake_walk(fake, (const struct vring_desc *)run.bytes, run.length / 16, 0,
				  chain);
			return;
		}
		assert_true(chain->count < 64);
		/* Readable runs come before writable ones. */
		if (chain->count && !run.writable)
			assert_false(chain->runs[chain->count - 1].writable);
		*(run.writable ? &chain->room : &chain->readable) += run.length;
		chain->runs[chain->count++] = run;
		if (!(flags & VRING_DESC_F_NEXT))
			return;
		at = le16toh(table[at].next);
	}
}

/* The next available chain; false: there is none. */
static bool fake_take(struct fake *fake, struct fake_chain *chain)
{
	uint16_t avail_event;

	if (le16toh(fake->avail->idx) == fake->next)
		return false;
	memset(chain, 0, sizeof(*chain));
	chain->id = le16toh(fake->avail->ring[fake->next & (fake->lease.queue_size - 1)]);
	fake->next++;
	/* avail_event: the doorbell is wanted for the next one */
	avail_event = htole16(fake->next);
	memcpy(&fake->used->ring[fake->lease.queue_size], &avail_event, sizeof(avail_event));
	fake_walk(fake, fake->desc, fake->lease.queue_size, chain->id, chain);
	assert_true(chain->runs[0].length >= sizeof(chain->header));
	memcpy(&chain->header, chain->runs[0].bytes, sizeof(chain->header));
	return true;
}

/* A used entry of any kind, then the interrupt where it is wanted. */
static void fake_used(struct fake *fake, uint32_t id, uint32_t length)
{
	uint16_t old = fake->used_index, new = (uint16_t)(old + 1);
	uint16_t wish = le16toh(fake->avail->ring[fake->lease.queue_size]);
	bool call = fake->lease.event_idx
			    ? vring_need_event(wish, new, old)
			    : !(le16toh(fake->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);

	fake->used->ring[old & (fake->lease.queue_size - 1)] = (struct vring_used_elem){
		.id = htole32(id),
		.len = htole32(length),
	};
	fake->used_index = new;
	__atomic_store_n((uint16_t *)&fake->used->idx, htole16(new), __ATOMIC_RELEASE);
	if (call)
		assert_int_equal(eventfd_write(fake->lease.call_fd, 1), 0);
}

/* Writes the answer into the chain's writable runs; used length 8 + @count. */
static void fake_answer(struct fake *fake, struct fake_chain *chain, uint16_t status,
			uint16_t qualifier, uint32_t output, const void *result, uint32_t count)
{
	struct vferry_admin_answer_hdr header = {
		.status = htole16(status),
		.status_qualifier = htole16(qualifier),
	};
	unsigned char bytes[8 + 8192];
	uint32_t at = 0, total = 8 + count;

	assert_true(count <= 8192 && total <= chain->room);
	output = htole32(output);
	memcpy(header.output, &output, 4);
	memcpy(bytes, &header, 8);
	if (count)
		memcpy(bytes + 8, result, count);
	for (unsigned int i = 0; i < chain->count && at < total; i++) {
		struct fake_run *run = &chain->runs[i];
		uint32_t part = total - at < run->length ? total - at : run->length;

		if (!run->writable)
			continue;
		memcpy(run->bytes, bytes + at, part);
		at += part;
	}
	fake_used(fake, chain->id, total);
}

static void fake_ok(struct fake *fake, struct fake_chain *chain)
{
	fake_answer(fake, chain, VFERRY_STATUS_OK, 0, 0, NULL, 0);
}

#endif

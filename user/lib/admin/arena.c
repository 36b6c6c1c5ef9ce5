// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "admin/admin.h"

struct vf_arena {
	uint32_t slot_bytes;
	uint32_t count;
	uint32_t free_count;
	struct vf_slot *free;
	struct vf_slot slots[];
};

int vf_arena_new(struct vf_arena **out, struct vf_lease *lease, uint32_t slot_bytes,
		 struct vferry_error *err)
{
	struct vf_arena *arena;
	uint64_t count;

	if (!slot_bytes || slot_bytes % 4096)
		return vferry_fail(err, -EINVAL,
				   "slots of %u bytes: a multiple of 4096 is needed, so that each "
				   "begins on a page",
				   slot_bytes);
	count = lease->arena_bytes / slot_bytes;
	if (!count || count > UINT32_MAX)
		return vferry_fail(err, -EINVAL, "an arena of %llu bytes holds no slot of %u bytes",
				   (unsigned long long)lease->arena_bytes, slot_bytes);
	arena = calloc(1, sizeof(*arena) + count * sizeof(arena->slots[0]));
	if (!arena)
		return vferry_fail(err, -ENOMEM, "no memory");
	arena->slot_bytes = slot_bytes;
	arena->count = (uint32_t)count;
	/* The first slots come first: memory that is not needed is never touched. */
	for (uint32_t i = arena->count; i-- > 0;) {
		struct vf_slot *slot = &arena->slots[i];

		slot->memory = (char *)lease->arena + (uint64_t)i * slot_bytes;
		slot->iova = lease->arena_iova + (uint64_t)i * slot_bytes;
		slot->bytes = slot_bytes;
		slot->number = i;
		vf_arena_put(arena, slot);
	}
	*out = arena;
	return 0;
}

void vf_arena_free(struct vf_arena *arena)
{
	free(arena);
}

struct vf_slot *vf_arena_get(struct vf_arena *arena)
{
	struct vf_slot *slot = arena->free;

	if (!slot)
		return NULL;
	arena->free = slot->next;
	slot->next = NULL;
	arena->free_count--;
	return slot;
}

void vf_arena_put(struct vf_arena *arena, struct vf_slot *slot)
{
	/* The last one used is the warmest. */
	slot->next = arena->free;
	arena->free = slot;
	arena->free_count++;
}

uint32_t vf_arena_free_slots(const struct vf_arena *arena)
{
	return arena->free_count;
}

uint32_t vf_arena_slots(const struct vf_arena *arena)
{
	return arena->count;
}

uint32_t vf_arena_slot_bytes(const struct vf_arena *arena)
{
	return arena->slot_bytes;
}

void vf_arena_touch(const struct vf_arena *arena, uint64_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	uint64_t all = (uint64_t)arena->count * arena->slot_bytes;

	/* Where it cannot be had (before Linux 5.14, a device's own memory) the first use finds them. */
	madvise(arena->slots[0].memory, bytes < all ? bytes : all, MADV_POPULATE_WRITE);
#endif
}

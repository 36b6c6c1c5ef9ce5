// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "context/keyset.h"

#define FIRST_ROOM 64
#define KEY_MASK   ((1ULL << 48) - 1)

void vf_keyset_init(struct vf_keyset *set)
{
	*set = (struct vf_keyset){ .generation = 1 };
	/* Without random bytes (very early boot) only the protection against chosen keys is gone. */
	if (getrandom(&set->seed, sizeof(set->seed), GRND_NONBLOCK) < 0)
		set->seed = (uint64_t)(uintptr_t)set;
}

void vf_keyset_free(struct vf_keyset *set)
{
	free(set->slots);
	set->slots = NULL;
	set->room = 0;
	set->count = 0;
}

void vf_keyset_clear(struct vf_keyset *set)
{
	set->count = 0;
	if (++set->generation)
		return;
	/* The generations have come round: old slots would count again. */
	set->generation = 1;
	if (set->slots)
		memset(set->slots, 0, set->room * sizeof(*set->slots));
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 30;
	value *= 0xbf58476d1ce4e5b9ULL;
	value ^= value >> 27;
	value *= 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

/* The slot of @key, or the empty one where it belongs. */
static uint64_t *find(const struct vf_keyset *set, uint64_t *slots, uint32_t room, uint64_t key)
{
	uint64_t at = mix(key ^ set->seed);

	for (;; at++) {
		uint64_t *slot = &slots[at & (room - 1)];

		if (*slot >> 48 != set->generation || (*slot & KEY_MASK) == key)
			return slot;
	}
}

static int grow(struct vf_keyset *set)
{
	uint32_t room = set->room ? set->room * 2 : FIRST_ROOM;
	uint64_t *slots = room > set->room ? calloc(room, sizeof(*slots)) : NULL;

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->room; i++)
		if (set->slots[i] >> 48 == set->generation)
			*find(set, slots, room, set->slots[i] & KEY_MASK) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->room = room;
	return 0;
}

int vf_keyset_add(struct vf_keyset *set, uint64_t key)
{
	uint64_t *slot;

	if (set->count + 1 > set->room / 2) {
		int ret = grow(set);

		if (ret)
			return ret;
	}
	slot = find(set, set->slots, set->room, key & KEY_MASK);
	if (*slot >> 48 == set->generation)
		return -EEXIST;
	*slot = (uint64_t)set->generation << 48 | (key & KEY_MASK);
	set->count++;
	return 0;
}

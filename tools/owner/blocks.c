// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The extra context of a VF: 64 KiB blocks whose content follows from seed, VF, block and version, so that
 * nobody has to keep a copy to know what is right. Memory is touched when a block is first read, changed or
 * committed: 250 VFs of 1 GiB cost nothing until someone asks for them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tools/owner/admin.h"

#define BLOCK_BYTES ((uint64_t)VFERRY_CTX_BLOCK_BYTES)
/*
 * Blocks stand as far apart as in a full image, and begin as its bytes do within a page: between this memory and slots
 * that begin on a page every copy is aligned on both sides.
 */
#define STRIDE	     (BLOCK_BYTES + sizeof(struct vferry_ctx_field))
#define PAGE_BYTES   4096ULL
#define HUGE_FROM    (16ULL << 20)
#define CLOCK_NS     10000000ULL
#define CLOCK_LAG_NS 1000000000ULL /* a loop that was stopped for longer does not catch up */
#define CLOCK_BYTES \
	(16ULL << 20) /* changed in one tick, all VFs together: the loop has other work */
#define SWEEP_NS    1000000ULL
#define SWEEP_BYTES (8ULL << 20)

/* --- areas ------------------------------------------------------------------------------------------ */

struct block_area *block_area_new(uint32_t count, uint64_t lead)
{
	struct block_area *area = calloc(1, sizeof(*area));
	uint8_t *map;

	if (!area)
		return NULL;
	area->count = count;
	area->lead = (uint32_t)(lead % PAGE_BYTES);
	area->bytes = (area->lead + count * STRIDE + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	area->filled = bits_new(count);
	map = mmap(NULL, area->bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!area->filled || map == MAP_FAILED) {
		if (map != MAP_FAILED)
			munmap(map, area->bytes);
		free(area->filled);
		free(area);
		return NULL;
	}
	area->map = map;
	/* Fewer faults when it is filled; without effect where huge pages are off. */
	if (area->bytes >= HUGE_FROM)
		madvise(area->map, area->bytes, MADV_HUGEPAGE);
	madvise(area->map, area->bytes, MADV_DONTDUMP);
	return area;
}

void block_area_free(struct block_area *area)
{
	if (!area)
		return;
	munmap(area->map, area->bytes);
	free(area->filled);
	free(area);
}

uint8_t *block_area_at(struct block_area *area, uint32_t index)
{
	return area->map + area->lead + index * STRIDE;
}

void block_area_mark(struct block_area *area, uint32_t index)
{
	if (bit_get(area->filled, index))
		return;
	bit_set(area->filled, index);
	area->used += BLOCK_BYTES;
}

static void sweep(struct vf_timer *timer)
{
	struct admin *admin = (struct admin *)((char *)timer - offsetof(struct admin, sweep));
	struct block_area *area = admin->retired;
	uint64_t step =
		area->bytes - area->freed < SWEEP_BYTES ? area->bytes - area->freed : SWEEP_BYTES;

	madvise(area->map + area->freed, step, MADV_DONTNEED);
	area->freed += step;
	if (area->freed == area->bytes) {
		admin->retired = area->next;
		block_area_free(area);
	}
	if (admin->retired)
		vf_timer_set(admin->owner->ring, timer, vf_now_ns() + SWEEP_NS);
}

static void forget_content(struct block_area *area)
{
	memset(area->filled, 0, (area->count / 64 + 1) * sizeof(uint64_t));
	area->used = 0;
}

struct block_area *block_area_take(struct owner *owner, uint32_t count, uint64_t lead)
{
	struct block_area *area = owner->admin->spare;

	if (!area || area->count != count || area->lead != lead % PAGE_BYTES)
		return block_area_new(count, lead);
	owner->admin->spare = NULL;
	return area;
}

void block_area_retire(struct owner *owner, struct block_area *area)
{
	struct admin *admin = owner->admin;

	if (!area || !owner->ring || area->used <= SWEEP_BYTES) {
		block_area_free(area);
		return;
	}
	if (!admin->spare) {
		forget_content(area);
		admin->spare = area;
		return;
	}
	area->next = admin->retired;
	admin->retired = area;
	if (!admin->sweep.slot) {
		admin->sweep.fn = sweep;
		vf_timer_set(owner->ring, &admin->sweep, vf_now_ns() + SWEEP_NS);
	}
}

/* --- content ------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

typedef uint64_t lanes __attribute__((vector_size(32)));

/* Four generators side by side: content is made about as fast as memory takes it. */
static void fill(uint8_t *block, uint64_t key)
{
	lanes state[2];

	for (int i = 0; i < 8; i++)
		state[i / 4][i % 4] = mix(key + (uint64_t)i) | 1;
	for (uint64_t at = 0; at < BLOCK_BYTES; at += sizeof(state)) {
		for (int i = 0; i < 2; i++) {
			state[i] ^= state[i] << 13;
			state[i] ^= state[i] >> 7;
			state[i] ^= state[i] << 17;
		}
		memcpy(block + at, state, sizeof(state));
	}
}

static void make(struct function *fn, uint32_t index, uint64_t version)
{
	struct blocks *blocks = &fn->admin->blocks;
	uint64_t key = mix(mix(fn->owner->opts.seed) ^ fn->number);

	fill(block_area_at(blocks->area, index), mix(key ^ mix((uint64_t)index << 32 ^ version)));
	block_area_mark(blocks->area, index);
}

const uint8_t *blocks_value(struct function *fn, uint32_t index)
{
	struct blocks *blocks = &fn->admin->blocks;

	if (!bit_get(blocks->area->filled, index))
		make(fn, index, 0);
	return block_area_at(blocks->area, index);
}

int blocks_init(struct function *fn, uint32_t count)
{
	struct blocks *blocks = &fn->admin->blocks;

	blocks->random = mix(fn->owner->opts.seed ^ (uint64_t)fn->number << 32);
	if (!count)
		return 0;
	blocks->area = block_area_new(count, image_lead(fn));
	return blocks->area ? 0 : -ENOMEM;
}

void blocks_exit(struct function *fn)
{
	block_area_free(fn->admin->blocks.area);
	fn->admin->blocks.area = NULL;
}

/* The seed's content again. Without memory for a fresh area the old one is emptied on the spot. */
void blocks_blank(struct function *fn)
{
	struct blocks *blocks = &fn->admin->blocks;
	struct block_area *fresh;

	if (!blocks->area || !blocks->area->used)
		return;
	fresh = block_area_take(fn->owner, blocks->area->count, blocks->area->lead);
	if (fresh) {
		block_area_retire(fn->owner, blocks->area);
		blocks->area = fresh;
		return;
	}
	forget_content(blocks->area);
}

/* --- change --------------------------------------------------------------------------------------------- */

void blocks_change(struct function *fn, uint64_t bytes)
{
	struct blocks *blocks = &fn->admin->blocks;

	if (!blocks->area)
		return;
	for (blocks->due += bytes; blocks->due >= BLOCK_BYTES; blocks->due -= BLOCK_BYTES) {
		uint32_t index;

		blocks->random = mix(blocks->random);
		index = (uint32_t)(blocks->random % blocks->area->count);
		make(fn, index, ++blocks->version);
		admin_changed(fn, VFERRY_CTX_BLOCK, index);
	}
}

static unsigned int active_vfs(const struct owner *owner)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i <= owner->num_vfs; i++)
		count += owner->vfs[i].mode == VFERRY_MODE_ACTIVE;
	return count;
}

static void tick(struct vf_timer *timer)
{
	struct admin *admin = (struct admin *)((char *)timer - offsetof(struct admin, clock));
	struct owner *owner = admin->owner;
	uint64_t now = vf_now_ns();
	uint64_t lag = now - admin->clock_at;
	unsigned int active = active_vfs(owner);
	uint64_t bytes;

	if (lag > CLOCK_LAG_NS)
		lag = CLOCK_LAG_NS;
	bytes = (uint64_t)((unsigned __int128)owner->opts.change_rate * lag / 1000000000ULL);
	if (active && bytes > CLOCK_BYTES / active)
		bytes = CLOCK_BYTES / active;
	for (unsigned int i = 1; i <= owner->num_vfs; i++)
		if (owner->vfs[i].mode == VFERRY_MODE_ACTIVE)
			blocks_change(&owner->vfs[i], bytes);
	admin->clock_at = now;
	vf_timer_set(owner->ring, timer, now + CLOCK_NS);
}

void blocks_clock_start(struct owner *owner)
{
	struct admin *admin = owner->admin;

	if (!owner->ring || !owner->opts.change_rate || !owner->opts.context_bytes)
		return;
	admin->clock.fn = tick;
	admin->clock_at = vf_now_ns();
	vf_timer_set(owner->ring, &admin->clock, admin->clock_at + CLOCK_NS);
}

void blocks_clock_stop(struct owner *owner)
{
	struct admin *admin = owner->admin;
	struct block_area *area;

	if (owner->ring) {
		vf_timer_stop(owner->ring, &admin->clock);
		vf_timer_stop(owner->ring, &admin->sweep);
	}
	while ((area = admin->retired)) {
		admin->retired = area->next;
		block_area_free(area);
	}
	block_area_free(admin->spare);
	admin->spare = NULL;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "tools/standin/blocks.h"

#define MAGIC 0x6b6c625952524656ULL /* "VFRRYblk" */

struct image {
	uint64_t check; /* XXH3-64 of all that follows */
	uint64_t magic;
	uint64_t run;
	uint64_t vf;
	uint64_t number;
	uint64_t version;
	uint64_t noise[(BLOCK_BYTES - 48) / 8];
};

_Static_assert(sizeof(struct image) == BLOCK_BYTES, "a block's image fills it");

static uint64_t check_of(const struct image *image)
{
	return XXH3_64bits(&image->magic, BLOCK_BYTES - sizeof(image->check));
}

int blocks_new(struct blocks *blocks, uint32_t count, uint32_t vf, uint64_t run)
{
	*blocks = (struct blocks){ .count = count, .vf = vf, .run = run };
	blocks->block = calloc(count, sizeof(*blocks->block));
	return blocks->block ? 0 : -ENOMEM;
}

void blocks_free(struct blocks *blocks)
{
	free(blocks->block);
	blocks->block = NULL;
}

bool blocks_may_read(const struct blocks *blocks, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		if (blocks->block[i].writing)
			return false;
	return true;
}

bool blocks_may_write(const struct blocks *blocks, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		if (blocks->block[i].writing || blocks->block[i].readers)
			return false;
	return true;
}

void blocks_begin_read(struct blocks *blocks, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		blocks->block[i].readers++;
}

void blocks_end_read(struct blocks *blocks, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		blocks->block[i].readers--;
}

static void lay_out(const struct blocks *blocks, uint32_t number, uint64_t version,
		    struct image *image)
{
	uint64_t x = blocks->run ^ ((uint64_t)number << 32) ^ version * 0x9e3779b97f4a7c15ULL;

	image->magic = MAGIC;
	image->run = blocks->run;
	image->vf = blocks->vf;
	image->number = number;
	image->version = version;
	for (size_t i = 0; i < sizeof(image->noise) / sizeof(image->noise[0]); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		image->noise[i] = x;
	}
	image->check = check_of(image);
}

void blocks_begin_write(struct blocks *blocks, uint32_t first, uint32_t count, void *memory)
{
	for (uint32_t i = 0; i < count; i++) {
		struct block *block = &blocks->block[first + i];
		uint64_t last = block->pending > block->version ? block->pending : block->version;

		block->writing = true;
		block->pending = last + 1;
		lay_out(blocks, first + i, block->pending,
			(struct image *)((uint8_t *)memory + (size_t)i * BLOCK_BYTES));
	}
}

void blocks_end_write(struct blocks *blocks, uint32_t first, uint32_t count, bool good)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct block *block = &blocks->block[i];

		block->writing = false;
		if (good) {
			block->version = block->pending;
			block->pending = 0;
		}
	}
}

enum block_verdict blocks_check(const struct blocks *blocks, uint32_t number, const void *memory)
{
	const struct block *block = &blocks->block[number];
	const struct image *image = memory;

	if (image->check != check_of(image) || image->magic != MAGIC || image->run != blocks->run ||
	    image->vf != blocks->vf || image->number != number)
		return BLOCK_CORRUPT;
	if (image->version == block->version ||
	    (block->pending && image->version == block->pending))
		return BLOCK_GOOD;
	return image->version < block->version ? BLOCK_STALE : BLOCK_CORRUPT;
}

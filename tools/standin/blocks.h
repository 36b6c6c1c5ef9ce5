/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the guest knows of its disk: for each block the version that must be there, and while a write is under way
 * or its outcome unknown, the one that may be there instead. Every block carries who wrote it, where it belongs,
 * which version it is, and a checksum over all of that.
 */
#ifndef STANDIN_BLOCKS_H
#define STANDIN_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_BYTES   4096
#define BLOCK_SECTORS (BLOCK_BYTES / 512)

enum block_verdict {
	BLOCK_GOOD,
	BLOCK_STALE, /* a sound block of ours, but older than what the device said it had written */
	BLOCK_CORRUPT, /* not a sound block, another place's, or a version never written */
};

struct block {
	uint64_t version; /* completed last; 0: never written */
	uint64_t pending; /* being written, or written with an unknown outcome; 0: none */
	uint16_t readers;
	bool writing;
};

struct blocks {
	struct block *block;
	uint32_t count;
	uint32_t vf;
	uint64_t run; /* tells this run's blocks from those of an earlier one */
};

int blocks_new(struct blocks *blocks, uint32_t count, uint32_t vf, uint64_t run);
void blocks_free(struct blocks *blocks);

/* A run of blocks is lent for one request: to many readers or to one writer. */
bool blocks_may_read(const struct blocks *blocks, uint32_t first, uint32_t count);
bool blocks_may_write(const struct blocks *blocks, uint32_t first, uint32_t count);
void blocks_begin_read(struct blocks *blocks, uint32_t first, uint32_t count);
void blocks_end_read(struct blocks *blocks, uint32_t first, uint32_t count);
/** blocks_begin_write() - draw the next version of each block and lay it out at @memory. */
void blocks_begin_write(struct blocks *blocks, uint32_t first, uint32_t count, void *memory);
/** blocks_end_write() - @good: the device said so; otherwise either version may be on the disk. */
void blocks_end_write(struct blocks *blocks, uint32_t first, uint32_t count, bool good);
enum block_verdict blocks_check(const struct blocks *blocks, uint32_t number, const void *memory);

#endif

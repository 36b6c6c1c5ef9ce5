/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The guest's memory: one memfd, what a VMM would have carried to the destination already. */
#ifndef STANDIN_MEMORY_H
#define STANDIN_MEMORY_H

#include <stdint.h>

struct memory {
	int fd;
	uint8_t *base;
	uint64_t bytes;
	uint64_t
		iova; /* guest-physical address of base; not 0, so that a forgotten address is seen */
	uint64_t taken;
};

int memory_new(struct memory *memory, uint64_t bytes);
void memory_free(struct memory *memory);
/** memory_take() - @bytes, page aligned, never given back; NULL when there are none left. */
void *memory_take(struct memory *memory, uint64_t bytes, uint64_t *iova);

#endif

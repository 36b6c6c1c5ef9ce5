/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Builds contexts byte by byte, right or wrong as a test wants them. */
#ifndef CONTEXT_BUILD_H
#define CONTEXT_BUILD_H

#include <assert.h>
#include <string.h>
#include <vferry/context.h>

struct build {
	uint8_t bytes[1 << 16];
	uint64_t count;
};

static inline void put(struct build *b, const void *bytes, uint64_t count)
{
	assert(b->count + count <= sizeof(b->bytes));
	if (count)
		memcpy(b->bytes + b->count, bytes, count);
	b->count += count;
}

static inline void put_header(struct build *b, uint16_t type, uint8_t flags, uint8_t reserved,
			      uint32_t index, uint64_t length)
{
	struct vferry_ctx_field field = { htole16(type), flags, reserved, htole32(index),
					  htole64(length) };

	put(b, &field, sizeof(field));
}

static inline void put_field(struct build *b, uint16_t type, uint8_t flags, uint32_t index,
			     const void *value, uint64_t length)
{
	static const uint8_t zero[8];

	put_header(b, type, flags, 0, index, length);
	put(b, value, length);
	put(b, zero, -length & 7);
}

static inline void put_start(struct build *b, uint32_t flags)
{
	struct vferry_ctx_start start = { htole32(flags), 0 };

	put_field(b, VFERRY_CTX_START, 0, 0, &start, sizeof(start));
}

static inline void put_end(struct build *b)
{
	put_header(b, VFERRY_CTX_END, 0, 0, 0, 0);
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The readable or writable part of a descriptor chain, as one run of bytes that is passed over once. */
#include <string.h>
#include "tools/owner/admin.h"

uint64_t segments_bytes(const struct iovec *iov, unsigned int count)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* Leaves the cursor on a byte, or at the end. */
static void settle(struct segments *segments)
{
	while (segments->count && segments->offset >= segments->iov->iov_len) {
		segments->offset = 0;
		segments->iov++;
		segments->count--;
	}
}

struct segments segments_at(const struct iovec *iov, unsigned int count, uint64_t offset)
{
	struct segments segments = { iov, count, 0 };

	while (segments.count && offset >= segments.iov->iov_len) {
		offset -= segments.iov->iov_len;
		segments.iov++;
		segments.count--;
	}
	segments.offset = segments.count ? offset : 0;
	return segments;
}

static uint64_t run_length(const struct segments *segments, uint64_t bytes)
{
	uint64_t here = segments->iov->iov_len - segments->offset;

	return here < bytes ? here : bytes;
}

uint64_t segments_get(struct segments *segments, void *to, uint64_t bytes)
{
	uint8_t *at = to;
	uint64_t left = bytes;

	settle(segments);
	while (left && segments->count) {
		uint64_t run = run_length(segments, left);

		memcpy(at, (uint8_t *)segments->iov->iov_base + segments->offset, run);
		at += run;
		left -= run;
		segments->offset += run;
		settle(segments);
	}
	return bytes - left;
}

uint64_t segments_put(struct segments *segments, const void *from, uint64_t bytes)
{
	const uint8_t *at = from;
	uint64_t left = bytes;

	settle(segments);
	while (left && segments->count) {
		uint64_t run = run_length(segments, left);

		memcpy((uint8_t *)segments->iov->iov_base + segments->offset, at, run);
		at += run;
		left -= run;
		segments->offset += run;
		settle(segments);
	}
	return bytes - left;
}

const void *segments_run(struct segments *segments, size_t *bytes)
{
	const uint8_t *at;

	settle(segments);
	if (!segments->count)
		return NULL;
	at = (uint8_t *)segments->iov->iov_base + segments->offset;
	*bytes = segments->iov->iov_len - segments->offset;
	segments->iov++;
	segments->count--;
	segments->offset = 0;
	return at;
}

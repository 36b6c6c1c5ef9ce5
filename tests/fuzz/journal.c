// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A journal's file, whatever wrote it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "migrate/journal.h"

#define CHECK_AT 656

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[VF_JOURNAL_BYTES] = { 0 }, place[VF_JOURNAL_BYTES / 2];
	struct vf_journal_record record, again;
	struct vferry_error err;

	if (size < 1)
		return 0;
	/* With a right check behind it, or damage would be all that is ever seen. */
	for (int i = 0; i < 2; i++) {
		size_t half = (size - 1) / 2, count = half < CHECK_AT ? half : CHECK_AT;
		uint8_t *at = bytes + i * VF_JOURNAL_BYTES / 2;
		uint64_t check;

		memcpy(at, data + 1 + (size_t)i * half, count);
		check = XXH3_64bits(at, CHECK_AT);
		if (data[0] & (1 << i))
			memcpy(at + CHECK_AT, &check, sizeof(check));
	}
	if (vf_journal_parse(&record, bytes, &err))
		return 0;
	/* What was read is read again when it is written. */
	vf_journal_pack(place, &record);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, place, sizeof(place));
	if (vf_journal_parse(&again, bytes, &err) || again.state != record.state ||
	    again.vf != record.vf || again.sequence != record.sequence)
		abort();
	return 0;
}

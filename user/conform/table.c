// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* All checks, in the order in which they run. */
#include "conform/conform.h"

static const struct check *const subjects[] = {
	conform_layer, conform_lists,	conform_lengths, conform_order,
	conform_modes, conform_reading, conform_writing, conform_commit,
	conform_trips, conform_resets,	conform_guest,
};

const struct check *conform_check(unsigned int n)
{
	for (unsigned int i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		for (const struct check *check = subjects[i]; check->name; check++)
			if (!n--)
				return check;
	return NULL;
}

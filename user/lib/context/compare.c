// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>
#include <vferry/context_check.h>

static uint64_t key_of(const struct vferry_ctx_entry *entry)
{
	return entry ? (uint64_t)entry->type << 32 | entry->index : UINT64_MAX;
}

static bool equal(const struct vferry_ctx_entry *a, const struct vferry_ctx_entry *b)
{
	if (a->length != b->length || a->flags != b->flags)
		return false;
	if (a->value && b->value)
		return !memcmp(a->value, b->value, a->length);
	return a->digest[0] == b->digest[0] && a->digest[1] == b->digest[1];
}

size_t vferry_context_compare(const struct vferry_context *a, const struct vferry_context *b,
			      void (*each)(void *arg,
					   const struct vferry_ctx_difference *difference),
			      void *arg)
{
	size_t differences = 0, i = 0, j = 0;

	for (;;) {
		const struct vferry_ctx_entry *left = vferry_context_entry(a, i);
		const struct vferry_ctx_entry *right = vferry_context_entry(b, j);
		struct vferry_ctx_difference difference = {
			.a = key_of(left) <= key_of(right) ? left : NULL,
			.b = key_of(right) <= key_of(left) ? right : NULL,
		};

		if (!left && !right)
			return differences;
		i += !!difference.a;
		j += !!difference.b;
		if (difference.a && difference.b && equal(left, right))
			continue;
		differences++;
		if (each)
			each(arg, &difference);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include "admin/admin.h"

static void slots_cover_the_arena_once(void **state)
{
	char memory[10 * 4096];
	struct vf_lease lease = {
		.arena = memory,
		.arena_bytes = sizeof(memory),
		.arena_iova = 0x100000,
	};
	struct vf_slot *slots[5];
	struct vf_arena *arena;

	assert_int_equal(vf_arena_new(&arena, &lease, 8192, NULL), 0);
	assert_int_equal(vf_arena_slots(arena), 5);
	assert_int_equal(vf_arena_free_slots(arena), 5);
	assert_int_equal(vf_arena_slot_bytes(arena), 8192);
	for (unsigned int i = 0; i < 5; i++) {
		slots[i] = vf_arena_get(arena);
		assert_int_equal(slots[i]->number, i);
		assert_ptr_equal(slots[i]->memory, memory + 8192 * i);
		assert_int_equal(slots[i]->iova, 0x100000 + 8192 * i);
		assert_int_equal(slots[i]->bytes, 8192);
	}
	assert_null(vf_arena_get(arena));
	assert_int_equal(vf_arena_free_slots(arena), 0);
	vf_arena_put(arena, slots[3]);
	vf_arena_put(arena, slots[1]);
	/* The last one used is the warmest. */
	assert_ptr_equal(vf_arena_get(arena), slots[1]);
	assert_ptr_equal(vf_arena_get(arena), slots[3]);
	assert_null(vf_arena_get(arena));
	vf_arena_free(arena);
}

static void sizes_that_cannot_be(void **state)
{
	char memory[4096];
	struct vf_lease lease = { .arena = memory, .arena_bytes = sizeof(memory) };
	struct vferry_error err;
	struct vf_arena *arena;

	assert_int_equal(vf_arena_new(&arena, &lease, 0, &err), -EINVAL);
	assert_int_equal(vf_arena_new(&arena, &lease, 4095, &err), -EINVAL);
	assert_int_equal(vf_arena_new(&arena, &lease, 8192, &err), -EINVAL);
	assert_int_equal(vf_arena_new(&arena, &lease, 4096, &err), 0);
	vf_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_cover_the_arena_once),
		cmocka_unit_test(sizes_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

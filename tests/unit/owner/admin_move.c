// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whole moves at random: a VF that changes while it is read, passes in Active and Stop, a last one in Freeze,
 * any cuts of READ and WRITE. In the end source and destination say the same.
 */
#include "admin_bench.h"

#define MOVES 300

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

/* What a guest and a device do to a VF that is not frozen. */
static void live(struct function *fn)
{
	struct vqueue *queue = &fn->queues[draw(BENCH_QUEUES)];
	uint32_t index = (uint32_t)(queue - fn->queues);

	switch (draw(8)) {
	case 0:
		fn->driver_features = 0x100000000ULL | (draw(2) ? 0x40 : 0);
		admin_changed(fn, VFERRY_CTX_DRV_FEATURES, 0);
		break;
	case 1:
		fn->device_status = (uint8_t)(0xf & draw(16));
		admin_changed(fn, VFERRY_CTX_DEVICE_STATUS, 0);
		break;
	case 2:
		fn->queue_select = (uint16_t)draw(65536);
		admin_changed(fn, VFERRY_CTX_PCI_COMMON_CFG, 0);
		break;
	case 3:
		queue->desc = draw(UINT32_MAX);
		queue->size = (uint16_t)(1 << draw(9));
		queue->used = queue->next_avail;
		admin_changed(fn, VFERRY_CTX_VQ_CFG, index);
		admin_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
		break;
	case 4:
		queue->used = queue->next_avail = (uint16_t)(queue->next_avail + draw(50));
		queue->signalled = (uint16_t)draw(65536);
		admin_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
		break;
	case 5:
	case 6:
		if (fn->mode == VFERRY_MODE_ACTIVE)
			blocks_change(fn, draw(3) * 65536);
		break;
	case 7:
		if (!draw(10))
			fn_reset(fn);
		break;
	}
}

struct wire {
	struct image_bytes held; /* read and not yet written */
	size_t moved;
};

static void carry(struct bench *bench, struct wire *wire, size_t count)
{
	if (count > wire->held.count)
		count = wire->held.count;
	assert_int_equal(write_bytes(bench, 2, wire->held.bytes, count), ST(OK, OK));
	memmove(wire->held.bytes, wire->held.bytes + count, wire->held.count - count);
	wire->held.count -= count;
	wire->moved += count;
}

static void pass(struct bench *bench, struct wire *wire, bool changing)
{
	for (;;) {
		uint32_t room = draw(3) ? 1 + draw(500) : 1 + draw(100000);
		uint32_t got;

		wire->held.bytes = realloc(wire->held.bytes, wire->held.count + room);
		assert_non_null(wire->held.bytes);
		got = read_chunk(bench, 1, wire->held.bytes + wire->held.count, room);
		wire->held.count += got;
		if (!got)
			return;
		if (changing && !draw(4))
			live(&bench->vfs[1]);
		if (!draw(2))
			carry(bench, wire, draw(2) ? draw(200) : draw(100000));
	}
}

static void one_move(struct owner_opts opts)
{
	struct bench *bench = bench_ready(opts);
	struct image_bytes source, destination;
	struct wire wire = { 0 };

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (uint32_t passes = draw(4); passes; passes--)
		pass(bench, &wire, true);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_STOP), 0);
	for (uint32_t passes = draw(2); passes; passes--)
		pass(bench, &wire, true);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	do {
		pass(bench, &wire, false);
	} while (get_size(bench, 1, 0));
	carry(bench, &wire, SIZE_MAX);
	assert_int_equal(set_mode(bench, 2, draw(2) ? VFERRY_MODE_STOP : VFERRY_MODE_ACTIVE), 0);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	discard_context(bench, 1);
	discard_context(bench, 2);
	source = read_image(bench, 1, ROOM);
	destination = read_image(bench, 2, ROOM);
	assert_int_equal(source.count, destination.count);
	assert_memory_equal(source.bytes, destination.bytes, source.count);
	free(source.bytes);
	free(destination.bytes);
	free(wire.held.bytes);
	bench_free(bench);
}

static void moves_at_random_end_equal(void **state)
{
	for (unsigned int i = 0; i < MOVES; i++) {
		struct owner_opts opts = bench_opts();

		seed = i * 1000003;
		opts.context_bytes = draw(4) * 65536;
		opts.full_images = !draw(4);
		opts.seed = i;
		one_move(opts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_at_random_end_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

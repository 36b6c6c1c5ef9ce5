// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "virtio/vq.h"

struct ring {
	struct vf_vq vq;
	struct vf_vq_layout layout;
	void *memory;
	uint16_t used; /* as the device has written it */
};

static void ring_open(struct ring *ring, uint16_t size, bool event_idx, uint16_t at)
{
	ring->layout = vf_vq_layout(size);
	ring->memory = aligned_alloc(64, ring->layout.bytes);
	memset(ring->memory, 0, ring->layout.bytes);
	((struct vring_avail *)((char *)ring->memory + ring->layout.avail))->idx = htole16(at);
	((struct vring_used *)((char *)ring->memory + ring->layout.used))->idx = htole16(at);
	ring->used = at;
	assert_int_equal(vf_vq_open(&ring->vq, ring->memory, &ring->layout, size, event_idx), 0);
}

static void ring_close(struct ring *ring)
{
	vf_vq_close(&ring->vq);
	free(ring->memory);
}

static void answer(struct ring *ring, uint32_t id, uint32_t length)
{
	struct vring_used *used = ring->vq.used;

	used->ring[ring->used & (ring->vq.size - 1)].id = htole32(id);
	used->ring[ring->used & (ring->vq.size - 1)].len = htole32(length);
	used->idx = htole16(++ring->used);
}

static uint16_t head_at(struct ring *ring, uint16_t index)
{
	return le16toh(ring->vq.avail->ring[index & (ring->vq.size - 1)]);
}

static void the_layout_keeps_alignments(void **state)
{
	for (unsigned int size = 1; size <= 32768; size *= 2) {
		struct vf_vq_layout layout = vf_vq_layout((uint16_t)size);

		assert_int_equal(layout.desc % 16, 0);
		assert_int_equal(layout.avail % 2, 0);
		assert_int_equal(layout.used % 4, 0);
		assert_true(layout.avail >= layout.desc + 16 * size);
		assert_true(layout.used >= layout.avail + 6 + 2 * size);
		assert_true(layout.bytes >= layout.used + 6 + 8 * size);
	}
}

static void sizes_that_cannot_be(void **state)
{
	struct vf_vq_layout layout = vf_vq_layout(8);
	char memory[4096] = { 0 };
	struct vf_vq vq;

	assert_int_equal(vf_vq_open(&vq, memory, &layout, 0, false), -EINVAL);
	assert_int_equal(vf_vq_open(&vq, memory, &layout, 6, false), -EINVAL);
	assert_int_equal(vf_vq_open(&vq, memory, &layout, 40000, false), -EINVAL);
}

static void chains_are_what_was_asked_for(void **state)
{
	struct vferry_sg out[2] = { { 0x1000, 24 }, { 0x2000, 7 } };
	struct vferry_sg in[2] = { { 0x3000, 8 }, { 0x4000, 9 } };
	struct vf_vq_answer got;
	struct vring_desc *desc;
	struct ring ring;
	uint16_t at;

	ring_open(&ring, 8, false, 0);
	assert_int_equal(vf_vq_add(&ring.vq, out, 2, in, 2, NULL, &ring), 0);
	assert_int_equal(le16toh(ring.vq.avail->idx), 0);
	assert_true(vf_vq_publish(&ring.vq));
	assert_false(vf_vq_publish(&ring.vq));
	assert_int_equal(le16toh(ring.vq.avail->idx), 1);
	at = head_at(&ring, 0);
	for (unsigned int i = 0; i < 4; i++) {
		const struct vferry_sg *sg = i < 2 ? &out[i] : &in[i - 2];

		desc = &ring.vq.desc[at];
		assert_int_equal(le64toh(desc->addr), sg->iova);
		assert_int_equal(le32toh(desc->len), sg->length);
		assert_int_equal(!!(le16toh(desc->flags) & VRING_DESC_F_WRITE), i >= 2);
		assert_int_equal(!!(le16toh(desc->flags) & VRING_DESC_F_NEXT), i < 3);
		at = le16toh(desc->next);
	}
	assert_int_equal(vf_vq_pop(&ring.vq, &got), 0);
	answer(&ring, head_at(&ring, 0), 12);
	assert_int_equal(vf_vq_pop(&ring.vq, &got), 1);
	assert_ptr_equal(got.token, &ring);
	assert_int_equal(got.length, 12);
	assert_int_equal(got.writable, 17);
	assert_int_equal(ring.vq.free_count, 8);
	ring_close(&ring);
}

static void indirect_tables(void **state)
{
	struct vferry_sg out[3] = { { 1, 1 }, { 2, 2 }, { 3, 3 } }, in = { 4, 4 };
	struct vring_desc table[4];
	struct vf_vq_indirect indirect = { .table = table, .iova = 0x5000, .room = 4 };
	struct ring ring;

	ring_open(&ring, 2, false, 0);
	/* Without a table it can never fit. */
	assert_int_equal(vf_vq_add(&ring.vq, out, 3, &in, 1, NULL, NULL), -EINVAL);
	assert_int_equal(vf_vq_add(&ring.vq, out, 3, &in, 1, &indirect, NULL), 0);
	assert_int_equal(vf_vq_add(&ring.vq, out, 3, &in, 1, &indirect, NULL), 0);
	assert_int_equal(vf_vq_add(&ring.vq, out, 1, &in, 1, &indirect, NULL), -ENOSPC);
	indirect.room = 3;
	assert_int_equal(vf_vq_add(&ring.vq, out, 3, &in, 1, &indirect, NULL), -EINVAL);
	assert_int_equal(vf_vq_add(&ring.vq, NULL, 0, NULL, 0, &indirect, NULL), -EINVAL);
	assert_int_equal(le16toh(ring.vq.desc[0].flags), VRING_DESC_F_INDIRECT);
	assert_int_equal(le32toh(ring.vq.desc[0].len), 4 * 16);
	assert_int_equal(le64toh(ring.vq.desc[0].addr), 0x5000);
	assert_int_equal(le64toh(table[3].addr), 4);
	assert_int_equal(le16toh(table[3].flags), VRING_DESC_F_WRITE);
	assert_int_equal(le16toh(table[2].next), 3);
	ring_close(&ring);
}

/* A ring of 8 with chains of all lengths, answered in an order of its own, past the wrap of the indices. */
static void the_ring_goes_round(void **state)
{
	struct vferry_sg sg = { 0x1000, 8 }, runs[4] = { sg, sg, sg, sg };
	struct {
		uint16_t head;
		unsigned int token, length;
	} under_way[8];
	unsigned int count = 0, sent = 0, seen = 0, free_now = 8;
	bool answered[200000] = { false };
	static unsigned char tokens[200000];
	struct vf_vq_answer got;
	struct ring ring;

	srand(3);
	ring_open(&ring, 8, true, 65000);
	while (seen < 100000) {
		unsigned int length = 1 + (unsigned int)rand() % 4, pick;
		int ret = vf_vq_add(&ring.vq, runs, length, NULL, 0, NULL, &tokens[sent]);

		assert_int_equal(ret, length > free_now ? -ENOSPC : 0);
		if (!ret) {
			under_way[count].head = head_at(&ring, (uint16_t)(65000 + sent));
			under_way[count].length = length;
			under_way[count++].token = sent++;
			free_now -= length;
			vf_vq_publish(&ring.vq);
		}
		if (!count || rand() % 2)
			continue;
		pick = (unsigned int)rand() % count;
		answer(&ring, under_way[pick].head, 0);
		assert_int_equal(vf_vq_pop(&ring.vq, &got), 1);
		assert_ptr_equal(got.token, &tokens[under_way[pick].token]);
		assert_false(answered[under_way[pick].token]);
		answered[under_way[pick].token] = true;
		free_now += under_way[pick].length;
		under_way[pick] = under_way[--count];
		assert_int_equal(vf_vq_pop(&ring.vq, &got), 0);
		seen++;
	}
	ring_close(&ring);
}

static void the_device_may_write_what_it_likes(void **state)
{
	struct vferry_sg sg = { 0x1000, 8 }, runs[3] = { sg, sg, sg };
	struct vf_vq_answer got;
	struct ring ring;

	ring_open(&ring, 8, true, 0);
	assert_int_equal(vf_vq_add(&ring.vq, runs, 3, &sg, 1, NULL, &ring), 0);
	vf_vq_publish(&ring.vq);
	/* The chain in shared memory becomes a circle: ours does not. */
	memset(ring.vq.desc, 0xff, 8 * 16);
	memset(ring.vq.avail->ring, 0xff, 16);
	answer(&ring, 0, 8);
	assert_int_equal(vf_vq_pop(&ring.vq, &got), 1);
	assert_int_equal(ring.vq.free_count, 8);
	/* The middle of a chain is no head. */
	assert_int_equal(vf_vq_add(&ring.vq, runs, 3, &sg, 1, NULL, &ring), 0);
	answer(&ring, ring.vq.chains[head_at(&ring, 1)].next, 8);
	assert_int_equal(vf_vq_pop(&ring.vq, &got), -EPROTO);
	assert_non_null(ring.vq.broken);
	assert_int_equal(vf_vq_pop(&ring.vq, &got), -EPROTO);
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), -EPROTO);
	vf_vq_restart(&ring.vq);
	ring.used = 0;
	assert_int_equal(vf_vq_pop(&ring.vq, &got), 0);
	assert_int_equal(vf_vq_add(&ring.vq, runs, 3, &sg, 1, NULL, &ring), 0);
	ring_close(&ring);
}

static void doorbells_and_interrupts_with_event_indices(void **state)
{
	struct vferry_sg sg = { 0x1000, 8 };
	struct vf_vq_answer got;
	__virtio16 *avail_event, *used_event;
	struct ring ring;

	ring_open(&ring, 4, true, 65535);
	avail_event = (__virtio16 *)&ring.vq.used->ring[4];
	used_event = &ring.vq.avail->ring[4];
	*avail_event = htole16(65535);
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), 0);
	assert_true(vf_vq_publish(&ring.vq));
	/* The device has not looked since. */
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), 0);
	assert_false(vf_vq_publish(&ring.vq));
	*avail_event = htole16(1);
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), 0);
	assert_true(vf_vq_publish(&ring.vq));
	assert_false(vf_vq_listen(&ring.vq, 0));
	assert_int_equal(le16toh(*used_event), 65535);
	answer(&ring, head_at(&ring, 65535), 0);
	assert_true(vf_vq_listen(&ring.vq, 0));
	assert_int_equal(vf_vq_pop(&ring.vq, &got), 1);
	assert_false(vf_vq_listen(&ring.vq, 0));
	assert_int_equal(le16toh(*used_event), 0);
	/* One of the two that are under way may come without an interrupt, never both. */
	assert_false(vf_vq_listen(&ring.vq, 1));
	assert_int_equal(le16toh(*used_event), 1);
	answer(&ring, head_at(&ring, 0), 0);
	assert_false(vf_vq_listen(&ring.vq, 1));
	assert_true(vf_vq_listen(&ring.vq, 2));
	assert_int_equal(le16toh(*used_event), 0);
	answer(&ring, head_at(&ring, 1), 0);
	assert_true(vf_vq_listen(&ring.vq, 1));
	ring_close(&ring);
}

static void doorbells_and_interrupts_by_flags(void **state)
{
	struct vferry_sg sg = { 0x1000, 8 };
	struct ring ring;

	ring_open(&ring, 4, false, 0);
	ring.vq.used->flags = htole16(VRING_USED_F_NO_NOTIFY);
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), 0);
	assert_false(vf_vq_publish(&ring.vq));
	ring.vq.used->flags = 0;
	assert_int_equal(vf_vq_add(&ring.vq, &sg, 1, NULL, 0, NULL, NULL), 0);
	assert_true(vf_vq_publish(&ring.vq));
	vf_vq_quiet(&ring.vq);
	assert_int_equal(le16toh(ring.vq.avail->flags), VRING_AVAIL_F_NO_INTERRUPT);
	assert_false(vf_vq_listen(&ring.vq, 0));
	assert_int_equal(ring.vq.avail->flags, 0);
	ring_close(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_keeps_alignments),
		cmocka_unit_test(sizes_that_cannot_be),
		cmocka_unit_test(chains_are_what_was_asked_for),
		cmocka_unit_test(indirect_tables),
		cmocka_unit_test(the_ring_goes_round),
		cmocka_unit_test(the_device_may_write_what_it_likes),
		cmocka_unit_test(doorbells_and_interrupts_with_event_indices),
		cmocka_unit_test(doorbells_and_interrupts_by_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

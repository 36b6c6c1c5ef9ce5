// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "virtio/vq.h"

static uint16_t load16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static void store16(__virtio16 *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

/* The two event indices stand behind the rings of the other side. */
static __virtio16 *used_event(struct vf_vq *vq)
{
	return &vq->avail->ring[vq->size];
}

static const __virtio16 *avail_event(struct vf_vq *vq)
{
	return (const __virtio16 *)&vq->used->ring[vq->size];
}

struct vf_vq_layout vf_vq_layout(uint16_t size)
{
	struct vf_vq_layout layout = { 0 };

	layout.avail = size * (uint32_t)sizeof(struct vring_desc);
	/* A cache line of its own for what the device writes. */
	layout.used = (layout.avail + 6 + 2 * (uint32_t)size + 63) & ~63U;
	layout.bytes = (layout.used + 6 + 8 * (uint32_t)size + 63) & ~63U;
	return layout;
}

static void all_free(struct vf_vq *vq)
{
	memset(vq->chains, 0, vq->size * sizeof(*vq->chains));
	for (uint16_t i = 0; i < vq->size; i++)
		vq->chains[i].next = (uint16_t)(i + 1);
	vq->free_head = 0;
	vq->free_count = vq->size;
	vq->inflight = 0;
	vq->broken = NULL;
}

int vf_vq_open(struct vf_vq *vq, void *memory, const struct vf_vq_layout *layout, uint16_t size,
	       bool event_idx)
{
	if (!size || size > 32768 || (size & (size - 1)))
		return -EINVAL;
	memset(vq, 0, sizeof(*vq));
	vq->size = size;
	vq->event_idx = event_idx;
	vq->desc = (struct vring_desc *)((char *)memory + layout->desc);
	vq->avail = (struct vring_avail *)((char *)memory + layout->avail);
	vq->used = (struct vring_used *)((char *)memory + layout->used);
	vq->last_used = load16(&vq->used->idx);
	if (load16(&vq->avail->idx) != vq->last_used)
		return -EBUSY;
	vq->next_avail = vq->published = vq->last_used;
	vq->chains = calloc(size, sizeof(*vq->chains));
	if (!vq->chains)
		return -ENOMEM;
	all_free(vq);
	store16(&vq->avail->flags, 0);
	store16(used_event(vq), vq->last_used);
	return 0;
}

void vf_vq_close(struct vf_vq *vq)
{
	free(vq->chains);
	vq->chains = NULL;
}

void vf_vq_restart(struct vf_vq *vq)
{
	all_free(vq);
	vq->next_avail = vq->published = vq->last_used = 0;
	store16(&vq->avail->idx, 0);
	store16(&vq->avail->flags, 0);
	store16(used_event(vq), 0);
	store16(&vq->used->idx, 0);
	store16(&vq->used->flags, 0);
}

static void put_desc(struct vring_desc *desc, const struct vferry_sg *sg, uint16_t flags,
		     uint16_t next)
{
	desc->addr = htole64(sg->iova);
	desc->len = htole32(sg->length);
	desc->flags = htole16(flags);
	desc->next = htole16(next);
}

static void fill_table(struct vring_desc *table, const struct vferry_sg *out,
		       unsigned int out_count, const struct vferry_sg *in, unsigned int in_count)
{
	unsigned int count = out_count + in_count;

	for (unsigned int i = 0; i < count; i++) {
		const struct vferry_sg *sg = i < out_count ? &out[i] : &in[i - out_count];
		unsigned int flags = i < out_count ? 0 : VRING_DESC_F_WRITE;

		if (i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		put_desc(&table[i], sg, (uint16_t)flags,
			 i + 1 < count ? (uint16_t)(i + 1) : (uint16_t)0);
	}
}

static void fill_ring(struct vf_vq *vq, const struct vferry_sg *out, unsigned int out_count,
		      const struct vferry_sg *in, unsigned int in_count)
{
	unsigned int count = out_count + in_count;
	uint16_t at = vq->free_head;

	for (unsigned int i = 0; i < count; i++) {
		const struct vferry_sg *sg = i < out_count ? &out[i] : &in[i - out_count];
		unsigned int flags = i < out_count ? 0 : VRING_DESC_F_WRITE;
		uint16_t next = vq->chains[at].next;

		if (i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		put_desc(&vq->desc[at], sg, (uint16_t)flags, i + 1 < count ? next : (uint16_t)0);
		at = next;
	}
	vq->free_head = at;
}

int vf_vq_add(struct vf_vq *vq, const struct vferry_sg *out, unsigned int out_count,
	      const struct vferry_sg *in, unsigned int in_count,
	      const struct vf_vq_indirect *indirect, void *token)
{
	unsigned int runs = out_count + in_count;
	uint16_t head = vq->free_head;
	uint64_t writable = 0;

	if (vq->broken)
		return -EPROTO;
	if (!runs || runs > (indirect ? indirect->room : vq->size))
		return -EINVAL;
	for (unsigned int i = 0; i < in_count; i++)
		writable += in[i].length;
	if (writable > UINT32_MAX)
		return -EINVAL;
	if ((indirect ? 1 : runs) > vq->free_count)
		return -ENOSPC;
	if (indirect) {
		struct vferry_sg table = {
			.iova = indirect->iova,
			.length = runs * (uint32_t)sizeof(struct vring_desc),
		};

		fill_table(indirect->table, out, out_count, in, in_count);
		put_desc(&vq->desc[head], &table, VRING_DESC_F_INDIRECT, 0);
		vq->free_head = vq->chains[head].next;
	} else {
		fill_ring(vq, out, out_count, in, in_count);
	}
	vq->chains[head].token = token;
	vq->chains[head].writable = (uint32_t)writable;
	vq->chains[head].count = (uint16_t)(indirect ? 1 : runs);
	vq->free_count = (uint16_t)(vq->free_count - vq->chains[head].count);
	vq->avail->ring[vq->next_avail & (vq->size - 1)] = htole16(head);
	vq->next_avail++;
	vq->inflight++;
	return 0;
}

bool vf_vq_publish(struct vf_vq *vq)
{
	uint16_t old = vq->published, new = vq->next_avail;

	if (old == new)
		return false;
	store16(&vq->avail->idx, new);
	vq->published = new;
	/* The index must be out before the device's wish is read, or both sides may wait for ever. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx)
		return vring_need_event(load16(avail_event(vq)), new, old);
	return !(load16(&vq->used->flags) & VRING_USED_F_NO_NOTIFY);
}

static int broken(struct vf_vq *vq, const char *why)
{
	vq->broken = why;
	return -EPROTO;
}

int vf_vq_pop(struct vf_vq *vq, struct vf_vq_answer *answer)
{
	uint16_t there, count, tail;
	struct vf_vq_chain *chain;
	uint32_t id;

	if (vq->broken)
		return -EPROTO;
	there = (uint16_t)(load16(&vq->used->idx) - vq->last_used);
	if (!there)
		return 0;
	if (there > vq->inflight)
		return broken(vq, "the used index is ahead of what was made available");
	/* Both words are read once: the device may change them at any time. */
	id = le32toh(*(volatile __virtio32 *)&vq->used->ring[vq->last_used & (vq->size - 1)].id);
	answer->length = le32toh(
		*(volatile __virtio32 *)&vq->used->ring[vq->last_used & (vq->size - 1)].len);
	if (id >= vq->size)
		return broken(vq, "a used entry names a descriptor beyond the queue's size");
	chain = &vq->chains[id];
	if (!chain->count)
		return broken(vq, "a used entry names a descriptor that is no chain's head under "
				  "way (answered twice, or never given)");
	answer->token = chain->token;
	answer->writable = chain->writable;
	count = chain->count;
	chain->count = 0;
	chain->token = NULL;
	tail = (uint16_t)id;
	for (uint16_t i = 1; i < count; i++)
		tail = vq->chains[tail].next;
	vq->chains[tail].next = vq->free_head;
	vq->free_head = (uint16_t)id;
	vq->free_count = (uint16_t)(vq->free_count + count);
	vq->last_used++;
	vq->inflight--;
	return 1;
}

bool vf_vq_listen(struct vf_vq *vq, uint16_t skip)
{
	if (!vq->event_idx || skip >= vq->inflight)
		skip = 0;
	if (vq->event_idx)
		store16(used_event(vq), (uint16_t)(vq->last_used + skip));
	else
		store16(&vq->avail->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(load16(&vq->used->idx) - vq->last_used) > skip;
}

void vf_vq_quiet(struct vf_vq *vq)
{
	/* With event indices the wish lies behind us as soon as it was answered. */
	if (!vq->event_idx)
		store16(&vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

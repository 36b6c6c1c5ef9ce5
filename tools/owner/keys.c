// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The keys (type, index) of a VF's context, numbered 0, 1, 2 …: a set of keys is a bitmap, and the order of
 * the numbers is the order of the fields in an image (that of virtio 1.4's device parts).
 */
#include <stdlib.h>
#include "tools/owner/admin.h"

enum { SLOT_DEV_FEATURES, SLOT_DRV_FEATURES, SLOT_COMMON, SLOT_STATUS, SLOT_QUEUES };

void keys_init(struct keys *keys, const struct function *fn, uint32_t blocks)
{
	keys->queues = fn->num_queues;
	keys->small = SLOT_QUEUES + 3 * keys->queues + 1;
	keys->blocks = blocks;
	keys->count = keys->small + blocks;
	keys->device_cfg_len = fn->device_cfg_len;
}

static struct key queue_key(const struct keys *keys, uint32_t slot)
{
	uint32_t index = slot % keys->queues;

	switch (slot / keys->queues) {
	case 0:
		return (struct key){ VFERRY_CTX_VQ_CFG, index, sizeof(struct vferry_ctx_vq_cfg) };
	case 1:
		return (struct key){ VFERRY_CTX_VQ_NOTIFY_CFG, index,
				     sizeof(struct vferry_ctx_vq_notify_cfg) };
	default:
		return (struct key){ VFERRY_CTX_VQ_SPLIT_STATE, index,
				     sizeof(struct vferry_ctx_vq_split_state) };
	}
}

struct key keys_at(const struct keys *keys, uint32_t slot)
{
	switch (slot) {
	case SLOT_DEV_FEATURES:
		return (struct key){ VFERRY_CTX_DEV_FEATURES, 0, 8 };
	case SLOT_DRV_FEATURES:
		return (struct key){ VFERRY_CTX_DRV_FEATURES, 0, 8 };
	case SLOT_COMMON:
		return (struct key){ VFERRY_CTX_PCI_COMMON_CFG, 0,
				     sizeof(struct vferry_ctx_pci_common_cfg) };
	case SLOT_STATUS:
		return (struct key){ VFERRY_CTX_DEVICE_STATUS, 0, 1 };
	}
	if (slot < keys->small - 1)
		return queue_key(keys, slot - SLOT_QUEUES);
	if (slot == keys->small - 1)
		return (struct key){ VFERRY_CTX_DEVICE_CFG, 0, keys->device_cfg_len };
	return (struct key){ VFERRY_CTX_BLOCK, slot - keys->small, VFERRY_CTX_BLOCK_BYTES };
}

static uint32_t queue_slot(const struct keys *keys, uint32_t table, uint32_t index)
{
	return index < keys->queues ? SLOT_QUEUES + table * keys->queues + index : KEY_NONE;
}

uint32_t keys_find(const struct keys *keys, uint16_t type, uint32_t index)
{
	switch (type) {
	case VFERRY_CTX_BLOCK:
		return index < keys->blocks ? keys->small + index : KEY_NONE;
	case VFERRY_CTX_VQ_SPLIT_STATE:
		return queue_slot(keys, 2, index);
	case VFERRY_CTX_VQ_CFG:
		return queue_slot(keys, 0, index);
	case VFERRY_CTX_VQ_NOTIFY_CFG:
		return queue_slot(keys, 1, index);
	}
	if (index)
		return KEY_NONE;
	switch (type) {
	case VFERRY_CTX_DEV_FEATURES:
		return SLOT_DEV_FEATURES;
	case VFERRY_CTX_DRV_FEATURES:
		return SLOT_DRV_FEATURES;
	case VFERRY_CTX_PCI_COMMON_CFG:
		return SLOT_COMMON;
	case VFERRY_CTX_DEVICE_STATUS:
		return SLOT_STATUS;
	case VFERRY_CTX_DEVICE_CFG:
		return keys->small - 1;
	}
	return KEY_NONE;
}

bool keys_know_type(const struct keys *keys, uint16_t type)
{
	return keys_find(keys, type, 0) != KEY_NONE;
}

bool keys_length_ok(const struct keys *keys, uint32_t slot, uint64_t length)
{
	return keys_at(keys, slot).length == length;
}

uint64_t *bits_new(uint32_t count)
{
	return calloc(count / 64 + 1, sizeof(uint64_t));
}

void bits_fill(uint64_t *bits, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		bit_set(bits, i);
}

uint32_t bits_next(const uint64_t *bits, uint32_t count, uint32_t from)
{
	while (from < count) {
		uint64_t word = bits[from / 64] >> (from % 64);

		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < count ? from : count;
		}
		from = (from / 64 + 1) * 64;
	}
	return count;
}

uint32_t bits_count(const uint64_t *bits, uint32_t from, uint32_t to)
{
	uint32_t found = 0;

	for (uint32_t i = bits_next(bits, to, from); i < to; i = bits_next(bits, to, i + 1))
		found++;
	return found;
}

void admin_changed(struct function *fn, uint16_t type, uint32_t index)
{
	uint32_t slot;

	if (!fn->admin || (type == VFERRY_CTX_PCI_COMMON_CFG && FN_WRONG(fn, CHANGE_LOST)))
		return;
	slot = keys_find(&fn->admin->keys, type, index);
	if (slot != KEY_NONE)
		bit_set(fn->admin->changed, slot);
}

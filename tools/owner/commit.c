// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What was staged becomes the device's state, all of it or nothing: first every rule is asked, then
 * everything is put in place, and nothing of the second half can fail.
 */
#include <stdlib.h>
#include <string.h>
#include "tools/owner/admin.h"

#define STATUS_BITS                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

static const void *value_of(const struct function *fn, uint16_t type, uint32_t index)
{
	uint32_t slot = keys_find(&fn->admin->keys, type, index);

	return fn->admin->stage.small + (size_t)slot * STAGE_SMALL_BYTES;
}

static struct vferry_ctx_vq_cfg queue_cfg(const struct function *fn, uint32_t index)
{
	struct vferry_ctx_vq_cfg cfg;

	memcpy(&cfg, value_of(fn, VFERRY_CTX_VQ_CFG, index), sizeof(cfg));
	return cfg;
}

static struct vferry_ctx_vq_split_state queue_split(const struct function *fn, uint32_t index)
{
	struct vferry_ctx_vq_split_state split;

	memcpy(&split, value_of(fn, VFERRY_CTX_VQ_SPLIT_STATE, index), sizeof(split));
	return split;
}

static struct vferry_ctx_pci_common_cfg common_cfg(const struct function *fn)
{
	struct vferry_ctx_pci_common_cfg cfg;

	memcpy(&cfg, value_of(fn, VFERRY_CTX_PCI_COMMON_CFG, 0), sizeof(cfg));
	return cfg;
}

static uint64_t features(const struct function *fn, uint16_t type)
{
	uint64_t value;

	memcpy(&value, value_of(fn, type, 0), sizeof(value));
	return le64toh(value);
}

/* --- the rules ---------------------------------------------------------------------------------------- */

static int rule_image_complete(const struct function *fn, struct vferry_error *err)
{
	const struct stage_mark *now = &fn->admin->stage.now;

	if (now->bytes)
		return vferry_fail(err, -EINVAL,
				   "the last image ends after %llu bytes, before its end marker",
				   (unsigned long long)now->bytes);
	return 0;
}

static int rule_full_image(const struct function *fn, struct vferry_error *err)
{
	return fn->admin->stage.now.full
		       ? 0
		       : vferry_fail(err, -EINVAL, "no full image is among what was written");
}

static int rule_nothing_missing(const struct function *fn, struct vferry_error *err)
{
	const struct fn_admin *adm = fn->admin;

	for (uint32_t slot = 0; slot < adm->keys.count; slot++) {
		struct key key = keys_at(&adm->keys, slot);

		if (!bit_get(adm->stage.present, slot))
			return vferry_fail(err, -EINVAL, "field %s index %u is missing",
					   vferry_ctx_type_name(key.type), key.index);
	}
	return 0;
}

static int rule_features_compared(const struct function *fn, struct vferry_error *err)
{
	uint64_t device = features(fn, VFERRY_CTX_DEV_FEATURES);

	if (device == fn->device_features || FN_WRONG(fn, FEATURES_SET))
		return 0;
	return vferry_fail(err, -EINVAL,
			   "device features are 0x%llx here and 0x%llx in the context",
			   (unsigned long long)fn->device_features, (unsigned long long)device);
}

static int rule_driver_features(const struct function *fn, struct vferry_error *err)
{
	uint64_t driver = features(fn, VFERRY_CTX_DRV_FEATURES);

	if (!(driver & ~fn->device_features) || FN_WRONG(fn, DRIVER_FEATURES_ANY))
		return 0;
	return vferry_fail(err, -EINVAL, "driver features 0x%llx were never offered",
			   (unsigned long long)(driver & ~fn->device_features));
}

static int rule_num_queues_compared(const struct function *fn, struct vferry_error *err)
{
	struct vferry_ctx_pci_common_cfg cfg = common_cfg(fn);

	if (cfg.reserved)
		return vferry_fail(err, -EINVAL, "pci_common_cfg: reserved is 0x%02x",
				   cfg.reserved);
	if (le16toh(cfg.num_queues) != fn->num_queues)
		return vferry_fail(err, -EINVAL, "%u queues here, %u in the context",
				   fn->num_queues, le16toh(cfg.num_queues));
	return 0;
}

static int rule_status(const struct function *fn, struct vferry_error *err)
{
	uint8_t status = *(const uint8_t *)value_of(fn, VFERRY_CTX_DEVICE_STATUS, 0);

	if (status & ~STATUS_BITS)
		return vferry_fail(err, -EINVAL, "device status 0x%02x has unknown bits", status);
	return 0;
}

static int rule_queue_cfg(const struct function *fn, uint32_t index, struct vferry_error *err)
{
	struct vferry_ctx_vq_cfg cfg = queue_cfg(fn, index);
	uint16_t size = le16toh(cfg.queue_size);
	uint16_t enabled = le16toh(cfg.enabled);

	if (size > OWNER_QUEUE_SIZE || (size & (size - 1)))
		return vferry_fail(err, -EINVAL, "queue %u: size %u, a power of two up to %u goes",
				   index, size, OWNER_QUEUE_SIZE);
	if (enabled > 1 || (enabled && !size) || cfg.reserved)
		return vferry_fail(err, -EINVAL, "queue %u: enabled %u with size %u, reserved %u",
				   index, enabled, size, le16toh(cfg.reserved));
	return 0;
}

/* Where a doorbell lies is the device's own affair: a guest goes on ringing where it was told to. */
static int rule_notify_compared(const struct function *fn, uint32_t index, struct vferry_error *err)
{
	const struct vqueue *queue = &fn->queues[index];
	struct vferry_ctx_vq_notify_cfg cfg;

	memcpy(&cfg, value_of(fn, VFERRY_CTX_VQ_NOTIFY_CFG, index), sizeof(cfg));
	if (le16toh(cfg.queue_notify_off) == queue->notify_off &&
	    le16toh(cfg.queue_notif_config_data) == queue->notif_data)
		return 0;
	return vferry_fail(err, -EINVAL,
			   "queue %u: notify offset %u and data %u here, %u and %u in the context",
			   index, queue->notify_off, queue->notif_data,
			   le16toh(cfg.queue_notify_off), le16toh(cfg.queue_notif_config_data));
}

/* No more requests can be inside than the queue has entries. */
static int rule_ring_plausible(const struct function *fn, uint32_t index, struct vferry_error *err)
{
	struct vferry_ctx_vq_split_state split = queue_split(fn, index);
	uint16_t size = le16toh(queue_cfg(fn, index).queue_size);
	uint16_t inside = (uint16_t)(le16toh(split.next_avail) - le16toh(split.used));

	if (inside > size)
		return vferry_fail(
			err, -EINVAL,
			"queue %u of %u entries: next available %u and used %u cannot be", index,
			size, le16toh(split.next_avail), le16toh(split.used));
	return 0;
}

static int rule_split_reserved(const struct function *fn, uint32_t index, struct vferry_error *err)
{
	static const uint8_t zero[sizeof(((struct vferry_ctx_vq_split_state *)0)->reserved)];
	struct vferry_ctx_vq_split_state split = queue_split(fn, index);

	if (le16toh(split.flags) & ~(VFERRY_CTX_VQ_KICKED | VFERRY_CTX_VQ_OWED) ||
	    memcmp(split.reserved, zero, sizeof(zero)) || split.config_owed > (index == 0))
		return vferry_fail(err, -EINVAL, "queue %u: split state has unknown bits set",
				   index);
	return 0;
}

/* Of the configuration space only what a driver can write may differ. */
static int rule_device_cfg_agrees(const struct function *fn, struct vferry_error *err)
{
	const uint8_t *cfg = value_of(fn, VFERRY_CTX_DEVICE_CFG, 0);

	for (unsigned int i = 0; i < fn->device_cfg_len; i++)
		if (i != offsetof(struct virtio_blk_config, wce) && cfg[i] != fn->device_cfg[i])
			return vferry_fail(
				err, -EINVAL,
				"device configuration differs at byte %u: 0x%02x here, 0x%02x in the context",
				i, fn->device_cfg[i], cfg[i]);
	return 0;
}

static int ask_queue_rules(const struct function *fn, struct vferry_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < fn->num_queues && !ret; i++) {
		ret = rule_queue_cfg(fn, i, err);
		if (!ret)
			ret = rule_notify_compared(fn, i, err);
		if (!ret)
			ret = rule_ring_plausible(fn, i, err);
		if (!ret)
			ret = rule_split_reserved(fn, i, err);
	}
	return ret;
}

static int ask_rules(const struct function *fn, struct vferry_error *err)
{
	static int (*const rules[])(const struct function *, struct vferry_error *) = {
		rule_image_complete,
		rule_full_image,
		rule_nothing_missing,
		rule_features_compared,
		rule_driver_features,
		rule_num_queues_compared,
		rule_status,
		ask_queue_rules,
		rule_device_cfg_agrees,
	};
	int ret = 0;

	for (unsigned int i = 0; i < sizeof(rules) / sizeof(*rules) && !ret; i++)
		ret = rules[i](fn, err);
	return ret;
}

/* --- putting it in place -------------------------------------------------------------------------------- */

static void load_queue(struct function *fn, uint32_t index)
{
	struct vqueue *queue = &fn->queues[index];
	struct vferry_ctx_vq_cfg cfg = queue_cfg(fn, index);
	struct vferry_ctx_vq_split_state split = queue_split(fn, index);

	queue->size = le16toh(cfg.queue_size);
	queue->vector = le16toh(cfg.vector);
	queue->enabled = le16toh(cfg.enabled);
	queue->desc = le64toh(cfg.queue_desc);
	queue->driver = le64toh(cfg.queue_driver);
	queue->device = le64toh(cfg.queue_device);
	queue->next_avail = le16toh(split.next_avail);
	queue->used = le16toh(split.used);
	queue->signalled = le16toh(split.signalled);
	queue->kicked = le16toh(split.flags) & VFERRY_CTX_VQ_KICKED;
	queue->owed = le16toh(split.flags) & VFERRY_CTX_VQ_OWED;
	queue->inflight = 0;
	if (index == 0)
		fn->config_owed = split.config_owed;
}

static void load_blocks(struct function *fn)
{
	struct fn_admin *adm = fn->admin;
	struct block_area *old = adm->blocks.area;

	if (!old)
		return;
	fn->owner->admin->stage_bytes -= adm->stage.area->used;
	adm->blocks.area = adm->stage.area;
	adm->stage.area = NULL;
	block_area_retire(fn->owner, old);
}

static void load(struct function *fn)
{
	struct vferry_ctx_pci_common_cfg cfg = common_cfg(fn);

	fn->driver_features = features(fn, VFERRY_CTX_DRV_FEATURES);
	fn->device_feature_select = le32toh(cfg.device_feature_select);
	fn->driver_feature_select = le32toh(cfg.driver_feature_select);
	fn->config_msix_vector = le16toh(cfg.config_msix_vector);
	fn->queue_select = le16toh(cfg.queue_select);
	fn->config_generation = cfg.config_generation;
	fn->device_status = *(const uint8_t *)value_of(fn, VFERRY_CTX_DEVICE_STATUS, 0);
	for (uint32_t i = 0; i < fn->num_queues; i++)
		load_queue(fn, i);
	memcpy(fn->device_cfg, value_of(fn, VFERRY_CTX_DEVICE_CFG, 0), fn->device_cfg_len);
	load_blocks(fn);
}

int commit(struct function *fn, struct vferry_error *err)
{
	int ret = ask_rules(fn, err);

	if (ret)
		return ret;
	load(fn);
	/* Another state than the one that was read: what a reader has of it is worth nothing. */
	if (!FN_WRONG(fn, COMMIT_NO_FULL))
		image_forget(fn);
	fn_state_loaded(fn);
	return 0;
}

void commit_half(struct function *fn)
{
	uint32_t slot = keys_find(&fn->admin->keys, VFERRY_CTX_PCI_COMMON_CFG, 0);

	if (bit_get(fn->admin->stage.present, slot))
		fn->queue_select = le16toh(common_cfg(fn).queue_select);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rules for values (device-rules, "The container"), and what a context of virtio may not lack. */
#include <string.h>
#include "context/bits.h"

struct check {
	const struct vferry_context *ctx;
	void (*each)(void *arg, const struct vferry_ctx_finding *finding);
	void *arg;
	size_t errors;
	unsigned int num_queues; /* 0: not known */
};

__attribute__((format(printf, 6, 7))) static void found(struct check *check, bool error,
							uint16_t type, uint32_t index,
							const struct vferry_ctx_entry *entry,
							const char *format, ...)
{
	struct vferry_ctx_finding finding = {
		.error = error,
		.type = type,
		.index = index,
		.entry = entry,
	};
	va_list args;

	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	check->errors += error;
	if (check->each)
		check->each(check->arg, &finding);
}

#define wrong(check, entry, ...) \
	found(check, true, (entry)->type, (entry)->index, entry, __VA_ARGS__)
#define strange(check, entry, ...) \
	found(check, false, (entry)->type, (entry)->index, entry, __VA_ARGS__)

static bool is_of_a_queue(uint16_t type)
{
	return type == VFERRY_CTX_VQ_CFG || type == VFERRY_CTX_VQ_NOTIFY_CFG ||
	       type == VFERRY_CTX_VQ_SPLIT_STATE;
}

static bool is_known(uint16_t type)
{
	return strcmp(vferry_ctx_type_name(type), "unknown");
}

static void check_features(struct check *check, const struct vferry_ctx_entry *entry)
{
	const struct vferry_ctx_entry *device =
		vferry_context_find(check->ctx, VFERRY_CTX_DEV_FEATURES, 0);

	if (!entry->length || entry->length % 8 || entry->length > 32) {
		wrong(check, entry, "%llu bytes; feature bits come in 1 to 4 words of 8 bytes",
		      (unsigned long long)entry->length);
		return;
	}
	if (entry->type == VFERRY_CTX_DEV_FEATURES || !device)
		return;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t more = vf_le64_at(entry, i) & ~vf_le64_at(device, i);
		char names[120];

		if (!more)
			continue;
		vf_feature_bits(names, sizeof(names), more, i * 64);
		wrong(check, entry, "the driver has features that the device does not offer: %s",
		      names);
	}
}

static void check_common_cfg(struct check *check, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pci_common_cfg cfg;

	memcpy(&cfg, entry->value, sizeof(cfg));
	if (cfg.reserved)
		wrong(check, entry, "reserved byte is 0x%02x", cfg.reserved);
	if (!cfg.num_queues)
		strange(check, entry, "num_queues is 0");
}

static void check_status(struct check *check, const struct vferry_ctx_entry *entry)
{
	unsigned int status = entry->value[0];

	if (status & ~VF_STATUS_KNOWN)
		wrong(check, entry, "device_status 0x%02x has bits that virtio does not define",
		      status);
	if (status & 0x80)
		strange(check, entry, "the driver has given up the device (failed)");
	if (status & 0x40)
		strange(check, entry, "the device needs a reset");
}

static void check_address(struct check *check, const struct vferry_ctx_entry *entry,
			  const char *name, uint64_t address, unsigned int align)
{
	if (address % align)
		wrong(check, entry, "%s 0x%llx is not aligned to %u bytes", name,
		      (unsigned long long)address, align);
}

static void check_vq_cfg(struct check *check, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_cfg cfg;
	unsigned int size;

	memcpy(&cfg, entry->value, sizeof(cfg));
	size = le16toh(cfg.queue_size);
	if (cfg.reserved)
		wrong(check, entry, "reserved bytes are 0x%04x", le16toh(cfg.reserved));
	if (le16toh(cfg.enabled) > 1)
		wrong(check, entry, "enabled is %u, not 0 or 1", le16toh(cfg.enabled));
	if (size & (size - 1) || size > 32768)
		wrong(check, entry, "queue_size %u is no power of 2 up to 32768", size);
	if (!le16toh(cfg.enabled))
		return;
	if (!size)
		wrong(check, entry, "an enabled queue of size 0");
	check_address(check, entry, "queue_desc", le64toh(cfg.queue_desc), 16);
	check_address(check, entry, "queue_driver", le64toh(cfg.queue_driver), 2);
	check_address(check, entry, "queue_device", le64toh(cfg.queue_device), 4);
	if (!vferry_context_find(check->ctx, VFERRY_CTX_VQ_SPLIT_STATE, entry->index))
		found(check, true, VFERRY_CTX_VQ_SPLIT_STATE, entry->index, NULL,
		      "missing: queue %u is enabled, and its indices are not here", entry->index);
}

static void check_notify_cfg(struct check *check, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_notify_cfg cfg;

	memcpy(&cfg, entry->value, sizeof(cfg));
	for (unsigned int i = 0; i < sizeof(cfg.reserved); i++)
		if (cfg.reserved[i]) {
			wrong(check, entry, "reserved byte %u is 0x%02x", i, cfg.reserved[i]);
			return;
		}
}

static void check_split_state(struct check *check, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_split_state state;
	unsigned int flags;

	memcpy(&state, entry->value, sizeof(state));
	flags = le16toh(state.flags);
	if (flags & ~(unsigned int)(VFERRY_CTX_VQ_KICKED | VFERRY_CTX_VQ_OWED))
		wrong(check, entry, "flags 0x%04x have reserved bits", flags);
	for (unsigned int i = 0; i < sizeof(state.reserved); i++)
		if (state.reserved[i]) {
			wrong(check, entry, "reserved byte %u is 0x%02x", i, state.reserved[i]);
			break;
		}
	if (state.config_owed > 1 || (state.config_owed && entry->index))
		wrong(check, entry, "config_owed is %u; it is 0 or 1, and stands with queue 0",
		      state.config_owed);
	/* In an image read while Active it may be; after Stop no request is inside the device. */
	if (state.next_avail != state.used)
		strange(check, entry,
			"next_avail %u and used %u differ: requests were inside the device",
			le16toh(state.next_avail), le16toh(state.used));
}

static void check_entry(struct check *check, const struct vferry_ctx_entry *entry)
{
	uint64_t fixed = vf_fixed_length(entry->type);

	if (fixed && entry->length != fixed) {
		wrong(check, entry, "%llu bytes, this field has %llu",
		      (unsigned long long)entry->length, (unsigned long long)fixed);
		return;
	}
	if (entry->type == VFERRY_CTX_BLOCK && entry->length > VFERRY_CTX_BLOCK_BYTES)
		wrong(check, entry, "%llu bytes, a block has at most %d",
		      (unsigned long long)entry->length, VFERRY_CTX_BLOCK_BYTES);
	if (is_of_a_queue(entry->type) && check->num_queues && entry->index >= check->num_queues)
		wrong(check, entry, "queue %u of a device that has %u", entry->index,
		      check->num_queues);
	if (is_known(entry->type) && !is_of_a_queue(entry->type) &&
	    entry->type != VFERRY_CTX_BLOCK && entry->index)
		wrong(check, entry, "index %u, this field comes once, with index 0", entry->index);
	if (!is_known(entry->type) && !(entry->flags & VFERRY_CTX_F_OPTIONAL))
		strange(check, entry, "vferry does not know this type, and it is not optional");
	if (!entry->value)
		return;
	switch (entry->type) {
	case VFERRY_CTX_DEV_FEATURES:
	case VFERRY_CTX_DRV_FEATURES:
		check_features(check, entry);
		break;
	case VFERRY_CTX_PCI_COMMON_CFG:
		check_common_cfg(check, entry);
		break;
	case VFERRY_CTX_DEVICE_STATUS:
		check_status(check, entry);
		break;
	case VFERRY_CTX_VQ_CFG:
		check_vq_cfg(check, entry);
		break;
	case VFERRY_CTX_VQ_NOTIFY_CFG:
		check_notify_cfg(check, entry);
		break;
	case VFERRY_CTX_VQ_SPLIT_STATE:
		check_split_state(check, entry);
		break;
	}
}

static void check_missing(struct check *check)
{
	static const uint16_t once[] = { VFERRY_CTX_DEV_FEATURES, VFERRY_CTX_DRV_FEATURES,
					 VFERRY_CTX_PCI_COMMON_CFG, VFERRY_CTX_DEVICE_STATUS };

	for (unsigned int i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (!vferry_context_find(check->ctx, once[i], 0))
			found(check, true, once[i], 0, NULL, "missing: every context has it");
	for (uint32_t queue = 0; queue < check->num_queues; queue++)
		if (!vferry_context_find(check->ctx, VFERRY_CTX_VQ_CFG, queue))
			found(check, true, VFERRY_CTX_VQ_CFG, queue, NULL,
			      "missing: the device has %u queues", check->num_queues);
}

static unsigned int num_queues(const struct vferry_context *ctx)
{
	const struct vferry_ctx_entry *entry =
		vferry_context_find(ctx, VFERRY_CTX_PCI_COMMON_CFG, 0);
	struct vferry_ctx_pci_common_cfg cfg;

	if (!entry || !entry->value || entry->length != sizeof(cfg))
		return 0;
	memcpy(&cfg, entry->value, sizeof(cfg));
	return le16toh(cfg.num_queues);
}

size_t vferry_context_check(const struct vferry_context *ctx,
			    void (*each)(void *arg, const struct vferry_ctx_finding *finding),
			    void *arg)
{
	struct check check = {
		.ctx = ctx,
		.each = each,
		.arg = arg,
		.num_queues = num_queues(ctx),
	};

	for (size_t i = 0; i < vferry_context_count(ctx); i++)
		check_entry(&check, vferry_context_entry(ctx, i));
	check_missing(&check);
	return check.errors;
}

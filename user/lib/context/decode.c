// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Values as names and numbers: the one structure that text and JSON come from. */
#include <string.h>
#include "context/bits.h"

#define SHOWN_BYTES 128

struct list {
	struct vferry_ctx_pair *pairs;
	size_t count;
};

static struct vferry_ctx_pair *add(struct list *list, const char *name, int form, uint64_t number)
{
	struct vferry_ctx_pair *pair = &list->pairs[list->count++];

	memset(pair, 0, sizeof(*pair));
	pair->name = name;
	pair->form = form;
	pair->number = number;
	return pair;
}

static void number(struct list *list, const char *name, uint64_t value)
{
	add(list, name, VFERRY_CTX_NUMBER, value);
}

static void hex(struct list *list, const char *name, uint64_t value)
{
	add(list, name, VFERRY_CTX_HEX, value);
}

static void features(struct list *list, const struct vferry_ctx_entry *entry)
{
	static const char *const names[] = { "features", "features_64", "features_128",
					     "features_192" };

	for (unsigned int i = 0; i < 4 && (i + 1) * 8 <= entry->length; i++) {
		uint64_t bits = vf_le64_at(entry, i);
		struct vferry_ctx_pair *pair = add(list, names[i], VFERRY_CTX_HEX, bits);

		vf_feature_bits(pair->text, sizeof(pair->text), bits, i * 64);
	}
}

static void common_cfg(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pci_common_cfg cfg;

	memcpy(&cfg, entry->value, sizeof(cfg));
	number(list, "device_feature_select", le32toh(cfg.device_feature_select));
	number(list, "driver_feature_select", le32toh(cfg.driver_feature_select));
	hex(list, "config_msix_vector", le16toh(cfg.config_msix_vector));
	number(list, "queue_select", le16toh(cfg.queue_select));
	number(list, "num_queues", le16toh(cfg.num_queues));
	number(list, "config_generation", cfg.config_generation);
}

static void vq_cfg(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_cfg cfg;

	memcpy(&cfg, entry->value, sizeof(cfg));
	number(list, "queue_size", le16toh(cfg.queue_size));
	hex(list, "vector", le16toh(cfg.vector));
	number(list, "enabled", le16toh(cfg.enabled));
	hex(list, "queue_desc", le64toh(cfg.queue_desc));
	hex(list, "queue_driver", le64toh(cfg.queue_driver));
	hex(list, "queue_device", le64toh(cfg.queue_device));
}

static void vq_notify_cfg(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_notify_cfg cfg;

	memcpy(&cfg, entry->value, sizeof(cfg));
	number(list, "queue_notify_off", le16toh(cfg.queue_notify_off));
	number(list, "queue_notif_config_data", le16toh(cfg.queue_notif_config_data));
}

static void split_state(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_vq_split_state state;
	unsigned int flags;

	memcpy(&state, entry->value, sizeof(state));
	flags = le16toh(state.flags);
	number(list, "next_avail", le16toh(state.next_avail));
	number(list, "used", le16toh(state.used));
	number(list, "signalled", le16toh(state.signalled));
	add(list, "kicked", VFERRY_CTX_FLAG, !!(flags & VFERRY_CTX_VQ_KICKED));
	add(list, "owed", VFERRY_CTX_FLAG, !!(flags & VFERRY_CTX_VQ_OWED));
	add(list, "config_owed", VFERRY_CTX_FLAG, !!state.config_owed);
}

static void status(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pair *pair = add(list, "device_status", VFERRY_CTX_HEX, entry->value[0]);

	vf_status_bits(pair->text, sizeof(pair->text), entry->value[0]);
}

static void bytes(struct list *list, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pair *pair;

	if (!entry->value) {
		pair = add(list, "digest", VFERRY_CTX_TEXT, 0);
		snprintf(pair->text, sizeof(pair->text), "xxh3-128:%016llx%016llx",
			 (unsigned long long)entry->digest[0],
			 (unsigned long long)entry->digest[1]);
		return;
	}
	pair = add(list, "bytes", VFERRY_CTX_TEXT, 0);
	for (uint64_t i = 0; i < entry->length && i < SHOWN_BYTES; i++)
		snprintf(pair->text + i * 2, 3, "%02x", entry->value[i]);
	if (entry->length > SHOWN_BYTES)
		strcat(pair->text, "...");
}

size_t vferry_ctx_decode(const struct vferry_ctx_entry *entry,
			 struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS])
{
	struct list list = { .pairs = pairs };
	uint64_t fixed = vf_fixed_length(entry->type);

	if (entry->value && (!fixed || entry->length == fixed)) {
		switch (entry->type) {
		case VFERRY_CTX_DEV_FEATURES:
		case VFERRY_CTX_DRV_FEATURES:
			if (entry->length % 8 == 0 && entry->length <= 32)
				features(&list, entry);
			break;
		case VFERRY_CTX_PCI_COMMON_CFG:
			common_cfg(&list, entry);
			break;
		case VFERRY_CTX_DEVICE_STATUS:
			status(&list, entry);
			break;
		case VFERRY_CTX_VQ_CFG:
			vq_cfg(&list, entry);
			break;
		case VFERRY_CTX_VQ_NOTIFY_CFG:
			vq_notify_cfg(&list, entry);
			break;
		case VFERRY_CTX_VQ_SPLIT_STATE:
			split_state(&list, entry);
			break;
		}
	}
	if (!list.count)
		bytes(&list, entry);
	return list.count;
}

bool vferry_ctx_pair_equal(const struct vferry_ctx_pair *a, const struct vferry_ctx_pair *b)
{
	if (strcmp(a->name, b->name) || a->form != b->form)
		return false;
	return a->form == VFERRY_CTX_TEXT ? !strcmp(a->text, b->text) : a->number == b->number;
}

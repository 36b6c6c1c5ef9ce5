// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <string.h>
#include "context/bits.h"

struct bit {
	unsigned int number;
	const char *name;
};

static const struct bit status_bits[] = {
	{ 0, "acknowledge" }, { 1, "driver" },	    { 2, "driver_ok" },
	{ 3, "features_ok" }, { 6, "needs_reset" }, { 7, "failed" },
};

static const struct bit feature_bits[] = {
	{ 28, "ring_indirect_desc" },
	{ 29, "ring_event_idx" },
	{ 32, "version_1" },
	{ 33, "access_platform" },
	{ 34, "ring_packed" },
	{ 35, "in_order" },
	{ 36, "order_platform" },
	{ 37, "sr_iov" },
	{ 38, "notification_data" },
	{ 39, "notif_config_data" },
	{ 40, "ring_reset" },
	{ 41, "admin_vq" },
	{ 43, "suspend" },
};

static void name_bits(char *text, size_t room, uint64_t bits, unsigned int first,
		      const struct bit *names, size_t count)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int bit = 0; bit < 64 && used < room; bit++) {
		const char *comma = used ? "," : "";
		const char *name = NULL;

		if (!(bits >> bit & 1))
			continue;
		for (size_t i = 0; i < count; i++)
			if (names[i].number == first + bit)
				name = names[i].name;
		used += (size_t)(name ? snprintf(text + used, room - used, "%s%s", comma, name)
				      : snprintf(text + used, room - used, "%s%u", comma,
						 first + bit));
	}
}

void vf_status_bits(char *text, size_t room, uint64_t status)
{
	name_bits(text, room, status, 0, status_bits, sizeof(status_bits) / sizeof(status_bits[0]));
}

void vf_feature_bits(char *text, size_t room, uint64_t features, unsigned int first)
{
	name_bits(text, room, features, first, feature_bits,
		  sizeof(feature_bits) / sizeof(feature_bits[0]));
}

uint64_t vf_fixed_length(uint16_t type)
{
	switch (type) {
	case VFERRY_CTX_PCI_COMMON_CFG:
		return sizeof(struct vferry_ctx_pci_common_cfg);
	case VFERRY_CTX_DEVICE_STATUS:
		return 1;
	case VFERRY_CTX_VQ_CFG:
		return sizeof(struct vferry_ctx_vq_cfg);
	case VFERRY_CTX_VQ_NOTIFY_CFG:
		return sizeof(struct vferry_ctx_vq_notify_cfg);
	case VFERRY_CTX_VQ_SPLIT_STATE:
		return sizeof(struct vferry_ctx_vq_split_state);
	}
	return 0;
}

uint64_t vf_le64_at(const struct vferry_ctx_entry *entry, unsigned int n)
{
	__le64 value;

	if (!entry || !entry->value || (n + 1) * sizeof(value) > entry->length)
		return 0;
	memcpy(&value, entry->value + n * sizeof(value), sizeof(value));
	return le64toh(value);
}

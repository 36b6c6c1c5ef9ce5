// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The virtio PCI transport: what stands behind BAR 0. */
#include <string.h>
#include "fn.h"

#define QUEUE_BLANK_SIZE OWNER_QUEUE_SIZE

static struct vqueue *selected(struct function *fn)
{
	return fn->queue_select < fn_total_queues(fn) ? &fn->queues[fn->queue_select] : NULL;
}

void transport_queue_blank(struct function *fn, unsigned int index)
{
	struct vqueue *q = &fn->queues[index];
	uint32_t inflight = q->inflight;

	*q = (struct vqueue){
		.size = QUEUE_BLANK_SIZE,
		.vector = VIRTIO_MSI_NO_VECTOR,
		.notify_off = (uint16_t)index,
		.inflight = inflight,
	};
	fn->io->queues[index].epoch++;
	queue_forget(fn, index);
}

void transport_blank(struct function *fn)
{
	fn->driver_features = 0;
	fn->device_feature_select = 0;
	fn->driver_feature_select = 0;
	fn->config_msix_vector = VIRTIO_MSI_NO_VECTOR;
	fn->queue_select = 0;
	fn->config_generation = 0;
	fn->device_status = 0;
	fn->config_owed = false;
	fn->io->isr = 0;
	for (unsigned int i = 0; i < fn_total_queues(fn); i++)
		transport_queue_blank(fn, i);
}

void transport_init(struct function *fn)
{
	fn->device_features |= FN_FEATURES_REQUIRED | (1ULL << VIRTIO_RING_F_EVENT_IDX) |
			       (1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	if (!fn->owner->opts.no_ring_reset)
		fn->device_features |= 1ULL << VIRTIO_F_RING_RESET;
	if (fn->io->pci.sriov_cap)
		fn->device_features |= 1ULL << VIRTIO_F_SR_IOV;
	if (fn->io->admin_first < fn_total_queues(fn))
		fn->device_features |= 1ULL << VIRTIO_F_ADMIN_VQ;
	transport_blank(fn);
}

void transport_needs_reset(struct function *fn)
{
	if (fn->device_status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	fn->device_status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	fn_changed(fn, VFERRY_CTX_DEVICE_STATUS, 0);
	if (fn->device_status & VIRTIO_CONFIG_S_DRIVER_OK)
		fn_config_interrupt(fn);
}

static void put(uint8_t *common, unsigned int at, unsigned int bytes, uint64_t value)
{
	for (unsigned int i = 0; i < bytes; i++)
		common[at + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *common, unsigned int at, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)common[at + i] << (8 * i);
	return value;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* The registers as bytes, so that any width and offset of access reads the same values. */
static void common_image(struct function *fn, uint8_t *c)
{
	const struct vqueue *q = selected(fn);
	bool admin = fn->io->admin_first < fn_total_queues(fn);

	memset(c, 0, VFERRY_COMMON_CFG_BYTES);
	put(c, VIRTIO_PCI_COMMON_DFSELECT, 4, fn->device_feature_select);
	put(c, VIRTIO_PCI_COMMON_DF, 4,
	    feature_word(fn->device_features, fn->device_feature_select));
	put(c, VIRTIO_PCI_COMMON_GFSELECT, 4, fn->driver_feature_select);
	put(c, VIRTIO_PCI_COMMON_GF, 4,
	    feature_word(fn->driver_features, fn->driver_feature_select));
	put(c, VIRTIO_PCI_COMMON_MSIX, 2, fn->config_msix_vector);
	put(c, VIRTIO_PCI_COMMON_NUMQ, 2, fn->num_queues);
	put(c, VIRTIO_PCI_COMMON_STATUS, 1, fn->device_status);
	put(c, VIRTIO_PCI_COMMON_CFGGENERATION, 1, fn->config_generation);
	put(c, VIRTIO_PCI_COMMON_Q_SELECT, 2, fn->queue_select);
	if (admin) {
		put(c, VIRTIO_PCI_COMMON_ADM_Q_IDX, 2, fn->io->admin_first);
		put(c, VIRTIO_PCI_COMMON_ADM_Q_NUM, 2, fn_total_queues(fn) - fn->io->admin_first);
	}
	if (!q)
		return;
	put(c, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	put(c, VIRTIO_PCI_COMMON_Q_MSIX, 2, q->vector);
	put(c, VIRTIO_PCI_COMMON_Q_ENABLE, 2, q->enabled);
	put(c, VIRTIO_PCI_COMMON_Q_NOFF, 2, q->notify_off);
	put(c, VIRTIO_PCI_COMMON_Q_DESCLO, 8, q->desc);
	put(c, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, q->driver);
	put(c, VIRTIO_PCI_COMMON_Q_USEDLO, 8, q->device);
	put(c, VIRTIO_PCI_COMMON_Q_NDATA, 2, q->notif_data);
}

static void write_driver_features(struct function *fn, uint32_t value)
{
	uint32_t select = fn->driver_feature_select;

	if (select >= 2 || fn->device_status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	fn->driver_features &= ~(0xffffffffULL << (32 * select));
	fn->driver_features |= (uint64_t)value << (32 * select);
	fn_changed(fn, VFERRY_CTX_DRV_FEATURES, 0);
}

static bool features_acceptable(const struct function *fn)
{
	return !(fn->driver_features & ~fn->device_features) &&
	       (fn->driver_features & FN_FEATURES_REQUIRED) == FN_FEATURES_REQUIRED;
}

static void write_status(struct function *fn, uint8_t value)
{
	uint8_t before = fn->device_status;

	if (!value) {
		uint16_t select = fn->queue_select;

		fn_reset(fn);
		if (fn->number && FN_WRONG(fn, RESET_KEEPS))
			fn->queue_select = select;
		if (fn->number && FN_WRONG(fn, RESET_STOPS) && fn->mode == VFERRY_MODE_ACTIVE)
			fn->mode = VFERRY_MODE_STOP;
		else if (fn->number && FN_WRONG(fn, RESET_ACTIVE))
			fn->mode = VFERRY_MODE_ACTIVE;
		return;
	}
	/* A driver adds bits; only a reset takes them away, and NEEDS_RESET is the device's. */
	value = (uint8_t)((value & ~VIRTIO_CONFIG_S_NEEDS_RESET) | before);
	if (value & ~before & VIRTIO_CONFIG_S_FEATURES_OK && !features_acceptable(fn))
		value &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(value & VIRTIO_CONFIG_S_FEATURES_OK))
		value &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	if (value == before)
		return;
	fn->device_status = value;
	fn_changed(fn, VFERRY_CTX_DEVICE_STATUS, 0);
	/* Buffers made available before DRIVER_OK wait for no other notification. */
	if (value & ~before & VIRTIO_CONFIG_S_DRIVER_OK)
		for (unsigned int i = 0; i < fn_total_queues(fn); i++)
			fn_kick(fn, i);
}

static uint16_t vector_or_none(struct function *fn, uint64_t value)
{
	return value < fn->io->msix.count ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

static bool is_admin(const struct function *fn, unsigned int index)
{
	return index >= fn->io->admin_first;
}

static void write_queue_enable(struct function *fn, struct vqueue *q, uint64_t value)
{
	if (value != 1 || q->enabled || !(fn->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	if (is_admin(fn, fn->queue_select) && !(fn->driver_features & 1ULL << VIRTIO_F_ADMIN_VQ))
		return;
	q->enabled = 1;
	queue_forget(fn, fn->queue_select);
	fn_changed(fn, VFERRY_CTX_VQ_CFG, fn->queue_select);
	fn_kick(fn, fn->queue_select);
}

static void write_queue(struct function *fn, unsigned int at, uint64_t value)
{
	struct vqueue *q = selected(fn);
	unsigned int index = fn->queue_select;

	if (!q)
		return;
	switch (at) {
	case VIRTIO_PCI_COMMON_Q_MSIX:
		q->vector = vector_or_none(fn, value);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		write_queue_enable(fn, q, value);
		return;
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (value == 1 && fn->driver_features & 1ULL << VIRTIO_F_RING_RESET)
			fn_queue_reset(fn, index);
		return;
	default:
		/* An enabled queue's shape is fixed. */
		if (q->enabled)
			return;
		switch (at) {
		case VIRTIO_PCI_COMMON_Q_SIZE:
			if (value && value <= OWNER_QUEUE_SIZE && !(value & (value - 1)))
				q->size = (uint16_t)value;
			break;
		case VIRTIO_PCI_COMMON_Q_DESCLO:
			q->desc = value;
			break;
		case VIRTIO_PCI_COMMON_Q_AVAILLO:
			q->driver = value;
			break;
		case VIRTIO_PCI_COMMON_Q_USEDLO:
			q->device = value;
			break;
		}
		queue_forget(fn, index);
	}
	fn_changed(fn, VFERRY_CTX_VQ_CFG, index);
}

static void write_field(struct function *fn, unsigned int at, uint64_t value)
{
	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		fn->device_feature_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		fn->driver_feature_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_driver_features(fn, (uint32_t)value);
		return;
	case VIRTIO_PCI_COMMON_MSIX:
		fn->config_msix_vector = vector_or_none(fn, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(fn, (uint8_t)value);
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		fn->queue_select = (uint16_t)value;
		break;
	default:
		write_queue(fn, at, value);
		return;
	}
	fn_changed(fn, VFERRY_CTX_PCI_COMMON_CFG, 0);
}

/* Writable registers in order of offset. */
static const struct {
	uint8_t at;
	uint8_t bytes;
} fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },  { VIRTIO_PCI_COMMON_GFSELECT, 4 },
	{ VIRTIO_PCI_COMMON_GF, 4 },	    { VIRTIO_PCI_COMMON_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },    { VIRTIO_PCI_COMMON_Q_SELECT, 2 },
	{ VIRTIO_PCI_COMMON_Q_SIZE, 2 },    { VIRTIO_PCI_COMMON_Q_MSIX, 2 },
	{ VIRTIO_PCI_COMMON_Q_ENABLE, 2 },  { VIRTIO_PCI_COMMON_Q_DESCLO, 8 },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 8 }, { VIRTIO_PCI_COMMON_Q_USEDLO, 8 },
	{ VIRTIO_PCI_COMMON_Q_RESET, 2 },
};

static void common_write(struct function *fn, unsigned int offset, const uint8_t *data,
			 size_t count)
{
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		unsigned int from = fields[i].at, to = from + fields[i].bytes;
		uint8_t common[VFERRY_COMMON_CFG_BYTES];

		if (to <= offset || from >= offset + count)
			continue;
		/* Half of a 64-bit register keeps the other half. */
		common_image(fn, common);
		for (unsigned int at = from; at < to; at++)
			if (at >= offset && at < offset + count)
				common[at] = data[at - offset];
		write_field(fn, from, get(common, from, fields[i].bytes));
	}
}

/* The part of [offset, offset + count) that lies in [begin, begin + bytes): where in @data, how long, where in there. */
static size_t part(uint64_t offset, size_t count, uint64_t begin, uint64_t bytes, size_t *in_data,
		   unsigned int *in_part)
{
	uint64_t from = offset > begin ? offset : begin;
	uint64_t to = offset + count < begin + bytes ? offset + count : begin + bytes;

	if (from >= to)
		return 0;
	*in_data = (size_t)(from - offset);
	*in_part = (unsigned int)(from - begin);
	return (size_t)(to - from);
}

void transport_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count)
{
	uint8_t common[VFERRY_COMMON_CFG_BYTES];
	unsigned int at;
	size_t in, n;

	memset(data, 0, count);
	n = part(offset, count, BAR_COMMON, sizeof(common), &in, &at);
	if (n) {
		common_image(fn, common);
		memcpy(data + in, common + at, n);
	}
	n = part(offset, count, BAR_ISR, 1, &in, &at);
	if (n) {
		data[in] = fn->io->isr;
		fn->io->isr = 0;
	}
	n = part(offset, count, BAR_DEVICE, fn->device_cfg_len, &in, &at);
	if (n)
		memcpy(data + in, fn->device_cfg + at, n);
}

void transport_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count)
{
	unsigned int at;
	size_t in, n;

	/* Frozen: nothing of virtio is heard, no doorbell either. The device configuration has no writable field. */
	bool frozen = fn->mode == VFERRY_MODE_FREEZE;
	bool config = frozen ? FN_WRONG(fn, FREEZE_CONFIG)
			     : fn->mode != VFERRY_MODE_STOP || !FN_WRONG(fn, STOP_IGNORES_CONFIG);

	if (frozen && !config && !FN_WRONG(fn, FREEZE_SERVES) && !FN_WRONG(fn, FREEZE_KICKED))
		return;
	n = part(offset, count, BAR_COMMON, VFERRY_COMMON_CFG_BYTES, &in, &at);
	if (n && config)
		common_write(fn, at, data + in, n);
	n = part(offset, count, BAR_NOTIFY, BAR_NOTIFY_BYTES, &in, &at);
	if (n)
		fn_kick(fn, at / NOTIFY_MULTIPLIER);
}

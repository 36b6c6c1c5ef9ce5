// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Images as they are read out. Keys and lengths are fixed when an image opens; values are what the device
 * holds when they are copied. No snapshot is taken: only Freeze is exact.
 *
 * A key's mark in the change map goes when the copy of its value begins, not when the image opens: what
 * changes before is in this image, what changes after is in the next.
 */
#include <stddef.h>
#include <string.h>
#include "tools/owner/admin.h"

#define HEADER_BYTES sizeof(struct vferry_ctx_field)
#define START_BYTES  (HEADER_BYTES + sizeof(struct vferry_ctx_start))
#define END_BYTES    HEADER_BYTES

/* --- how large ------------------------------------------------------------------------------------ */

static uint64_t bytes_of(const struct keys *keys, const uint64_t *set)
{
	uint64_t bytes = START_BYTES + END_BYTES;
	uint32_t slot;

	for (slot = bits_next(set, keys->small, 0); slot < keys->small;
	     slot = bits_next(set, keys->small, slot + 1))
		bytes += vferry_ctx_field_bytes(keys_at(keys, slot).length);
	return bytes + bits_count(set, keys->small, keys->count) *
			       vferry_ctx_field_bytes(VFERRY_CTX_BLOCK_BYTES);
}

uint64_t image_lead(const struct function *fn)
{
	const struct keys *keys = &fn->admin->keys;
	uint64_t bytes = START_BYTES + HEADER_BYTES;

	for (uint32_t slot = 0; slot < keys->small; slot++)
		bytes += vferry_ctx_field_bytes(keys_at(keys, slot).length);
	return bytes;
}

uint64_t image_full_bytes(const struct function *fn)
{
	return image_lead(fn) - HEADER_BYTES + END_BYTES +
	       fn->admin->keys.blocks * vferry_ctx_field_bytes(VFERRY_CTX_BLOCK_BYTES);
}

/* Rule 1 of reading: an image opens when nothing was read yet, or keys changed since. */
static bool something_to_say(const struct function *fn)
{
	const struct fn_admin *adm = fn->admin;

	return adm->full_due || bits_next(adm->changed, adm->keys.count, 0) < adm->keys.count;
}

/* Rule 4 of reading: after a complete image the next is a delta, unless a full one is due again. */
static bool next_is_delta(const struct function *fn)
{
	return !fn->admin->full_due && !fn->owner->opts.full_images;
}

uint64_t image_remaining(const struct function *fn)
{
	const struct fn_admin *adm = fn->admin;

	if (FN_WRONG(fn, SIZE_NEVER_ZERO) && adm->image.state != IMAGE_START &&
	    adm->image.state != IMAGE_FIELDS)
		return image_full_bytes(fn);
	if (adm->image.state != IMAGE_CLOSED)
		return FN_WRONG(fn, SIZE_WHOLE) && adm->image.left ? image_full_bytes(fn)
								   : adm->image.left;
	if (!something_to_say(fn))
		return 0;
	return next_is_delta(fn) ? bytes_of(&adm->keys, adm->changed) : image_full_bytes(fn);
}

/* The small keys may all change until then; a mode change makes an open image's keys due again. */
uint64_t image_estimate_frozen(const struct function *fn)
{
	const struct fn_admin *adm = fn->admin;
	const struct keys *keys = &adm->keys;
	uint64_t bytes = START_BYTES + END_BYTES;
	bool open = adm->image.state == IMAGE_START || adm->image.state == IMAGE_FIELDS ||
		    adm->image.state == IMAGE_END;

	if (FN_WRONG(fn, SIZE_FROZEN_WHOLE))
		return image_full_bytes(fn);
	if (fn->mode == VFERRY_MODE_FREEZE)
		return image_remaining(fn);
	if (FN_WRONG(fn, SIZE_LOW))
		return START_BYTES;
	if (!next_is_delta(fn) || (open && !adm->image.delta))
		return image_full_bytes(fn);
	for (uint32_t slot = 0; slot < keys->small; slot++)
		bytes += vferry_ctx_field_bytes(keys_at(keys, slot).length);
	for (uint32_t slot = keys->small; slot < keys->count; slot++)
		if (bit_get(adm->changed, slot) || (open && bit_get(adm->image.keys, slot)))
			bytes += vferry_ctx_field_bytes(VFERRY_CTX_BLOCK_BYTES);
	return bytes;
}

/* --- opening and closing ---------------------------------------------------------------------------- */

static void open_image(struct function *fn)
{
	struct fn_admin *adm = fn->admin;
	struct image *image = &adm->image;
	size_t bytes = (adm->keys.count / 64 + 1) * sizeof(uint64_t);

	image->delta = next_is_delta(fn);
	if (image->delta) {
		memcpy(image->keys, adm->changed, bytes);
	} else {
		memset(image->keys, 0, bytes);
		bits_fill(image->keys, adm->keys.count);
	}
	image->left = bytes_of(&adm->keys, image->keys);
	image->state = IMAGE_START;
	image->slot = 0;
	image->offset = 0;
	image->said_early = false;
	if (FN_WRONG(fn, DELTA_WHOLE) && image->delta) {
		bits_fill(image->keys, adm->keys.count);
		image->left = bytes_of(&adm->keys, image->keys);
	}
	if (FN_WRONG(fn, READ_CHANGES) && fn->mode == VFERRY_MODE_FREEZE)
		fn->config_generation++;
	adm->full_due = false;
}

/* Keys from @from on are due again. */
static void due_again(struct fn_admin *adm, uint32_t from)
{
	for (uint32_t slot = bits_next(adm->image.keys, adm->keys.count, from);
	     slot < adm->keys.count; slot = bits_next(adm->image.keys, adm->keys.count, slot + 1))
		bit_set(adm->changed, slot);
}

void image_close(struct function *fn)
{
	struct fn_admin *adm = fn->admin;
	struct image *image = &adm->image;

	if (image->state != IMAGE_CLOSED && image->state != IMAGE_DRAINED) {
		due_again(adm, 0);
		if (!image->delta)
			adm->full_due = true;
	}
	image->state = IMAGE_CLOSED;
	image->left = 0;
}

void image_forget(struct function *fn)
{
	fn->admin->image.state = IMAGE_CLOSED;
	fn->admin->image.left = 0;
	fn->admin->full_due = true;
}

/* A device whose READ clears: only what was not yet given whole is due after DISCARD. */
static void discard_cleared(struct fn_admin *adm)
{
	switch (adm->image.state) {
	case IMAGE_START:
		due_again(adm, 0);
		if (!adm->image.delta)
			adm->full_due = true;
		break;
	case IMAGE_FIELDS:
		due_again(adm, adm->image.slot);
		break;
	default:
		break;
	}
	adm->image.state = IMAGE_CLOSED;
	adm->image.left = 0;
}

void image_discard(struct function *fn)
{
	if (fn->owner->opts.read_clears)
		discard_cleared(fn->admin);
	else
		image_forget(fn);
	if (FN_WRONG(fn, DISCARD_DELTA)) {
		bits_fill(fn->admin->changed, fn->admin->keys.count);
		fn->admin->full_due = false;
	}
}

/* A device whose READ clears has nothing left of a context that was read in Freeze. */
static void clear_after_read(struct function *fn)
{
	struct fn_admin *adm = fn->admin;

	if (!fn->owner->opts.read_clears || fn->mode != VFERRY_MODE_FREEZE)
		return;
	adm->clearing = true;
	fn_reset(fn);
	adm->clearing = false;
	memset(adm->changed, 0, (adm->keys.count / 64 + 1) * sizeof(uint64_t));
	adm->full_due = false;
}

/* --- values ------------------------------------------------------------------------------------------- */

static void render_common(const struct function *fn, uint8_t *value)
{
	struct vferry_ctx_pci_common_cfg cfg = {
		.device_feature_select = htole32(fn->device_feature_select),
		.driver_feature_select = htole32(fn->driver_feature_select),
		.config_msix_vector = htole16(fn->config_msix_vector),
		.queue_select = htole16(fn->queue_select),
		.num_queues = htole16(fn->num_queues),
		.config_generation = fn->config_generation,
	};

	memcpy(value, &cfg, sizeof(cfg));
}

static void render_queue(const struct vqueue *queue, uint8_t *value)
{
	struct vferry_ctx_vq_cfg cfg = {
		.queue_size = htole16(queue->size),
		.vector = htole16(queue->vector),
		.enabled = htole16(queue->enabled),
		.queue_desc = htole64(queue->desc),
		.queue_driver = htole64(queue->driver),
		.queue_device = htole64(queue->device),
	};

	memcpy(value, &cfg, sizeof(cfg));
}

static void render_notify(const struct vqueue *queue, uint8_t *value)
{
	struct vferry_ctx_vq_notify_cfg cfg = {
		.queue_notify_off = htole16(queue->notify_off),
		.queue_notif_config_data = htole16(queue->notif_data),
	};

	memcpy(value, &cfg, sizeof(cfg));
}

static void render_split(const struct function *fn, uint32_t index, uint8_t *value)
{
	const struct vqueue *queue = &fn->queues[index];
	struct vferry_ctx_vq_split_state split = {
		.next_avail = htole16(queue->next_avail),
		.used = htole16(queue->used),
		.signalled = htole16(queue->signalled),
		.flags = htole16((queue->kicked ? VFERRY_CTX_VQ_KICKED : 0) |
				 (queue->owed ? VFERRY_CTX_VQ_OWED : 0)),
		.config_owed = index == 0 && fn->config_owed,
	};

	if (FN_WRONG(fn, INDICES_LOST))
		split.next_avail = split.used = split.signalled = 0;
	memcpy(value, &split, sizeof(split));
}

void image_render(const struct function *fn, struct key key, uint8_t *value)
{
	uint64_t features = htole64(key.type == VFERRY_CTX_DEV_FEATURES ? fn->device_features
									: fn->driver_features);

	switch (key.type) {
	case VFERRY_CTX_DEV_FEATURES:
	case VFERRY_CTX_DRV_FEATURES:
		memcpy(value, &features, sizeof(features));
		break;
	case VFERRY_CTX_PCI_COMMON_CFG:
		render_common(fn, value);
		break;
	case VFERRY_CTX_DEVICE_STATUS:
		*value = fn->device_status;
		break;
	case VFERRY_CTX_VQ_CFG:
		render_queue(&fn->queues[key.index], value);
		break;
	case VFERRY_CTX_VQ_NOTIFY_CFG:
		render_notify(&fn->queues[key.index], value);
		break;
	case VFERRY_CTX_VQ_SPLIT_STATE:
		render_split(fn, key.index, value);
		break;
	case VFERRY_CTX_DEVICE_CFG:
		memcpy(value, fn->device_cfg, key.length);
		break;
	}
}

/* --- reading -------------------------------------------------------------------------------------------- */

/** struct piece - the next contiguous bytes of an image */
struct piece {
	const uint8_t *bytes;
	uint64_t count;
	bool last; /* of its field */
	uint8_t scratch[STAGE_SMALL_BYTES];
};

static void piece_header(struct piece *piece, uint16_t type, uint32_t index, uint64_t length)
{
	struct vferry_ctx_field field = {
		.type = htole16(type),
		.index = htole32(index),
		.length = htole64(length),
	};

	memcpy(piece->scratch, &field, sizeof(field));
	piece->count = sizeof(field);
}

static void piece_start(const struct image *image, const struct wrongs *wrongs, struct piece *piece)
{
	bool delta = image->delta ? !wrongs_have(wrongs, WRONG_READ_DELTA_AS_FULL)
				  : wrongs_have(wrongs, WRONG_READ_FULL_AS_DELTA);
	struct vferry_ctx_start start = {
		.flags = htole32((delta ? VFERRY_CTX_START_F_DELTA : 0) |
				 (wrongs_have(wrongs, WRONG_READ_DIRTY) ? 0x80 : 0)),
	};

	piece_header(piece, VFERRY_CTX_START, 0, sizeof(start));
	memcpy(piece->scratch + HEADER_BYTES, &start, sizeof(start));
	piece->bytes = piece->scratch + image->offset;
	piece->count = START_BYTES - image->offset;
	piece->last = true;
}

static void piece_end(const struct image *image, struct piece *piece)
{
	piece_header(piece, VFERRY_CTX_END, 0, 0);
	piece->bytes = piece->scratch + image->offset;
	piece->count = END_BYTES - image->offset;
	piece->last = true;
}

/* Header, value and padding of a small field together; a block's value is its own piece, in place. */
static void piece_field(struct function *fn, struct piece *piece)
{
	struct fn_admin *adm = fn->admin;
	struct image *image = &adm->image;
	struct key key = keys_at(&adm->keys, image->slot);
	uint64_t value_at;

	if (image->offset < HEADER_BYTES) {
		piece_header(piece, key.type, key.index, key.length);
		piece->bytes = piece->scratch + image->offset;
		piece->count = HEADER_BYTES - image->offset;
		piece->last = !key.length;
		return;
	}
	value_at = image->offset - HEADER_BYTES;
	if (!value_at)
		bit_clear(adm->changed, image->slot);
	piece->last = true;
	if (key.type == VFERRY_CTX_BLOCK) {
		piece->bytes = blocks_value(fn, key.index) + value_at;
		piece->count = VFERRY_CTX_BLOCK_BYTES - value_at;
		return;
	}
	memset(piece->scratch, 0, sizeof(piece->scratch));
	image_render(fn, key, piece->scratch);
	piece->bytes = piece->scratch + value_at;
	piece->count = vferry_ctx_field_bytes(key.length) - HEADER_BYTES - value_at;
}

static void next_piece(struct function *fn, struct piece *piece)
{
	struct image *image = &fn->admin->image;

	switch (image->state) {
	case IMAGE_START:
		piece_start(image, &fn->owner->opts.wrongs, piece);
		break;
	case IMAGE_FIELDS:
		piece_field(fn, piece);
		break;
	default:
		piece_end(image, piece);
	}
}

static void next_field(struct fn_admin *adm)
{
	struct image *image = &adm->image;
	uint32_t from = image->state == IMAGE_START ? 0 : image->slot + 1;

	image->offset = 0;
	if (image->state == IMAGE_END) {
		image->state = IMAGE_DRAINED;
		return;
	}
	image->slot = bits_next(image->keys, adm->keys.count, from);
	image->state = image->slot < adm->keys.count ? IMAGE_FIELDS : IMAGE_END;
}

/* For a wrong device: the first field once more, before any other. */
static bool first_field_again(struct function *fn)
{
	struct image *image = &fn->admin->image;

	if (!FN_WRONG(fn, READ_KEY_TWICE) || image->state != IMAGE_FIELDS || image->slot ||
	    image->said_early)
		return false;
	image->said_early = true;
	image->left += vferry_ctx_field_bytes(keys_at(&fn->admin->keys, 0).length);
	image->offset = 0;
	return true;
}

/* For a wrong device: bytes that nobody gets. */
static void lose(struct function *fn)
{
	struct image *image = &fn->admin->image;
	struct piece piece;
	uint64_t take;

	if (image->state == IMAGE_DRAINED)
		return;
	next_piece(fn, &piece);
	take = piece.count < 8 ? piece.count : 8;
	image->offset += take;
	image->left -= take;
	if (take == piece.count && piece.last)
		next_field(fn->admin);
}

/* Rule 3 of reading: the READ after the last byte answers 0 and closes the image. */
static bool close_drained(struct function *fn)
{
	struct image *image = &fn->admin->image;

	if (image->state != IMAGE_DRAINED)
		return false;
	image->state = IMAGE_CLOSED;
	if (FN_WRONG(fn, READ_RESTARTS)) {
		image_forget(fn);
		return false;
	}
	return true;
}

uint32_t image_read(struct function *fn, struct segments *to, uint64_t room)
{
	struct fn_admin *adm = fn->admin;
	struct image *image = &adm->image;
	uint64_t given = 0;

	if (close_drained(fn))
		return 0;
	if (image->state == IMAGE_CLOSED) {
		if (!something_to_say(fn))
			return 0;
		open_image(fn);
	}
	if (FN_WRONG(fn, READ_EARLY_END) && image->state == IMAGE_END && !image->said_early) {
		image->said_early = true;
		return 0;
	}
	/* context_len and the used length have 32 bits. */
	if (room > INT32_MAX)
		room = INT32_MAX;
	while (given < room && image->state != IMAGE_DRAINED) {
		struct piece piece;
		uint64_t take;

		next_piece(fn, &piece);
		take = piece.count < room - given ? piece.count : room - given;
		segments_put(to, piece.bytes, take);
		given += take;
		image->offset += take;
		image->left -= take;
		if (take == piece.count && piece.last && !first_field_again(fn))
			next_field(adm);
		if (FN_WRONG(fn, READ_EARLY_END) && image->state == IMAGE_END && !image->said_early)
			break;
	}
	if ((FN_WRONG(fn, READ_TRUNCATES) && room && room < 16) ||
	    (FN_WRONG(fn, READ_ODD_LOSES) && room % 2))
		lose(fn);
	if (image->state == IMAGE_DRAINED)
		clear_after_read(fn);
	return (uint32_t)given;
}

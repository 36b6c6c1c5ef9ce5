// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * WRITE: images as they come in, merged by key, the last writer wins. One WRITE is staged whole or not at
 * all. The shared walker checks the form while the event callback notes what to copy where; the bytes are
 * copied once the whole WRITE is found good. A walker that has seen a bad WRITE has no way back, so it is
 * made anew and walked over the headers that were accepted before (values as zeros: it never looks at them).
 */
#include <stdlib.h>
#include <string.h>
#include "tools/owner/admin.h"

#define START_BYTES (sizeof(struct vferry_ctx_field) + sizeof(struct vferry_ctx_start))
#define END_BYTES   sizeof(struct vferry_ctx_field)
/* Room in an image for fields that this device skips. */
#define UNKNOWN_BYTES  (64ULL << 20)
#define UNKNOWN_FIELDS 4096u

struct stage_copy {
	uint32_t slot;
	uint32_t offset;
	uint32_t count;
	bool last;
	const uint8_t *bytes;
};

/* --- rules for a field, each refused at once ------------------------------------------------------------ */

static bool rule_type_known(void *arg, uint16_t type)
{
	const struct function *fn = arg;

	return keys_know_type(&fn->admin->keys, type);
}

static bool rule_index_in_range(const struct function *fn, uint16_t type, uint32_t index)
{
	return keys_find(&fn->admin->keys, type, index) != KEY_NONE;
}

static bool rule_length_right(const struct function *fn, uint32_t slot, uint64_t length)
{
	return keys_length_ok(&fn->admin->keys, slot, length);
}

static bool rule_memory_bounded(const struct function *fn, uint64_t more)
{
	const struct admin *admin = fn->owner->admin;

	return admin->stage_bytes + more <= admin->stage_limit;
}

/* --- events of the walk ----------------------------------------------------------------------------------- */

static int grow(void **array, uint32_t *room, uint32_t count, size_t size)
{
	uint32_t more = *room ? *room * 2 : 64;
	void *grown;

	if (count < *room)
		return 0;
	grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

static int note_field(struct function *fn, const struct vferry_ctx_event *event)
{
	struct stage *stage = &fn->admin->stage;
	uint32_t slot = keys_find(&fn->admin->keys, event->type, event->index);

	if (grow((void **)&stage->fields, &stage->field_room, stage->field_count,
		 sizeof(*stage->fields)))
		return -ENOMEM;
	stage->fields[stage->field_count++] = (struct vferry_ctx_field){
		.type = htole16(event->type),
		.flags = event->flags,
		.index = htole32(event->index),
		.length = htole64(event->length),
	};
	stage->covered += vferry_ctx_field_bytes(event->length);
	/* Unknown and optional, or the walk would have ended. */
	if (!keys_know_type(&fn->admin->keys, event->type))
		return FN_WRONG(fn, OPTIONAL_REFUSED) ? -EINVAL : 0;
	if (!rule_index_in_range(fn, event->type, event->index))
		return -ERANGE;
	if (!rule_length_right(fn, slot, event->length))
		return -EMSGSIZE;
	if (event->type == VFERRY_CTX_BLOCK &&
	    !(stage->area && bit_get(stage->area->filled, event->index)))
		stage->pending += VFERRY_CTX_BLOCK_BYTES;
	return rule_memory_bounded(fn, stage->pending) ? 0 : -ENOMEM;
}

static int note_value(struct function *fn, const struct vferry_ctx_event *event)
{
	struct stage *stage = &fn->admin->stage;
	uint32_t slot = keys_find(&fn->admin->keys, event->type, event->index);

	if (slot == KEY_NONE || !event->count)
		return 0;
	if (grow((void **)&stage->copies, &stage->copy_room, stage->copy_count,
		 sizeof(*stage->copies)))
		return -ENOMEM;
	stage->copies[stage->copy_count++] = (struct stage_copy){
		.slot = slot,
		.offset = (uint32_t)event->offset,
		.count = (uint32_t)event->count,
		.last = event->offset + event->count == event->length,
		.bytes = event->bytes,
	};
	return 0;
}

static int on_event(void *arg, const struct vferry_ctx_event *event)
{
	struct function *fn = arg;
	struct stage *stage = &fn->admin->stage;

	if (stage->replaying)
		return 0;
	switch (event->kind) {
	case VFERRY_CTX_IMAGE_BEGIN:
		stage->now.started = true;
		stage->now.delta = event->delta;
		stage->covered = START_BYTES;
		return 0;
	case VFERRY_CTX_FIELD_BEGIN:
		return note_field(fn, event);
	case VFERRY_CTX_VALUE:
		return note_value(fn, event);
	case VFERRY_CTX_FIELD_END:
		return 0;
	case VFERRY_CTX_IMAGE_END:
		stage->now.full |= !stage->now.delta;
		stage->now.started = false;
		stage->now.begin = event->offset + END_BYTES;
		stage->covered = 0;
		stage->field_base = stage->field_count;
		return 0;
	}
	return 0;
}

/* --- the walker, and how to get it back ---------------------------------------------------------------------- */

static int walk_zeros(struct vferry_ctx_walker *walker, uint64_t bytes)
{
	static const uint8_t zeros[4096];
	int ret = 0;

	while (bytes && !ret) {
		uint64_t step = bytes < sizeof(zeros) ? bytes : sizeof(zeros);

		ret = vferry_ctx_walk(walker, zeros, step, NULL);
		bytes -= step;
	}
	return ret;
}

static int walk_start(struct vferry_ctx_walker *walker, bool delta)
{
	struct vferry_ctx_field field = {
		.type = htole16(VFERRY_CTX_START),
		.length = htole64(sizeof(struct vferry_ctx_start)),
	};
	struct vferry_ctx_start start = { .flags = htole32(delta ? VFERRY_CTX_START_F_DELTA : 0) };
	int ret = vferry_ctx_walk(walker, &field, sizeof(field), NULL);

	return ret ? ret : vferry_ctx_walk(walker, &start, sizeof(start), NULL);
}

/* What was accepted of the last image: complete headers with zeros for values, then a header's beginning. */
static int replay_image(struct stage *stage)
{
	uint64_t left = stage->now.bytes - stage->tail_bytes;
	int ret = 0;

	if (stage->now.started) {
		ret = walk_start(stage->walker, stage->now.delta);
		left -= START_BYTES;
	}
	for (uint32_t i = 0; i < stage->field_count && !ret; i++) {
		const struct vferry_ctx_field *field = &stage->fields[i];
		uint64_t value = vferry_ctx_field_bytes(le64toh(field->length)) - sizeof(*field);

		ret = vferry_ctx_walk(stage->walker, field, sizeof(*field), NULL);
		left -= sizeof(*field);
		if (value > left)
			value = left;
		if (!ret)
			ret = walk_zeros(stage->walker, value);
		left -= value;
	}
	return ret ? ret : vferry_ctx_walk(stage->walker, stage->tail, stage->tail_bytes, NULL);
}

static int replay(struct stage *stage)
{
	struct vferry_ctx_field end = { .type = htole16(VFERRY_CTX_END) };
	int ret = 0;

	if (stage->now.full) {
		ret = walk_start(stage->walker, false);
		if (!ret)
			ret = vferry_ctx_walk(stage->walker, &end, sizeof(end), NULL);
	}
	stage->now.begin = vferry_ctx_walk_offset(stage->walker);
	return ret ? ret : replay_image(stage);
}

static int need_walker(struct function *fn)
{
	struct stage *stage = &fn->admin->stage;
	struct vferry_ctx_walk_opts opts = {
		.image_bound = image_full_bytes(fn) + UNKNOWN_BYTES,
		.fields_max = fn->admin->keys.count + UNKNOWN_FIELDS,
		.known = rule_type_known,
		.event = on_event,
		.arg = fn,
	};
	int ret;

	if (stage->walker)
		return 0;
	stage->walker = vferry_ctx_walker_new(&opts);
	if (!stage->walker)
		return -ENOMEM;
	stage->replaying = true;
	ret = replay(stage);
	stage->replaying = false;
	if (ret) {
		vferry_ctx_walker_free(stage->walker);
		stage->walker = NULL;
	}
	return ret;
}

/* --- one WRITE --------------------------------------------------------------------------------------------------- */

static int need_room(struct function *fn)
{
	struct fn_admin *adm = fn->admin;
	struct stage *stage = &adm->stage;

	if (!stage->present)
		stage->present = bits_new(adm->keys.count);
	if (!stage->small)
		stage->small = calloc(adm->keys.small, STAGE_SMALL_BYTES);
	if (!stage->area && stage->pending)
		stage->area = block_area_take(fn->owner, adm->keys.blocks, image_lead(fn));
	return stage->present && stage->small && (stage->area || !stage->pending) ? 0 : -ENOMEM;
}

static void copy_all(struct function *fn)
{
	struct fn_admin *adm = fn->admin;
	struct stage *stage = &adm->stage;

	for (uint32_t i = 0; i < stage->copy_count; i++) {
		const struct stage_copy *copy = &stage->copies[i];
		uint8_t *to;

		if (FN_WRONG(fn, FIRST_WINS) && bit_get(stage->present, copy->slot))
			continue;

		if (copy->slot < adm->keys.small) {
			to = stage->small + (size_t)copy->slot * STAGE_SMALL_BYTES;
		} else {
			uint64_t before = stage->area->used;

			to = block_area_at(stage->area, copy->slot - adm->keys.small);
			block_area_mark(stage->area, copy->slot - adm->keys.small);
			fn->owner->admin->stage_bytes += stage->area->used - before;
		}
		memcpy(to + copy->offset, copy->bytes, copy->count);
		if (copy->last)
			bit_set(stage->present, copy->slot);
	}
}

/* Keeps the header bytes that the walker holds, for a replay. */
static void keep_tail(struct stage *stage, struct segments data, uint64_t bytes)
{
	uint64_t tail = stage->now.bytes > stage->covered ? stage->now.bytes - stage->covered : 0;

	if (tail > bytes) {
		segments_get(&data, stage->tail + (tail - bytes), bytes);
	} else {
		data = segments_at(data.iov, data.count, data.offset + bytes - tail);
		segments_get(&data, stage->tail, tail);
	}
	stage->tail_bytes = (uint32_t)tail;
}

static void keep_fields(struct stage *stage)
{
	stage->field_count -= stage->field_base;
	if (!stage->field_base || !stage->field_count)
		return;
	memmove(stage->fields, stage->fields + stage->field_base,
		stage->field_count * sizeof(*stage->fields));
}

static int walk_all(struct stage *stage, struct segments data, struct vferry_error *err)
{
	const void *run;
	size_t bytes;
	int ret = 0;

	while (!ret && (run = segments_run(&data, &bytes)))
		ret = vferry_ctx_walk(stage->walker, run, bytes, err);
	return ret;
}

static int explain(const struct stage *stage, int ret, struct vferry_error *err)
{
	const struct vferry_ctx_field *field =
		stage->field_count ? &stage->fields[stage->field_count - 1] : NULL;

	if (field && ret == -ERANGE)
		vferry_fail(err, -EBADMSG, "field %s has no index %u on this device",
			    vferry_ctx_type_name(le16toh(field->type)), le32toh(field->index));
	if (field && ret == -EMSGSIZE)
		vferry_fail(err, -EBADMSG, "field %s index %u has a wrong length %llu",
			    vferry_ctx_type_name(le16toh(field->type)), le32toh(field->index),
			    (unsigned long long)le64toh(field->length));
	return ret == -ENOMEM ? ret : -EBADMSG;
}

int stage_write(struct function *fn, struct segments *from, struct vferry_error *err)
{
	struct stage *stage = &fn->admin->stage;
	struct stage_mark before;
	uint64_t covered = stage->covered;
	uint32_t field_count = stage->field_count;
	uint64_t bytes = segments_bytes(from->iov, from->count) - from->offset;
	int ret;

	if (!bytes)
		return 0;
	ret = need_walker(fn);
	if (ret)
		return ret;
	before = stage->now;
	stage->copy_count = 0;
	stage->pending = 0;
	stage->field_base = 0;
	ret = walk_all(stage, *from, err);
	if (!ret && FN_WRONG(fn, WRITE_SPLIT_REFUSED) &&
	    vferry_ctx_walk_offset(stage->walker) - stage->now.begin > stage->covered)
		ret = vferry_fail(err, -EBADMSG, "a field's header is not complete");
	if (!ret)
		ret = need_room(fn);
	if (ret) {
		ret = explain(stage, ret, err);
		vferry_ctx_walker_free(stage->walker);
		stage->walker = NULL;
		stage->now = before;
		stage->covered = covered;
		stage->field_count = field_count;
		return ret;
	}
	copy_all(fn);
	keep_fields(stage);
	stage->now.any = true;
	stage->now.bytes = vferry_ctx_walk_offset(stage->walker) - stage->now.begin;
	keep_tail(stage, *from, bytes);
	if (FN_WRONG(fn, WRITE_VISIBLE) && stage->now.full && !stage->now.bytes)
		commit(fn, err);
	return 0;
}

void stage_drop(struct function *fn)
{
	struct stage *stage = &fn->admin->stage;

	if (stage->area) {
		fn->owner->admin->stage_bytes -= stage->area->used;
		block_area_retire(fn->owner, stage->area);
	}
	vferry_ctx_walker_free(stage->walker);
	free(stage->fields);
	free(stage->copies);
	free(stage->present);
	free(stage->small);
	*stage = (struct stage){ 0 };
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stream/frame.h"
#include "stream/saved.h"

#define LANES_MAX   4096
#define CHUNK_BYTES (256u << 10)

struct vf_saved {
	int fd;
	enum vf_saved_kind kind;
	uint8_t first[sizeof(struct vferry_ctx_field)]; /* read to find out the kind */
	size_t first_at, first_have;
	uint64_t at;
	uint64_t sequence;
	uint8_t *payload;
	size_t room;
};

/* Fills @count bytes unless the end comes first. Return: how many, or -errno. */
static ssize_t fill(struct vf_saved *saved, void *bytes, size_t count, struct vferry_error *err)
{
	size_t have = saved->first_have - saved->first_at;

	if (have > count)
		have = count;
	if (have)
		memcpy(bytes, saved->first + saved->first_at, have);
	saved->first_at += have;
	while (have < count) {
		ssize_t got = read(saved->fd, (char *)bytes + have, count - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return vferry_fail(err, -errno, "reading failed at byte %llu: %s",
					   (unsigned long long)(saved->at + have), strerror(errno));
		if (!got)
			break;
		have += (size_t)got;
	}
	saved->at += have;
	return (ssize_t)have;
}

static int find_kind(struct vf_saved *saved, struct vferry_error *err)
{
	struct vferry_ctx_field field;
	__le32 magic;

	memcpy(&magic, saved->first, sizeof(magic));
	memcpy(&field, saved->first, sizeof(field));
	if (saved->first_have >= sizeof(magic) && le32toh(magic) == VF_FRAME_MAGIC) {
		saved->kind = VF_SAVED_STREAM;
		return 0;
	}
	saved->kind = VF_SAVED_CONTEXT;
	if (saved->first_have == sizeof(field) && le16toh(field.type) == VFERRY_CTX_START &&
	    le64toh(field.length) == sizeof(struct vferry_ctx_start))
		return 0;
	if (!saved->first_have)
		return vferry_fail(err, -EBADMSG, "this is empty: no saved stream, and no context");
	return vferry_fail(err, -EBADMSG,
			   "this is neither a saved stream nor a context (it begins with 0x%08x)",
			   le32toh(magic));
}

int vf_saved_open(struct vf_saved **out, int fd, struct vferry_error *err)
{
	struct vf_saved *saved = calloc(1, sizeof(*saved));
	ssize_t got;
	int ret;

	if (!saved)
		return vferry_fail(err, -ENOMEM, "no memory to read a saved stream");
	saved->fd = fd;
	got = fill(saved, saved->first, sizeof(saved->first), err);
	ret = got < 0 ? (int)got : 0;
	if (!ret) {
		saved->first_have = (size_t)got;
		saved->at = 0;
		ret = find_kind(saved, err);
	}
	if (ret) {
		vf_saved_free(saved);
		return ret;
	}
	*out = saved;
	return 0;
}

void vf_saved_free(struct vf_saved *saved)
{
	if (!saved)
		return;
	free(saved->payload);
	free(saved);
}

enum vf_saved_kind vf_saved_kind(const struct vf_saved *saved)
{
	return saved->kind;
}

static int make_room(struct vf_saved *saved, size_t count, struct vferry_error *err)
{
	uint8_t *payload;

	if (count <= saved->room)
		return 0;
	payload = realloc(saved->payload, count);
	if (!payload)
		return vferry_fail(err, -ENOMEM, "no memory for a frame of %zu bytes", count);
	saved->payload = payload;
	saved->room = count;
	return 0;
}

static int next_chunk(struct vf_saved *saved, struct vf_frame *frame, struct vferry_error *err)
{
	uint64_t at = saved->at;
	int ret = make_room(saved, CHUNK_BYTES, err);
	ssize_t got = ret ? ret : fill(saved, saved->payload, CHUNK_BYTES, err);

	if (got <= 0)
		return (int)got;
	*frame = (struct vf_frame){
		.length = (uint32_t)got,
		.sequence = saved->sequence++,
		.aux = at,
	};
	return 1;
}

static int cut(const struct vf_saved *saved, const char *where, struct vferry_error *err)
{
	return vferry_fail(
		err, -EBADMSG, "the saved stream was cut at byte %llu, inside the %s of frame %llu",
		(unsigned long long)saved->at, where, (unsigned long long)saved->sequence);
}

static int next_frame(struct vf_saved *saved, struct vf_frame *frame, struct vferry_error *err)
{
	struct vf_frame_wire wire;
	uint64_t at = saved->at;
	ssize_t got = fill(saved, &wire, sizeof(wire), err);
	int ret;

	if (got <= 0)
		return (int)got;
	if (got < (ssize_t)sizeof(wire))
		return cut(saved, "header", err);
	ret = vf_frame_parse(frame, &wire, saved->sequence, at, err);
	if (!ret)
		ret = make_room(saved, frame->length, err);
	if (ret)
		return ret;
	at = saved->at;
	got = fill(saved, saved->payload, frame->length, err);
	if (got < 0)
		return (int)got;
	if (got < (ssize_t)frame->length)
		return cut(saved, "payload", err);
	ret = frame->length ? vf_frame_verify(frame, &wire, saved->payload, at, err) : 0;
	saved->sequence++;
	return ret ? ret : 1;
}

int vf_saved_next(struct vf_saved *saved, struct vf_frame *frame, const void **payload,
		  struct vferry_error *err)
{
	int ret = saved->kind == VF_SAVED_STREAM ? next_frame(saved, frame, err)
						 : next_chunk(saved, frame, err);

	*payload = saved->payload;
	return ret;
}

/* --- lane by lane --- */

struct lanes {
	struct vf_saved_lane *all;
	size_t count;
};

static struct vf_saved_lane *find_lane(struct lanes *lanes, uint32_t number,
				       struct vferry_error *err)
{
	struct vf_saved_lane *all, *lane;

	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->all[i].lane == number)
			return &lanes->all[i];
	if (lanes->count == LANES_MAX) {
		vferry_fail(err, -EBADMSG, "more than %d lanes in one stream", LANES_MAX);
		return NULL;
	}
	all = realloc(lanes->all, (lanes->count + 1) * sizeof(*all));
	if (all)
		lanes->all = all;
	lane = all ? &all[lanes->count] : NULL;
	if (lane)
		*lane = (struct vf_saved_lane){ .lane = number, .ctx = vferry_context_new() };
	if (!lane || !lane->ctx) {
		vferry_fail(err, -ENOMEM, "no memory for the context of lane %u", number);
		return NULL;
	}
	lanes->count++;
	return lane;
}

static int take(struct lanes *lanes, const struct vf_frame *frame, const void *payload,
		struct vferry_error *err)
{
	struct vf_saved_lane *lane = find_lane(lanes, frame->lane, err);

	if (!lane)
		return err->code;
	/* One lane that is wrong does not hide the others. */
	if (!lane->code)
		lane->code = vferry_context_add(lane->ctx, payload, frame->length, &lane->why);
	return lane->code == -ENOMEM ? vferry_fail(err, -ENOMEM, "%s", lane->why.text) : 0;
}

int vf_saved_contexts(struct vf_saved *saved, uint16_t context_type, struct vf_saved_lane **out,
		      size_t *count, struct vferry_error *err)
{
	bool bare = saved->kind == VF_SAVED_CONTEXT;
	struct lanes lanes = { 0 };
	struct vferry_error words;
	struct vf_frame frame;
	const void *payload;
	int ret;

	while ((ret = vf_saved_next(saved, &frame, &payload, &words)) > 0) {
		if (!bare && frame.type != context_type)
			continue;
		ret = take(&lanes, &frame, payload, &words);
		if (ret)
			break;
	}
	for (size_t i = 0; i < lanes.count; i++)
		if (lanes.all[i].code)
			vferry_context_finish(lanes.all[i].ctx, NULL);
		else
			lanes.all[i].code =
				vferry_context_finish(lanes.all[i].ctx, &lanes.all[i].why);
	*out = lanes.all;
	*count = lanes.count;
	if (ret && err)
		*err = words;
	return ret;
}

void vf_saved_lanes_free(struct vf_saved_lane *lanes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		vferry_context_free(lanes[i].ctx);
	free(lanes);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
/* Where the library was built with it: the widest vectors that this processor has. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#include "stream/frame.h"

_Static_assert(sizeof(struct vf_frame_wire) == 48, "frame header");
_Static_assert(offsetof(struct vf_frame_wire, header_check) == 40, "header check");

uint64_t vf_frame_check(const struct iovec *parts, unsigned int count, uint64_t sequence)
{
	XXH3_state_t state;

	if (!count)
		return 0;
	if (count == 1)
		return XXH3_64bits_withSeed(parts[0].iov_base, parts[0].iov_len, sequence);
	/* Without this, a reset trusts a seed that an earlier call left on the stack, and keeps a secret that is gone. */
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, sequence);
	for (unsigned int i = 0; i < count; i++)
		XXH3_64bits_update(&state, parts[i].iov_base, parts[i].iov_len);
	return XXH3_64bits_digest(&state);
}

static uint64_t header_check(const struct vf_frame_wire *wire)
{
	return XXH3_64bits(wire, offsetof(struct vf_frame_wire, header_check));
}

void vf_frame_pack(struct vf_frame_wire *wire, const struct vf_frame *frame, uint64_t payload_check)
{
	*wire = (struct vf_frame_wire){
		.magic = htole32(VF_FRAME_MAGIC),
		.version = htole16(VF_STREAM_VERSION),
		.type = htole16(frame->type),
		.lane = htole32(frame->lane),
		.length = htole32(frame->length),
		.sequence = htole64(frame->sequence),
		.aux = htole64(frame->aux),
		.payload_check = htole64(payload_check),
	};
	wire->header_check = htole64(header_check(wire));
}

/* A header whose check disagrees: say what is most likely wrong with it. */
static int damaged(const struct vf_frame_wire *wire, uint64_t at, struct vferry_error *err)
{
	unsigned long long where = at;

	if (!at && le16toh(wire->version) != VF_STREAM_VERSION)
		return vferry_fail(
			err, -EBADMSG,
			"stream byte 0: the peer speaks stream version %u, this is %u, or the "
			"first header is damaged: use the same vferry on both sides",
			le16toh(wire->version), VF_STREAM_VERSION);
	return vferry_fail(
		err, -EBADMSG,
		"stream byte %llu: the header of a frame is damaged (its check disagrees)", where);
}

int vf_frame_parse(struct vf_frame *frame, const struct vf_frame_wire *wire, uint64_t sequence,
		   uint64_t at, struct vferry_error *err)
{
	unsigned long long where = at;

	if (le32toh(wire->magic) != VF_FRAME_MAGIC)
		return vferry_fail(
			err, -EBADMSG,
			at ? "stream byte %llu: no frame begins here (0x%08x, not 0x%08x)"
			   : "stream byte %llu: this is no vferry stream (it begins with "
			     "0x%08x, not 0x%08x)",
			where, le32toh(wire->magic), VF_FRAME_MAGIC);
	if (le64toh(wire->header_check) != header_check(wire))
		return damaged(wire, at, err);
	if (le16toh(wire->version) != VF_STREAM_VERSION)
		return vferry_fail(
			err, -EBADMSG,
			"stream byte %llu: the peer speaks stream version %u, this is %u: "
			"use the same vferry on both sides",
			where, le16toh(wire->version), VF_STREAM_VERSION);
	*frame = (struct vf_frame){
		.type = le16toh(wire->type),
		.lane = le32toh(wire->lane),
		.length = le32toh(wire->length),
		.sequence = le64toh(wire->sequence),
		.aux = le64toh(wire->aux),
	};
	if (frame->length > VF_FRAME_PAYLOAD_MAX)
		return vferry_fail(err, -EBADMSG,
				   "stream byte %llu: a frame of %u bytes, the longest may have %u",
				   where, frame->length, VF_FRAME_PAYLOAD_MAX);
	if (frame->sequence != sequence)
		return vferry_fail(
			err, -EBADMSG,
			"stream byte %llu: frame %llu where frame %llu is due: one was lost "
			"or came twice",
			where, (unsigned long long)frame->sequence, (unsigned long long)sequence);
	if (!frame->length && wire->payload_check)
		return vferry_fail(
			err, -EBADMSG,
			"stream byte %llu: a check for a payload that frame %llu has not", where,
			(unsigned long long)sequence);
	return 0;
}

int vf_frame_verify(const struct vf_frame *frame, const struct vf_frame_wire *wire,
		    const void *payload, uint64_t at, struct vferry_error *err)
{
	if (XXH3_64bits_withSeed(payload, frame->length, frame->sequence) ==
	    le64toh(wire->payload_check))
		return 0;
	return vferry_fail(
		err, -EBADMSG,
		"stream bytes %llu to %llu: the payload of frame %llu (type %u, lane %u) is "
		"damaged (its check disagrees)",
		(unsigned long long)at, (unsigned long long)(at + frame->length - 1),
		(unsigned long long)frame->sequence, frame->type, frame->lane);
}

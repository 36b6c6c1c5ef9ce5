/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A frame's header and checks, for live streams and saved ones. */
#ifndef VF_STREAM_FRAME_H
#define VF_STREAM_FRAME_H

#include "stream/stream.h"

#define VF_FRAME_HEADER_BYTES sizeof(struct vf_frame_wire)

/** vf_frame_check() - the payload's check: XXH3-64 over @parts, seeded with @sequence; 0 without a payload. */
uint64_t vf_frame_check(const struct iovec *parts, unsigned int count, uint64_t sequence);

void vf_frame_pack(struct vf_frame_wire *wire, const struct vf_frame *frame,
		   uint64_t payload_check);

/**
 * vf_frame_parse() - take a header apart and check it
 * @sequence: the one that is due
 * @at: where in the stream the header begins, for the words
 *
 * Return: 0 or -EBADMSG.
 */
int vf_frame_parse(struct vf_frame *frame, const struct vf_frame_wire *wire, uint64_t sequence,
		   uint64_t at, struct vferry_error *err);

/** vf_frame_verify() - does the payload agree with its header? @at: where in the stream the payload begins. */
int vf_frame_verify(const struct vf_frame *frame, const struct vf_frame_wire *wire,
		    const void *payload, uint64_t at, struct vferry_error *err);

#endif

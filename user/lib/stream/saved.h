/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What lies in a file: a saved stream of frames (file: peer), or a bare context. Read from its begin to its end,
 * from a pipe too; for vferry ctx. Not for the data path: it reads and waits.
 */
#ifndef VF_STREAM_SAVED_H
#define VF_STREAM_SAVED_H

#include <stddef.h>
#include <vferry/context_check.h>
#include "stream/stream.h"

enum vf_saved_kind {
	VF_SAVED_CONTEXT, /* images and nothing else */
	VF_SAVED_STREAM,  /* frames */
};

struct vf_saved;

/** vf_saved_open() - find out by its first bytes what @fd gives. -EBADMSG when it is neither. @fd stays the caller's. */
int vf_saved_open(struct vf_saved **saved, int fd, struct vferry_error *err);
void vf_saved_free(struct vf_saved *saved);
enum vf_saved_kind vf_saved_kind(const struct vf_saved *saved);

/**
 * vf_saved_next() - the next frame, checked, or the next bytes of a bare context
 * @frame: type, lane, length and aux; for a bare context type and lane are 0 and aux is the offset
 * @payload: valid until the next call
 *
 * Return: 1; 0 at the end; -EBADMSG with the byte's offset for what is damaged or cut; -errno.
 */
int vf_saved_next(struct vf_saved *saved, struct vf_frame *frame, const void **payload,
		  struct vferry_error *err);

/** struct vf_saved_lane - one VF's context */
struct vf_saved_lane {
	uint32_t lane;
	struct vferry_context *ctx; /* finished */
	int code;		    /* of vferry_context_add() or vferry_context_finish() */
	struct vferry_error why;
};

/**
 * vf_saved_contexts() - read to the end: the context of each lane
 * @context_type: frames of this type carry a lane's context, in their order; the others are passed over
 * @lanes: in the order in which they first came; free with vf_saved_lanes_free(). Set even when an error is returned:
 *	   then they hold what came before it
 * @count: how many
 *
 * Return: 0, though a lane's own context may be wrong (its @code); -EBADMSG when the file itself is; -errno.
 */
int vf_saved_contexts(struct vf_saved *saved, uint16_t context_type, struct vf_saved_lane **lanes,
		      size_t *count, struct vferry_error *err);
void vf_saved_lanes_free(struct vf_saved_lane *lanes, size_t count);

#endif

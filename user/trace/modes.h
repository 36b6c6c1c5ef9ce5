/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which mode each VF is in, since when, and how long it spent in each: from the mode transitions as they happen. */
#ifndef VFT_MODES_H
#define VFT_MODES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "bpf/events.h"

#define VFT_MODES	 3
#define VFT_MODE_UNKNOWN 0xff

struct vft_vf {
	__u64 owner;
	__u64 member;
	__u32 source;
	__u32 tgid; /* who was the first to tell; told apart by it only for the device's own events */
	__u32 uid;
	__u32 mode;
	__u64 since_ns;
	__u64 in_mode_ns[VFT_MODES]; /* completed stays */
	__u64 transitions;
	unsigned int next; /* of the same bucket; 1 is vfs[0], 0 none */
};

#define VFT_MODES_VFS	  8192 /* places */
#define VFT_MODES_EACH	  2048 /* of one process */
#define VFT_MODES_BUCKETS 1024

struct vft_modes {
	struct vft_vf *vfs;
	unsigned int count;
	unsigned int room;
	unsigned int first[VFT_MODES_BUCKETS];
	__u64 left_out; /* changes that found no place */
};

/**
 * vft_modes_note() - take a transition in
 * @stay_ns: how long the VF was in the mode it left; 0 when its beginning was not seen
 * Return: the VF's entry; NULL without a place, counted in left_out.
 */
const struct vft_vf *vft_modes_note(struct vft_modes *modes, const struct vft_event *event,
				    uint64_t *stay_ns);
void vft_modes_free(struct vft_modes *modes);

#endif

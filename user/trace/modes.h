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
	__u32 tgid; /* told apart by process only for the device's own events: an owner's VFs outlive an engine */
	__u32 mode;
	__u64 since_ns;
	__u64 in_mode_ns[VFT_MODES]; /* completed stays */
	__u64 transitions;
};

struct vft_modes {
	struct vft_vf *vfs;
	unsigned int count;
	unsigned int room;
};

/**
 * vft_modes_note() - take a transition in
 * @stay_ns: how long the VF was in the mode it left; 0 when its beginning was not seen
 * Return: the VF's entry; NULL without memory.
 */
const struct vft_vf *vft_modes_note(struct vft_modes *modes, const struct vft_event *event,
				    uint64_t *stay_ns);
void vft_modes_free(struct vft_modes *modes);

#endif

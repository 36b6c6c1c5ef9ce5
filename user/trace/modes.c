// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include "trace/modes.h"

static struct vft_vf *find(struct vft_modes *modes, const struct vft_event *event)
{
	__u32 tgid = event->source == VFT_DEVICE ? event->tgid : 0;
	struct vft_vf *vf;

	for (unsigned int i = 0; i < modes->count; i++) {
		vf = &modes->vfs[i];
		if (vf->owner == event->owner && vf->member == event->member &&
		    vf->source == event->source && vf->tgid == tgid)
			return vf;
	}
	if (modes->count == modes->room) {
		unsigned int room = modes->room ? modes->room * 2 : 16;

		vf = realloc(modes->vfs, room * sizeof(*vf));
		if (!vf)
			return NULL;
		modes->vfs = vf;
		modes->room = room;
	}
	vf = &modes->vfs[modes->count++];
	*vf = (struct vft_vf){
		.owner = event->owner,
		.member = event->member,
		.source = event->source,
		.tgid = tgid,
		.mode = VFT_MODE_UNKNOWN,
	};
	return vf;
}

const struct vft_vf *vft_modes_note(struct vft_modes *modes, const struct vft_event *event,
				    uint64_t *stay_ns)
{
	struct vft_vf *vf = find(modes, event);

	*stay_ns = 0;
	if (!vf)
		return NULL;
	if (vf->since_ns && event->end_ns > vf->since_ns) {
		*stay_ns = event->end_ns - vf->since_ns;
		if (vf->mode < VFT_MODES)
			vf->in_mode_ns[vf->mode] += *stay_ns;
	}
	vf->mode = event->answer < VFT_MODES ? event->answer : VFT_MODE_UNKNOWN;
	vf->since_ns = event->end_ns;
	vf->transitions++;
	return vf;
}

void vft_modes_free(struct vft_modes *modes)
{
	free(modes->vfs);
	*modes = (struct vft_modes){ 0 };
}

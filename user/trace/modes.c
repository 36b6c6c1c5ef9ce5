// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include "trace/modes.h"

/* Who says it counts: the engines of one user are one source, for an owner's VFs outlive an engine; nobody changes another user's lines. */
static bool same(const struct vft_vf *vf, const struct vft_event *event)
{
	return vf->owner == event->owner && vf->member == event->member &&
	       vf->source == event->source && vf->uid == event->uid &&
	       (event->source != VFT_DEVICE || vf->tgid == event->tgid);
}

static unsigned int bucket(const struct vft_event *event)
{
	uint64_t hash = (event->owner ^ event->member * 0x9e3779b97f4a7c15ULL) + event->source;

	hash = (hash ^ event->uid) * 0xff51afd7ed558ccdULL;
	return (unsigned int)(hash >> 32) % VFT_MODES_BUCKETS;
}

/* A process that invents VFs gets no more than its share of the places. */
static bool share_left(const struct vft_modes *modes, __u32 tgid)
{
	unsigned int had = 0;

	if (modes->count >= VFT_MODES_VFS)
		return false;
	if (modes->count < VFT_MODES_EACH)
		return true;
	for (unsigned int i = 0; i < modes->count; i++)
		had += modes->vfs[i].tgid == tgid;
	return had < VFT_MODES_EACH;
}

static struct vft_vf *find(struct vft_modes *modes, const struct vft_event *event)
{
	unsigned int *head = &modes->first[bucket(event)];
	struct vft_vf *vf;

	for (unsigned int i = *head; i; i = vf->next) {
		vf = &modes->vfs[i - 1];
		if (same(vf, event))
			return vf;
	}
	if (!share_left(modes, event->tgid))
		return NULL;
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
		.tgid = event->tgid,
		.uid = event->uid,
		.mode = VFT_MODE_UNKNOWN,
		.next = *head,
	};
	*head = modes->count;
	return vf;
}

const struct vft_vf *vft_modes_note(struct vft_modes *modes, const struct vft_event *event,
				    uint64_t *stay_ns)
{
	struct vft_vf *vf = find(modes, event);

	*stay_ns = 0;
	if (!vf) {
		modes->left_out++;
		return NULL;
	}
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

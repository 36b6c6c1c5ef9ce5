// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A PF that outlives the process which opened it: see bus/kept.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bus/ops.h"
#include "virtio/pf_inside.h"

int vf_pf_keep(struct vf_pf *pf, struct vf_pf_kept *kept, struct vf_kept_fds *fds,
	       struct vferry_error *err)
{
	char name[16];
	int ret;

	*kept = (struct vf_pf_kept){
		.features = pf->dev.features,
		.offered = pf->dev.offered,
		.list = pf->list,
		.list_used = pf->list_used,
		.num_queues = pf->dev.num_queues,
		.num_vfs = pf->num_vfs,
		.total_vfs = pf->total_vfs,
		.queues_count = (uint16_t)pf->queues_count,
	};
	ret = vf_bus_keep(pf->bus, &kept->bus, fds, err);
	if (ret)
		return ret;
	for (unsigned int n = 0; n < pf->queues_count && !ret; n++) {
		kept->queues[n].index = pf->queues[n].index;
		kept->queues[n].size = pf->queues[n].size;
		kept->queues[n].arena_bytes = pf->queues[n].arena_bytes;
		snprintf(name, sizeof(name), "queue%u", n);
		ret = fds->put(fds, name, pf->queues[n].fd);
		snprintf(name, sizeof(name), "call%u", n);
		if (!ret)
			ret = fds->put(fds, name, pf->queues[n].call_fd);
	}
	if (ret)
		return vferry_fail(err, ret, "%s: the admin queues cannot be kept: %s",
				   vf_bus_address(pf->bus), strerror(-ret));
	pf->kept = kept;
	return 0;
}

static bool whole(const struct vf_pf_kept *kept)
{
	if (!kept->queues_count || kept->queues_count > VF_PF_QUEUES)
		return false;
	for (unsigned int n = 0; n < kept->queues_count; n++) {
		uint16_t size = kept->queues[n].size;

		if (!size || size & (size - 1) || kept->queues[n].arena_bytes > VF_PF_ARENA_BYTES)
			return false;
	}
	return true;
}

static int take_up(struct vf_pf *pf, struct vf_kept_fds *fds, struct vferry_error *err)
{
	const struct vf_pf_kept *kept = pf->kept;
	int ret = vf_virtio_open(&pf->dev, pf->bus, err);

	if (ret)
		return ret;
	pf->dev.features = kept->features;
	pf->dev.offered = kept->offered;
	pf->dev.num_queues = kept->num_queues;
	pf->list = kept->list;
	pf->list_used = kept->list_used;
	pf->num_vfs = kept->num_vfs;
	pf->total_vfs = kept->total_vfs;
	for (unsigned int n = 0; n < kept->queues_count && !ret; n++) {
		pf->queues_count = n + 1;
		ret = vf_pf_queue_resume(pf, n, fds, err);
	}
	return ret;
}

int vf_pf_resume(struct vf_pf **out, const char *address, const struct vf_pf_opts *opts,
		 struct vf_pf_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err)
{
	struct vf_pf *pf;
	int ret;

	if (!whole(kept))
		return vferry_fail(err, -EPROTO, "%s: what was kept of it is damaged", address);
	pf = calloc(1, sizeof(*pf));
	if (!pf)
		return vferry_fail(err, -ENOMEM, "no memory");
	pf->timeout_ns = opts->bus.timeout_ns ? opts->bus.timeout_ns : VF_BUS_TIMEOUT_NS;
	pf->kept = kept;
	ret = vf_bus_resume(&pf->bus, address, &opts->bus, &kept->bus, fds, err);
	if (!ret)
		ret = take_up(pf, fds, err);
	if (ret) {
		vf_pf_close(pf);
		return ret;
	}
	*out = pf;
	return 0;
}

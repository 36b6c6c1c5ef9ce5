// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "bus/ops.h"
#include "ring/ring.h"
#include "virtio/pf_inside.h"

#define QUEUE_SIZE 128

static int queue_size(struct vf_pf *pf, uint16_t index, uint16_t wish, uint16_t *size,
		      struct vferry_error *err)
{
	uint16_t max;
	int ret = vf_virtio_queue_max(&pf->dev, index, &max, err);

	if (ret)
		return ret;
	if (!max)
		return vferry_fail(err, -EPROTO, "%s: admin queue %u has size 0",
				   vf_bus_address(pf->bus), index);
	if (max > wish)
		max = wish;
	/* The largest power of two in it. */
	*size = (uint16_t)(1U << (31 - __builtin_clz(max)));
	return 0;
}

static int set_up_queues(struct vf_pf *pf, const struct vf_pf_opts *opts, struct vferry_error *err)
{
	int calls[VF_PF_QUEUES], vectors = vf_bus_irqs(pf->bus), ret;
	uint16_t first, count, size = 0;
	unsigned int queues;

	ret = vf_virtio_admin_queues(&pf->dev, &first, &count, err);
	if (ret)
		return ret;
	if (vectors < 1)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: the device has no MSI-X interrupt to signal answers with",
				   vf_bus_address(pf->bus));
	queues = opts->queues ? opts->queues : VF_PF_QUEUES;
	if (queues > VF_PF_QUEUES)
		queues = VF_PF_QUEUES;
	if (queues > count)
		queues = count;
	if (queues > (unsigned int)vectors)
		queues = (unsigned int)vectors;
	for (unsigned int n = 0; n < queues; n++) {
		uint16_t index = (uint16_t)(first + n);

		ret = queue_size(pf, index, opts->queue_size ? opts->queue_size : QUEUE_SIZE, &size,
				 err);
		if (ret)
			return ret;
		pf->queues_count = n + 1;
		ret = vf_pf_queue_new(pf, n, index, size, err);
		if (ret)
			return ret;
		calls[n] = pf->queues[n].call_fd;
	}
	ret = vf_bus_set_irqs(pf->bus, calls, queues, err);
	for (unsigned int n = 0; n < queues && !ret; n++)
		ret = vf_pf_queue_start(&pf->queues[n], err);
	return ret;
}

static int set_up_vfs(struct vf_pf *pf, uint16_t wish, struct vferry_error *err)
{
	int ret;

	if (wish) {
		ret = vf_sriov_set(pf->bus, wish, err);
		if (ret)
			return ret;
	}
	ret = vf_sriov_get(pf->bus, &pf->total_vfs, &pf->num_vfs, err);
	if (ret == -EOPNOTSUPP && !wish) {
		/* A hypervisor hides SR-IOV from its guest: the device alone knows its members and judges their numbers. */
		pf->total_vfs = pf->num_vfs = VF_MAX_VFS - 1;
		return 0;
	}
	if (!ret && pf->num_vfs > VF_MAX_VFS - 1)
		pf->num_vfs = VF_MAX_VFS - 1;
	return ret;
}

static int bring_up(struct vf_pf *pf, const struct vf_pf_opts *opts, struct vferry_error *err)
{
	uint64_t required = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ADMIN_VQ;
	uint64_t wanted = 1ULL << VIRTIO_F_ACCESS_PLATFORM | 1ULL << VIRTIO_F_SR_IOV |
			  1ULL << VIRTIO_F_RING_RESET | 1ULL << VIRTIO_RING_F_EVENT_IDX |
			  1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	int ret = vf_virtio_open(&pf->dev, pf->bus, err);

	if (!ret)
		ret = vf_virtio_begin(&pf->dev, required, wanted, vf_now_ns() + pf->timeout_ns,
				      err);
	if (!ret)
		ret = set_up_queues(pf, opts, err);
	if (!ret)
		ret = vf_virtio_ready(&pf->dev, err);
	if (!ret)
		ret = vf_pf_lists(pf, opts->list_use, err);
	if (!ret)
		ret = set_up_vfs(pf, opts->num_vfs, err);
	return ret;
}

int vf_pf_open(struct vf_pf **out, const char *address, const struct vf_pf_opts *opts,
	       struct vferry_error *err)
{
	static const struct vf_pf_opts defaults;
	struct vf_pf *pf = calloc(1, sizeof(*pf));
	int ret;

	if (!pf)
		return vferry_fail(err, -ENOMEM, "no memory");
	if (!opts)
		opts = &defaults;
	pf->timeout_ns = opts->bus.timeout_ns ? opts->bus.timeout_ns : VF_BUS_TIMEOUT_NS;
	if (getrandom(pf->epoch, sizeof(pf->epoch), 0) != sizeof(pf->epoch)) {
		free(pf);
		return vferry_fail(err, -EIO, "no random numbers");
	}
	ret = vf_bus_open(&pf->bus, address, &opts->bus, err);
	if (!ret)
		ret = bring_up(pf, opts, err);
	if (ret) {
		vf_pf_close(pf);
		return ret;
	}
	*out = pf;
	return 0;
}

void vf_pf_close(struct vf_pf *pf)
{
	if (!pf)
		return;
	if (pf->bus) {
		/* The device must let go of the memory before it is unmapped here. */
		if (pf->queues_count && !vf_bus_gone(pf->bus))
			vf_virtio_reset(&pf->dev, vf_now_ns() + pf->timeout_ns, NULL);
		vf_bus_close(pf->bus);
	}
	for (unsigned int n = 0; n < pf->queues_count; n++)
		vf_pf_queue_free(&pf->queues[n]);
	free(pf);
}

uint16_t vf_pf_num_vfs(const struct vf_pf *pf)
{
	return pf->num_vfs;
}

uint16_t vf_pf_total_vfs(const struct vf_pf *pf)
{
	return pf->total_vfs;
}

unsigned int vf_pf_queues(const struct vf_pf *pf)
{
	return pf->queues_count;
}

uint64_t vf_pf_list(const struct vf_pf *pf)
{
	return pf->list;
}

struct vf_bus *vf_pf_bus(struct vf_pf *pf)
{
	return pf->bus;
}

bool vf_pf_needs_reset(struct vf_pf *pf)
{
	uint8_t status;

	if (vf_bus_gone(pf->bus) || vf_virtio_status(&pf->dev, &status, NULL))
		return true;
	return (status & VIRTIO_CONFIG_S_NEEDS_RESET) || !(status & VIRTIO_CONFIG_S_DRIVER_OK);
}

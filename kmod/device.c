// SPDX-License-Identifier: GPL-2.0-only
/* The owner as a virtio device: its features, its admin queues, LIST_QUERY and LIST_USE. */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include "vferry.h"

#define STATUS_MS   2000
#define GROUP_SRIOV 1
#define LIST_QUERY  0
#define LIST_USE    1
/* LIST_QUERY, LIST_USE and the draft's 7 to 13. */
#define LIST_WANTED 0x3f83ULL

bool vferry_owner_has(const struct vferry_owner *owner, unsigned int feature)
{
	return owner->features & BIT_ULL(feature);
}

static bool present(struct vferry_owner *owner)
{
	return !pci_channel_offline(owner->pdev) && pci_device_is_present(owner->pdev);
}

/* Ends the admin queues, leaves the members as they are. */
int vferry_device_reset(struct vferry_owner *owner)
{
	unsigned int ms;

	vp_modern_set_status(&owner->mdev, 0);
	for (ms = 0; ms < STATUS_MS; ms++) {
		if (!vp_modern_get_status(&owner->mdev))
			return 0;
		if (!present(owner))
			return -ENODEV;
		usleep_range(1000, 2000);
	}
	return -ETIMEDOUT;
}

static void add_status(struct vferry_owner *owner, u8 bit)
{
	vp_modern_set_status(&owner->mdev, vp_modern_get_status(&owner->mdev) | bit);
}

static int negotiate(struct vferry_owner *owner)
{
	/* Without ACCESS_PLATFORM a device may take our addresses for physical ones. */
	const u64 required = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ADMIN_VQ) |
			     BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	const u64 wanted = BIT_ULL(VIRTIO_F_SR_IOV) | BIT_ULL(VIRTIO_F_RING_RESET) |
			   BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
			   BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	u64 offered;

	add_status(owner, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(owner, VIRTIO_CONFIG_S_DRIVER);
	offered = vp_modern_get_features(&owner->mdev);
	if ((offered & required) != required) {
		dev_err(&owner->dev, "the device offers features %#llx, %#llx are needed\n",
			offered, required);
		return -EOPNOTSUPP;
	}
	owner->features = offered & (required | wanted);
	vp_modern_set_features(&owner->mdev, owner->features);
	add_status(owner, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(vp_modern_get_status(&owner->mdev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Written here rather than by vp_modern_set_queue_reset(), which waits for the device without an
 * end.
 */
int vferry_owner_queue_reset(struct vferry_queue *queue)
{
	struct vferry_owner *owner = queue->owner;
	struct virtio_pci_modern_common_cfg __iomem *cfg = (void __iomem *)owner->mdev.common;
	int ret = -ETIMEDOUT;
	unsigned int ms;

	if (owner->mdev.common_len < offsetofend(struct virtio_pci_modern_common_cfg, queue_reset))
		return -EOPNOTSUPP;
	mutex_lock(&owner->cfg_mutex);
	vp_iowrite16(queue->index, &cfg->cfg.queue_select);
	vp_iowrite16(1, &cfg->queue_reset);
	for (ms = 0; ms < VFERRY_RESET_WAIT_MS; ms++) {
		u16 reset = vp_ioread16(&cfg->queue_reset);

		if (reset == U16_MAX && !present(owner)) {
			ret = -ENODEV;
			break;
		}
		if (!reset && !vp_ioread16(&cfg->cfg.queue_enable)) {
			ret = 0;
			break;
		}
		usleep_range(1000, 2000);
	}
	mutex_unlock(&owner->cfg_mutex);
	return ret;
}

int vferry_owner_queue_enable(struct vferry_queue *queue)
{
	struct vferry_owner *owner = queue->owner;
	struct virtio_pci_modern_device *mdev = &owner->mdev;
	u64 at = queue->iova;
	u16 vector = queue - owner->queues;
	int ret = 0;

	mutex_lock(&owner->cfg_mutex);
	vp_modern_set_queue_size(mdev, queue->index, queue->size);
	vp_modern_queue_address(mdev, queue->index, at,
				at + ((void *)queue->avail - queue->memory),
				at + ((void *)queue->used - queue->memory));
	if (vp_modern_queue_vector(mdev, queue->index, vector) != vector)
		ret = -EBUSY;
	else
		vp_modern_set_queue_enable(mdev, queue->index, true);
	mutex_unlock(&owner->cfg_mutex);
	return ret;
}

static int set_up_queue(struct vferry_queue *queue, u16 index)
{
	struct vferry_owner *owner = queue->owner;
	unsigned int n = queue - owner->queues;
	u16 size = vp_modern_get_queue_size(&owner->mdev, index);
	int ret;

	if (!size)
		return -EOPNOTSUPP;
	ret = vferry_queue_alloc(queue, index, rounddown_pow_of_two(min_t(u16, size, 128)));
	if (ret)
		return ret;
	queue->notify = vp_modern_map_vq_notify(&owner->mdev, index, NULL);
	if (!queue->notify)
		return -ENXIO;
	queue->notify_own = !owner->mdev.notify_base;
	snprintf(queue->name, sizeof(queue->name), "vferry-%s-%u", pci_name(owner->pdev), n);
	ret = request_irq(pci_irq_vector(owner->pdev, n), vferry_queue_irq, 0, queue->name, queue);
	if (ret)
		return ret;
	queue->irq = pci_irq_vector(owner->pdev, n);
	return vferry_owner_queue_enable(queue);
}

static int set_up_queues(struct vferry_owner *owner)
{
	u16 first, count;
	unsigned int n;
	int ret;

	if (owner->mdev.common_len <
	    offsetofend(struct virtio_pci_modern_common_cfg, admin_queue_num))
		return -EOPNOTSUPP;
	first = vp_modern_avq_index(&owner->mdev);
	count = vp_modern_avq_num(&owner->mdev);
	if (!count)
		return -EOPNOTSUPP;
	ret = pci_alloc_irq_vectors(owner->pdev, 1, min_t(unsigned int, count, VFERRY_QUEUES),
				    PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;
	owner->queues_count = ret;
	for (n = 0; n < owner->queues_count; n++) {
		ret = set_up_queue(&owner->queues[n], first + n);
		if (ret)
			return ret;
	}
	return 0;
}

static int list(struct vferry_owner *owner)
{
	struct vferry_request req = {
		.opcode = LIST_QUERY,
		.group_type = GROUP_SRIOV,
		.timeout_ms = VFERRY_TIMEOUT_MS,
	};
	struct vferry_answer answer;
	__le64 use;
	int ret;

	ret = vferry_queue_exec(&owner->queues[0], &req, &answer);
	if (ret)
		return ret;
	if (answer.status || answer.used < 16) {
		dev_err(&owner->dev, "LIST_QUERY: status %#x, %u bytes\n",
			le16_to_cpu(answer.status), answer.used);
		return -EOPNOTSUPP;
	}
	owner->list = le64_to_cpu(answer.result);
	owner->list_used = owner->list & LIST_WANTED;
	use = cpu_to_le64(owner->list_used);
	req.opcode = LIST_USE;
	req.inline_data = &use;
	req.inline_length = sizeof(use);
	ret = vferry_queue_exec(&owner->queues[0], &req, &answer);
	if (!ret && answer.status) {
		dev_err(&owner->dev, "LIST_USE %#llx: status %#x\n", owner->list_used,
			le16_to_cpu(answer.status));
		ret = -EOPNOTSUPP;
	}
	return ret;
}

int vferry_device_up(struct vferry_owner *owner)
{
	unsigned int n;
	int ret;

	owner->mdev = (struct virtio_pci_modern_device){ .pci_dev = owner->pdev };
	ret = vp_modern_probe(&owner->mdev);
	if (ret)
		return ret;
	owner->probed = true;
	ret = vferry_device_reset(owner);
	if (!ret)
		ret = negotiate(owner);
	if (!ret)
		ret = set_up_queues(owner);
	if (ret)
		return ret;
	for (n = 0; n < owner->queues_count; n++)
		vferry_queue_start(&owner->queues[n]);
	add_status(owner, VIRTIO_CONFIG_S_DRIVER_OK);
	return list(owner);
}

void vferry_device_down(struct vferry_owner *owner)
{
	struct pci_dev *pdev = owner->pdev;
	unsigned int n;

	/* Best effort: what counts is that the domain goes before the memory does. */
	if (owner->probed && !owner->reset && vferry_device_reset(owner))
		dev_warn(&owner->dev, "the device does not answer a virtio reset\n");
	for (n = 0; n < VFERRY_QUEUES; n++) {
		struct vferry_queue *queue = &owner->queues[n];

		if (queue->irq)
			free_irq(queue->irq, queue);
		queue->irq = 0;
		if (queue->notify && queue->notify_own)
			pci_iounmap(pdev, queue->notify);
		queue->notify = NULL;
	}
	if (owner->queues_count)
		pci_free_irq_vectors(pdev);
	owner->queues_count = 0;
	if (owner->probed)
		vp_modern_remove(&owner->mdev);
	owner->probed = false;
}

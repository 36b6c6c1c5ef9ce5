// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner device up and down. Neither resets the function: a function-level reset of a PF takes its VFs with it. A virtio
 * reset ends the admin queues and leaves the members as they are.
 */
#include <linux/delay.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/pm_runtime.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "vferry.h"

#define MINORS	    256
#define STATUS_MS   2000
#define GROUP_SRIOV 1
#define LIST_QUERY  0
#define LIST_USE    1
/* LIST_QUERY, LIST_USE and the draft's 7 to 13. */
#define LIST_WANTED 0x3f83ULL

static DEFINE_IDA(minors);

bool vferry_owner_has(const struct vferry_owner *owner, unsigned int feature)
{
	return owner->features & BIT_ULL(feature);
}

/* --- virtio --- */

static bool present(struct vferry_owner *owner)
{
	return !pci_channel_offline(owner->pdev) && pci_device_is_present(owner->pdev);
}

static int virtio_reset(struct vferry_owner *owner)
{
	unsigned int ms;

	vp_modern_set_status(&owner->mdev, 0);
	for (ms = 0; ms < STATUS_MS; ms++) {
		if (!vp_modern_get_status(&owner->mdev))
			return 0;
		if (!present(owner))
			return -ENODEV;
		msleep(1);
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
			   BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	u64 offered;

	add_status(owner, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(owner, VIRTIO_CONFIG_S_DRIVER);
	offered = vp_modern_get_features(&owner->mdev);
	if ((offered & required) != required) {
		dev_err(&owner->dev, "the device offers features %#llx, %#llx are needed\n", offered,
			required);
		return -EOPNOTSUPP;
	}
	owner->features = offered & (required | wanted);
	vp_modern_set_features(&owner->mdev, owner->features);
	add_status(owner, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(vp_modern_get_status(&owner->mdev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return -EOPNOTSUPP;
	return 0;
}

/* Written here rather than by vp_modern_set_queue_reset(), which waits for the device without an end. */
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
		msleep(1);
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

static int bring_up(struct vferry_owner *owner)
{
	unsigned int n;
	int ret;

	owner->mdev = (struct virtio_pci_modern_device){ .pci_dev = owner->pdev };
	ret = vp_modern_probe(&owner->mdev);
	if (ret)
		return ret;
	owner->probed = true;
	ret = virtio_reset(owner);
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

/* --- the device's view of memory --- */

static int regions_clear(struct vferry_owner *owner)
{
	struct iommu_group *group = iommu_group_get(&owner->pdev->dev);
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	int ret;

	if (!group)
		return -ENODEV;
	ret = iommu_get_group_resv_regions(group, &regions);
	iommu_group_put(group);
	list_for_each_entry_safe(region, next, &regions, list) {
		/* Interrupts that go through the IOMMU (ARM) need a window in the domain, which is not made here. */
		if (region->type == IOMMU_RESV_SW_MSI)
			ret = -EOPNOTSUPP;
		else if (region->start <= VFERRY_LAST_IOVA &&
			 region->start + region->length > VFERRY_QUEUE_IOVA)
			ret = -EADDRINUSE;
		list_del(&region->list);
		kfree(region);
	}
	return ret;
}

static int attach(struct vferry_owner *owner)
{
	struct device *dev = &owner->pdev->dev;
	struct iommu_domain *domain;
	int ret;

	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return -EOPNOTSUPP;
	ret = regions_clear(owner);
	if (ret)
		return ret;
	/* Fails while a VFIO container has the group, and keeps VFIO out from now on. */
	ret = iommu_device_claim_dma_owner(dev, owner);
	if (ret)
		return ret == -EPERM ? -EBUSY : ret;
	owner->claimed = true;
	domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (domain->geometry.force_aperture && domain->geometry.aperture_end < VFERRY_LAST_IOVA)
		ret = -EOPNOTSUPP;
	else
		ret = iommu_attach_device(domain, dev);
	if (ret) {
		iommu_domain_free(domain);
		return ret;
	}
	mutex_lock(&owner->map_mutex);
	owner->domain = domain;
	mutex_unlock(&owner->map_mutex);
	return 0;
}

static void detach(struct vferry_owner *owner)
{
	struct device *dev = &owner->pdev->dev;

	if (owner->domain) {
		/* From here on the device reaches nothing, whatever it still believes it has. */
		iommu_detach_device(owner->domain, dev);
		mutex_lock(&owner->map_mutex);
		vferry_buffer_unmap_all(owner);
		mutex_unlock(&owner->map_mutex);
	}
}

static void free_domain(struct vferry_owner *owner)
{
	mutex_lock(&owner->map_mutex);
	if (owner->domain) {
		vferry_buffer_unmap_all(owner);
		iommu_domain_free(owner->domain);
	}
	owner->domain = NULL;
	mutex_unlock(&owner->map_mutex);
	if (owner->claimed)
		iommu_device_release_dma_owner(&owner->pdev->dev);
	owner->claimed = false;
}

/* --- up and down, under owner->mutex --- */

int vferry_owner_up(struct vferry_owner *owner)
{
	struct pci_dev *pdev = owner->pdev;
	int ret;

	if (owner->up && !owner->reset)
		return 0;
	if (owner->up)
		vferry_owner_down(owner);
	owner->up = true;
	owner->reset = false;
	ret = attach(owner);
	if (ret)
		goto down;
	ret = pm_runtime_resume_and_get(&pdev->dev);
	if (ret)
		goto down;
	ret = pci_enable_device_mem(pdev);
	if (ret) {
		pm_runtime_put(&pdev->dev);
		goto down;
	}
	owner->enabled = true;
	pci_set_master(pdev);
	ret = bring_up(owner);
	if (!ret)
		return 0;
down:
	if (ret != -EBUSY)
		dev_err(&owner->dev, "the owner device does not come up: %d\n", ret);
	vferry_owner_down(owner);
	return ret;
}

void vferry_owner_down(struct vferry_owner *owner)
{
	struct pci_dev *pdev = owner->pdev;
	unsigned int n;

	for (n = 0; n < VFERRY_QUEUES; n++)
		vferry_queue_stop(&owner->queues[n], -ENODEV);
	/* Best effort: what counts is that the domain goes before the memory does. */
	if (owner->probed && !owner->reset && virtio_reset(owner))
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
	if (owner->enabled) {
		pci_clear_master(pdev);
		pci_disable_device(pdev);
		pm_runtime_put(&pdev->dev);
	}
	owner->enabled = false;
	detach(owner);
	for (n = 0; n < VFERRY_QUEUES; n++) {
		vferry_queue_release_all(&owner->queues[n]);
		vferry_queue_free(&owner->queues[n]);
	}
	free_domain(owner);
	owner->up = false;
}

/* Somebody reset the function: nothing of the queues is left, nor of the VFs. */
void vferry_owner_was_reset(struct vferry_owner *owner)
{
	unsigned int n;

	mutex_lock(&owner->mutex);
	get_random_bytes(owner->epoch, sizeof(owner->epoch));
	if (owner->up) {
		owner->reset = true;
		for (n = 0; n < VFERRY_QUEUES; n++)
			vferry_queue_stop(&owner->queues[n], -ENODEV);
	}
	mutex_unlock(&owner->mutex);
}

/* --- the owner itself --- */

static void owner_release(struct device *dev)
{
	struct vferry_owner *owner = container_of(dev, struct vferry_owner, dev);
	unsigned int n;

	for (n = 0; n < VFERRY_QUEUES; n++)
		kvfree(owner->queues[n].slots);
	xa_destroy(&owner->claims);
	ida_free(&minors, MINOR(dev->devt));
	pci_dev_put(owner->pdev);
	kfree(owner);
}

struct vferry_owner *vferry_owner_new(struct pci_dev *pdev)
{
	struct vferry_owner *owner = kzalloc(sizeof(*owner), GFP_KERNEL);
	unsigned int n;
	int ret = -ENOMEM, minor;

	if (!owner)
		return ERR_PTR(-ENOMEM);
	minor = ida_alloc_max(&minors, MINORS - 1, GFP_KERNEL);
	if (minor < 0) {
		kfree(owner);
		return ERR_PTR(minor);
	}
	device_initialize(&owner->dev);
	owner->dev.class = &vferry_class;
	owner->dev.parent = &pdev->dev;
	owner->dev.devt = vferry_devt(minor);
	owner->dev.release = owner_release;
	owner->pdev = pci_dev_get(pdev);
	mutex_init(&owner->mutex);
	mutex_init(&owner->cfg_mutex);
	mutex_init(&owner->map_mutex);
	spin_lock_init(&owner->buffers_lock);
	xa_init(&owner->claims);
	get_random_bytes(owner->epoch, sizeof(owner->epoch));
	for (n = 0; n < VFERRY_QUEUES; n++) {
		struct vferry_queue *queue = &owner->queues[n];

		queue->slots = kvcalloc(VFERRY_SLOTS, sizeof(*queue->slots), GFP_KERNEL);
		if (!queue->slots)
			goto put;
		vferry_queue_init(queue, owner);
	}
	ret = dev_set_name(&owner->dev, "vferry!%s", pci_name(pdev));
	if (ret)
		goto put;
	cdev_init(&owner->cdev, &vferry_fops);
	owner->cdev.owner = vferry_fops.owner;
	ret = cdev_device_add(&owner->cdev, &owner->dev);
	if (ret)
		goto put;
	return owner;
put:
	put_device(&owner->dev);
	return ERR_PTR(ret);
}

void vferry_owner_remove(struct vferry_owner *owner)
{
	cdev_device_del(&owner->cdev, &owner->dev);
	mutex_lock(&owner->mutex);
	WRITE_ONCE(owner->removed, true);
	if (owner->up)
		vferry_owner_down(owner);
	mutex_unlock(&owner->mutex);
	put_device(&owner->dev);
}

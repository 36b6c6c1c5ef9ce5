// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner device up and down. Neither resets the function: a function-level reset of a PF takes
 * its VFs with it. A virtio reset ends the admin queues and leaves the members as they are.
 */
#include <linux/idr.h>
#include <linux/pm_runtime.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include "vferry.h"

#define MINORS 256

static DEFINE_IDA(minors);

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
		/*
		 * Interrupts that go through the IOMMU (ARM) need a window in the domain, which
		 * is not made here.
		 */
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
	ret = vferry_device_up(owner);
	if (!ret)
		return 0;
down:
	if (ret != -EBUSY && ret != -EINTR)
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
	vferry_device_down(owner);
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

/*
 * A suspended device forgets its queues, and its VFs their state; vfio_pci_core's dev_pm_ops are
 * for runtime PM. So all that is under way ends before tasks freeze, as at a reset by somebody
 * else, and nobody opens it until the system is back.
 */
static int owner_pm(struct notifier_block *notifier, unsigned long event, void *unused)
{
	struct vferry_owner *owner = container_of(notifier, struct vferry_owner, pm);
	bool asleep = event == PM_SUSPEND_PREPARE || event == PM_HIBERNATION_PREPARE ||
		      event == PM_RESTORE_PREPARE;
	unsigned int n;

	mutex_lock(&owner->mutex);
	owner->asleep = asleep;
	if (asleep && owner->up && !owner->reset) {
		get_random_bytes(owner->epoch, sizeof(owner->epoch));
		for (n = 0; n < VFERRY_QUEUES; n++)
			vferry_queue_stop(&owner->queues[n], -ENODEV);
		if (vferry_device_reset(owner))
			dev_warn(&owner->dev, "the device does not answer a virtio reset\n");
		owner->reset = true;
	}
	mutex_unlock(&owner->mutex);
	return NOTIFY_OK;
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
	owner->pm.notifier_call = owner_pm;
	ret = register_pm_notifier(&owner->pm);
	if (ret)
		goto put;
	ret = cdev_device_add(&owner->cdev, &owner->dev);
	if (!ret)
		return owner;
	unregister_pm_notifier(&owner->pm);
put:
	put_device(&owner->dev);
	return ERR_PTR(ret);
}

void vferry_owner_remove(struct vferry_owner *owner)
{
	cdev_device_del(&owner->cdev, &owner->dev);
	unregister_pm_notifier(&owner->pm);
	mutex_lock(&owner->mutex);
	WRITE_ONCE(owner->removed, true);
	if (owner->up)
		vferry_owner_down(owner);
	mutex_unlock(&owner->mutex);
	put_device(&owner->dev);
}

// SPDX-License-Identifier: GPL-2.0-only
/* A vfio-pci variant driver for owner devices; what is VFIO of it is vfio_pci_core's. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>
#include "compat.h"
#include "vferry.h"

#define MINORS 256

struct vferry_vfio {
	struct vfio_pci_core_device core;
	struct vferry_owner *owner; /* NULL: a VF, which is a VFIO device and nothing else */
};

static dev_t first_devt;
struct workqueue_struct *vferry_wq;

dev_t vferry_devt(unsigned int minor)
{
	return MKDEV(MAJOR(first_devt), MINOR(first_devt) + minor);
}

const struct class vferry_class = {
	.name = "vferry",
};

static struct vferry_vfio *of_pdev(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	return container_of(core, struct vferry_vfio, core);
}

/* --- VFIO --- */

/*
 * A container cannot get here while the companion is up: both claim the group's DMA. This is for
 * what has no container, and it draws a new epoch, because an open resets the function and its
 * members with it.
 */
static int vferry_vfio_open(struct vfio_device *vdev)
{
	struct vferry_vfio *vv = container_of(vdev, struct vferry_vfio, core.vdev);
	struct vferry_owner *owner = vv->owner;
	int ret;

	if (owner) {
		mutex_lock(&owner->mutex);
		ret = owner->up ? -EBUSY : 0;
		mutex_unlock(&owner->mutex);
		if (ret)
			return ret;
	}
	ret = vfio_pci_core_enable(&vv->core);
	if (ret)
		return ret;
	if (owner)
		vferry_owner_was_reset(owner);
	vfio_pci_core_finish_enable(&vv->core);
	return 0;
}

static void vferry_vfio_close(struct vfio_device *vdev)
{
	struct vferry_vfio *vv = container_of(vdev, struct vferry_vfio, core.vdev);

	vfio_pci_core_close_device(vdev);
	if (vv->owner)
		vferry_owner_was_reset(vv->owner);
}

static const struct vfio_device_ops vferry_vfio_ops = {
	.name = "vferry-vfio-pci",
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = vferry_vfio_open,
	.close_device = vferry_vfio_close,
	.ioctl = vfio_pci_core_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	VFERRY_VFIO_OPS_NEW
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

/* --- PCI --- */

static int vferry_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vferry_vfio *vv;
	int ret;

	vv = vfio_alloc_device(vferry_vfio, core.vdev, &pdev->dev, &vferry_vfio_ops);
	if (IS_ERR(vv))
		return PTR_ERR(vv);
	dev_set_drvdata(&pdev->dev, &vv->core);
	ret = vfio_pci_core_register_device(&vv->core);
	if (ret)
		goto put;
	/* VFs of such a PF are given to this driver by vfio_pci_core. */
	if (pdev->is_virtfn)
		return 0;
	vv->owner = vferry_owner_new(pdev);
	if (IS_ERR(vv->owner)) {
		ret = PTR_ERR(vv->owner);
		vfio_pci_core_unregister_device(&vv->core);
		goto put;
	}
	return 0;
put:
	vfio_put_device(&vv->core.vdev);
	return ret;
}

/* Under owner->mutex. */
static void vfs_now(struct vferry_owner *owner, unsigned int vfs)
{
	if (vfs && !owner->vfs) {
		__module_get(THIS_MODULE);
		owner->keeps = owner->up && !owner->reset;
	}
	if (!vfs && owner->vfs) {
		owner->keeps = false;
		if (!owner->users && owner->up)
			vferry_owner_down(owner);
		module_put(THIS_MODULE);
	}
	owner->vfs = vfs;
}

static void vferry_remove(struct pci_dev *pdev)
{
	struct vferry_vfio *vv = of_pdev(pdev);
	struct vferry_owner *owner = vv->owner;

	if (owner) {
		get_device(&owner->dev);
		vferry_owner_remove(owner);
	}
	/* Takes the VFs away. */
	vfio_pci_core_unregister_device(&vv->core);
	if (owner) {
		mutex_lock(&owner->mutex);
		vfs_now(owner, 0);
		mutex_unlock(&owner->mutex);
		put_device(&owner->dev);
	}
	vfio_put_device(&vv->core.vdev);
}

static int vferry_sriov_configure(struct pci_dev *pdev, int nr)
{
	struct vferry_vfio *vv = of_pdev(pdev);
	struct vferry_owner *owner = vv->owner;
	int ret;

	if (!owner)
		return -ENOENT;
	mutex_lock(&owner->mutex);
	if (!nr && owner->users)
		ret = -EBUSY;
	else
		ret = vfio_pci_core_sriov_configure(&vv->core, nr);
	if (ret >= 0)
		vfs_now(owner, nr);
	mutex_unlock(&owner->mutex);
	return ret;
}

static void vferry_reset_done(struct pci_dev *pdev)
{
	struct vferry_vfio *vv = of_pdev(pdev);

	if (vv->owner)
		vferry_owner_was_reset(vv->owner);
}

static const struct pci_error_handlers vferry_err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
	.reset_done = vferry_reset_done,
};

static const struct pci_device_id vferry_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1041) },
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1042) },
	{}
};
MODULE_DEVICE_TABLE(pci, vferry_ids);

static struct pci_driver vferry_driver = {
	.name = "vferry-vfio-pci",
	.id_table = vferry_ids,
	.probe = vferry_probe,
	.remove = vferry_remove,
	.sriov_configure = vferry_sriov_configure,
	.err_handler = &vferry_err_handlers,
	.driver_managed_dma = true,
};

static int __init vferry_init(void)
{
	int ret;

	vferry_wq = alloc_workqueue("vferry", WQ_UNBOUND, 0);
	if (!vferry_wq)
		return -ENOMEM;
	ret = alloc_chrdev_region(&first_devt, 0, MINORS, "vferry");
	if (ret)
		goto wq;
	ret = class_register(&vferry_class);
	if (ret)
		goto region;
	ret = pci_register_driver(&vferry_driver);
	if (!ret)
		return 0;
	class_unregister(&vferry_class);
region:
	unregister_chrdev_region(first_devt, MINORS);
wq:
	destroy_workqueue(vferry_wq);
	return ret;
}

static void __exit vferry_exit(void)
{
	pci_unregister_driver(&vferry_driver);
	/* Buffers that a device let go of late. */
	destroy_workqueue(vferry_wq);
	class_unregister(&vferry_class);
	unregister_chrdev_region(first_devt, MINORS);
}

module_init(vferry_init);
module_exit(vferry_exit);
MODULE_DESCRIPTION("Virtio group administration commands by io_uring, on a VFIO owner device");
MODULE_AUTHOR("the vferry project");
MODULE_LICENSE("GPL");

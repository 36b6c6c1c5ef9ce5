// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bus/vfio_cdev.h"
#include "bus/vfio_uapi.h"

static int kernel_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

const struct vf_vfio_kernel vf_vfio_kernel = { .open = kernel_open, .ioctl = kernel_ioctl };

/* The one folder in vfio-dev: vfio0. */
static bool node_name(const struct vf_vfio_place *place, char name[32])
{
	struct dirent *entry;
	char path[320];
	DIR *dir;

	*name = 0;
	snprintf(path, sizeof(path), "%s/vfio-dev", place->folder);
	dir = opendir(path);
	while (dir && !*name && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "vfio", 4) && strlen(entry->d_name) < 32)
			strcpy(name, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return *name;
}

bool vf_vfio_cdev_is(const struct vf_vfio_place *place, const char *dev)
{
	char path[128], name[32];

	snprintf(path, sizeof(path), "%.80s/vfio/%u", dev, place->group);
	return access(path, F_OK) && node_name(place, name);
}

static int open_node(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		     const struct vf_vfio_kernel *kernel, struct vferry_error *err)
{
	char name[32], path[64];

	if (!node_name(place, name))
		return vferry_fail(err, -ENODEV, "vfio:%s: %s has no vfio-dev", place->bdf,
				   place->folder);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	group->device = kernel->open(path);
	if (group->device < 0 && errno == EACCES)
		return vferry_fail(
			err, -EACCES,
			"vfio:%s: this user may not open %s: as root, or by a udev rule: "
			"SUBSYSTEM==\"vfio-dev\", GROUP=\"vfio\", MODE=\"0660\"",
			place->bdf, path);
	if (group->device < 0)
		return vferry_fail(err, -errno, "vfio:%s: %s: %s", place->bdf, path,
				   strerror(errno));
	group->iommufd = kernel->open("/dev/iommu");
	if (group->iommufd < 0)
		return vferry_fail(err, -errno, "vfio:%s: /dev/iommu: %s; modprobe iommufd",
				   place->bdf, strerror(errno));
	return 0;
}

/* A UUID's 16 bytes, in the order of its text. */
static void token_bytes(uint8_t bytes[16], const char *token)
{
	unsigned int n = 0;

	for (const char *at = token; *at && n < 16; at += *at == '-' ? 1 : 2) {
		char pair[3] = { at[0], at[0] == '-' ? 0 : at[1], 0 };

		if (*at != '-')
			bytes[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static int bind_device(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		       const char *token, const struct vf_vfio_kernel *kernel,
		       struct vferry_error *err)
{
	struct vf_uapi_bind bind = { .argsz = sizeof(bind), .iommufd = group->iommufd };
	uint8_t uuid[16] = { 0 };

	if (token) {
		token_bytes(uuid, token);
		bind.flags = VF_VFIO_BIND_TOKEN;
		bind.token = (uintptr_t)uuid;
	} else {
		bind.argsz = offsetof(struct vf_uapi_bind, token);
	}
	if (!kernel->ioctl(group->device, VF_VFIO_BIND, &bind))
		return 0;
	switch (errno) {
	case EACCES:
		return vferry_fail(
			err, -EACCES,
			"vfio:%s: %s; it is the one that the PF's holder gave or was given "
			"(--vf-token UUID)",
			place->bdf, token ? "the VF token is not the PF's" : "it needs a VF token");
	case EINVAL:
		if (token)
			return vferry_fail(
				err, -EINVAL,
				"vfio:%s: it takes no VF token: it has no VFs, its PF is not bound "
				"to vfio-pci, or this kernel (below 6.17, without VFIO groups) "
				"cannot be given one",
				place->bdf);
		break;
	case EBUSY:
		return vferry_fail(err, -EBUSY, "vfio:%s: the device is in use", place->bdf);
	}
	return vferry_fail(err, -errno, "vfio:%s: the device cannot be bound to iommufd: %s",
			   place->bdf, strerror(errno));
}

static int attach(struct vf_vfio_group *group, const char *name,
		  const struct vf_vfio_kernel *kernel, struct vferry_error *err)
{
	struct vf_uapi_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vf_uapi_attach attach = { .argsz = sizeof(attach) };

	if (kernel->ioctl(group->iommufd, VF_IOAS_ALLOC, &alloc))
		return vferry_fail(err, -errno, "vfio:%s: no address space of iommufd: %s", name,
				   strerror(errno));
	group->ioas = attach.pt_id = alloc.out_ioas;
	if (!kernel->ioctl(group->device, VF_VFIO_ATTACH, &attach))
		return 0;
	if (errno == EPERM)
		return vferry_fail(
			err, -EPERM,
			"vfio:%s: the IOMMU does not remap interrupts; if the devices are "
			"trusted: echo 1 >/sys/module/iommufd/parameters/allow_unsafe_interrupts",
			name);
	return vferry_fail(err, -errno, "vfio:%s: the IOMMU cannot be used: %s", name,
			   strerror(errno));
}

int vf_vfio_cdev_ranges(struct vf_vfio_group *group, const char *name,
			const struct vf_vfio_kernel *kernel, struct vferry_error *err)
{
	struct vf_uapi_range found[VF_VFIO_IOVA_RANGES] = { 0 };
	struct vf_uapi_ioas_ranges ranges = {
		.size = sizeof(ranges),
		.ioas = group->ioas,
		.count = VF_VFIO_IOVA_RANGES,
		.ranges = (uintptr_t)found,
	};

	group->page_sizes = 4096;
	group->ranges_count = 0;
	/* More than there is room for: the IOMMU itself refuses what it cannot map. */
	if (kernel->ioctl(group->iommufd, VF_IOAS_RANGES, &ranges))
		return errno == EMSGSIZE
			       ? 0
			       : vferry_fail(err, -errno, "vfio:%s: the IOMMU's addresses: %s",
					     name, strerror(errno));
	for (unsigned int i = 0; i < ranges.count && i < VF_VFIO_IOVA_RANGES; i++) {
		group->ranges[i].first = found[i].first;
		group->ranges[i].last = found[i].last;
		group->ranges_count = i + 1;
	}
	return 0;
}

int vf_vfio_cdev_open(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		      const char *token, const struct vf_vfio_kernel *kernel,
		      struct vferry_error *err)
{
	int ret;

	*group = VF_VFIO_GROUP_NONE;
	ret = open_node(group, place, kernel, err);
	if (!ret)
		ret = bind_device(group, place, token, kernel, err);
	if (!ret)
		ret = attach(group, place->bdf, kernel, err);
	if (!ret)
		ret = vf_vfio_cdev_ranges(group, place->bdf, kernel, err);
	if (ret)
		vf_vfio_group_close(group);
	return ret;
}

int vf_vfio_cdev_map(struct vf_vfio_group *group, const char *name, uint64_t iova, void *memory,
		     uint64_t size, bool writable, const struct vf_vfio_kernel *kernel,
		     struct vferry_error *err)
{
	struct vf_uapi_ioas_map map = {
		.size = sizeof(map),
		.flags = VF_IOAS_FIXED | VF_IOAS_READABLE | (writable ? VF_IOAS_WRITEABLE : 0),
		.ioas = group->ioas,
		.memory = (uintptr_t)memory,
		.length = size,
		.iova = iova,
	};

	if (!kernel->ioctl(group->iommufd, VF_IOAS_MAP, &map))
		return 0;
	return vferry_fail(err, -errno,
			   "vfio:%s: mapping 0x%llx bytes at 0x%llx for the device: %s", name,
			   (unsigned long long)size, (unsigned long long)iova, strerror(errno));
}

int vf_vfio_cdev_unmap(struct vf_vfio_group *group, const char *name, uint64_t iova, uint64_t size,
		       const struct vf_vfio_kernel *kernel, struct vferry_error *err)
{
	struct vf_uapi_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas = group->ioas,
		.iova = iova,
		.length = size,
	};

	if (kernel->ioctl(group->iommufd, VF_IOAS_UNMAP, &unmap))
		return vferry_fail(err, -errno,
				   "vfio:%s: unmapping 0x%llx bytes at 0x%llx from the device: %s",
				   name, (unsigned long long)size, (unsigned long long)iova,
				   strerror(errno));
	if (unmap.length != size)
		return vferry_fail(err, -EIO,
				   "vfio:%s: of 0x%llx bytes at 0x%llx only 0x%llx were mapped",
				   name, (unsigned long long)size, (unsigned long long)iova,
				   (unsigned long long)unmap.length);
	return 0;
}

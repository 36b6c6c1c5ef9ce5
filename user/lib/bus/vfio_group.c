// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "bus/vfio_cdev.h"
#include "bus/vfio_group.h"
#include "ring/ring.h"

#define CONTAINER "/dev/vfio/vfio"

void vf_vfio_group_close(struct vf_vfio_group *group)
{
	/* The device first: it is what keeps the group in use, and the group the container. */
	if (group->device >= 0)
		close(group->device);
	if (group->group >= 0)
		close(group->group);
	if (group->container >= 0)
		close(group->container);
	if (group->iommufd >= 0)
		close(group->iommufd);
	*group = VF_VFIO_GROUP_NONE;
}

/* Who has a file open: "pid 12 (qemu)", or nothing when /proc does not say. */
static void holder_of(const char *path, char *words, size_t room)
{
	DIR *proc = opendir("/proc");
	struct dirent *process;

	*words = 0;
	while (proc && !*words && (process = readdir(proc))) {
		char folder[300];
		struct dirent *entry;
		DIR *fds;

		if (process->d_name[0] < '1' || process->d_name[0] > '9')
			continue;
		snprintf(folder, sizeof(folder), "/proc/%s/fd", process->d_name);
		fds = opendir(folder);
		while (fds && (entry = readdir(fds))) {
			char link[600], target[64], comm[32] = "";
			ssize_t length;
			int fd;

			snprintf(link, sizeof(link), "%s/%s", folder, entry->d_name);
			length = readlink(link, target, sizeof(target) - 1);
			if (length < 0)
				continue;
			target[length] = 0;
			if (strcmp(target, path))
				continue;
			snprintf(folder, sizeof(folder), "/proc/%s/comm", process->d_name);
			fd = open(folder, O_RDONLY | O_CLOEXEC);
			if (fd >= 0) {
				length = read(fd, comm, sizeof(comm) - 1);
				comm[length > 0 ? length - 1 : 0] = 0;
				close(fd);
			}
			snprintf(words, room, ": pid %.12s (%s) has it", process->d_name, comm);
			break;
		}
		if (fds)
			closedir(fds);
	}
	if (proc)
		closedir(proc);
}

static int open_container(struct vf_vfio_group *group, const char *bdf, struct vferry_error *err)
{
	group->container = open(CONTAINER, O_RDWR | O_CLOEXEC);
	if (group->container < 0 && (errno == ENOENT || errno == ENODEV))
		return vferry_fail(err, -ENODEV,
				   "vfio:%s: no %s: VFIO is not there; modprobe vfio-pci", bdf,
				   CONTAINER);
	if (group->container < 0)
		return vferry_fail(err, -errno, "vfio:%s: %s: %s", bdf, CONTAINER, strerror(errno));
	if (ioctl(group->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return vferry_fail(err, -EPROTO, "vfio:%s: %s has another version than %u", bdf,
				   CONTAINER, VFIO_API_VERSION);
	if (ioctl(group->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return vferry_fail(err, -ENODEV,
				   "vfio:%s: VFIO has no IOMMU driver of type 1; modprobe "
				   "vfio_iommu_type1",
				   bdf);
	return 0;
}

static bool later(uint64_t deadline_ns)
{
	struct timespec pause = { .tv_nsec = 20000000 };

	if (vf_now_ns() >= deadline_ns)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int open_group(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		      uint64_t deadline_ns, struct vferry_error *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[32], who[64];

	snprintf(path, sizeof(path), "/dev/vfio/%u", place->group);
	do {
		group->group = open(path, O_RDWR | O_CLOEXEC);
		/* A holder that has just ended: its io_uring lets go late. */
	} while (group->group < 0 && errno == EBUSY && later(deadline_ns));
	if (group->group < 0) {
		int code = errno;

		switch (code) {
		case EBUSY:
			holder_of(path, who, sizeof(who));
			return vferry_fail(
				err, -EBUSY,
				"vfio:%s: its group %u is in use%s; one process at a time "
				"holds a group",
				place->bdf, place->group, who);
		case EACCES:
			return vferry_fail(
				err, -EACCES,
				"vfio:%s: this user may not open %s: as root, or by a udev "
				"rule: SUBSYSTEM==\"vfio\", GROUP=\"vfio\", MODE=\"0660\"",
				place->bdf, path);
		case EPERM:
			return vferry_fail(err, -EPERM,
					   "vfio:%s: %s is a group without an IOMMU, and wants "
					   "CAP_SYS_RAWIO",
					   place->bdf, path);
		}
		return vferry_fail(err, -code, "vfio:%s: %s: %s", place->bdf, path, strerror(code));
	}
	if (ioctl(group->group, VFIO_GROUP_GET_STATUS, &status))
		return vferry_fail(err, -errno, "vfio:%s: %s: %s", place->bdf, path,
				   strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return vf_vfio_not_viable(place, err);
	return 0;
}

static int set_iommu(struct vf_vfio_group *group, const char *bdf, struct vferry_error *err)
{
	int code;

	if (ioctl(group->group, VFIO_GROUP_SET_CONTAINER, &group->container))
		return vferry_fail(err, -errno, "vfio:%s: group and container: %s", bdf,
				   strerror(errno));
	if (!ioctl(group->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return 0;
	code = errno;
	if (code == EPERM)
		return vferry_fail(
			err, -code,
			"vfio:%s: the IOMMU does not remap interrupts; if the devices are "
			"trusted: echo 1 "
			">/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
			bdf);
	return vferry_fail(err, -code, "vfio:%s: the IOMMU cannot be used: %s", bdf,
			   strerror(code));
}

/* The kernel's answer is walked by offsets that it gives: each is checked. */
static void read_ranges(struct vf_vfio_group *group, const char *info, size_t bytes, size_t at)
{
	for (unsigned int i = 0; i < 16 && at; i++) {
		struct vfio_iommu_type1_info_cap_iova_range range;
		struct vfio_info_cap_header head;

		if (at > bytes || bytes - at < sizeof(head))
			return;
		memcpy(&head, info + at, sizeof(head));
		if (head.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE &&
		    bytes - at >= sizeof(range)) {
			memcpy(&range, info + at, sizeof(range));
			for (unsigned int n = 0; n < range.nr_iovas && n < VF_VFIO_IOVA_RANGES;
			     n++) {
				struct vfio_iova_range one;
				size_t where = at + sizeof(range) + n * sizeof(one);

				if (where > bytes || bytes - where < sizeof(one))
					return;
				memcpy(&one, info + where, sizeof(one));
				group->ranges[n].first = one.start;
				group->ranges[n].last = one.end;
				group->ranges_count = n + 1;
			}
		}
		at = head.next;
	}
}

static int iommu_info(struct vf_vfio_group *group, const char *bdf, struct vferry_error *err)
{
	struct vfio_iommu_type1_info first = { .argsz = sizeof(first) }, *info;
	size_t bytes;

	if (ioctl(group->container, VFIO_IOMMU_GET_INFO, &first))
		return vferry_fail(err, -errno, "vfio:%s: the IOMMU's properties: %s", bdf,
				   strerror(errno));
	group->page_sizes = first.flags & VFIO_IOMMU_INFO_PGSIZES ? first.iova_pgsizes : 4096;
	bytes = first.argsz;
	if (bytes <= sizeof(first) || bytes > 65536)
		return 0;
	info = calloc(1, bytes);
	if (!info)
		return vferry_fail(err, -ENOMEM, "no memory");
	info->argsz = (uint32_t)bytes;
	if (!ioctl(group->container, VFIO_IOMMU_GET_INFO, info) &&
	    (info->flags & VFIO_IOMMU_INFO_CAPS))
		read_ranges(group, (char *)info, bytes, info->cap_offset);
	free(info);
	return 0;
}

static int get_device(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		      const char *token, uint64_t deadline_ns, struct vferry_error *err)
{
	char name[80];
	int code;

	snprintf(name, sizeof(name), "%s%s%s", place->bdf, token ? " vf_token=" : "",
		 token ? token : "");
	do {
		group->device = ioctl(group->group, VFIO_GROUP_GET_DEVICE_FD, name);
	} while (group->device < 0 && errno == EBUSY && later(deadline_ns));
	if (group->device >= 0)
		return 0;
	code = errno;
	if (code == EACCES)
		return vferry_fail(
			err, -code,
			"vfio:%s: %s; it is the one that the PF's holder gave or was given "
			"(--vf-token UUID)",
			place->bdf, token ? "the VF token is not the PF's" : "it needs a VF token");
	if (code == EINVAL && token)
		return vferry_fail(
			err, -code,
			"vfio:%s: it takes no VF token: it has no VFs, or its PF is not bound "
			"to vfio-pci",
			place->bdf);
	if (code == EBUSY)
		return vferry_fail(err, -code, "vfio:%s: the device is in use", place->bdf);
	return vferry_fail(err, -code, "vfio:%s: the device cannot be opened: %s", place->bdf,
			   strerror(code));
}

/* VFIO never waits for anything in read and write; with the flag io_uring knows that and does not send them to a worker. */
static int own_flags(struct vf_vfio_group *group)
{
	int flags = fcntl(group->device, F_GETFL);

	fcntl(group->device, F_SETFL, flags | O_NONBLOCK);
	fcntl(group->device, F_SETFD, FD_CLOEXEC);
	return 0;
}

int vf_vfio_group_open(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		       const char *token, uint64_t deadline_ns, struct vferry_error *err)
{
	int ret;

	*group = VF_VFIO_GROUP_NONE;
	if (vf_vfio_cdev_is(place, "/dev")) {
		ret = vf_vfio_cdev_open(group, place, token, &vf_vfio_kernel, err);
		return ret ? ret : own_flags(group);
	}
	ret = open_container(group, place->bdf, err);
	if (!ret)
		ret = open_group(group, place, deadline_ns, err);
	if (!ret)
		ret = set_iommu(group, place->bdf, err);
	if (!ret)
		ret = iommu_info(group, place->bdf, err);
	if (!ret)
		ret = get_device(group, place, token, deadline_ns, err);
	if (ret) {
		vf_vfio_group_close(group);
		return ret;
	}
	return own_flags(group);
}

int vf_vfio_group_resume(struct vf_vfio_group *group, const char *name, struct vferry_error *err)
{
	if (group->iommufd >= 0)
		return vf_vfio_cdev_ranges(group, name, &vf_vfio_kernel, err);
	return iommu_info(group, name, err);
}

static int in_ranges(const struct vf_vfio_group *group, const char *name, uint64_t iova,
		     uint64_t size, struct vferry_error *err)
{
	for (unsigned int i = 0; i < group->ranges_count; i++) {
		if (iova >= group->ranges[i].first && size - 1 <= group->ranges[i].last &&
		    iova <= group->ranges[i].last - (size - 1))
			return 0;
	}
	if (!group->ranges_count)
		return 0;
	return vferry_fail(
		err, -EINVAL,
		"vfio:%s: this host's IOMMU does not map 0x%llx bytes at 0x%llx (its last "
		"address is 0x%llx)",
		name, (unsigned long long)size, (unsigned long long)iova,
		(unsigned long long)group->ranges[group->ranges_count - 1].last);
}

int vf_vfio_dma_map(struct vf_vfio_group *group, const char *name, uint64_t iova, void *memory,
		    uint64_t size, bool writable, struct vferry_error *err)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};
	int ret, code;

	if (!size)
		return vferry_fail(err, -EINVAL, "vfio:%s: a mapping of no bytes", name);
	ret = in_ranges(group, name, iova, size, err);
	if (!ret)
		ret = vf_vfio_memlock(name, size, err);
	if (ret)
		return ret;
	if (group->iommufd >= 0)
		return vf_vfio_cdev_map(group, name, iova, memory, size, writable, &vf_vfio_kernel,
					err);
	if (!ioctl(group->container, VFIO_IOMMU_MAP_DMA, &map))
		return 0;
	code = errno;
	if (code == ENOSPC)
		return vferry_fail(err, -code,
				   "vfio:%s: no more mappings: "
				   "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
				   name);
	return vferry_fail(err, -code, "vfio:%s: mapping 0x%llx bytes at 0x%llx for the device: %s",
			   name, (unsigned long long)size, (unsigned long long)iova,
			   strerror(code));
}

int vf_vfio_dma_unmap(struct vf_vfio_group *group, const char *name, uint64_t iova, uint64_t size,
		      struct vferry_error *err)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	if (group->iommufd >= 0)
		return vf_vfio_cdev_unmap(group, name, iova, size, &vf_vfio_kernel, err);
	if (ioctl(group->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return vferry_fail(err, -errno,
				   "vfio:%s: unmapping 0x%llx bytes at 0x%llx from the device: %s",
				   name, (unsigned long long)size, (unsigned long long)iova,
				   strerror(errno));
	if (unmap.size != size)
		return vferry_fail(err, -EIO,
				   "vfio:%s: of 0x%llx bytes at 0x%llx only 0x%llx were mapped",
				   name, (unsigned long long)size, (unsigned long long)iova,
				   (unsigned long long)unmap.size);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/vfio_user_region.h"

#define REPLY_ROOM 8192

/* The capability at @at of the reply: its sparse areas. Everything in it came from the server. */
static int sparse_areas(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
			const char *reply, uint32_t bytes, uint32_t at, struct vferry_error *err)
{
	struct vfio_user_sparse_mmap sparse;
	uint32_t count;

	if (bytes - at < sizeof(sparse))
		return vferry_fail(err, -EPROTO,
				   "%s: region %u: its list of mappable areas is cut off", vu->name,
				   index);
	memcpy(&sparse, reply + at, sizeof(sparse));
	count = le32toh(sparse.nr_areas);
	at += (uint32_t)sizeof(sparse);
	if (count > VF_VU_AREAS ||
	    count * sizeof(struct vfio_user_sparse_area) > (size_t)(bytes - at))
		return vferry_fail(err, -EPROTO,
				   "%s: region %u: %u mappable areas do not fit in the answer to "
				   "DEVICE_GET_REGION_INFO",
				   vu->name, index, count);
	for (uint32_t i = 0; i < count; i++) {
		struct vfio_user_sparse_area area;
		uint64_t offset, size;

		memcpy(&area, reply + at + i * sizeof(area), sizeof(area));
		offset = le64toh(area.offset);
		size = le64toh(area.size);
		if (offset > region->size || size > region->size - offset)
			return vferry_fail(err, -EPROTO,
					   "%s: region %u: the mappable area of 0x%llx bytes at "
					   "0x%llx is outside of the region's 0x%llx",
					   vu->name, index, (unsigned long long)size,
					   (unsigned long long)offset,
					   (unsigned long long)region->size);
		region->areas[i] = (struct vf_vu_area){ .offset = offset, .size = size };
	}
	region->areas_count = count;
	return 0;
}

static int capabilities(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
			const char *reply, uint32_t bytes, uint32_t at, struct vferry_error *err)
{
	uint32_t last = sizeof(struct vfio_user_region_info) - 1;

	while (at) {
		struct vfio_user_cap_hdr cap;
		int ret;

		/* Only forward: a chain that goes back never ends. */
		if (at <= last || at > bytes || bytes - at < sizeof(cap))
			return vferry_fail(err, -EPROTO,
					   "%s: region %u: a capability at offset %u of %u",
					   vu->name, index, at, bytes);
		memcpy(&cap, reply + at, sizeof(cap));
		if (le16toh(cap.id) == VFIO_USER_CAP_SPARSE_MMAP) {
			ret = sparse_areas(vu, index, region, reply, bytes, at, err);
			if (ret)
				return ret;
		}
		last = at;
		at = le32toh(cap.next);
	}
	return 0;
}

int vf_vu_region_load(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
		      struct vferry_error *err)
{
	struct vfio_user_region_info request = {
		.argsz = htole32(REPLY_ROOM),
		.index = htole32(index),
	};
	struct vfio_user_region_info info;
	int fds[VFIO_USER_MAX_FDS];
	char reply[REPLY_ROOM];
	struct vf_vu_call call = {
		.command = VFIO_USER_DEVICE_GET_REGION_INFO,
		.out = { { &request, sizeof(request) } },
		.in = { { reply, sizeof(reply) } },
		.in_min = sizeof(info),
		.in_fds = fds,
		.in_fds_room = VFIO_USER_MAX_FDS,
	};
	int ret = vf_vu_exchange(vu, &call, err);

	if (ret)
		return ret;
	memcpy(&info, reply, sizeof(info));
	region->flags = le32toh(info.flags);
	region->size = le64toh(info.size);
	for (unsigned int i = 0; i < call.in_fds_count; i++) {
		if (!i && (region->flags & VFIO_USER_REGION_F_MMAP))
			region->fd = fds[i];
		else
			close(fds[i]);
	}
	region->fd_offset = le64toh(info.offset);
	if (le32toh(info.index) != index)
		return vferry_fail(err, -EPROTO,
				   "%s: the answer to DEVICE_GET_REGION_INFO of region %u is about "
				   "region %u",
				   vu->name, index, le32toh(info.index));
	region->areas_count = 1;
	region->areas[0] = (struct vf_vu_area){ .offset = 0, .size = region->size };
	if ((region->flags & VFIO_USER_REGION_F_CAPS) && le32toh(info.cap_offset))
		return capabilities(vu, index, region, reply, call.in_bytes,
				    le32toh(info.cap_offset), err);
	return 0;
}

void vf_vu_region_unload(struct vf_vu_region *region)
{
	if (region->fd >= 0)
		close(region->fd);
	region->fd = -1;
	for (unsigned int i = 0; i < region->ioeventfds_count; i++)
		close(region->ioeventfds[i].fd);
	region->ioeventfds_count = 0;
}

/* Memory that the server can take away again would be a SIGBUS of ours. */
static bool stays(int fd, uint64_t end)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return false;
	return !fstat(fd, &st) && st.st_size >= 0 && (uint64_t)st.st_size >= end;
}

int vf_vu_region_map(struct vf_vu_region *region, uint64_t offset, uint64_t size, void **memory,
		     int *fd, uint64_t *fd_offset)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at = region->fd_offset + offset;
	void *mapped;

	if (region->fd < 0 || !size || at < offset || at % page || at + size < at)
		return -EOPNOTSUPP;
	for (unsigned int i = 0; i < region->areas_count; i++) {
		const struct vf_vu_area *area = &region->areas[i];

		if (offset < area->offset || offset - area->offset > area->size ||
		    size > area->size - (offset - area->offset))
			continue;
		if (!stays(region->fd, at + size))
			return -EOPNOTSUPP;
		mapped =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, (off_t)at);
		if (mapped == MAP_FAILED)
			return -errno;
		*memory = mapped;
		if (fd)
			*fd = region->fd;
		if (fd_offset)
			*fd_offset = at;
		return 0;
	}
	return -EOPNOTSUPP;
}

/* A signal that stands for a write of any value at an offset is what a doorbell needs; others are left alone. */
static void keep_ioeventfds(struct vf_vu_region *region, const char *entries, uint32_t count,
			    int *fds, unsigned int fds_count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct vfio_user_ioeventfd entry;
		uint32_t fd_index;
		int fd;

		memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
		fd_index = le32toh(entry.fd_index);
		if (le32toh(entry.type) != VFIO_USER_IO_FD_IOEVENTFD ||
		    (le32toh(entry.flags) & VFIO_USER_IOEVENTFD_F_DATAMATCH) ||
		    fd_index >= fds_count || region->ioeventfds_count == VFIO_USER_MAX_FDS)
			continue;
		fd = fcntl(fds[fd_index], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			continue;
		region->ioeventfds[region->ioeventfds_count++] = (struct vf_vu_ioeventfd){
			.offset = le64toh(entry.offset),
			.size = le64toh(entry.size),
			.fd = fd,
		};
	}
	for (unsigned int i = 0; i < fds_count; i++)
		close(fds[i]);
}

static void load_ioeventfds(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region)
{
	struct vfio_user_region_io_fds request = {
		.argsz = htole32(REPLY_ROOM),
		.index = htole32(index),
	};
	struct vfio_user_region_io_fds head;
	int fds[VFIO_USER_MAX_FDS];
	char reply[REPLY_ROOM];
	struct vf_vu_call call = {
		.command = VFIO_USER_DEVICE_GET_REGION_IO_FDS,
		.out = { { &request, sizeof(request) } },
		.in = { { reply, sizeof(reply) } },
		.in_min = sizeof(head),
		.in_fds = fds,
		.in_fds_room = VFIO_USER_MAX_FDS,
	};
	uint32_t count;

	region->ioeventfds_known = true;
	if (vf_vu_exchange(vu, &call, NULL))
		return;
	memcpy(&head, reply, sizeof(head));
	count = le32toh(head.count);
	if (count > (call.in_bytes - sizeof(head)) / sizeof(struct vfio_user_ioeventfd))
		count = 0;
	keep_ioeventfds(region, reply + sizeof(head), count, fds, call.in_fds_count);
}

int vf_vu_region_ioeventfd(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
			   uint64_t offset, uint32_t width, int *fd)
{
	if (!region->ioeventfds_known)
		load_ioeventfds(vu, index, region);
	for (unsigned int i = 0; i < region->ioeventfds_count; i++) {
		const struct vf_vu_ioeventfd *one = &region->ioeventfds[i];

		/* Size 0: a write of any width. */
		if (one->offset != offset || (one->size && one->size != width))
			continue;
		*fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 0);
		return *fd < 0 ? -errno : 0;
	}
	return -EOPNOTSUPP;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "virtio/pf_inside.h"

#define HUGE (2ULL << 20)

static int make(const char *name, uint64_t bytes, unsigned int flags, int *fd, void **memory)
{
	int ret;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (*fd < 0)
		return -errno;
	/* Sealed: the device's process has the descriptor too, and must not be able to take the memory away. */
	if (!ftruncate(*fd, (off_t)bytes) &&
	    !fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		*memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
		if (*memory != MAP_FAILED)
			return 0;
	}
	ret = -errno;
	close(*fd);
	*fd = -1;
	*memory = NULL;
	return ret;
}

int vf_pf_memory_again(int fd, uint64_t bytes, void **memory)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat stat;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &stat) ||
	    (uint64_t)stat.st_size != bytes)
		return -EPROTO;
	*memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*memory != MAP_FAILED)
		return 0;
	*memory = NULL;
	return -errno;
}

int vf_pf_memory(const char *name, uint64_t *bytes, bool huge, int *fd, void **memory,
		 struct vferry_error *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size;
	int ret;

	if (huge && *bytes >= HUGE) {
		size = (*bytes + HUGE - 1) & ~(HUGE - 1);
		if (!make(name, size, MFD_HUGETLB | MFD_HUGE_2MB, fd, memory)) {
			*bytes = size;
			return 0;
		}
	}
	size = (*bytes + page - 1) & ~(page - 1);
	ret = make(name, size, 0, fd, memory);
	if (ret)
		return vferry_fail(err, ret, "no memory of %llu bytes to share with the device: %s",
				   (unsigned long long)size, strerror(-ret));
	*bytes = size;
	return 0;
}

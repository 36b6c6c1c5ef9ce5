// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bus/vf_reset.h"

#define NODE "uring-cmd:/dev/vferry/"

int vf_vf_reset(const char *sysfs, const char *address, uint16_t vf, struct vferry_error *err)
{
	const char *bdf = NULL;
	char path[320];
	int fd, ret = 0;

	if (!strncmp(address, "vfio:", 5))
		bdf = address + 5;
	else if (!strncmp(address, NODE, strlen(NODE)))
		bdf = address + strlen(NODE);
	if (!bdf || strchr(bdf, '/') || !vf)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: its VFs are no PCI functions of this host", address);
	if ((size_t)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/virtfn%u/reset", sysfs, bdf,
			     vf - 1u) >= sizeof(path))
		return vferry_fail(err, -ENAMETOOLONG, "%s: too long", address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (write(fd, "1", 1) != 1)
		ret = vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	return ret;
}

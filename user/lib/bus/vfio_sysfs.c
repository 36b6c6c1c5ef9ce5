// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "bus/vfio_sysfs.h"

/* A character class for each place of an address: domain:bus:device.function. */
static bool is_bdf(const char *text)
{
	static const char shape[] = "xxxx:xx:xx.7";

	for (unsigned int i = 0; i < sizeof(shape); i++) {
		char c = text[i];

		if (shape[i] == 'x'   ? !(isdigit((unsigned char)c) || (c >= 'a' && c <= 'f'))
		    : shape[i] == '7' ? c < '0' || c > '7'
				      : c != shape[i])
			return false;
	}
	return true;
}

bool vf_vfio_token_valid(const char *token)
{
	for (unsigned int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? token[i] != '-' : !isxdigit((unsigned char)token[i]))
			return false;
	}
	return !token[36];
}

int vf_vfio_token_make(char token[37], struct vferry_error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return vferry_fail(err, -EIO, "no random numbers for a VF token");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(token, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return 0;
}

/* Last part of where a symbolic link leads; false: there is none. */
static bool link_name(const char *path, char *name, size_t room)
{
	char target[256];
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	if (length < 0)
		return false;
	target[length] = 0;
	slash = strrchr(target, '/');
	slash = slash ? slash + 1 : target;
	if (strlen(slash) >= room)
		return false;
	strcpy(name, slash);
	return true;
}

static bool is_vfio(const char *driver)
{
	size_t length = strlen(driver);

	/* vfio-pci, and the variants for some devices: virtio-vfio-pci, mlx5_vfio_pci. */
	return length >= 8 && (!strcmp(driver + length - 8, "vfio-pci") ||
			       !strcmp(driver + length - 8, "vfio_pci"));
}

int64_t vf_vfio_attribute(const struct vf_vfio_place *place, const char *name)
{
	char path[320], text[32];
	ssize_t count;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", place->folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	count = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (count <= 0)
		return -EIO;
	text[count] = 0;
	return (int64_t)strtoul(text, NULL, 0) & INT32_MAX;
}

static int wrong_driver(const struct vf_vfio_place *place, const char *driver,
			struct vferry_error *err)
{
	bool vfs = vf_vfio_attribute(place, "sriov_numvfs") > 0;
	char path[320], why[80] = "bound to no driver";
	bool loaded;

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", place->sysfs);
	loaded = !access(path, F_OK);
	if (driver)
		snprintf(why, sizeof(why), "bound to the driver %.40s", driver);
	/* vfio-pci refuses a PF whose VFs are enabled. */
	return vferry_fail(
		err, -EBUSY,
		"vfio:%s: it is %s and has to be bound to vfio-pci: %scd %s%s && echo vfio-pci "
		">driver_override%s && echo %s >%s/bus/pci/drivers_probe%s",
		place->bdf, why, loaded ? "" : "modprobe vfio-pci && ", place->folder,
		vfs ? " && echo 0 >sriov_numvfs" : "",
		driver ? " && echo $(basename $PWD) >driver/unbind" : "", place->bdf, place->sysfs,
		vfs ? " (this ends its VFs)" : "");
}

int vf_vfio_find(struct vf_vfio_place *place, const char *sysfs, const char *bdf,
		 struct vferry_error *err)
{
	char path[320], name[64];

	*place = (struct vf_vfio_place){ .sysfs = sysfs };
	if (!is_bdf(bdf))
		return vferry_fail(
			err, -EINVAL,
			"vfio:%.40s: not a PCI address; it looks like 0000:65:00.0, in small "
			"letters and with its domain (lspci -D)",
			bdf);
	strcpy(place->bdf, bdf);
	snprintf(place->folder, sizeof(place->folder), "%.180s/bus/pci/devices/%s", sysfs, bdf);
	if (access(place->folder, F_OK))
		return vferry_fail(
			err, -ENODEV,
			"vfio:%s: there is no such PCI device on this host; lspci -D -d 1af4: lists "
			"the virtio devices",
			bdf);
	snprintf(path, sizeof(path), "%s/driver", place->folder);
	if (!link_name(path, name, sizeof(name)))
		return wrong_driver(place, NULL, err);
	if (!is_vfio(name))
		return wrong_driver(place, name, err);
	snprintf(path, sizeof(path), "%s/iommu_group", place->folder);
	if (!link_name(path, name, sizeof(name)) || !isdigit((unsigned char)name[0]))
		return vferry_fail(
			err, -ENODEV,
			"vfio:%s: no IOMMU covers the device: switch VT-d or AMD-Vi on in the "
			"firmware, and boot with intel_iommu=on (Intel)",
			bdf);
	place->group = (unsigned int)strtoul(name, NULL, 10);
	return 0;
}

/* Drivers that the kernel takes for harmless beside VFIO. */
static bool harmless(const char *driver)
{
	return is_vfio(driver) || !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport");
}

int vf_vfio_not_viable(const struct vf_vfio_place *place, struct vferry_error *err)
{
	char path[320], others[300] = "";
	struct dirent *entry;
	size_t used = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/iommu_group/devices", place->folder);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char driver[64];

		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, place->bdf))
			continue;
		snprintf(path, sizeof(path), "%s/bus/pci/devices/%.40s/driver", place->sysfs,
			 entry->d_name);
		if (!link_name(path, driver, sizeof(driver)) || harmless(driver))
			continue;
		if (used < sizeof(others) - 1)
			used += (size_t)snprintf(others + used, sizeof(others) - used, "%s%s (%s)",
						 used ? ", " : "", entry->d_name, driver);
	}
	if (dir)
		closedir(dir);
	return vferry_fail(
		err, -EPERM,
		"vfio:%s: its IOMMU group %u is not viable, for drivers of the host hold others of "
		"that group: %s. Unbind them, or bind them to vfio-pci too",
		place->bdf, place->group, used ? others : "(gone meanwhile)");
}

static int write_numvfs(const struct vf_vfio_place *place, unsigned int count)
{
	char path[320], text[16];
	int length = snprintf(text, sizeof(text), "%u\n", count), fd, ret = 0;

	snprintf(path, sizeof(path), "%s/sriov_numvfs", place->folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) != length)
		ret = -errno;
	close(fd);
	return ret;
}

int vf_vfio_set_vfs(const struct vf_vfio_place *place, unsigned int count, struct vferry_error *err)
{
	int64_t enabled = vf_vfio_attribute(place, "sriov_numvfs");
	int ret = 0;

	if (enabled < 0)
		return vferry_fail(err, (int)enabled, "vfio:%s: %s/sriov_numvfs: %s", place->bdf,
				   place->folder, strerror((int)-enabled));
	if (enabled == count)
		return 0;
	if (enabled && count)
		ret = write_numvfs(place, 0);
	if (!ret)
		ret = write_numvfs(place, count);
	if (ret == -ENOENT)
		return vferry_fail(
			err, ret,
			"vfio:%s: vfio-pci does not enable VFs unless it is told that it may: echo 1 "
			">%s/module/vfio_pci/parameters/enable_sriov",
			place->bdf, place->sysfs);
	if (ret)
		return vferry_fail(
			err, ret,
			"vfio:%s: %u VFs cannot be enabled: writing %s/sriov_numvfs: %s%s",
			place->bdf, count, place->folder, strerror(-ret),
			ret == -EACCES ? " (root's)" : "");
	return 0;
}

bool vf_vfio_vfs_in_use(const struct vf_vfio_place *place)
{
	for (unsigned int i = 0; i < 256; i++) {
		char path[320], group[32];
		int fd;

		snprintf(path, sizeof(path), "%s/virtfn%u/iommu_group", place->folder, i);
		if (!link_name(path, group, sizeof(group)))
			return false;
		snprintf(path, sizeof(path), "/dev/vfio/%.20s", group);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0 && errno == EBUSY)
			return true;
		if (fd >= 0)
			close(fd);
	}
	return false;
}

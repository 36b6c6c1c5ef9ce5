// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* VFIO, virtio PFs, and the ways to an owner device. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/doctor.h"

/* Entries of a folder, those that begin with a dot left out; -1: there is no such folder. */
static int entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static bool there(const char *path)
{
	return !access(path, F_OK);
}

static void iommu(struct doctor *doctor)
{
	int groups = entries("/sys/kernel/iommu_groups");

	if (groups > 0)
		doctor_say(doctor, "iommu", DOCTOR_OK, NULL, "on, %d groups", groups);
	else
		doctor_say(doctor, "iommu", DOCTOR_MISSING,
			   "boot with intel_iommu=on or amd_iommu=on",
			   "no IOMMU groups: VFIO cannot isolate devices");
}

static void modules(struct doctor *doctor)
{
	bool driver = there("/sys/bus/pci/drivers/vfio-pci");
	bool container = there("/dev/vfio/vfio");

	if (driver && container && !access("/dev/vfio/vfio", R_OK | W_OK))
		doctor_say(doctor, "vfio-pci", DOCTOR_OK, NULL, "driver and container are there");
	else if (driver && container)
		doctor_say(doctor, "vfio-pci", DOCTOR_WARN,
			   "a udev rule: SUBSYSTEM==\"vfio\", GROUP=\"vfio\", MODE=\"0660\"",
			   "/dev/vfio/vfio may not be opened by this user");
	else
		doctor_say(doctor, "vfio-pci", DOCTOR_MISSING,
			   there("/proc/modules") ? "modprobe vfio-pci" : NULL,
			   "the driver is not loaded%s",
			   there("/proc/modules") ? "" : ", and this kernel takes no modules");
}

static void groups(struct doctor *doctor)
{
	DIR *dir = opendir("/dev/vfio");
	unsigned int open = 0, shut = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[300];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/%s", entry->d_name);
		if (access(path, R_OK | W_OK))
			shut++;
		else
			open++;
	}
	if (dir)
		closedir(dir);
	if (open && !shut)
		doctor_say(doctor, "vfio groups", DOCTOR_OK, NULL, "%u", open);
	else if (open || shut)
		doctor_say(doctor, "vfio groups", DOCTOR_WARN,
			   "chgrp vfio /dev/vfio/N, or run as root",
			   "%u, of which %u may not be opened by this user", open + shut, shut);
	else
		doctor_say(doctor, "vfio groups", DOCTOR_WARN, NULL,
			   "none: no device is bound to vfio-pci");
}

static void iommufd(struct doctor *doctor)
{
	if (there("/dev/iommu"))
		doctor_say(doctor, "iommufd", DOCTOR_OK, NULL, "there%s",
			   there("/dev/vfio/devices") ? ", with device nodes in /dev/vfio/devices"
						      : "");
	else
		doctor_say(
			doctor, "iommufd", DOCTOR_OK, NULL,
			"not there (Debian's kernels have none): group and type1 container are used, which loses nothing");
}

static void one_pf(struct doctor *doctor, const char *address, const char *folder)
{
	char driver[64] = "none", total[16] = "0", enabled[16] = "0", path[400], fix[1024];

	snprintf(path, sizeof(path), "%s/driver", folder);
	doctor_link(path, driver, sizeof(driver));
	snprintf(path, sizeof(path), "%s/sriov_totalvfs", folder);
	doctor_line(path, total, sizeof(total));
	snprintf(path, sizeof(path), "%s/sriov_numvfs", folder);
	doctor_line(path, enabled, sizeof(enabled));
	if (!strcmp(driver, "vfio-pci")) {
		doctor_say(doctor, address, DOCTOR_OK, NULL,
			   "bound to vfio-pci, %s of %s VFs enabled: vfio:%s", enabled, total,
			   address);
		return;
	}
	/* vfio-pci refuses a PF whose VFs are enabled. */
	snprintf(
		fix, sizeof(fix),
		"cd %s && echo 0 >sriov_numvfs && echo vfio-pci >driver_override && echo %s >driver/unbind; echo %s "
		">/sys/bus/pci/drivers_probe",
		folder, address, address);
	doctor_say(
		doctor, address, DOCTOR_WARN, fix,
		"bound to %s, %s of %s VFs enabled: an engine in user space needs vfio-pci. Unbinding ends the VFs",
		driver, enabled, total);
}

static void pfs(struct doctor *doctor)
{
	static const char root[] = "/sys/bus/pci/devices";
	DIR *dir = opendir(root);
	struct dirent *entry;
	unsigned int n = 0;

	while (dir && (entry = readdir(dir))) {
		char folder[300], path[320], vendor[16];

		snprintf(folder, sizeof(folder), "%s/%s", root, entry->d_name);
		snprintf(path, sizeof(path), "%s/vendor", folder);
		if (entry->d_name[0] == '.' || !doctor_line(path, vendor, sizeof(vendor)) ||
		    strcmp(vendor, "0x1af4"))
			continue;
		snprintf(path, sizeof(path), "%s/sriov_totalvfs", folder);
		if (!there(path))
			continue;
		one_pf(doctor, entry->d_name, folder);
		n++;
	}
	if (dir)
		closedir(dir);
	if (!n)
		doctor_say(
			doctor, "owner devices", DOCTOR_WARN, "vferry-owner --help",
			"no virtio device with SR-IOV on the PCI bus; the software owner device needs none");
}

void doctor_vfio(struct doctor *doctor)
{
	doctor->group = "VFIO";
	iommu(doctor);
	modules(doctor);
	groups(doctor);
	iommufd(doctor);
	pfs(doctor);
}

void doctor_ways(struct doctor *doctor)
{
	bool container = there("/dev/vfio/vfio");
	int nodes = entries("/dev/vferry");

	doctor->group = "Ways to an owner";
	doctor_say(
		doctor, "vfio-user", doctor->io_uring ? DOCTOR_OK : DOCTOR_MISSING, NULL,
		"a vfio-user socket, as vferry-owner offers. io_uring drives sockets, files, deadlines and eventfds; the "
		"doorbell is a store or an eventfd. This is not io_uring passthrough");
	doctor_say(
		doctor, "vfio", container ? DOCTOR_OK : DOCTOR_MISSING, "see VFIO above",
		"a PF bound to vfio-pci. io_uring drives files, deadlines and eventfds, the doorbell is a store: no kernel "
		"has uring_cmd on a VFIO descriptor. This is not io_uring passthrough");
	if (nodes > 0)
		doctor_say(doctor, "uring-cmd", DOCTOR_OK, NULL,
			   "%d owner%s in /dev/vferry: io_uring passthrough", nodes,
			   nodes > 1 ? "s" : "");
	else
		doctor_say(
			doctor, "uring-cmd", DOCTOR_MISSING,
			"make kmod, then insmod kmod/vferry_vfio_pci.ko (kmod/README.md)",
			"io_uring passthrough needs the kernel module of kmod/, which is not loaded");
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <vferry/vfio_user.h>
#include "virtio/device.h"

/* Where the capability stands: its offset, -EOPNOTSUPP without, or another error. */
static int find(struct vf_bus *bus, struct vferry_error *err)
{
	struct vf_region config;
	uint32_t at = 0x100, word;
	int ret = vf_bus_region(bus, VFIO_USER_CONFIG, &config);

	/* Each takes 8 bytes at least, so more than this many are a circle. */
	for (unsigned int i = 0; !ret && at >= 0x100 && i < (4096 - 256) / 8; i++) {
		if (at + PCI_SRIOV_BAR > config.size)
			break;
		ret = vf_bus_read(bus, VFIO_USER_CONFIG, at, &word, 4, err);
		if (ret)
			return ret;
		word = le32toh(word);
		if (!word || word == UINT32_MAX)
			break;
		if (PCI_EXT_CAP_ID(word) == PCI_EXT_CAP_ID_SRIOV)
			return (int)at;
		at = PCI_EXT_CAP_NEXT(word);
	}
	return vferry_fail(err, -EOPNOTSUPP,
			   "%s: no SR-IOV capability: this function has no VFs (or a hypervisor "
			   "hides it)",
			   vf_bus_address(bus));
}

static int read16(struct vf_bus *bus, int at, uint16_t *value, struct vferry_error *err)
{
	uint16_t wire = 0;
	int ret = vf_bus_read(bus, VFIO_USER_CONFIG, (uint64_t)at, &wire, 2, err);

	*value = le16toh(wire);
	return ret;
}

static int write16(struct vf_bus *bus, int at, uint16_t value, struct vferry_error *err)
{
	uint16_t wire = htole16(value);

	return vf_bus_write(bus, VFIO_USER_CONFIG, (uint64_t)at, &wire, 2, err);
}

int vf_sriov_get(struct vf_bus *bus, uint16_t *total, uint16_t *enabled, struct vferry_error *err)
{
	uint16_t control;
	int ret = vf_bus_vfs(bus, total, enabled, err);
	int at;

	if (ret != -EOPNOTSUPP)
		return ret;
	at = find(bus, err);
	if (at < 0)
		return at;
	ret = read16(bus, at + PCI_SRIOV_TOTAL_VF, total, err);
	if (!ret)
		ret = read16(bus, at + PCI_SRIOV_CTRL, &control, err);
	if (!ret)
		ret = read16(bus, at + PCI_SRIOV_NUM_VF, enabled, err);
	if (!ret && !(control & PCI_SRIOV_CTRL_VFE))
		*enabled = 0;
	return ret;
}

int vf_sriov_set(struct vf_bus *bus, uint16_t count, struct vferry_error *err)
{
	uint16_t total, enabled, control;
	int ret = vf_sriov_get(bus, &total, &enabled, err);
	int at;

	if (ret)
		return ret;
	if (count > total)
		return vferry_fail(err, -EINVAL, "%s: %u VFs wanted, the device has %u (TotalVFs)",
				   vf_bus_address(bus), count, total);
	if (count == enabled)
		return 0;
	ret = vf_bus_set_vfs(bus, count, err);
	if (ret != -EOPNOTSUPP)
		return ret;
	at = find(bus, err);
	if (at < 0)
		return at;
	ret = read16(bus, at + PCI_SRIOV_CTRL, &control, err);
	control = (uint16_t)(control & ~(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE));
	/* NumVFs may only change while VF Enable is clear. */
	if (!ret && enabled)
		ret = write16(bus, at + PCI_SRIOV_CTRL, control, err);
	if (!ret)
		ret = write16(bus, at + PCI_SRIOV_NUM_VF, count, err);
	if (!ret && count)
		ret = write16(bus, at + PCI_SRIOV_CTRL,
			      control | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE, err);
	if (ret)
		return ret;
	ret = vf_sriov_get(bus, &total, &enabled, err);
	if (!ret && enabled != count)
		return vferry_fail(err, -EIO, "%s: %u VFs wanted, %u came up", vf_bus_address(bus),
				   count, enabled);
	return ret;
}

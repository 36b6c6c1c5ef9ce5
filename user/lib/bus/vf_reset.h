/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A VF made blank by its own FLR. No admin command does that, and a VF's function is its VMM's: the host's PCI core is asked. */
#ifndef VF_VF_RESET_H
#define VF_VF_RESET_H

#include <stdint.h>
#include <vferry/error.h>

/**
 * vf_vf_reset() - FLR of VF @vf of the owner at @address
 * @sysfs: "/sys" but for tests
 *
 * Takes as long as the kernel waits after an FLR (100 ms). It keeps the VF's mode. Whether it is blank then is for the caller to look at.
 *
 * Return: 0: the kernel has done it; -EOPNOTSUPP: the owner's VFs are no PCI functions of this host (vfio-user); -ENOENT: the
 * host does not see them as this PF's, or the kernel has no way to reset them; -EACCES; -errno.
 */
int vf_vf_reset(const char *sysfs, const char *address, uint16_t vf, struct vferry_error *err);

#endif

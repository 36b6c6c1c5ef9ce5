/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What vferry needs of virtio beyond Debian 12's kernel headers (6.1): the admin queue's bits and
 * registers of virtio 1.3, guarded so that newer headers win. Ring, capability and block
 * layouts come from linux/virtio_*.h.
 */
#ifndef VFERRY_VIRTIO_H
#define VFERRY_VIRTIO_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#ifdef __cplusplus
#define VIRTIO_RING_NO_LEGACY /* its helpers are not C++ */
#endif
#include <linux/virtio_ring.h>
#include <vferry/admin.h>

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif
#ifndef VIRTIO_F_ADMIN_VQ
#define VIRTIO_F_ADMIN_VQ 41
#endif

#ifndef VIRTIO_PCI_COMMON_Q_NDATA
#define VIRTIO_PCI_COMMON_Q_NDATA 56
#endif
#ifndef VIRTIO_PCI_COMMON_Q_RESET
#define VIRTIO_PCI_COMMON_Q_RESET 58
#endif
#ifndef VIRTIO_PCI_COMMON_ADM_Q_IDX
#define VIRTIO_PCI_COMMON_ADM_Q_IDX 60
#endif
#ifndef VIRTIO_PCI_COMMON_ADM_Q_NUM
#define VIRTIO_PCI_COMMON_ADM_Q_NUM 62
#endif

#define VFERRY_COMMON_CFG_BYTES 64

#define VFERRY_PCI_VENDOR_VIRTIO 0x1af4
#define VFERRY_PCI_DEVICE_BLK	 0x1042

#endif

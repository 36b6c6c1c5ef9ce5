// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/pci_regs.h>
#include <string.h>
#include "fn.h"

/* First VF at the next bus number: up to 250 of them need no ARI. */
#define VF_OFFSET 0x100
#define VF_STRIDE 1

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

/* A 64-bit memory BAR in the two registers at @at: the bits below its size are fixed, which is how it is sized. */
static void bar64(struct pci *pci, unsigned int at, uint32_t bytes)
{
	put32(&pci->config[at], PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64);
	put32(&pci->writable[at], ~(bytes - 1));
	put32(&pci->writable[at + 4], 0xffffffff);
}

static void virtio_cap(uint8_t *at, uint8_t next, uint8_t length, uint8_t type, uint32_t offset,
		       uint32_t bytes)
{
	at[0] = PCI_CAP_ID_VNDR;
	at[1] = next;
	at[2] = length;
	at[3] = type;
	at[4] = BAR_VIRTIO;
	put32(at + 8, offset);
	put32(at + 12, bytes);
}

static void capabilities(struct function *fn)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *c = pci->config, *w = pci->writable;

	c[PCI_CAPABILITY_LIST] = 0x40;

	pci->msix_cap = 0x40;
	c[0x40] = PCI_CAP_ID_MSIX;
	c[0x41] = 0x50;
	put16(&c[0x42], (uint16_t)(fn->io->msix.count - 1));
	put32(&c[0x44], 0 | BAR_MSIX);
	put32(&c[0x48], MSIX_PBA | BAR_MSIX);
	put16(&w[0x42], PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);

	virtio_cap(&c[0x50], 0x60, 16, VIRTIO_PCI_CAP_COMMON_CFG, BAR_COMMON,
		   VFERRY_COMMON_CFG_BYTES);
	virtio_cap(&c[0x60], 0x74, 20, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, BAR_NOTIFY_BYTES);
	put32(&c[0x70], NOTIFY_MULTIPLIER);
	virtio_cap(&c[0x74], 0x84, 16, VIRTIO_PCI_CAP_ISR_CFG, BAR_ISR, 4);
	virtio_cap(&c[0x84], 0x94, 16, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_DEVICE, 64);

	pci->access_cap = 0x94;
	virtio_cap(&c[0x94], 0xa8, 20, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	w[0x98] = 0xff;			   /* bar */
	memset(&w[0x9c], 0xff, 4 + 4 + 4); /* offset, length, data */

	pci->pcie_cap = 0xa8;
	c[0xa8] = PCI_CAP_ID_EXP;
	put16(&c[0xa8 + PCI_EXP_FLAGS], 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put32(&c[0xa8 + PCI_EXP_DEVCAP], PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put16(&w[0xa8 + PCI_EXP_DEVCTL], PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE |
						 PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |
						 PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD |
						 PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ);
	put32(&c[0xa8 + PCI_EXP_LNKCAP], PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4);
	put16(&c[0xa8 + PCI_EXP_LNKSTA], PCI_EXP_LNKSTA_CLS_2_5GB | 1 << 4);
}

static void sriov(struct function *fn)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *c = &pci->config[0x100], *w = &pci->writable[0x100];
	uint16_t vfs = (uint16_t)fn->owner->opts.vfs;

	pci->sriov_cap = 0x100;
	put32(c, PCI_EXT_CAP_ID_SRIOV | 1 << 16);
	put16(&w[PCI_SRIOV_CTRL], PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	put16(&c[PCI_SRIOV_INITIAL_VF], vfs);
	put16(&c[PCI_SRIOV_TOTAL_VF], vfs);
	put16(&w[PCI_SRIOV_NUM_VF], 0xffff);
	put16(&c[PCI_SRIOV_VF_OFFSET], VF_OFFSET);
	put16(&c[PCI_SRIOV_VF_STRIDE], VF_STRIDE);
	put16(&c[PCI_SRIOV_VF_DID], VFERRY_PCI_DEVICE_BLK);
	put32(&c[PCI_SRIOV_SUP_PGSIZE], 1);
	put32(&c[PCI_SRIOV_SYS_PGSIZE], 1);
	bar64(pci, 0x100 + PCI_SRIOV_BAR, BAR_VIRTIO_BYTES);
	bar64(pci, 0x100 + PCI_SRIOV_BAR + 8, BAR_MSIX_BYTES);
}

void pci_init(struct function *fn)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *c = pci->config, *w = pci->writable;

	memset(pci, 0, sizeof(*pci));
	put16(&c[PCI_VENDOR_ID], VFERRY_PCI_VENDOR_VIRTIO);
	put16(&c[PCI_DEVICE_ID], VFERRY_PCI_DEVICE_BLK);
	put16(&c[PCI_STATUS], PCI_STATUS_CAP_LIST);
	put16(&w[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
				       PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	c[PCI_REVISION_ID] = 1;
	c[PCI_CLASS_PROG] = 0x00;
	put16(&c[PCI_CLASS_DEVICE], 0x0180);
	w[PCI_CACHE_LINE_SIZE] = 0xff;
	w[PCI_INTERRUPT_LINE] = 0xff;
	put16(&c[PCI_SUBSYSTEM_VENDOR_ID], VFERRY_PCI_VENDOR_VIRTIO);
	put16(&c[PCI_SUBSYSTEM_ID], 0x1100);
	bar64(pci, PCI_BASE_ADDRESS_0, BAR_VIRTIO_BYTES);
	bar64(pci, PCI_BASE_ADDRESS_2, BAR_MSIX_BYTES);
	capabilities(fn);
	if (!fn->number && fn->owner->opts.vfs)
		sriov(fn);
}

void pci_reset(struct function *fn)
{
	pci_init(fn);
}

void pci_set_vfs(struct function *fn, uint16_t num)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *c = &pci->config[pci->sriov_cap];
	uint16_t control;

	if (!pci->sriov_cap)
		return;
	control = get16(&c[PCI_SRIOV_CTRL]) & ~(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	put16(&c[PCI_SRIOV_CTRL],
	      num ? control | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE : control);
	put16(&c[PCI_SRIOV_NUM_VF], num);
}

/* The window of VIRTIO_PCI_CAP_PCI_CFG: a way to the BAR for who cannot map it. */
static bool window(const struct pci *pci, uint32_t *offset, uint32_t *length)
{
	const uint8_t *cap = &pci->config[pci->access_cap];

	*offset = get32(cap + 8);
	*length = get32(cap + 12);
	return cap[4] == BAR_VIRTIO && (*length == 1 || *length == 2 || *length == 4) &&
	       *offset % *length == 0 && *offset <= BAR_VIRTIO_BYTES - *length;
}

static bool touches(uint64_t offset, size_t count, uint64_t at, size_t bytes)
{
	return offset < at + bytes && at < offset + count;
}

void pci_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count)
{
	struct pci *pci = &fn->io->pci;
	uint32_t at, length;

	if (touches(offset, count, pci->access_cap + 16U, 4) && window(pci, &at, &length))
		transport_read(fn, at, &pci->config[pci->access_cap + 16], length);
	memcpy(data, &pci->config[offset], count);
	if (fn->mode != VFERRY_MODE_ACTIVE && FN_WRONG(fn, STOP_NO_PCI))
		memset(data, 0xff, count);
}

static void sriov_written(struct function *fn, uint16_t control_before, uint16_t num_before)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *c = &pci->config[pci->sriov_cap];
	uint16_t control = get16(&c[PCI_SRIOV_CTRL]), num = get16(&c[PCI_SRIOV_NUM_VF]);

	/* NumVFs is locked while VF Enable is set, and never above TotalVFs. */
	if (control_before & PCI_SRIOV_CTRL_VFE || num > fn->owner->opts.vfs)
		put16(&c[PCI_SRIOV_NUM_VF], num_before);
	num = get16(&c[PCI_SRIOV_NUM_VF]);
	if ((control ^ control_before) & PCI_SRIOV_CTRL_VFE)
		fn_set_vfs(fn, control & PCI_SRIOV_CTRL_VFE, num);
}

void pci_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count)
{
	struct pci *pci = &fn->io->pci;
	uint8_t *sr = &pci->config[pci->sriov_cap];
	uint16_t control = get16(&sr[PCI_SRIOV_CTRL]), num = get16(&sr[PCI_SRIOV_NUM_VF]);
	uint16_t devctl = (uint16_t)(pci->pcie_cap + PCI_EXP_DEVCTL);
	uint32_t at, length;
	bool flr = touches(offset, count, devctl + 1U, 1) &&
		   data[devctl + 1 - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8;

	for (size_t i = 0; i < count; i++) {
		uint8_t mask = pci->writable[offset + i];
		uint8_t *byte = &pci->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (data[i] & mask));
	}
	if (flr) {
		fn_flr(fn);
		return;
	}
	if (touches(offset, count, pci->msix_cap + 2U, 2))
		msix_control(fn, get16(&pci->config[pci->msix_cap + 2]) & PCI_MSIX_FLAGS_MASKALL);
	if (pci->sriov_cap &&
	    touches(offset, count, pci->sriov_cap + (unsigned int)PCI_SRIOV_CTRL, 12))
		sriov_written(fn, control, num);
	if (touches(offset, count, pci->access_cap + 16U, 4) && window(pci, &at, &length))
		transport_write(fn, at, &pci->config[pci->access_cap + 16], length);
}

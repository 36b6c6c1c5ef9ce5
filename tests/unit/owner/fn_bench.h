/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A whole device without sockets, a guest's memory in a memfd, and a driver's hands on registers and rings. */
#ifndef FN_BENCH_H
#define FN_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/owner/device.h"
#include "tools/owner/guard.h"

#define GUEST_IOVA  0x10000000ULL
#define GUEST_BYTES (1U << 20)
#define DISK_BYTES  (1U << 20)
#define RING_SIZE   8U
#define RING(q)	    ((q)*0x4000U) /* desc; avail 0x1000 and used 0x2000 further on */
#define BUFFERS	    0x40000U
#define LIMIT_NS    30000000000ULL

struct bench {
	struct owner owner;
	struct function *vf; /* VF 1 */
	int guest;
	uint8_t *mem;
	uint8_t *disk; /* of VF 1 */
	uint16_t avail[4];
};

static inline int bench_disk(void *arg, unsigned int vf, struct vferry_error *err)
{
	struct bench *bench = arg;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	if (vf == 1)
		bench->disk = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return fd;
}

static inline void bench_map(struct bench *bench, struct function *fn)
{
	assert_int_equal(dma_map(&fn->io->dma, GUEST_IOVA, GUEST_BYTES, 0,
				 VFIO_USER_DMA_F_READ | VFIO_USER_DMA_F_WRITE, bench->guest, NULL),
			 0);
}

static inline int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct vferry_error err;

	guard_install();
	bench->owner.opts = (struct owner_opts){
		.vfs = 2,
		.vfs_enabled = true,
		.blk_queues = 2,
		.admin_queues = 2,
		.seed = 1,
	};
	if (device_new(&bench->owner, bench_disk, bench, &err))
		fail_msg("%s", err.text);
	bench->vf = &bench->owner.vfs[1];
	bench->guest = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(bench->guest, GUEST_BYTES), 0);
	bench->mem = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bench->guest, 0);
	bench_map(bench, bench->vf);
	*state = bench;
	return 0;
}

static inline int bench_teardown(void **state)
{
	struct bench *bench = *state;

	device_free(&bench->owner);
	munmap(bench->mem, GUEST_BYTES);
	munmap(bench->disk, DISK_BYTES);
	close(bench->guest);
	free(bench);
	return 0;
}

static inline void put_reg(struct function *fn, unsigned int at, unsigned int bytes, uint64_t value)
{
	uint64_t le = htole64(value);

	transport_write(fn, at, (uint8_t *)&le, bytes);
}

static inline uint64_t get_reg(struct function *fn, unsigned int at, unsigned int bytes)
{
	uint64_t le = 0;

	transport_read(fn, at, (uint8_t *)&le, bytes);
	return le64toh(le);
}

static inline void negotiate(struct function *fn, uint64_t extra)
{
	uint64_t features = FN_FEATURES_REQUIRED | extra;

	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	for (unsigned int i = 0; i < 2; i++) {
		put_reg(fn, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		put_reg(fn, VIRTIO_PCI_COMMON_GF, 4, features >> (32 * i));
	}
	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1), 11);
}

static inline void enable(struct function *fn, unsigned int q, uint64_t base)
{
	put_reg(fn, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2, RING_SIZE);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_DESCLO, 8, base);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, base + 0x1000);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_USEDLO, 8, base + 0x2000);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

/* VF 1 ready to serve @queues queues. */
static inline void drive(struct bench *bench, uint64_t extra, unsigned int queues)
{
	negotiate(bench->vf, extra);
	memset(bench->mem, 0, RING(queues));
	memset(bench->avail, 0, sizeof(bench->avail));
	for (unsigned int q = 0; q < queues; q++)
		enable(bench->vf, q, GUEST_IOVA + RING(q));
	put_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static inline void desc(struct bench *bench, unsigned int q, unsigned int n, uint64_t addr,
			uint32_t length, uint16_t flags, uint16_t next)
{
	struct vring_desc *d = (struct vring_desc *)(bench->mem + RING(q)) + n;

	*d = (struct vring_desc){ htole64(addr), htole32(length), htole16(flags), htole16(next) };
}

static inline void offer(struct bench *bench, unsigned int q, uint16_t head)
{
	uint16_t *avail = (uint16_t *)(bench->mem + RING(q) + 0x1000);

	avail[2 + bench->avail[q] % RING_SIZE] = htole16(head);
	avail[1] = htole16(++bench->avail[q]);
}

static inline uint16_t used_index(const struct bench *bench, unsigned int q)
{
	return le16toh(((volatile uint16_t *)(bench->mem + RING(q) + 0x2000))[1]);
}

static inline uint32_t used_length(const struct bench *bench, unsigned int q, uint16_t n)
{
	return le32toh(((uint32_t *)(bench->mem + RING(q) + 0x2004))[2 * (n % RING_SIZE) + 1]);
}

static inline void ring(struct bench *bench, unsigned int q)
{
	put_reg(bench->vf, BAR_NOTIFY + NOTIFY_MULTIPLIER * q, 2, q);
}

static inline void turn(struct bench *bench)
{
	vf_ring_turn(bench->owner.ring, 0);
}

static inline void until_used(struct bench *bench, unsigned int q, uint16_t index)
{
	uint64_t end = vf_now_ns() + LIMIT_NS;

	while (used_index(bench, q) != index) {
		assert_true(vf_now_ns() < end);
		vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
	}
}

/* A request in descriptors 0, 1, 2 of queue @q: header, @bytes of data, status. */
static inline void blk(struct bench *bench, unsigned int q, uint32_t type, uint64_t sector,
		       uint32_t bytes)
{
	struct virtio_blk_outhdr *header = (void *)(bench->mem + BUFFERS + q * 0x10000);
	uint64_t at = GUEST_IOVA + BUFFERS + q * 0x10000;

	*header = (struct virtio_blk_outhdr){ htole32(type), 0, htole64(sector) };
	bench->mem[BUFFERS + q * 0x10000 + 0x800] = 0xff;
	desc(bench, q, 0, at, sizeof(*header), VRING_DESC_F_NEXT, bytes ? 1 : 2);
	desc(bench, q, 1, at + 0x1000, bytes,
	     VRING_DESC_F_NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE), 2);
	desc(bench, q, 2, at + 0x800, 1, VRING_DESC_F_WRITE, 0);
	offer(bench, q, 0);
}

static inline uint8_t *blk_data(struct bench *bench, unsigned int q)
{
	return bench->mem + BUFFERS + q * 0x10000 + 0x1000;
}

static inline uint8_t blk_status(const struct bench *bench, unsigned int q)
{
	return bench->mem[BUFFERS + q * 0x10000 + 0x800];
}

static inline uint8_t blk_do(struct bench *bench, unsigned int q, uint32_t type, uint64_t sector,
			     uint32_t bytes)
{
	uint16_t index = (uint16_t)(used_index(bench, q) + 1);

	blk(bench, q, type, sector, bytes);
	ring(bench, q);
	until_used(bench, q, index);
	return blk_status(bench, q);
}

static inline bool needs_reset(struct bench *bench)
{
	return get_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

#endif

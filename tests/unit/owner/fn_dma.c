// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fn_bench.h"

#define RW (VFIO_USER_DMA_F_READ | VFIO_USER_DMA_F_WRITE)

static int memory(uint64_t bytes)
{
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void ranges_never_overlap(void **state)
{
	int fd = memory(1 << 20);
	struct dma dma = { 0 };

	assert_int_equal(dma_map(&dma, 0x10000, 0x4000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x20000, 0x4000, 0, RW, fd, NULL), 0);
	for (uint64_t at = 0xd000; at < 0x14000; at += 0x1000)
		assert_int_equal(dma_map(&dma, at, 0x4000, 0, RW, fd, NULL), -EEXIST);
	assert_int_equal(dma_map(&dma, 0x8000, 0x40000, 0, RW, fd, NULL), -EEXIST);
	assert_int_equal(dma_map(&dma, 0xc000, 0x4000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x14000, 0xc000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma.count, 4);
	assert_int_equal(dma.object_count, 1);
	dma_free(&dma);
	close(fd);
}

static void overflow_and_odd_ranges_are_refused(void **state)
{
	static const uint64_t bad[][3] = {
		{ 0, 0, 0 },
		{ 1, 0x1000, 0 },
		{ 0, 0x1001, 0 },
		{ 0, 0x1000, 1 },
		{ UINT64_MAX - 0xfff, 0x2000, 0 },
		{ 0, 0x1000, UINT64_MAX - 0xfff },
		{ 0, 0x2000, UINT64_MAX - 0xfff },
		{ 0, 0x101000, 0 },
		{ 0, 0x1000, 0x100000 },
		{ 0, UINT64_MAX & ~0xfffULL, 0x1000 },
	};
	int fd = memory(1 << 20);
	struct dma dma = { 0 };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dma_map(&dma, bad[i][0], bad[i][1], bad[i][2], RW, fd, NULL),
				 -EINVAL);
	assert_int_equal(dma_map(&dma, 0, 0x1000, 0, 0, fd, NULL), -EINVAL);
	assert_int_equal(dma_map(&dma, 0, 0x1000, 0, 8, fd, NULL), -EINVAL);
	assert_int_equal(dma.count, 0);
	/* The very last page is a page like any other. */
	assert_int_equal(dma_map(&dma, UINT64_MAX - 0xfff, 0x1000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, UINT64_MAX - 0xfff, 0x1000, 0, RW, fd, NULL), -EEXIST);
	dma_free(&dma);
	close(fd);
}

static void only_shared_memory_is_taken(void **state)
{
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), event = eventfd(0, EFD_CLOEXEC);
	int sealed = memory(4096), self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct dma dma = { 0 };

	assert_int_equal(dma_map(&dma, 0, 4096, 0, RW, zero, NULL), -EINVAL);
	assert_int_equal(dma_map(&dma, 0, 4096, 0, RW, event, NULL), -EINVAL);
	assert_int_equal(dma_map(&dma, 0, 4096, 0, VFIO_USER_DMA_F_READ, self, NULL), -EINVAL);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_true(dma_map(&dma, 0, 4096, 0, RW, sealed, NULL) < 0);
	assert_int_equal(dma_map(&dma, 0, 4096, 0, RW, 9999, NULL), -EINVAL);
	dma_free(&dma);
	close(zero);
	close(event);
	close(sealed);
	close(self);
}

static void translation_is_exact(void **state)
{
	int fd = memory(1 << 20);
	struct dma dma = { 0 };
	struct iovec iov[4];

	assert_int_equal(dma_map(&dma, 0x1000, 0x2000, 0x0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x3000, 0x1000, 0x2000, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x4000, 0x1000, 0x8000, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x5000, 0x1000, 0x9000, VFIO_USER_DMA_F_READ, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x6000, 0x1000, 0, RW, -1, NULL), 0);
	/* Neighbours in memory are one piece. */
	assert_int_equal(dma_translate(&dma, 0x1800, 0x2000, RW, iov, 4), 1);
	assert_int_equal(iov[0].iov_len, 0x2000);
	assert_int_equal(dma_translate(&dma, 0x3ffc, 8, RW, iov, 4), 2);
	assert_int_equal(iov[0].iov_len, 4);
	assert_int_equal(dma_translate(&dma, 0x3ffc, 8, RW, iov, 1), -E2BIG);
	assert_int_equal(dma_translate(&dma, 0x4ffc, 8, VFIO_USER_DMA_F_WRITE, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, 0x4ffc, 8, VFIO_USER_DMA_F_READ, iov, 4), 2);
	assert_int_equal(dma_translate(&dma, 0x6000, 1, VFIO_USER_DMA_F_READ, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, 0xfff, 1, RW, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, 0xfff, 2, RW, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, UINT64_MAX, 2, RW, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, 0x1000, UINT64_MAX, RW, iov, 4), -EFAULT);
	assert_int_equal(dma_translate(&dma, 0x1000, 0, RW, iov, 4), 0);
	dma_free(&dma);
	close(fd);
}

static void unmapping_takes_whole_ranges(void **state)
{
	int fd = memory(1 << 20);
	struct dma dma = { 0 };
	uint64_t generation;

	assert_int_equal(dma_map(&dma, 0x1000, 0x2000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x8000, 0x2000, 0, VFIO_USER_DMA_F_READ, fd, NULL), 0);
	assert_int_equal(dma.object_count, 2); /* one may be written, one not */
	assert_int_equal(dma_unmap(&dma, 0x1000, 0x1000), -EINVAL);
	assert_int_equal(dma_unmap(&dma, 0x2000, 0x1000), -EINVAL);
	assert_int_equal(dma_unmap(&dma, 0, 0x9000), -EINVAL);
	assert_int_equal(dma_unmap(&dma, 0, 0), -EINVAL);
	assert_int_equal(dma_unmap(&dma, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(dma.count, 2);
	generation = dma.generation;
	assert_int_equal(dma_unmap(&dma, 0x1000, 0x2000), 0);
	assert_int_not_equal(dma.generation, generation);
	assert_non_null(dma.retired);
	assert_int_equal(dma.object_count, 2);
	dma_reap(&dma);
	assert_int_equal(dma.object_count, 1);
	/* Nothing there: nothing to do. All there is: gone. */
	generation = dma.generation;
	assert_int_equal(dma_unmap(&dma, 0x1000, 0x2000), 0);
	assert_int_equal(dma.generation, generation);
	assert_int_equal(dma_map(&dma, 0x1000, 0x2000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_unmap(&dma, 0x800, UINT64_MAX - 0x7ff), 0);
	assert_int_equal(dma.count, 0);
	dma_free(&dma);
	close(fd);
}

static void limits_hold(void **state)
{
	int fd = memory(1 << 20), big;
	struct dma dma = { 0 };
	unsigned int i;

	for (i = 0; i < DMA_RANGES_MAX; i++)
		if (dma_map(&dma, (uint64_t)i * 8192, 4096, 0, RW, fd, NULL))
			break;
	assert_int_equal(i, DMA_RANGES_MAX);
	assert_int_equal(dma_map(&dma, (uint64_t)i * 8192, 4096, 0, RW, fd, NULL), -ENOSPC);
	assert_int_equal(dma.object_count, 1);
	dma_unmap_all(&dma);
	dma_reap(&dma);
	for (i = 0; i <= DMA_OBJECTS_MAX; i++) {
		int one = memory(4096), ret = dma_map(&dma, i * 8192ULL, 4096, 0, RW, one, NULL);

		close(one);
		assert_int_equal(ret, i < DMA_OBJECTS_MAX ? 0 : -ENOSPC);
	}
	dma_unmap_all(&dma);
	dma_reap(&dma);
	big = memory(DMA_MAPPED_MAX + 4096);
	assert_int_equal(dma_map(&dma, 0, 4096, 0, RW, big, NULL), -ENOSPC);
	close(big);
	dma_free(&dma);
	close(fd);
}

static void a_truncated_object_reads_as_zeroes(void **state)
{
	int fd = memory(0x4000), other = memory(0x4000);
	struct dma dma = { 0 };
	struct iovec iov;

	guard_install();
	assert_int_equal(dma_map(&dma, 0, 0x4000, 0, RW, fd, NULL), 0);
	assert_int_equal(dma_map(&dma, 0x10000, 0x4000, 0, RW, other, NULL), 0);
	assert_int_equal(dma_translate(&dma, 0x2000, 8, RW, &iov, 1), 1);
	memset(iov.iov_base, 0xff, 8);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(dma_broken(&dma));
	assert_int_equal(*(volatile uint8_t *)iov.iov_base, 0);
	*(volatile uint8_t *)iov.iov_base = 1;
	assert_true(dma_broken(&dma));
	/* Grown again, it is still broken; the other one never was. */
	assert_int_equal(ftruncate(fd, 0x4000), 0);
	assert_int_equal(dma_unmap(&dma, 0, 0x4000), 0);
	dma_reap(&dma);
	assert_false(dma_broken(&dma));
	dma_free(&dma);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_never_overlap),
		cmocka_unit_test(overflow_and_odd_ranges_are_refused),
		cmocka_unit_test(only_shared_memory_is_taken),
		cmocka_unit_test(translation_is_exact),
		cmocka_unit_test(unmapping_takes_whole_ranges),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_truncated_object_reads_as_zeroes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

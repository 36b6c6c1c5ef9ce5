// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * VFIO without groups: no kernel that Debian ships has it, so its calls are answered here, at the level of ioctl(2). What is
 * shown is what the kernel is told, and that each of its errors is named and leaves nothing open; not that a kernel agrees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/vfio_cdev.h"
#include "bus/vfio_uapi.h"

#define TOKEN "14d63f20-8445-11ea-8900-1f9ce7d5650d"

static struct {
	int device, iommufd;
	unsigned long fail; /* request, or 1: the node, 2: /dev/iommu */
	int code;
	struct vf_uapi_bind bind;
	uint8_t token[16];
	struct vf_uapi_attach attach;
	struct vf_uapi_ioas_map map;
	struct vf_uapi_ioas_unmap unmap;
	uint64_t unmapped; /* 0: all */
} fake;

static int fake_open(const char *path)
{
	bool node = !strcmp(path, "/dev/vfio/devices/vfio3");
	int fd;

	assert_true(node || !strcmp(path, "/dev/iommu"));
	if (fake.fail == (node ? 1 : 2)) {
		errno = fake.code;
		return -1;
	}
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	*(node ? &fake.device : &fake.iommufd) = fd;
	return fd;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct vf_uapi_ioas_ranges *ranges = arg;
	struct vf_uapi_ioas_alloc *alloc = arg;
	struct vf_uapi_ioas_unmap *unmap = arg;
	struct vf_uapi_range *found;

	assert_int_equal(fd, request == VF_VFIO_BIND || request == VF_VFIO_ATTACH ? fake.device
										  : fake.iommufd);
	if (fake.fail == request) {
		errno = fake.code;
		return -1;
	}
	switch (request) {
	case VF_VFIO_BIND:
		memcpy(&fake.bind, arg, *(__u32 *)arg);
		if (fake.bind.flags)
			memcpy(fake.token, (void *)(uintptr_t)fake.bind.token, 16);
		return 0;
	case VF_VFIO_ATTACH:
		memcpy(&fake.attach, arg, sizeof(fake.attach));
		return 0;
	case VF_IOAS_ALLOC:
		assert_int_equal(alloc->size, sizeof(*alloc));
		assert_int_equal(alloc->flags, 0);
		alloc->out_ioas = 7;
		return 0;
	case VF_IOAS_RANGES:
		assert_int_equal(ranges->size, sizeof(*ranges));
		assert_int_equal(ranges->ioas, 7);
		assert_int_equal(ranges->reserved, 0);
		assert_true(ranges->count >= 2);
		found = (struct vf_uapi_range *)(uintptr_t)ranges->ranges;
		found[0] = (struct vf_uapi_range){ 0, 0xfedfffff };
		found[1] = (struct vf_uapi_range){ 0xfef00000, (1ULL << 39) - 1 };
		ranges->count = 2;
		return 0;
	case VF_IOAS_MAP:
		memcpy(&fake.map, arg, sizeof(fake.map));
		return 0;
	case VF_IOAS_UNMAP:
		memcpy(&fake.unmap, arg, sizeof(fake.unmap));
		if (fake.unmapped)
			unmap->length = fake.unmapped;
		return 0;
	}
	fail_msg("ioctl 0x%lx", request);
	return -1;
}

static const struct vf_vfio_kernel kernel = { .open = fake_open, .ioctl = fake_ioctl };

static struct vf_vfio_place place = { .bdf = "0000:65:00.0", .group = 12 };
static char root[128];

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int make_place(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char path[400];

	snprintf(root, sizeof(root), "%.100s/cdev-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root))
		return -1;
	snprintf(place.folder, sizeof(place.folder), "%s", root);
	snprintf(path, sizeof(path), "%s/vfio-dev", root);
	if (mkdir(path, 0700))
		return -1;
	strcat(path, "/vfio3");
	return mkdir(path, 0700);
}

static int remove_place(void **state)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/vfio-dev/vfio3", root);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/vfio-dev", root);
	rmdir(path);
	return rmdir(root);
}

static int again(void **state)
{
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static void groups_come_first(void **state)
{
	char path[400];

	assert_true(vf_vfio_cdev_is(&place, root));
	snprintf(path, sizeof(path), "%s/vfio", root);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/12");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(vf_vfio_cdev_is(&place, root));
	rmdir(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
	assert_true(vf_vfio_cdev_is(&place, root));
}

static void the_kernel_is_told_what_it_expects(void **state)
{
	unsigned int before = open_fds();
	struct vf_vfio_group group;
	char memory[16];

	assert_int_equal(vf_vfio_cdev_open(&group, &place, NULL, &kernel, NULL), 0);
	/* As a kernel below 6.17 knows it: without the token's place. */
	assert_int_equal(fake.bind.argsz, 16);
	assert_int_equal(fake.bind.flags, 0);
	assert_int_equal(fake.bind.iommufd, group.iommufd);
	assert_int_equal(fake.attach.argsz, sizeof(fake.attach));
	assert_int_equal(fake.attach.pt_id, 7);
	assert_int_equal(group.container, -1);
	assert_int_equal(group.group, -1);
	assert_int_equal(group.ranges_count, 2);
	assert_int_equal(group.ranges[1].last, (1ULL << 39) - 1);
	assert_int_equal(
		vf_vfio_cdev_map(&group, "x", 0x10000000, memory, 4096, true, &kernel, NULL), 0);
	assert_int_equal(fake.map.size, sizeof(fake.map));
	assert_int_equal(fake.map.flags, VF_IOAS_FIXED | VF_IOAS_READABLE | VF_IOAS_WRITEABLE);
	assert_int_equal(fake.map.ioas, 7);
	assert_int_equal(fake.map.memory, (uintptr_t)memory);
	assert_int_equal(fake.map.length, 4096);
	assert_int_equal(fake.map.iova, 0x10000000);
	assert_int_equal(
		vf_vfio_cdev_map(&group, "x", 0x20000000, memory, 4096, false, &kernel, NULL), 0);
	assert_int_equal(fake.map.flags, VF_IOAS_FIXED | VF_IOAS_READABLE);
	assert_int_equal(vf_vfio_cdev_unmap(&group, "x", 0x10000000, 4096, &kernel, NULL), 0);
	assert_int_equal(fake.unmap.size, sizeof(fake.unmap));
	assert_int_equal(fake.unmap.ioas, 7);
	assert_int_equal(fake.unmap.iova, 0x10000000);
	fake.unmapped = 2048;
	assert_int_equal(vf_vfio_cdev_unmap(&group, "x", 0x10000000, 4096, &kernel, NULL), -EIO);
	vf_vfio_group_close(&group);
	assert_int_equal(open_fds(), before);
}

static void a_token_is_sixteen_bytes(void **state)
{
	static const uint8_t bytes[16] = { 0x14, 0xd6, 0x3f, 0x20, 0x84, 0x45, 0x11, 0xea,
					   0x89, 0x00, 0x1f, 0x9c, 0xe7, 0xd5, 0x65, 0x0d };
	struct vf_vfio_group group;

	assert_int_equal(vf_vfio_cdev_open(&group, &place, TOKEN, &kernel, NULL), 0);
	assert_int_equal(fake.bind.argsz, sizeof(fake.bind));
	assert_int_equal(fake.bind.flags, VF_VFIO_BIND_TOKEN);
	assert_memory_equal(fake.token, bytes, 16);
	vf_vfio_group_close(&group);
}

static void each_error_is_named_and_leaves_nothing_open(void **state)
{
	static const struct {
		unsigned long fail;
		int code;
		const char *token, *words;
	} cases[] = {
		{ 1, EACCES, NULL, "vfio-dev" },
		{ 1, ENODEV, NULL, "/dev/vfio/devices/vfio3" },
		{ 2, ENOENT, NULL, "modprobe iommufd" },
		{ VF_VFIO_BIND, EACCES, TOKEN, "is not the PF's" },
		{ VF_VFIO_BIND, EACCES, NULL, "needs a VF token" },
		{ VF_VFIO_BIND, EINVAL, TOKEN, "6.17" },
		{ VF_VFIO_BIND, EINVAL, NULL, "cannot be bound to iommufd" },
		{ VF_VFIO_BIND, EBUSY, NULL, "in use" },
		{ VF_IOAS_ALLOC, ENOMEM, NULL, "no address space" },
		{ VF_VFIO_ATTACH, EPERM, NULL, "allow_unsafe_interrupts" },
		{ VF_VFIO_ATTACH, EINVAL, NULL, "cannot be used" },
		{ VF_IOAS_RANGES, ENOENT, NULL, "addresses" },
	};
	unsigned int before = open_fds();

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vf_vfio_group group;
		struct vferry_error err;

		memset(&fake, 0, sizeof(fake));
		fake.fail = cases[i].fail;
		fake.code = cases[i].code;
		assert_int_equal(vf_vfio_cdev_open(&group, &place, cases[i].token, &kernel, &err),
				 -cases[i].code);
		if (!strstr(err.text, cases[i].words))
			fail_msg("case %u: %s", i, err.text);
		assert_int_equal(group.device, -1);
		assert_int_equal(group.iommufd, -1);
		assert_int_equal(open_fds(), before);
	}
}

static void more_ranges_than_there_is_room_for(void **state)
{
	struct vf_vfio_group group;

	fake.fail = VF_IOAS_RANGES;
	fake.code = EMSGSIZE;
	assert_int_equal(vf_vfio_cdev_open(&group, &place, NULL, &kernel, NULL), 0);
	assert_int_equal(group.ranges_count, 0);
	vf_vfio_group_close(&group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(groups_come_first, again),
		cmocka_unit_test_setup(the_kernel_is_told_what_it_expects, again),
		cmocka_unit_test_setup(a_token_is_sixteen_bytes, again),
		cmocka_unit_test_setup(each_error_is_named_and_leaves_nothing_open, again),
		cmocka_unit_test_setup(more_ranges_than_there_is_room_for, again),
	};

	return cmocka_run_group_tests(tests, make_place, remove_place);
}

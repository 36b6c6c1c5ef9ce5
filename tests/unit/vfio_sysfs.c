// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is in the way of a PF on kernel VFIO, from a sysfs of our own making; the kernel's answers about regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/vf_reset.h"
#include "bus/vfio_group.h"
#include "bus/vfio_region.h"

#define PF "0000:65:00.0"

static char root[128];

static const char *at(const char *format, ...)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];
	int used = snprintf(path, sizeof(paths[0]), "%s/", root);
	va_list args;

	va_start(args, format);
	vsnprintf(path + used, sizeof(paths[0]) - (size_t)used, format, args);
	va_end(args);
	return path;
}

static void folder(const char *name)
{
	char path[512];

	strcpy(path, at("%s", name));
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	assert_true(!mkdir(path, 0700) || errno == EEXIST);
}

static void file(const char *name, const char *text)
{
	FILE *to = fopen(at("%s", name), "w");

	assert_non_null(to);
	fputs(text, to);
	fclose(to);
}

static void device(const char *bdf, const char *driver, unsigned int group)
{
	char path[300];

	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	folder(path);
	snprintf(path, sizeof(path), "kernel/iommu_groups/%u/devices", group);
	folder(path);
	snprintf(path, sizeof(path), "kernel/iommu_groups/%u/devices/%s", group, bdf);
	file(path, "");
	if (driver) {
		snprintf(path, sizeof(path), "bus/pci/drivers/%s", driver);
		folder(path);
		assert_int_equal(symlink(at("%s", path), at("bus/pci/devices/%s/driver", bdf)), 0);
	}
	if (group)
		assert_int_equal(symlink(at("kernel/iommu_groups/%u", group),
					 at("bus/pci/devices/%s/iommu_group", bdf)),
				 0);
}

static int set_up(void **state)
{
	snprintf(root, sizeof(root), "%.80s/sysfs.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(root) ? 0 : -1;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static int find(const char *bdf, struct vf_vfio_place *place, struct vferry_error *err)
{
	return vf_vfio_find(place, root, bdf, err);
}

static void addresses_have_one_shape(void **state)
{
	static const char *const wrong[] = { "",
					     "65:00.0",
					     "0000:65:00.8",
					     "0000:65:00.",
					     "0000:65:00.0 ",
					     "0000:65:0g.0",
					     "0000:6A:00.0",
					     "0000.65.00.0",
					     "0000:65:00.0/../x",
					     "0000:65:00.00",
					     "../../../etc" };
	struct vf_vfio_place place;
	struct vferry_error err;

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(find(wrong[i], &place, &err), -EINVAL);
	assert_int_equal(find("0000:6a:1f.7", &place, &err), -ENODEV);
	assert_non_null(strstr(err.text, "no such PCI device"));
}

static void a_wrong_driver_is_named_with_the_way_out(void **state)
{
	struct vf_vfio_place place;
	struct vferry_error err;

	device(PF, "virtio-pci", 12);
	assert_int_equal(find(PF, &place, &err), -EBUSY);
	assert_non_null(strstr(err.text, "the driver virtio-pci"));
	assert_non_null(strstr(err.text, "modprobe vfio-pci"));
	assert_non_null(strstr(err.text, "driver/unbind"));
	assert_null(strstr(err.text, "sriov_numvfs"));
	folder("bus/pci/drivers/vfio-pci");
	file("bus/pci/devices/" PF "/sriov_numvfs", "4\n");
	assert_int_equal(find(PF, &place, &err), -EBUSY);
	assert_null(strstr(err.text, "modprobe"));
	assert_non_null(strstr(err.text, "echo 0 >sriov_numvfs"));
}

static void no_driver_needs_no_unbinding(void **state)
{
	struct vf_vfio_place place;
	struct vferry_error err;

	device(PF, NULL, 12);
	assert_int_equal(find(PF, &place, &err), -EBUSY);
	assert_non_null(strstr(err.text, "no driver"));
	assert_null(strstr(err.text, "unbind"));
}

static void without_iommu_there_is_no_vfio(void **state)
{
	struct vf_vfio_place place;
	struct vferry_error err;

	device(PF, "vfio-pci", 0);
	assert_int_equal(find(PF, &place, &err), -ENODEV);
	assert_non_null(strstr(err.text, "intel_iommu=on"));
}

static void the_group_and_its_members(void **state)
{
	struct vf_vfio_place place;
	struct vferry_error err;

	device(PF, "vfio-pci", 12);
	device("0000:65:00.1", "e1000e", 12);
	device("0000:64:00.0", "pcieport", 12);
	device("0000:65:00.2", NULL, 12);
	assert_int_equal(find(PF, &place, &err), 0);
	assert_int_equal(place.group, 12);
	assert_int_equal(vf_vfio_not_viable(&place, &err), -EPERM);
	assert_non_null(strstr(err.text, "0000:65:00.1 (e1000e)"));
	assert_null(strstr(err.text, "0000:64:00.0"));
	assert_null(strstr(err.text, "0000:65:00.2"));
	assert_null(strstr(err.text, PF " ("));
}

static void variant_drivers_are_vfio_too(void **state)
{
	struct vf_vfio_place place;

	device(PF, "virtio-vfio-pci", 3);
	assert_int_equal(find(PF, &place, NULL), 0);
	device("0000:65:00.1", "vfio-platform", 3);
	assert_int_equal(find("0000:65:00.1", &place, NULL), -EBUSY);
}

static void numbers_of_vfs(void **state)
{
	struct vf_vfio_place place;
	struct vferry_error err;

	device(PF, "vfio-pci", 12);
	assert_int_equal(find(PF, &place, &err), 0);
	assert_int_equal(vf_vfio_attribute(&place, "sriov_totalvfs"), -ENOENT);
	assert_int_equal(vf_vfio_set_vfs(&place, 2, &err), -ENOENT);
	file("bus/pci/devices/" PF "/sriov_totalvfs", "8\n");
	file("bus/pci/devices/" PF "/sriov_numvfs", "0\n");
	assert_int_equal(vf_vfio_attribute(&place, "sriov_totalvfs"), 8);
	assert_int_equal(vf_vfio_set_vfs(&place, 2, &err), 0);
	assert_int_equal(vf_vfio_attribute(&place, "sriov_numvfs"), 2);
}

static void tokens_are_uuids(void **state)
{
	char made[37], other[37];

	assert_int_equal(vf_vfio_token_make(made, NULL), 0);
	assert_int_equal(vf_vfio_token_make(other, NULL), 0);
	assert_true(vf_vfio_token_valid(made));
	assert_string_not_equal(made, other);
	assert_true(vf_vfio_token_valid("14d63f20-8445-11ea-8900-1f9ce7d5650d"));
	assert_false(vf_vfio_token_valid(""));
	assert_false(vf_vfio_token_valid("14d63f20-8445-11ea-8900-1f9ce7d5650"));
	assert_false(vf_vfio_token_valid("14d63f20-8445-11ea-8900-1f9ce7d5650d "));
	assert_false(vf_vfio_token_valid("14d63f2008445-11ea-8900-1f9ce7d5650d"));
	assert_false(vf_vfio_token_valid("14d63f20-8445-11ea-8900-1f9ce7d5650d vf_token=x"));
}

struct answer {
	struct vfio_region_info info;
	struct { /* vfio_region_info_cap_sparse_mmap, without its open end */
		struct vfio_info_cap_header header;
		uint32_t nr_areas, reserved;
	} head;
	struct vfio_region_sparse_mmap_area areas[2];
};

static struct answer sparse_answer(void)
{
	return (struct answer){
		.info = { .argsz = sizeof(struct answer),
			  .flags = VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
			  .cap_offset = offsetof(struct answer, head),
			  .size = 0x10000 },
		.head = { .header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1 },
			  .nr_areas = 2 },
		.areas = { { .offset = 0, .size = 0x1000 }, { .offset = 0x4000, .size = 0x2000 } },
	};
}

static void sparse_areas(void **state)
{
	struct vf_vfio_region region = { .size = 0x10000 };
	struct answer answer = sparse_answer();

	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	assert_int_equal(region.areas_count, 2);
	assert_int_equal(region.areas[1].offset, 0x4000);
	/* Outside of the region: left out. */
	answer.areas[1].size = 0x20000;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	assert_int_equal(region.areas_count, 1);
	/* No list: all of it. */
	answer.info.flags = VFIO_REGION_INFO_FLAG_MMAP;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	assert_int_equal(region.areas_count, 1);
	assert_int_equal(region.areas[0].size, 0x10000);
	answer.info.flags = 0;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	assert_int_equal(region.areas_count, 0);
}

static void answers_that_lie(void **state)
{
	struct vf_vfio_region region = { .size = 0x10000 };
	struct answer answer = sparse_answer();
	char *exact;

	for (size_t bytes = 0; bytes <= sizeof(answer); bytes++) {
		exact = malloc(bytes ? bytes : 1);
		memcpy(exact, &answer, bytes);
		vf_vfio_region_areas(&region, exact, bytes);
		free(exact);
	}
	answer.head.header.id = 77;
	answer.head.header.next = offsetof(struct answer, head);
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	answer.head.header.next = UINT32_MAX;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	answer.info.cap_offset = UINT32_MAX;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	answer = sparse_answer();
	answer.head.nr_areas = UINT32_MAX;
	vf_vfio_region_areas(&region, &answer, sizeof(answer));
	assert_int_equal(region.areas_count, 2);
}

static void memlock_is_computed_before_the_kernel_refuses(void **state)
{
	struct rlimit found, eight = { .rlim_cur = 8 << 20, .rlim_max = 8 << 20 };
	struct vferry_error err = { 0 };
	int ret;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &found), 0);
	eight.rlim_max = found.rlim_max;
	if (eight.rlim_cur > found.rlim_max)
		eight.rlim_cur = found.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &eight), 0);
	assert_int_equal(vf_vfio_memlock(PF, 4096, &err), 0);
	ret = vf_vfio_memlock(PF, 1ULL << 40, &err);
	setrlimit(RLIMIT_MEMLOCK, &found);
	/* Who may lock without a limit is not held up. */
	if (ret) {
		assert_int_equal(ret, -ENOMEM);
		assert_non_null(strstr(err.text, "RLIMIT_MEMLOCK"));
		assert_non_null(strstr(err.text, "ulimit -l 1073741824"));
	}
}

static void a_vf_is_reset_by_its_number(void **state)
{
	struct vferry_error err;
	char text[8] = "";
	FILE *from;

	folder("bus/pci/devices/" PF "/virtfn2");
	file("bus/pci/devices/" PF "/virtfn2/reset", "");
	assert_int_equal(vf_vf_reset(root, "vfio:" PF, 3, &err), 0);
	from = fopen(at("bus/pci/devices/" PF "/virtfn2/reset"), "r");
	assert_non_null(from);
	assert_non_null(fgets(text, sizeof(text), from));
	fclose(from);
	assert_string_equal(text, "1");
	assert_int_equal(vf_vf_reset(root, "uring-cmd:/dev/vferry/" PF, 3, &err), 0);
	/* No such VF; and owners whose VFs the host does not see. */
	assert_int_equal(vf_vf_reset(root, "vfio:" PF, 2, &err), -ENOENT);
	assert_int_equal(vf_vf_reset(root, "vfio:" PF, 0, &err), -EOPNOTSUPP);
	assert_int_equal(vf_vf_reset(root, "vfio:../" PF, 3, &err), -EOPNOTSUPP);
	assert_int_equal(vf_vf_reset(root, "vfio-user:/run/" PF, 3, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "no PCI functions"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_SYSFS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_SYSFS(addresses_have_one_shape),
		IN_SYSFS(a_wrong_driver_is_named_with_the_way_out),
		IN_SYSFS(no_driver_needs_no_unbinding),
		IN_SYSFS(without_iommu_there_is_no_vfio),
		IN_SYSFS(the_group_and_its_members),
		IN_SYSFS(variant_drivers_are_vfio_too),
		IN_SYSFS(numbers_of_vfs),
		IN_SYSFS(a_vf_is_reset_by_its_number),
		cmocka_unit_test(tokens_are_uuids),
		cmocka_unit_test(sparse_areas),
		cmocka_unit_test(answers_that_lie),
		cmocka_unit_test(memlock_is_computed_before_the_kernel_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "bus/lent.h"

static void every_request_survives_the_wire(void **state)
{
	static const enum vf_keeper_op ops[] = {
		VF_KEEPER_BORROW,  VF_KEEPER_RETURN, VF_KEEPER_KICK,
		VF_KEEPER_RESET,   VF_KEEPER_STATUS, VF_KEEPER_STOP,
		VF_KEEPER_DEPOSIT, VF_KEEPER_FETCH,  VF_KEEPER_FORGET,
	};
	uint8_t bytes[VF_KEEPER_REQUEST_MAX];

	for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct vf_keeper_request in = { .op = ops[i] }, out;
		struct vferry_error err;
		size_t count;

		if (in.op == VF_KEEPER_BORROW) {
			in.flags = VF_KEEPER_F_WAIT | VF_KEEPER_F_ALONE;
			in.arena_bytes = 0x123456789aULL;
			vf_vfset_add(&in.vfs, 1);
			vf_vfset_add(&in.vfs, 255);
		} else if (in.op == VF_KEEPER_STATUS) {
			in.flags = VF_KEEPER_ASK_SIZES;
		} else if (in.op == VF_KEEPER_RESET || in.op == VF_KEEPER_STOP) {
			in.ns = 77777777777ULL;
		} else if (in.op >= VF_KEEPER_DEPOSIT) {
			in.vf = 255;
			memset(in.id, 0xa5, sizeof(in.id));
		}
		count = vf_keeper_encode(&in, bytes);
		assert_true(count <= sizeof(bytes));
		assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		/* A byte less or more, another version, another length in the header. */
		for (size_t n = 0; n < count; n++)
			assert_int_equal(vf_keeper_decode(bytes, n, &out, &err), -EPROTO);
		bytes[2] ^= 1;
		assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), -EPROTO);
		assert_non_null(strstr(err.text, "version"));
		bytes[2] ^= 1;
		bytes[4]++;
		assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), -EPROTO);
	}
}

static void reserved_bits_and_vf_zero_are_refused(void **state)
{
	struct vf_keeper_request in = { .op = VF_KEEPER_BORROW }, out;
	uint8_t bytes[VF_KEEPER_REQUEST_MAX];
	size_t count = vf_keeper_encode(&in, bytes);
	struct vferry_error err;

	bytes[8] = 4;
	assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), -EPROTO);
	bytes[8] = 0;
	bytes[12] = 1;
	assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), -EPROTO);
	bytes[12] = 0;
	bytes[24] = 1;
	assert_int_equal(vf_keeper_decode(bytes, count, &out, &err), -EPROTO);
	assert_non_null(strstr(err.text, "VF 0"));
	for (unsigned int op = 0; op < 65536; op++) {
		memcpy(bytes,
		       &(struct vf_keeper_hdr){ htole16((uint16_t)op), htole16(1), htole32(8) }, 8);
		if (op != VF_KEEPER_RETURN && op != VF_KEEPER_KICK)
			assert_int_equal(vf_keeper_decode(bytes, 8, &out, &err), -EPROTO);
	}
}

static struct vf_lease a_lease(void)
{
	struct vf_lease lease = {
		.queue = 2,
		.queue_size = 128,
		.event_idx = true,
		.can_reset = true,
		.rings_fd = 10,
		.rings_bytes = 1 << 20,
		.rings_iova = 0x10000000,
		.avail_offset = 2048,
		.used_offset = 2368,
		.commands_offset = 4096,
		.doorbell = VF_DOORBELL_EVENTFD,
		.kick_fd = 12,
		.call_fd = 11,
		.notify_fd = -1,
		.arena_fd = 13,
		.arena_bytes = 1 << 20,
		.arena_iova = 0x1000000000,
		.num_vfs = 8,
		.list = 0x3f83,
		.generation = 7,
	};

	vf_vfset_add(&lease.vfs, 3);
	memset(lease.epoch, 0xe5, sizeof(lease.epoch));
	return lease;
}

static void a_lease_survives_the_wire(void **state)
{
	struct vf_lease in = a_lease(), out = { 0 };
	struct vf_keeper_lent message;
	int fds[VF_KEEPER_FDS];
	unsigned int count = vf_keeper_put_lent(&message, fds, &in);

	assert_int_equal(count, 4);
	assert_int_equal(vf_keeper_get_lent(&message, sizeof(message), fds, count, &out, NULL), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	in.arena_bytes = 0;
	in.arena_fd = -1;
	in.doorbell = VF_DOORBELL_RELAY;
	count = vf_keeper_put_lent(&message, fds, &in);
	assert_int_equal(count, 2);
	assert_int_equal(vf_keeper_get_lent(&message, sizeof(message), fds, count, &out, NULL), 0);
	assert_int_equal(out.arena_fd, -1);
	assert_int_equal(out.kick_fd, -1);
}

static void a_lease_that_does_not_add_up_is_refused(void **state)
{
	struct vf_lease bad[] = {
		a_lease(), a_lease(), a_lease(), a_lease(), a_lease(), a_lease()
	};
	struct vf_lease out = { 0 };
	struct vf_keeper_lent message;
	int fds[VF_KEEPER_FDS];

	bad[0].queue_size = 100;
	bad[1].queue_size = 0;
	bad[2].used_offset = (1 << 20) - 8;
	bad[3].avail_offset = 2049;
	bad[4].rings_bytes = 100;
	bad[5].commands_offset = 1 << 20;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned int count = vf_keeper_put_lent(&message, fds, &bad[i]);

		assert_int_equal(
			vf_keeper_get_lent(&message, sizeof(message), fds, count, &out, NULL),
			-EPROTO);
	}
	/* Descriptors and mask must agree. */
	bad[0] = a_lease();
	vf_keeper_put_lent(&message, fds, &bad[0]);
	for (unsigned int count = 0; count < 4; count++)
		assert_int_equal(
			vf_keeper_get_lent(&message, sizeof(message), fds, count, &out, NULL),
			-EPROTO);
	message.doorbell = 9;
	assert_int_equal(vf_keeper_get_lent(&message, sizeof(message), fds, 4, &out, NULL),
			 -EPROTO);
}

static void an_answer_keeps_its_words(void **state)
{
	struct vf_keeper_result message;
	struct vferry_error err;
	char longer[2000];

	vf_keeper_put_result(&message, VF_KEEPER_RESULT, -EBUSY, "VF 3 is on loan");
	assert_int_equal(vf_keeper_get_result(&message, sizeof(message), &err), -EBUSY);
	assert_string_equal(err.text, "VF 3 is on loan");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	vf_keeper_put_result(&message, VF_KEEPER_RESULT, -EIO, longer);
	assert_int_equal(vf_keeper_get_result(&message, sizeof(message), &err), -EIO);
	assert_int_equal(strlen(err.text), sizeof(message.text) - 1);
	vf_keeper_put_result(&message, VF_KEEPER_RESULT, 0, NULL);
	assert_int_equal(vf_keeper_get_result(&message, sizeof(message), &err), 0);
	assert_int_equal(vf_keeper_get_result(&message, sizeof(message) - 1, &err), -EPROTO);
	message.code = htole32(0x80000000);
	assert_int_equal(vf_keeper_get_result(&message, sizeof(message), &err), -EPROTO);
}

static void a_report_of_another_size_is_refused(void **state)
{
	struct vf_keeper_report *report;
	struct vferry_error err;
	struct {
		struct vf_keeper_report_hdr hdr;
		struct vf_keeper_report_loan loan;
		struct vf_keeper_report_vf vf[2];
	} message = { 0 };

	message.hdr.hdr.op = htole16(VF_KEEPER_REPORT);
	message.hdr.hdr.version = htole16(VF_KEEPER_VERSION);
	message.hdr.hdr.bytes = htole32(sizeof(message));
	message.hdr.loans = htole16(1);
	message.hdr.vfs = htole16(2);
	strcpy((char *)message.hdr.address, "vfio-user:/x\033[2J");
	message.loan.pid = htole32(77);
	message.loan.vfs[0] = htole64(1 << 2);
	message.vf[0].vf = htole16(1);
	message.vf[0].mode = VF_KEEPER_MODE_UNKNOWN;
	message.vf[1].vf = htole16(2);
	message.vf[1].mode = VFERRY_MODE_FREEZE;
	assert_int_equal(vf_keeper_decode_report(&message, sizeof(message), &report, &err), 0);
	assert_string_equal(report->address, "vfio-user:/x?[2J");
	assert_int_equal(report->vfs[0].mode, -1);
	assert_int_equal(report->vfs[0].pid, 0);
	assert_int_equal(report->vfs[1].mode, VFERRY_MODE_FREEZE);
	assert_int_equal(report->vfs[1].pid, 77);
	vf_keeper_report_free(report);
	message.hdr.vfs = htole16(3);
	assert_int_equal(vf_keeper_decode_report(&message, sizeof(message), &report, &err),
			 -EPROTO);
	message.hdr.vfs = htole16(2);
	message.hdr.loans = htole16(0xffff);
	assert_int_equal(vf_keeper_decode_report(&message, sizeof(message), &report, &err),
			 -EPROTO);
	message.hdr.hdr.bytes = htole32(20);
	assert_int_equal(vf_keeper_decode_report(&message, 20, &report, &err), -EPROTO);
}

static void two_spellings_meet(void **state)
{
	char dir[] = "/tmp/vferry-unit-XXXXXX", path[PATH_MAX], link[PATH_MAX];
	char a[256], b[256], socket_a[PATH_MAX], socket_b[PATH_MAX], cwd[PATH_MAX];

	assert_non_null(mkdtemp(dir));
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	setenv("VFERRY_RUN_DIR", dir, 1);
	snprintf(path, sizeof(path), "%s/there", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(symlink(path, link), 0);
	/* A socket that is not there yet, by its folder's real path. */
	snprintf(path, sizeof(path), "vfio-user:%s/there/../link/pf0.sock", dir);
	assert_int_equal(vf_owner_address(path, a, sizeof(a), NULL), 0);
	assert_int_equal(vf_keeper_socket(path, socket_a, sizeof(socket_a), NULL), 0);
	assert_int_equal(chdir(link), 0);
	assert_int_equal(vf_owner_address("vfio-user:pf0.sock", b, sizeof(b), NULL), 0);
	assert_int_equal(vf_keeper_socket("vfio-user:./pf0.sock", socket_b, sizeof(socket_b), NULL),
			 0);
	assert_string_equal(a, b);
	assert_string_equal(socket_a, socket_b);
	assert_int_equal(strlen(strrchr(socket_a, '/') + 1), 16 + strlen(".sock"));
	assert_int_equal(vf_owner_address("vfio:65:0A.1", a, sizeof(a), NULL), 0);
	assert_string_equal(a, "vfio:0000:65:0a.1");
	assert_int_equal(vf_owner_address("vfio:0000:65:0a.1", b, sizeof(b), NULL), 0);
	assert_string_equal(a, b);
	assert_int_equal(vf_owner_address("vfio:65:00", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("vfio:65:00.0x", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("vfio:-65:00.0", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("vfio:", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("vfio-user:", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("vfio-user:/", a, sizeof(a), NULL), 0);
	/* Without a prefix the best way that there is: here no node of the kernel module. */
	assert_int_equal(vf_owner_address("65:0A.1", a, sizeof(a), NULL), 0);
	assert_string_equal(a, "vfio:0000:65:0a.1");
	assert_int_equal(vf_owner_address("/dev/null", a, sizeof(a), NULL), 0);
	assert_string_equal(a, "uring-cmd:/dev/null");
	assert_int_equal(vf_owner_address("/dev", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("/there/is/none", a, sizeof(a), NULL), -EINVAL);
	assert_true(vf_owner_address_bare("0000:65:0a.1"));
	assert_false(vf_owner_address_bare("vfio:0000:65:0a.1"));
	assert_int_equal(vf_owner_address("pci:1", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("uring-cmd:", a, sizeof(a), NULL), -EINVAL);
	assert_int_equal(vf_owner_address("uring-cmd:/dev/../dev/null", a, sizeof(a), NULL), 0);
	assert_string_equal(a, "uring-cmd:/dev/null");
	assert_int_equal(vf_keeper_socket(a, socket_a, sizeof(socket_a), NULL), -EPROTONOSUPPORT);
	assert_int_equal(chdir(cwd), 0);
	snprintf(path, sizeof(path), "%s/there", dir);
	rmdir(path);
	unlink(link);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_survives_the_wire),
		cmocka_unit_test(reserved_bits_and_vf_zero_are_refused),
		cmocka_unit_test(a_lease_survives_the_wire),
		cmocka_unit_test(a_lease_that_does_not_add_up_is_refused),
		cmocka_unit_test(an_answer_keeps_its_words),
		cmocka_unit_test(a_report_of_another_size_is_refused),
		cmocka_unit_test(two_spellings_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

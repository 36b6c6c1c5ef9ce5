// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vferry/admin.h>
#include "migrate/journal.h"

static char folder[] = "/tmp/vferry-journal-XXXXXX";

static struct vf_journal_record sample(uint8_t first)
{
	struct vf_journal_record record = {
		.role = VF_ROLE_SOURCE,
		.state = VFERRY_STATE_PRECOPY,
		.mode_found = VFERRY_MODE_ACTIVE,
		.vf = 3,
		.owner = "vfio-user:/tmp/pf0.sock",
		.peer = "unix:/tmp/p.sock",
	};

	memset(record.id, first, sizeof(record.id));
	memset(record.epoch, 7, sizeof(record.epoch));
	return record;
}

static int setup(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	return setenv("VFERRY_RUN_DIR", folder, 1);
}

static int teardown(void **state)
{
	char path[200];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, i ? "settled" : "journal");
		rmdir(path);
	}
	return rmdir(folder);
}

static int count_one(void *arg, const char *path, const struct vf_journal_record *record,
		     const struct vferry_error *why)
{
	int *counts = arg;

	counts[record ? 0 : 1]++;
	return 0;
}

static void states_are_read_back(void **state)
{
	struct vf_journal_record record = sample(1);
	struct vf_journal journal, again;
	struct vferry_error err;
	struct stat stat;
	int counts[2] = { 0 };

	assert_int_equal(vf_journal_create(&journal, &record, &err), 0);
	assert_int_equal(fstat(journal.fd, &stat), 0);
	assert_int_equal(stat.st_size, VF_JOURNAL_BYTES);
	assert_int_equal(stat.st_mode & 0777, 0600);
	assert_true(stat.st_blocks * 512 >= VF_JOURNAL_BYTES);
	for (enum vferry_state to = VFERRY_STATE_PRECOPY; to <= VFERRY_STATE_GONE; to++) {
		assert_int_equal(vf_journal_write(&journal, to, &err), 0);
		assert_int_equal(vf_journal_open(&again, journal.path, &err), 0);
		assert_int_equal(again.record.state, to);
		assert_int_equal(again.record.vf, 3);
		assert_string_equal(again.record.owner, record.owner);
		assert_memory_equal(again.record.id, record.id, 16);
		vf_journal_close(&again);
	}
	assert_int_equal(vf_journal_each(count_one, counts, &err), 0);
	assert_int_equal(counts[0], 1);
	assert_int_equal(vf_journal_find(&again, record.id, VF_ROLE_SOURCE, &err), 0);
	vf_journal_close(&again);
	assert_int_equal(vf_journal_find(&again, record.id, VF_ROLE_DESTINATION, &err), -ENOENT);
	assert_int_equal(vf_journal_create(&again, &record, &err), -EEXIST);
	assert_int_equal(vf_journal_check_free(record.owner, 3, &err), -EBUSY);
	assert_non_null(strstr(err.text, "already moving"));
	assert_int_equal(vf_journal_check_free(record.owner, 4, &err), 0);
	assert_int_equal(vf_journal_check_free("vfio-user:/other", 3, &err), 0);
	assert_int_equal(vf_journal_remove(&journal, &err), 0);
	assert_int_equal(vf_journal_check_free(record.owner, 3, &err), 0);
}

static void another_epoch_is_stale(void **state)
{
	struct vf_journal_record record = sample(2);
	struct vf_journal journal;
	struct vferry_error err;
	uint8_t other[16] = { 9 };

	assert_int_equal(vf_journal_create(&journal, &record, &err), 0);
	assert_int_equal(vf_journal_valid_here(&journal.record, record.epoch, &err), 0);
	assert_int_equal(vf_journal_valid_here(&journal.record, other, &err), -ESTALE);
	assert_non_null(strstr(err.text, "epoch"));
	journal.record.boot[3] ^= 1;
	assert_int_equal(vf_journal_valid_here(&journal.record, record.epoch, &err), -ESTALE);
	assert_non_null(strstr(err.text, "boot"));
	assert_int_equal(vf_journal_remove(&journal, &err), 0);
}

/* Whatever is torn off a write, the state before it or the new one is read, never anything else. */
static void a_torn_write_leaves_the_state_before(void **state)
{
	uint8_t before[VF_JOURNAL_BYTES], after[VF_JOURNAL_BYTES], torn[VF_JOURNAL_BYTES];
	struct vf_journal_record record = sample(3), read_back;
	struct vf_journal journal;
	struct vferry_error err;
	int old = 0, new = 0;

	assert_int_equal(vf_journal_create(&journal, &record, &err), 0);
	assert_int_equal(vf_journal_write(&journal, VFERRY_STATE_STOPPED, &err), 0);
	assert_int_equal(pread(journal.fd, before, sizeof(before), 0), sizeof(before));
	assert_int_equal(vf_journal_write(&journal, VFERRY_STATE_FROZEN, &err), 0);
	assert_int_equal(pread(journal.fd, after, sizeof(after), 0), sizeof(after));
	for (size_t cut = 0; cut <= sizeof(torn); cut++) {
		memcpy(torn, after, cut);
		memcpy(torn + cut, before + cut, sizeof(torn) - cut);
		assert_int_equal(vf_journal_parse(&read_back, torn, &err), 0);
		if (read_back.state == VFERRY_STATE_FROZEN)
			new ++;
		else if (read_back.state == VFERRY_STATE_STOPPED)
			old++;
	}
	assert_int_equal(old + new, (int)sizeof(torn) + 1);
	assert_true(old > 0 && new > 0);
	assert_int_equal(vf_journal_remove(&journal, &err), 0);
}

/* One damaged place: the other one counts. Both: refused by name, and left alone. */
static void every_flipped_byte_is_seen(void **state)
{
	struct vf_journal_record record = sample(4), read_back;
	uint8_t bytes[VF_JOURNAL_BYTES];
	struct vf_journal journal;
	struct vferry_error err;
	int refused = 0;

	assert_int_equal(vf_journal_create(&journal, &record, &err), 0);
	assert_int_equal(pread(journal.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (unsigned int at = 0; at < 664; at++) {
		bytes[at] ^= 0x10;
		bytes[at + VF_JOURNAL_BYTES / 2] ^= 0x10;
		refused += vf_journal_parse(&read_back, bytes, &err) != 0;
		bytes[at] ^= 0x10;
		assert_int_equal(vf_journal_parse(&read_back, bytes, &err) == -EPROTONOSUPPORT
					 ? 0
					 : vf_journal_parse(&read_back, bytes, &err),
				 0);
		bytes[at + VF_JOURNAL_BYTES / 2] ^= 0x10;
	}
	assert_int_equal(refused, 664);
	assert_int_equal(vf_journal_remove(&journal, &err), 0);
}

static void what_cannot_be_read_is_left_alone(void **state)
{
	struct vf_journal_record record = sample(5);
	struct vf_journal journal, again;
	struct vferry_error err;
	int counts[2] = { 0 };
	uint8_t version = 9;
	char path[512];

	assert_int_equal(vf_journal_create(&journal, &record, &err), 0);
	snprintf(path, sizeof(path), "%s", journal.path);
	assert_int_equal(pwrite(journal.fd, &version, 1, 8), 1);
	assert_int_equal(vf_journal_open(&again, path, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "version"));
	assert_int_equal(ftruncate(journal.fd, 100), 0);
	assert_int_equal(vf_journal_open(&again, path, &err), -EBADMSG);
	assert_int_equal(vf_journal_each(count_one, counts, &err), 0);
	assert_int_equal(counts[1], 1);
	/* It may be of any VF: nothing is begun. */
	assert_int_equal(vf_journal_check_free("vfio-user:/other", 1, &err), -EBUSY);
	assert_int_equal(access(path, F_OK), 0);
	vf_journal_close(&journal);
	assert_int_equal(unlink(path), 0);
	/* A link, a fifo: never followed, never waited for. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(vf_journal_open(&again, path, &err) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(vf_journal_open(&again, path, &err), -EBADMSG);
	assert_int_equal(unlink(path), 0);
}

static void a_group_has_members(void **state)
{
	struct vf_journal_record record = sample(9), again;
	uint8_t bytes[VF_JOURNAL_BYTES];
	struct vferry_error err;

	record.flags = VF_JOURNAL_TOGETHER;
	record.members = 3;
	memset(record.group, 9, sizeof(record.group));
	for (int place = 0; place < 2; place++) {
		record.sequence++;
		vf_journal_pack(bytes + place * VF_JOURNAL_BYTES / 2, &record);
	}
	assert_int_equal(vf_journal_parse(&again, bytes, &err), 0);
	assert_int_equal(again.members, 3);
	assert_memory_equal(again.group, record.group, sizeof(record.group));
	/* A number without a group, and a group without a number, cannot be. */
	for (int wrong = 0; wrong < 2; wrong++) {
		record.flags = wrong ? VF_JOURNAL_TOGETHER : 0;
		record.members = wrong ? 0 : 3;
		for (int place = 0; place < 2; place++)
			vf_journal_pack(bytes + place * VF_JOURNAL_BYTES / 2, &record);
		assert_int_equal(vf_journal_parse(&again, bytes, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "cannot be"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_are_read_back),
		cmocka_unit_test(another_epoch_is_stale),
		cmocka_unit_test(a_group_has_members),
		cmocka_unit_test(a_torn_write_leaves_the_state_before),
		cmocka_unit_test(every_flipped_byte_is_seen),
		cmocka_unit_test(what_cannot_be_read_is_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

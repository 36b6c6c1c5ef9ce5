// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rules for every command: order of validation, the list of legal commands, lengths. */
#include "admin_bench.h"

static void worked_bytes_of_the_specification(void **state)
{
	static const uint8_t set_stop[32] = { 8, 0, 1, [16] = 3, [24] = 1 };
	static const uint8_t size_frozen[32] = { 9, 0, 1, [16] = 3, [24] = 1 };
	static const uint8_t read[24] = { 0xa, 0, 1, [16] = 3 };
	static const uint8_t write[32] = { 0xb, 0, 1, [16] = 3 };
	static const uint8_t zero[8];
	static const uint8_t sixteen[8] = { 0, 0, 0, 0, 16 };
	static const uint8_t refused[8] = { 0x16, 0, 1, 0 };
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	bench_submit(bench, &reply, 0, write, 32, 8);
	assert_int_equal(reply.used, 8);
	assert_memory_equal(reply.in_bytes, refused, 8);
	reply_drop(&reply);
	bench_submit(bench, &reply, 0, set_stop, 32, 8);
	assert_int_equal(reply.used, 8);
	assert_memory_equal(reply.in_bytes, zero, 8);
	assert_int_equal(bench->vfs[3].mode, VFERRY_MODE_STOP);
	reply_drop(&reply);
	bench_submit(bench, &reply, 0, size_frozen, 32, 16);
	assert_int_equal(reply.used, 16);
	assert_memory_equal(reply.in_bytes, zero, 8);
	reply_drop(&reply);
	bench_submit(bench, &reply, 0, read, 24, 24);
	assert_int_equal(reply.used, 24);
	assert_memory_equal(reply.in_bytes, sixteen, 8);
	reply_drop(&reply);
	while (read_chunk(bench, 3, NULL, ROOM))
		;
	bench_submit(bench, &reply, 0, read, 24, 24);
	assert_int_equal(reply.used, 8);
	assert_memory_equal(reply.in_bytes, zero, 8);
	reply_drop(&reply);
	bench_free(bench);
}

static void send_raw(struct bench *bench, struct reply *reply, uint16_t opcode, uint16_t group,
		     uint64_t member)
{
	struct message made = message(opcode, member, NULL, 0);
	uint16_t word = htole16(group);

	memcpy(made.bytes + 2, &word, 2);
	bench_submit(bench, reply, 0, made.bytes, made.count, 64);
}

static void validation_order_group_opcode_member(void **state)
{
	static const struct {
		uint16_t group, opcode;
		uint64_t member;
		unsigned int qualifier;
	} rows[] = {
		{ 2, 0x7777, 99, VFERRY_Q_INVALID_GROUP },
		{ 0, VFERRY_CMD_DEV_MODE_GET, 1, VFERRY_Q_INVALID_GROUP },
		{ 0xffff, VFERRY_CMD_LIST_QUERY, 0, VFERRY_Q_INVALID_GROUP },
		{ 1, 0x7777, 99, VFERRY_Q_INVALID_OPCODE },
		{ 1, 64, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 64 + 7, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 0x8000, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 0x8007, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 0xffff, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 2, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, 0xe, 1, VFERRY_Q_INVALID_OPCODE },
		{ 1, VFERRY_CMD_DEV_MODE_GET, 0, VFERRY_Q_INVALID_MEMBER },
		{ 1, VFERRY_CMD_DEV_MODE_GET, BENCH_VFS + 1, VFERRY_Q_INVALID_MEMBER },
		{ 1, VFERRY_CMD_DEV_MODE_GET, 65537, VFERRY_Q_INVALID_MEMBER },
		{ 1, VFERRY_CMD_DEV_MODE_GET, UINT64_MAX, VFERRY_Q_INVALID_MEMBER },
	};
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		send_raw(bench, &reply, rows[i].opcode, rows[i].group, rows[i].member);
		expect(&reply, VFERRY_STATUS_EINVAL, rows[i].qualifier);
		reply_drop(&reply);
	}
	assert_int_equal(get_mode(bench, BENCH_VFS), VFERRY_MODE_ACTIVE);
	bench_free(bench);
}

static void before_list_use_only_list_commands(void **state)
{
	struct bench *bench = bench_new(bench_opts());
	struct reply reply;

	for (unsigned int opcode = VFERRY_CMD_DEV_MODE_GET; opcode <= VFERRY_CMD_DEV_CTX_DISCARD;
	     opcode++) {
		EXPECT(command(bench, &reply, (uint16_t)opcode, 1, NULL, 0, 64), EINVAL,
		       INVALID_OPCODE);
		reply_drop(&reply);
	}
	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_QUERY, 0, NULL, 0, 64), OK, OK);
	reply_drop(&reply);
	bench_free(bench);
}

static void list_query_names_exactly_what_there_is(void **state)
{
	struct bench *bench = bench_new(bench_opts());
	struct reply reply;
	uint64_t list;

	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_QUERY, 0, NULL, 0, 64), OK, OK);
	assert_int_equal(reply.used, 16);
	memcpy(&list, reply.data, 8);
	assert_int_equal(le64toh(list), 0x3f83);
	reply_drop(&reply);
	bench_free(bench);
}

static unsigned int use(struct bench *bench, const void *data, size_t count)
{
	struct reply reply;
	unsigned int status;

	command(bench, &reply, VFERRY_CMD_LIST_USE, 0, data, count, 8);
	assert_int_equal(reply.calls, 1);
	status = reply.status | (unsigned int)reply.qualifier << 16;
	reply_drop(&reply);
	return status;
}

static void list_use_superset_is_refused_and_changes_nothing(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t words[2] = { htole64(0x3f83 | 1 << 14), 0 };

	assert_int_equal(use(bench, words, 8), ST(EINVAL, INVALID_FIELD));
	words[0] = htole64(3 | 1ULL << 63);
	assert_int_equal(use(bench, words, 8), ST(EINVAL, INVALID_FIELD));
	words[0] = htole64(3);
	words[1] = htole64(1);
	assert_int_equal(use(bench, words, 16), ST(EINVAL, INVALID_FIELD));
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	bench_free(bench);
}

static void list_use_takes_trailing_zero_words_and_missing_ones(void **state)
{
	struct bench *bench = bench_new(bench_opts());
	uint8_t bytes[4096] = { 0x83, 0x3f };
	struct reply reply;

	assert_int_equal(use(bench, bytes, sizeof(bytes)), ST(OK, OK));
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	/* One byte: LIST_QUERY, LIST_USE and opcode 7. */
	assert_int_equal(use(bench, bytes, 1), ST(OK, OK));
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_DISCARD, 1, NULL, 0, 8), EINVAL,
	       INVALID_OPCODE);
	reply_drop(&reply);
	bench_free(bench);
}

static void list_use_replaces_the_list_exactly_bits_0_and_1_too(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t list = htole64(1ULL << VFERRY_CMD_DEV_MODE_GET | 2);
	struct reply reply;

	assert_int_equal(use(bench, &list, 8), ST(OK, OK));
	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_QUERY, 0, NULL, 0, 64), EINVAL,
	       INVALID_OPCODE);
	reply_drop(&reply);
	list = htole64(1ULL << VFERRY_CMD_DEV_MODE_GET);
	assert_int_equal(use(bench, &list, 8), ST(OK, OK));
	assert_int_equal(use(bench, &list, 8), ST(EINVAL, INVALID_OPCODE));
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	bench_free(bench);
}

static void list_use_of_nothing_is_legal(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t list = 0;

	assert_int_equal(use(bench, &list, 8), ST(OK, OK));
	assert_int_equal(use(bench, &list, 8), ST(EINVAL, INVALID_OPCODE));
	/* The way out: a reset of the PF. */
	admin_pf_reset(&bench->owner);
	use_all(bench);
	assert_int_equal(use(bench, &list, 0), ST(OK, OK));
	bench_free(bench);
}

static void reset_of_the_pf_restores_the_list(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	admin_pf_reset(&bench->owner);
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_GET, 1, NULL, 0, 64), EINVAL,
	       INVALID_OPCODE);
	reply_drop(&reply);
	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_QUERY, 0, NULL, 0, 64), OK, OK);
	reply_drop(&reply);
	bench_free(bench);
}

static void reset_of_the_pf_changes_no_mode(void **state)
{
	struct bench *bench = bench_ready(bench_opts());

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_STOP), 0);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	admin_pf_reset(&bench->owner);
	use_all(bench);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_STOP);
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_FREEZE);
	bench_free(bench);
}

static void list_commands_are_answered_without_vfs_others_are_not(void **state)
{
	struct bench *bench = bench_new(bench_opts());
	struct reply reply;

	admin_vfs_enabled(&bench->owner, 0);
	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_QUERY, 0, NULL, 0, 64), OK, OK);
	reply_drop(&reply);
	use_all(bench);
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_GET, 1, NULL, 0, 64), EINVAL,
	       INVALID_GROUP);
	reply_drop(&reply);
	admin_vfs_enabled(&bench->owner, 2);
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_ACTIVE);
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_GET, 3, NULL, 0, 64), EINVAL,
	       INVALID_MEMBER);
	reply_drop(&reply);
	bench_free(bench);
}

static void vfs_that_come_back_are_active_and_blank(void **state)
{
	struct bench *bench = bench_ready(bench_opts());

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 1, "\0\0\0\0\0\0\0\0\x08", 9), ST(OK, OK));
	admin_vfs_enabled(&bench->owner, 0);
	admin_vfs_enabled(&bench->owner, BENCH_VFS);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	/* Nothing staged is left: leaving Freeze commits nothing. */
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_ACTIVE), 0);
	assert_null(strchr(played.calls, 'L'));
	bench_free(bench);
}

static void readable_part_of_any_length(void **state)
{
	static const size_t lengths[] = { 25, 31, 32, 33, 40, 4096 };
	struct bench *bench = bench_ready(bench_opts());
	struct message made = message(VFERRY_CMD_DEV_MODE_SET, 1, NULL, 4072);
	struct reply reply;

	made.bytes[24] = VFERRY_MODE_STOP;
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		bench->vfs[1].mode = VFERRY_MODE_ACTIVE;
		bench_submit(bench, &reply, 0, made.bytes, lengths[i], 8);
		EXPECT(&reply, OK, OK);
		reply_drop(&reply);
		assert_int_equal(bench->vfs[1].mode, VFERRY_MODE_STOP);
	}
	/* Missing bytes read as zero: a MODE_SET cut after its header sets Active. */
	bench_submit(bench, &reply, 0, made.bytes, 24, 8);
	EXPECT(&reply, OK, OK);
	reply_drop(&reply);
	assert_int_equal(bench->vfs[1].mode, VFERRY_MODE_ACTIVE);
	/* Member 0, then group 0. */
	bench_submit(bench, &reply, 0, made.bytes, 16, 8);
	EXPECT(&reply, EINVAL, INVALID_MEMBER);
	reply_drop(&reply);
	for (size_t length = 0; length <= 2; length++) {
		bench_submit(bench, &reply, 0, made.bytes, length, 8);
		EXPECT(&reply, EINVAL, INVALID_GROUP);
		reply_drop(&reply);
	}
	bench_free(bench);
}

static void used_length_is_what_was_written(void **state)
{
	static const struct {
		uint16_t opcode;
		uint32_t whole;
	} rows[] = {
		{ VFERRY_CMD_LIST_QUERY, 16 },
		{ VFERRY_CMD_DEV_MODE_GET, 9 },
		{ VFERRY_CMD_DEV_CTX_SIZE_GET, 16 },
		{ VFERRY_CMD_DEV_CTX_DISCARD, 8 },
		{ VFERRY_CMD_DEV_CTX_FIELDS_QUERY, 8 + 16 * 11 },
		{ 0x7777, 8 },
	};
	struct bench *bench = bench_ready(bench_opts());

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t room = 0; room < 220; room++) {
			struct reply reply;

			command(bench, &reply, rows[i].opcode, 1, NULL, 0, room);
			assert_int_equal(reply.calls, 1);
			assert_int_equal(reply.used, room < rows[i].whole ? room : rows[i].whole);
			for (size_t at = reply.used; at < room; at++)
				assert_int_equal(reply.in_bytes[at], 0xee);
			reply_drop(&reply);
		}
	bench_free(bench);
}

static void no_command_fails_for_a_short_writable_part(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint8_t stop[8] = { VFERRY_MODE_STOP };
	struct reply reply;

	command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 1, stop, 8, 1);
	assert_int_equal(reply.used, 1);
	reply_drop(&reply);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_STOP);
	bench_free(bench);
}

static void parts_may_be_cut_anywhere(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct message made = message(VFERRY_CMD_DEV_CTX_SIZE_GET, 2, "\0\0\0\0\0\0\0", 8);
	struct iovec out[64], in[32];
	uint8_t writable[16];
	uint64_t want = htole64(get_size(bench, 2, 0));

	for (size_t cut = 1; cut < 16; cut++) {
		struct reply reply = { .in_bytes = writable, .in = { writable, 16 } };
		unsigned int outs = 0, ins = 0;

		for (size_t at = 0; at < made.count; at += cut)
			out[outs++] =
				(struct iovec){ made.bytes + at,
						made.count - at < cut ? made.count - at : cut };
		out[outs++] = (struct iovec){ NULL, 0 };
		for (size_t at = 0; at < 16; at += cut) {
			in[ins++] = (struct iovec){ writable + at, 16 - at < cut ? 16 - at : cut };
			in[ins++] = (struct iovec){ NULL, 0 };
		}
		reply.request = (struct admin_request){ .out = out,
							.out_count = outs,
							.in = in,
							.in_count = ins,
							.complete = reply_complete,
							.arg = &reply };
		admin_request_begin(&bench->owner, &reply.request);
		EXPECT(&reply, OK, OK);
		assert_memory_equal(writable + 8, &want, 8);
	}
	bench_free(bench);
}

static void reserved1_is_ignored(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct message made = message(VFERRY_CMD_DEV_MODE_GET, 1, NULL, 0);
	struct reply reply;

	memset(made.bytes + 4, 0xff, 12);
	bench_submit(bench, &reply, 0, made.bytes, made.count, 16);
	EXPECT(&reply, OK, OK);
	reply_drop(&reply);
	bench_free(bench);
}

static void fields_query_names_every_type_with_its_length(void **state)
{
	static const struct {
		uint16_t type;
		uint64_t length;
	} want[] = {
		{ VFERRY_CTX_START, 8 },	 { VFERRY_CTX_DEV_FEATURES, 8 },
		{ VFERRY_CTX_DRV_FEATURES, 8 },	 { VFERRY_CTX_PCI_COMMON_CFG, 16 },
		{ VFERRY_CTX_DEVICE_STATUS, 1 }, { VFERRY_CTX_VQ_CFG, 32 },
		{ VFERRY_CTX_VQ_NOTIFY_CFG, 8 }, { VFERRY_CTX_VQ_SPLIT_STATE, 16 },
		{ VFERRY_CTX_DEVICE_CFG, 60 },	 { VFERRY_CTX_BLOCK, 65536 },
		{ VFERRY_CTX_END, 0 },
	};
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_FIELDS_QUERY, 1, NULL, 0, 8 + 16 * 20), OK,
	       OK);
	assert_int_equal(reply.used, 8 + 16 * 11);
	for (unsigned int i = 0; i < 11; i++) {
		struct vferry_admin_field field;

		memcpy(&field, reply.data + i * sizeof(field), sizeof(field));
		assert_int_equal(le16toh(field.type), want[i].type);
		assert_int_equal(le64toh(field.length), want[i].length);
		assert_memory_equal(field.reserved, "\0\0\0\0\0", 6);
	}
	reply_drop(&reply);
	bench_free(bench);
}

static void size_get_refuses_other_freeze_modes(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_SIZE_GET, 1, "\2\0\0\0\0\0\0", 8, 16),
	       EINVAL, INVALID_FIELD);
	reply_drop(&reply);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worked_bytes_of_the_specification),
		cmocka_unit_test(validation_order_group_opcode_member),
		cmocka_unit_test(before_list_use_only_list_commands),
		cmocka_unit_test(list_query_names_exactly_what_there_is),
		cmocka_unit_test(list_use_superset_is_refused_and_changes_nothing),
		cmocka_unit_test(list_use_takes_trailing_zero_words_and_missing_ones),
		cmocka_unit_test(list_use_replaces_the_list_exactly_bits_0_and_1_too),
		cmocka_unit_test(list_use_of_nothing_is_legal),
		cmocka_unit_test(reset_of_the_pf_restores_the_list),
		cmocka_unit_test(reset_of_the_pf_changes_no_mode),
		cmocka_unit_test(list_commands_are_answered_without_vfs_others_are_not),
		cmocka_unit_test(vfs_that_come_back_are_active_and_blank),
		cmocka_unit_test(readable_part_of_any_length),
		cmocka_unit_test(used_length_is_what_was_written),
		cmocka_unit_test(no_command_fails_for_a_short_writable_part),
		cmocka_unit_test(parts_may_be_cut_anywhere),
		cmocka_unit_test(reserved1_is_ignored),
		cmocka_unit_test(fields_query_names_every_type_with_its_length),
		cmocka_unit_test(size_get_refuses_other_freeze_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

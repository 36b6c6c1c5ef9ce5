// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The arguments that people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/parse.h"

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64K", 65536 },
		{ "64KiB", 65536 },
		{ "256M", 268435456 },
		{ "1G", 1073741824 },
		{ "1.5K", 1536 },
		{ "0.5M", 524288 },
		{ "2T", 2199023255552 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = { "",	  "K",	"-1",	 "64KB", "64 K",
					   "1.5", "1.", ".5K",	 "0x10", "64Kx",
					   "1e9", "+1", "64K64", " 4",	 "1..5K" };
	struct vferry_error err;
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cli_parse_size(good[i].text, 0, 0, &bytes, &err), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cli_parse_size(bad[i], 0, 0, &bytes, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
	}
	assert_int_equal(cli_parse_size("18446744073709551616", 0, 0, &bytes, &err), -ERANGE);
	assert_int_equal(cli_parse_size("18446744073709551615K", 0, 0, &bytes, &err), -ERANGE);
	assert_int_equal(cli_parse_size("3K", 4096, 8192, &bytes, &err), -ERANGE);
	assert_int_equal(cli_parse_size("8K", 4096, 8192, &bytes, &err), 0);
	assert_int_equal(cli_parse_size("8193", 4096, 8192, &bytes, &err), -ERANGE);
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "1ns", 1 },
		{ "100us", 100000 },
		{ "100\302\265s", 100000 },
		{ "50ms", 50000000 },
		{ "1.5s", 1500000000 },
		{ "2min", 120000000000 },
	};
	static const char *const bad[] = { "",	 "5",  "ms",	"5 ms", "-5ms",
					   "5m", "5h", "0.5ns", "1.s",	"5msx" };
	struct vferry_error err;
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cli_parse_duration(good[i].text, 0, 0, &ns, &err), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cli_parse_duration(bad[i], 0, 0, &ns, &err), -EINVAL);
	assert_int_equal(cli_parse_duration("99999999999999999999s", 0, 0, &ns, &err), -ERANGE);
	assert_int_equal(cli_parse_duration("0", 1, 0, &ns, &err), -ERANGE);
}

static void numbers(void **state)
{
	struct vferry_error err;
	uint64_t value;

	assert_int_equal(cli_parse_number("250", 1, 250, &value, &err), 0);
	assert_int_equal(value, 250);
	assert_int_equal(cli_parse_number("0x1F", 0, 0, &value, &err), 0);
	assert_int_equal(value, 31);
	assert_int_equal(cli_parse_number("251", 1, 250, &value, &err), -ERANGE);
	assert_non_null(strstr(err.text, "'251'"));
	assert_int_equal(cli_parse_number("0", 1, 250, &value, &err), -ERANGE);
	assert_int_equal(cli_parse_number("0x", 0, 0, &value, &err), -EINVAL);
	assert_int_equal(cli_parse_number("0xfffffffffffffffff", 0, 0, &value, &err), -ERANGE);
	assert_int_equal(cli_parse_number("1x", 0, 0, &value, &err), -EINVAL);
	assert_int_equal(cli_parse_number("", 0, 0, &value, &err), -EINVAL);
}

static void check_vfs(const char *text, const uint16_t *wanted, unsigned int count)
{
	struct vferry_error err;
	struct cli_vfs vfs;

	assert_int_equal(cli_parse_vfs(text, &vfs, &err), 0);
	assert_int_equal(vfs.count, count);
	assert_memory_equal(vfs.vf, wanted, count * sizeof(*wanted));
	free(vfs.vf);
}

static void vf_lists(void **state)
{
	static const char *const bad[] = { "",	    ",",     "1,",   "0",
					   "1-",    "-3",    "4-1",  "1,1",
					   "1-4,3", "ALL",   "1 2",  "65536",
					   "0-3",   "all,1", "1--2", "99999999999999999999" };
	struct vferry_error err;
	struct cli_vfs vfs;

	check_vfs("1", (const uint16_t[]){ 1 }, 1);
	check_vfs("1-4,7", (const uint16_t[]){ 1, 2, 3, 4, 7 }, 5);
	/* The order is the caller's: two owners' VFs pair by it. */
	check_vfs("7,1-2", (const uint16_t[]){ 7, 1, 2 }, 3);
	check_vfs("65535", (const uint16_t[]){ 65535 }, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(cli_parse_vfs(bad[i], &vfs, &err) < 0);
		assert_non_null(strstr(err.text, bad[i]));
		assert_null(vfs.vf);
	}
}

static void vf_all(void **state)
{
	struct vferry_error err;
	struct cli_vfs vfs;

	assert_int_equal(cli_parse_vfs("all", &vfs, &err), 0);
	assert_true(vfs.all);
	assert_int_equal(cli_vfs_all(&vfs, 0, &err), -ENXIO);
	assert_int_equal(cli_vfs_all(&vfs, 3, &err), 0);
	assert_int_equal(vfs.count, 3);
	assert_int_equal(vfs.vf[2], 3);
	assert_int_equal(cli_vfs_all(&vfs, 2, &err), -ENXIO);
	assert_non_null(strstr(err.text, "VF 3"));
	free(vfs.vf);
}

static void modes_owners_choices(void **state)
{
	struct vferry_error err;
	uint64_t mode;

	assert_int_equal(cli_parse_mode("freeze", &mode, &err), 0);
	assert_int_equal(mode, 2);
	assert_int_equal(cli_parse_mode("Freeze", &mode, &err), -EINVAL);
	assert_int_equal(cli_parse_owner("vfio:0000:65:00.0", &err), 0);
	assert_int_equal(cli_parse_owner("vfio-user:/run/pf0.sock", &err), 0);
	assert_int_equal(cli_parse_owner("uring-cmd:/dev/vferry/0000:65:00.0", &err), 0);
	assert_int_equal(cli_parse_owner("vfio:65:00.0", &err), -EINVAL);
	assert_int_equal(cli_parse_owner("vfio:0000:65:00.8", &err), -EINVAL);
	assert_int_equal(cli_parse_owner("vfio-user:", &err), -EINVAL);
	/* Without a prefix: a PCI address, or a path. */
	assert_int_equal(cli_parse_owner("/run/pf0.sock", &err), 0);
	assert_int_equal(cli_parse_owner("0000:65:00.0", &err), 0);
	assert_int_equal(cli_parse_owner("65:00.0", &err), -EINVAL);
	assert_int_equal(cli_parse_owner("pf0.sock", &err), -EINVAL);
	assert_int_equal(cli_parse_choice("json", "text|json", &err), 0);
	assert_int_equal(cli_parse_choice("text", "text|json", &err), 0);
	assert_int_equal(cli_parse_choice("tex", "text|json", &err), -EINVAL);
	assert_int_equal(cli_parse_choice("text|json", "text|json", &err), -EINVAL);
	assert_int_equal(cli_parse_choice("", "text|json", &err), -EINVAL);
}

static void hex(void **state)
{
	static const uint8_t wanted[] = { 0x0a, 0x00, 0xff };
	struct vferry_error err;
	uint8_t *bytes;
	size_t count;

	assert_int_equal(cli_parse_hex("0a:00 FF", &bytes, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_memory_equal(bytes, wanted, 3);
	free(bytes);
	assert_int_equal(cli_parse_hex("", &bytes, &count, &err), 0);
	assert_int_equal(count, 0);
	free(bytes);
	assert_int_equal(cli_parse_hex("0a0", &bytes, &count, &err), -EINVAL);
	assert_int_equal(cli_parse_hex("0 a", &bytes, &count, &err), -EINVAL);
	assert_int_equal(cli_parse_hex("xx", &bytes, &count, &err), -EINVAL);
}

static void opcodes(void **state)
{
	static const uint8_t all[8] = { 0x83, 0x3f };
	uint8_t bytes[CLI_OPCODES_BYTES];
	struct vferry_error err;
	size_t length;

	assert_int_equal(cli_parse_opcodes("0,1,7-13", bytes, &length, &err), 0);
	assert_int_equal(length, 8);
	assert_memory_equal(bytes, all, 8);
	assert_int_equal(
		cli_parse_opcodes("list_query,list_use,7-12,dev_ctx_discard", bytes, &length, &err),
		0);
	assert_memory_equal(bytes, all, 8);
	assert_int_equal(cli_parse_opcodes("none", bytes, &length, &err), 0);
	assert_int_equal(length, 8);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(cli_parse_opcodes("511", bytes, &length, &err), 0);
	assert_int_equal(length, 64);
	assert_int_equal(bytes[63], 0x80);
	assert_int_equal(cli_parse_opcodes("512", bytes, &length, &err), -ERANGE);
	assert_int_equal(cli_parse_opcodes("7-", bytes, &length, &err), -EINVAL);
	assert_int_equal(cli_parse_opcodes("7,", bytes, &length, &err), -EINVAL);
	assert_int_equal(cli_parse_opcodes("9-7", bytes, &length, &err), -EINVAL);
	assert_int_equal(cli_parse_opcodes("read", bytes, &length, &err), -EINVAL);
	assert_int_equal(cli_parse_opcodes("1-18446744073709551615", bytes, &length, &err),
			 -ERANGE);
}

static void suggestions(void **state)
{
	static const char *const words[] = { "dry-run", "discard", "list-query", "list-use",
					     "mode",	"size",	   NULL };

	assert_string_equal(cli_suggest("dryrun", words), "dry-run");
	assert_string_equal(cli_suggest("mdoe", words), "mode");
	assert_string_equal(cli_suggest("list-qeury", words), "list-query");
	assert_string_equal(cli_suggest("disc", words), "discard");
	assert_null(cli_suggest("x", words));
	assert_null(cli_suggest("completely-different", words));
	assert_null(cli_suggest("zzzz", words));
	assert_null(cli_suggest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),       cmocka_unit_test(durations),
		cmocka_unit_test(numbers),     cmocka_unit_test(vf_lists),
		cmocka_unit_test(vf_all),      cmocka_unit_test(modes_owners_choices),
		cmocka_unit_test(hex),	       cmocka_unit_test(opcodes),
		cmocka_unit_test(suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From words to values, and the table's own order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "cli/state.h"

static int parse(struct cli *cli, const char *line, char *words, char **argv)
{
	int argc = 0;

	memset(cli, 0, sizeof(*cli));
	strcpy(words, line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return cli_parse(cli, argc, argv);
}

static void order_is_free(void **state)
{
	static const char *const lines[] = {
		"vferry admin vfio-user:/x mode set stop --vf 1-3 --dry-run -o json --timeout 2s",
		"vferry -o json --timeout=2s admin --vf 1-3 vfio-user:/x --dry-run mode set stop",
		"vferry -ojson admin -n vfio-user:/x --timeout 2s mode set --vf=1-3 -- stop",
	};
	char words[256], *argv[32];
	struct cli cli;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&cli, lines[i], words, argv), CLI_DONE);
		assert_string_equal(cli_path(&cli), "vferry admin mode set");
		assert_string_equal(cli_string(&cli, "OWNER"), "vfio-user:/x");
		assert_int_equal(cli_number(&cli, "MODE", 0), 1);
		assert_int_equal(cli_vfs(&cli, "vf")->count, 3);
		assert_true(cli_has(&cli, "dry-run"));
		assert_false(cli_has(&cli, "hex"));
		assert_true(cli_json(&cli));
		assert_int_equal(cli_timeout_ns(&cli), 2000000000);
		cli_release(&cli);
	}
}

static void letters_together(void **state)
{
	char words[256], *argv[32];
	struct cli cli;

	assert_int_equal(
		parse(&cli, "vferry admin vfio-user:/x mode get -nxvv --vf 1", words, argv),
		CLI_DONE);
	assert_true(cli_has(&cli, "dry-run"));
	assert_true(cli_has(&cli, "hex"));
	assert_int_equal(cli_verbose(&cli), 2);
	cli_release(&cli);
}

static void mistakes(void **state)
{
	static const char *const lines[] = {
		"vferry",
		"vferry bogus",
		"vferry --bogus",
		"vferry admin",
		"vferry admin vfio-user:/x",
		"vferry admin vfio-user:/x mode",
		"vferry admin vfio-user:/x mode set",
		"vferry admin vfio-user:/x mode set stop stop",
		"vferry admin mode set stop",
		"vferry admin nonsense mode get",
		"vferry admin vfio-user:/x mode set halt --vf 1",
		"vferry admin vfio-user:/x mode get --vf",
		"vferry admin vfio-user:/x mode get --vf 1 --vf 2",
		"vferry admin vfio-user:/x mode get --vf 0",
		"vferry admin vfio-user:/x mode get --dry-run=yes",
		"vferry admin vfio-user:/x mode get -q",
		"vferry admin vfio-user:/x mode get --timeout 5",
		"vferry admin vfio-user:/x mode get --timeout 0",
		"vferry doctor -o xml",
	};
	char words[256], *argv[32];
	struct cli cli;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&cli, lines[i], words, argv), CLI_USAGE);
		cli_release(&cli);
	}
}

static void help_wins(void **state)
{
	static const char *const lines[] = {
		"vferry --help",
		"vferry admin mode set --bogus -h",
		"vferry admin vfio-user:/x mode set --help --vf nonsense",
	};
	char words[256], *argv[32];
	struct cli cli;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&cli, lines[i], words, argv), CLI_DONE);
		assert_true(cli.help);
		cli_release(&cli);
	}
}

static void check_options(const struct cli_option *list, const char *where)
{
	for (const struct cli_option *o = list; o && o->name; o++) {
		assert_non_null(o->help);
		if (o->type == CLI_CHOICE)
			assert_non_null(o->choices);
		for (const struct cli_option *p = o + 1; p->name; p++) {
			if (!strcmp(o->name, p->name) || (o->letter && o->letter == p->letter))
				fail_msg("%s: --%s and --%s are the same", where, o->name, p->name);
		}
		for (const struct cli_option *p = cli_global_options;
		     list != cli_global_options && p->name; p++) {
			if (!strcmp(o->name, p->name) || (o->letter && o->letter == p->letter))
				fail_msg("%s: --%s is --%s of every command", where, o->name,
					 p->name);
		}
	}
}

static void check_command(const struct cli_command *command, unsigned int depth)
{
	assert_in_range(depth, 1, CLI_DEPTH_MAX);
	assert_non_null(command->summary);
	assert_true(strlen(command->summary) < 100);
	/* A command runs or leads on, not both and not neither. */
	assert_true(!command->run != !command->subs);
	check_options(command->options, command->name);
	check_options(command->positionals, command->name);
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++)
		check_command(*sub, depth + 1);
}

static void the_table(void **state)
{
	check_options(cli_global_options, "vferry");
	check_command(&cli_root, 1);
}

static void exit_statuses(void **state)
{
	assert_int_equal(cli_exit_status(0), CLI_DONE);
	assert_int_equal(cli_exit_status(-EREMOTEIO), CLI_DEVICE);
	assert_int_equal(cli_exit_status(-EACCES), CLI_PERMISSION);
	assert_int_equal(cli_exit_status(-EPERM), CLI_PERMISSION);
	assert_int_equal(cli_exit_status(-EOPNOTSUPP), CLI_UNSUPPORTED);
	assert_int_equal(cli_exit_status(-ETIMEDOUT), CLI_DEADLINE);
	assert_int_equal(cli_exit_status(-EBUSY), CLI_FAILED);
	assert_int_equal(cli_exit_status(-ENOENT), CLI_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_free), cmocka_unit_test(letters_together),
		cmocka_unit_test(mistakes),	 cmocka_unit_test(help_wins),
		cmocka_unit_test(the_table),	 cmocka_unit_test(exit_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry doctor: what works on this machine, what does not, and the fix. */
#include <sys/utsname.h>
#include "cli/cli.h"

static int run(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{ .key = "state", .title = "STATE" },
		{ .key = "name", .title = "CHECK" },
		{ .key = "words", .title = "FOUND" },
		{ .key = NULL },
	};
	static const struct cli_view views[] = { { .key = "checks", .columns = columns },
						 { .columns = NULL } };
	struct json_object *doc = cli_document("vferry.doctor");
	struct json_object *checks = json_object_new_array();
	struct json_object *check = json_object_new_object();
	struct utsname host;

	uname(&host);
	cli_add_string(check, "name", "kernel");
	cli_add_string(check, "state", "ok");
	cli_add_string(check, "words", host.release);
	json_object_array_add(checks, check);
	cli_add(doc, "checks", checks);
	return cli_print(cli, doc, views);
}

const struct cli_command cli_cmd_doctor = {
	.name = "doctor",
	.group = CLI_GROUP_HOST,
	.summary = "what works on this machine, what does not, and the fix",
	.exits = CLI_X_FAILED,
	.run = run,
};

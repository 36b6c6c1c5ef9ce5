// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "cli/state.h"

static int version(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{ .key = "vferry", .title = "vferry" },
		{ .key = "libbpf", .title = "libbpf" },
		{ .key = "liburing", .title = "liburing" },
		{ .key = "json_c", .title = "json-c" },
		{ .key = NULL },
	};
	static const struct cli_view views[] = { { .columns = columns }, { .columns = NULL } };
	struct json_object *doc = cli_document("vferry.version");

	cli_add_string(doc, "vferry", VFERRY_VERSION);
	cli_add_string(doc, "libbpf", libbpf_version_string() + 1);
	cli_add_string(doc, "liburing", VFERRY_LIBURING_VERSION);
	cli_add_string(doc, "json_c", json_c_version());
	return cli_print(cli, doc, views);
}

/* A descriptor of ours must never become number 0, 1 or 2 by accident; writing to these then fails with EBADF. */
static void fill_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct cli cli = { .depth = 0 };
	int status;

	fill_standard();
	signal(SIGPIPE, SIG_IGN);
	status = cli_parse(&cli, argc, argv);
	if (!status) {
		struct cli_spot spot = { .depth = cli.depth };

		memcpy(spot.chain, cli.chain, sizeof(spot.chain));
		if (cli.help)
			cli_help(&spot, stdout);
		else if (cli.version)
			status = version(&cli);
		else
			status = cli_command(&cli)->run(&cli);
	}
	status = cli_flush(&cli, status);
	cli_release(&cli);
	return status;
}

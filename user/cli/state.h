/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the framework share; commands see cli.h only. */
#ifndef VF_CLI_STATE_H
#define VF_CLI_STATE_H

#include <stdio.h>
#include "cli/cli.h"

#define CLI_DEPTH_MAX 4
#define CLI_PATH_MAX  128

struct cli_value {
	const struct cli_option *option;
	const char *text;
	uint64_t number;
	struct cli_vfs vfs;
	uint8_t *bytes;
	size_t count;
};

struct cli {
	const struct cli_command *chain[CLI_DEPTH_MAX]; /* from the root to the command that runs */
	unsigned int depth;
	char path[CLI_PATH_MAX];
	struct cli_value *values;
	unsigned int count;
	unsigned int room;
	char **rest;
	bool json;
	bool help;
	bool version;
	bool heading_done;
	unsigned int verbose;
	uint64_t timeout_ns;
	int write_error; /* positive errno of standard output, once */
};

/** cli_parse() - read the words. CLI_DONE, or CLI_USAGE after having said what is wrong. */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_release(struct cli *cli);
/** cli_flush() - what is left to standard output; the exit status, changed when it could not be written. */
int cli_flush(struct cli *cli, int status);

const struct cli_command *cli_command(const struct cli *cli); /* the deepest of the chain */
/** cli_says_repeat() - the help has to add that it may be given more than once. */
bool cli_says_repeat(const struct cli_option *option);
const char *cli_argument_name(const struct cli_option *option);

/* A command with all that stands above it. */
struct cli_spot {
	const struct cli_command *chain[CLI_DEPTH_MAX];
	unsigned int depth;
};
/** cli_spot_path() - "vferry admin mode set", or with @separator '-' a page's name. */
void cli_spot_path(const struct cli_spot *spot, char separator, char *buffer, size_t size);
/** cli_spot_synopsis() - "vferry admin OWNER mode set MODE --vf LIST [options]" */
void cli_spot_synopsis(const struct cli_spot *spot, FILE *to);
const char *cli_exit_words(unsigned int code);

void cli_help(const struct cli_spot *spot, FILE *to);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From words to values, by the table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bus/lent.h"
#include "cli/state.h"

const struct cli_command *cli_command(const struct cli *cli)
{
	return cli->chain[cli->depth - 1];
}

static void descend(struct cli *cli, const struct cli_command *command)
{
	size_t used = strlen(cli->path);

	if (cli->depth == CLI_DEPTH_MAX)
		abort();
	cli->chain[cli->depth++] = command;
	snprintf(cli->path + used, sizeof(cli->path) - used, "%s%s", used ? " " : "",
		 command->name);
}

static const struct cli_option *find_in(const struct cli_option *list, const char *name,
					size_t length)
{
	for (; list && list->name; list++) {
		if (!strncmp(list->name, name, length) && !list->name[length])
			return list;
	}
	return NULL;
}

static const struct cli_option *find_option(const struct cli *cli, const char *name, size_t length)
{
	for (unsigned int i = cli->depth; i--;) {
		const struct cli_option *found = find_in(cli->chain[i]->options, name, length);

		if (found)
			return found;
	}
	return find_in(cli_global_options, name, length);
}

static const struct cli_option *find_letter_in(const struct cli_option *list, char letter)
{
	for (; list && list->name; list++) {
		if (list->letter == letter)
			return list;
	}
	return NULL;
}

static const struct cli_option *find_letter(const struct cli *cli, char letter)
{
	for (unsigned int i = cli->depth; i--;) {
		const struct cli_option *found = find_letter_in(cli->chain[i]->options, letter);

		if (found)
			return found;
	}
	return find_letter_in(cli_global_options, letter);
}

static const struct cli_command *find_sub(const struct cli_command *command, const char *name)
{
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++) {
		if (!strcmp((*sub)->name, name))
			return *sub;
	}
	return NULL;
}

static unsigned int add_names(const char **words, unsigned int n, unsigned int room,
			      const struct cli_option *list)
{
	for (; list && list->name && n < room; list++)
		words[n++] = list->name;
	return n;
}

static int unknown_option(struct cli *cli, const char *word, const char *name)
{
	const char *words[128];
	const char *meant;
	unsigned int n = 0;

	for (unsigned int i = cli->depth; i--;)
		n = add_names(words, n, 127, cli->chain[i]->options);
	n = add_names(words, n, 127, cli_global_options);
	words[n] = NULL;
	meant = cli_suggest(name, words);
	if (meant)
		return cli_usage(cli, "unknown option '%s'; did you mean --%s?", word, meant);
	return cli_usage(cli, "unknown option '%s'", word);
}

static int unknown_command(struct cli *cli, const char *word)
{
	const struct cli_command *command = cli_command(cli);
	const char *words[64];
	const char *meant;
	unsigned int n = 0;

	for (const struct cli_command *const *sub = command->subs; *sub && n < 63; sub++)
		words[n++] = (*sub)->name;
	words[n] = NULL;
	meant = cli_suggest(word, words);
	if (meant)
		return cli_usage(cli, "unknown command '%s'; did you mean %s?", word, meant);
	return cli_usage(cli, "unknown command '%s'", word);
}

static struct cli_value *find_value(const struct cli *cli, const struct cli_option *option)
{
	for (unsigned int i = 0; i < cli->count; i++) {
		if (cli->values[i].option == option)
			return &cli->values[i];
	}
	return NULL;
}

/* Of an address that does not say which way, the one that is taken is named. */
static int read_owner(const struct cli_value *value, struct vferry_error *err)
{
	char address[256];
	int ret = cli_parse_owner(value->text, err);

	if (!ret && vf_owner_address_bare(value->text)) {
		ret = vf_owner_address(value->text, address, sizeof(address), err);
		if (!ret)
			fprintf(stderr, "vferry: %s is taken as %s\n", value->text, address);
	}
	return ret;
}

static int read_value(const struct cli_option *option, struct cli_value *value,
		      struct vferry_error *err)
{
	switch (option->type) {
	case CLI_NUMBER:
		return cli_parse_number(value->text, option->min, option->max, &value->number, err);
	case CLI_SIZE:
		return cli_parse_size(value->text, option->min, option->max, &value->number, err);
	case CLI_DURATION:
		return cli_parse_duration(value->text, option->min, option->max, &value->number,
					  err);
	case CLI_MODE:
		return cli_parse_mode(value->text, &value->number, err);
	case CLI_VFS:
		return cli_parse_vfs(value->text, &value->vfs, err);
	case CLI_HEX:
		return cli_parse_hex(value->text, &value->bytes, &value->count, err);
	case CLI_OWNER:
		return read_owner(value, err);
	case CLI_CHOICE:
		return cli_parse_choice(value->text, option->choices, err);
	case CLI_STRING:
	case CLI_FILE:
		if (!*value->text)
			return vferry_fail(err, -EINVAL, "it is empty");
		return 0;
	case CLI_FLAG:
		break;
	}
	return 0;
}

static bool is_global(const struct cli_option *option, const char *name)
{
	return option == find_in(cli_global_options, name, strlen(name));
}

static void take_global(struct cli *cli, const struct cli_option *option,
			const struct cli_value *value)
{
	if (is_global(option, "output"))
		cli->json = !strcmp(value->text, "json");
	else if (is_global(option, "verbose"))
		cli->verbose++;
	else if (is_global(option, "timeout"))
		cli->timeout_ns = value->number;
	else if (is_global(option, "help"))
		cli->help = true;
	else if (is_global(option, "version"))
		cli->version = true;
}

static int take(struct cli *cli, const struct cli_option *option, const char *text, bool positional)
{
	const char *dashes = positional ? "" : "--";
	struct cli_value value = { .option = option, .text = text };
	struct vferry_error err;

	if (option->type != CLI_FLAG && !(option->flags & CLI_REPEAT) && find_value(cli, option))
		return cli_usage(cli, "%s%s is given twice, the second time as '%s'", dashes,
				 option->name, text);
	if (text && read_value(option, &value, &err))
		return cli_usage(cli, "%s%s: %s", dashes, option->name, err.text);
	if (cli->count == cli->room) {
		unsigned int room = cli->room ? 2 * cli->room : 16;
		struct cli_value *more = reallocarray(cli->values, room, sizeof(*more));

		if (!more)
			abort();
		cli->values = more;
		cli->room = room;
	}
	cli->values[cli->count++] = value;
	take_global(cli, option, &value);
	return CLI_DONE;
}

/* @at: a word that begins with a dash. Moves on over its argument. */
static int take_option(struct cli *cli, char ***at)
{
	const char *word = **at, *equals, *text = NULL;
	const struct cli_option *option;

	if (word[1] == '-') {
		equals = strchrnul(word, '=');
		option = find_option(cli, word + 2, (size_t)(equals - word - 2));
		if (!option) {
			char name[64];

			snprintf(name, sizeof(name), "%.*s", (int)(equals - word - 2), word + 2);
			return unknown_option(cli, word, name);
		}
		if (*equals)
			text = equals + 1;
	} else {
		for (const char *letter = word + 1; *letter; letter++) {
			option = find_letter(cli, *letter);
			if (!option)
				return unknown_option(cli, word, word + 1);
			if (option->type != CLI_FLAG) {
				if (letter[1])
					text = letter + 1 + (letter[1] == '=');
				break;
			}
			if (letter[1]) {
				int rc = take(cli, option, NULL, false);

				if (rc)
					return rc;
			}
		}
	}
	if (option->type == CLI_FLAG) {
		if (text)
			return cli_usage(cli, "--%s takes no argument ('%s')", option->name, word);
		return take(cli, option, NULL, false);
	}
	if (!text) {
		if (!(*at)[1])
			return cli_usage(cli, "%s wants an argument: %s", word,
					 cli_argument_name(option));
		text = *++*at;
	}
	return take(cli, option, text, false);
}

/* The next positional of the deepest command that is still to be filled, or NULL. A command to run stands behind "--" only. */
static const struct cli_option *next_positional(const struct cli *cli, bool words_only)
{
	const struct cli_option *list = cli_command(cli)->positionals;

	for (const struct cli_option *rest = list; words_only && rest && rest->name; rest++)
		if (rest->flags & CLI_REST)
			return rest;
	for (; list && list->name; list++) {
		if (list->flags & CLI_REST)
			continue;
		if ((list->flags & CLI_REPEAT) || !find_value(cli, list))
			return list;
	}
	return NULL;
}

static int take_word(struct cli *cli, char ***at, bool words_only)
{
	const struct cli_option *positional = next_positional(cli, words_only);
	const struct cli_command *sub = find_sub(cli_command(cli), **at);

	/* "vferry admin mode --help": the sub's name in the owner's place. What is missing is told at the end. */
	if (sub) {
		descend(cli, sub);
		return CLI_DONE;
	}
	if (positional && (positional->flags & CLI_REST)) {
		int rc = take(cli, positional, **at, true);

		cli->rest = *at;
		while ((*at)[1])
			++*at;
		return rc;
	}
	if (positional)
		return take(cli, positional, **at, true);
	if (cli_command(cli)->subs)
		return unknown_command(cli, **at);
	return cli_usage(cli, "'%s' is one argument too many", **at);
}

static int check_complete(struct cli *cli)
{
	const struct cli_command *command = cli_command(cli);

	for (unsigned int i = 0; i < cli->depth; i++) {
		const struct cli_option *list = cli->chain[i]->positionals;

		for (; list && list->name; list++) {
			if (!(list->flags & CLI_OPTIONAL) && !find_value(cli, list))
				return cli_usage(cli, "%s is missing: %s", list->name, list->help);
		}
	}
	if (command->subs && !command->run)
		return cli_usage(cli, "a command is missing after '%s'", cli->path);
	for (unsigned int i = 0; i < cli->depth; i++) {
		const struct cli_option *list = cli->chain[i]->options;

		for (; list && list->name; list++) {
			if ((list->flags & CLI_REQUIRED) && !find_value(cli, list))
				return cli_usage(cli, "--%s %s is missing: %s", list->name,
						 cli_argument_name(list), list->help);
		}
	}
	return CLI_DONE;
}

/* Help wins over any mistake beside it; JSON mode must be known before the first error. */
static void look_ahead(struct cli *cli, char **argv)
{
	for (char **at = argv + 1; *at && strcmp(*at, "--"); at++) {
		const char *word = *at;

		if (!strcmp(word, "--help") || !strcmp(word, "-h"))
			cli->help = true;
		else if (!strcmp(word, "--version") || !strcmp(word, "-V"))
			cli->version = true;
		else if (!strcmp(word, "-ojson") || !strcmp(word, "-o=json") ||
			 !strcmp(word, "--output=json"))
			cli->json = true;
		else if ((!strcmp(word, "-o") || !strcmp(word, "--output")) && at[1])
			cli->json = !strcmp(at[1], "json");
	}
}

static void find_for_help(struct cli *cli, char **argv)
{
	for (char **at = argv + 1; *at && strcmp(*at, "--"); at++) {
		const struct cli_command *sub = find_sub(cli_command(cli), *at);

		if (sub)
			descend(cli, sub);
	}
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	bool words_only = false;

	descend(cli, &cli_root);
	look_ahead(cli, argv);
	if (cli->help) {
		find_for_help(cli, argv);
		return CLI_DONE;
	}
	if (argc < 1)
		return cli_usage(cli, "a command is missing");
	for (char **at = argv + 1; *at; at++) {
		int rc;

		if (!words_only && !strcmp(*at, "--")) {
			words_only = true;
			continue;
		}
		if (!words_only && (*at)[0] == '-' && (*at)[1])
			rc = take_option(cli, &at);
		else
			rc = take_word(cli, &at, words_only);
		if (rc)
			return rc;
	}
	return cli->version ? CLI_DONE : check_complete(cli);
}

void cli_release(struct cli *cli)
{
	for (unsigned int i = 0; i < cli->count; i++) {
		free(cli->values[i].vfs.vf);
		free(cli->values[i].bytes);
	}
	free(cli->values);
	cli->values = NULL;
	cli->count = cli->room = 0;
}

/* --- For the commands ------------------------------------------------------------------------------ */

static const struct cli_option *named(const struct cli *cli, const char *name)
{
	for (unsigned int i = cli->depth; i--;) {
		const struct cli_option *found =
			find_in(cli->chain[i]->options, name, strlen(name));

		if (!found)
			found = find_in(cli->chain[i]->positionals, name, strlen(name));
		if (found)
			return found;
	}
	fprintf(stderr, "vferry: '%s' asks for '%s', which its table does not have\n", cli->path,
		name);
	abort();
}

static const struct cli_value *value_of(const struct cli *cli, const char *name, unsigned int n)
{
	const struct cli_option *option = named(cli, name);

	for (unsigned int i = 0; i < cli->count; i++) {
		if (cli->values[i].option == option && !n--)
			return &cli->values[i];
	}
	return NULL;
}

bool cli_has(const struct cli *cli, const char *name)
{
	return value_of(cli, name, 0);
}

unsigned int cli_count(const struct cli *cli, const char *name)
{
	const struct cli_option *option = named(cli, name);
	unsigned int n = 0;

	for (unsigned int i = 0; i < cli->count; i++)
		n += cli->values[i].option == option;
	return n;
}

const char *cli_string_at(const struct cli *cli, const char *name, unsigned int n)
{
	const struct cli_value *value = value_of(cli, name, n);

	return value ? value->text : NULL;
}

const char *cli_string(const struct cli *cli, const char *name)
{
	return cli_string_at(cli, name, 0);
}

uint64_t cli_number(const struct cli *cli, const char *name, uint64_t otherwise)
{
	const struct cli_value *value = value_of(cli, name, 0);

	return value ? value->number : otherwise;
}

const struct cli_vfs *cli_vfs(const struct cli *cli, const char *name)
{
	const struct cli_value *value = value_of(cli, name, 0);

	return value ? &value->vfs : NULL;
}

const uint8_t *cli_hex(const struct cli *cli, const char *name, size_t *count)
{
	const struct cli_value *value = value_of(cli, name, 0);

	*count = value ? value->count : 0;
	return value ? value->bytes : NULL;
}

char *const *cli_rest(const struct cli *cli, const char *name)
{
	return value_of(cli, name, 0) ? cli->rest : NULL;
}

bool cli_json(const struct cli *cli)
{
	return cli->json;
}

unsigned int cli_verbose(const struct cli *cli)
{
	return cli->verbose;
}

uint64_t cli_timeout_ns(const struct cli *cli)
{
	return cli->timeout_ns;
}

const char *cli_path(const struct cli *cli)
{
	return cli->path;
}

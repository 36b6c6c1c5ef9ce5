// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* --help on every level, from the table; never wider than 80 columns. */
#include <ctype.h>
#include <string.h>
#include "cli/state.h"

#define WIDTH	 79
#define TERM_MAX 26

const char *cli_argument_name(const struct cli_option *option)
{
	if (option->arg)
		return option->arg;
	switch (option->type) {
	case CLI_NUMBER:
		return "N";
	case CLI_SIZE:
		return "SIZE";
	case CLI_DURATION:
		return "TIME";
	case CLI_VFS:
		return "LIST";
	case CLI_MODE:
		return "MODE";
	case CLI_HEX:
		return "HEX";
	case CLI_OWNER:
		return "OWNER";
	case CLI_CHOICE:
		return option->choices;
	case CLI_FILE:
		return "FILE";
	default:
		return "TEXT";
	}
}

bool cli_says_repeat(const struct cli_option *option)
{
	return (option->flags & CLI_REPEAT) && option->type != CLI_FLAG &&
	       !strstr(option->help, "more than once");
}

void cli_spot_path(const struct cli_spot *spot, char separator, char *buffer, size_t size)
{
	size_t used = 0;

	for (unsigned int i = 0; i < spot->depth && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%.1s%s", i ? &separator : "",
					 spot->chain[i]->name);
}

void cli_spot_synopsis(const struct cli_spot *spot, FILE *to)
{
	const struct cli_command *last = spot->chain[spot->depth - 1];
	bool optional = false;

	if (last->synopsis) {
		fputs(last->synopsis, to);
		return;
	}
	for (unsigned int i = 0; i < spot->depth; i++) {
		fprintf(to, "%s%s", i ? " " : "", spot->chain[i]->name);
		for (const struct cli_option *p = spot->chain[i]->positionals; p && p->name; p++) {
			const char *dots = p->flags & (CLI_REPEAT | CLI_REST) ? "..." : "";

			fprintf(to, p->flags & CLI_OPTIONAL ? " [%s%s]" : " %s%s", p->name, dots);
		}
	}
	if (last->subs)
		fputs(" COMMAND", to);
	for (unsigned int i = 0; i < spot->depth; i++) {
		for (const struct cli_option *o = spot->chain[i]->options; o && o->name; o++) {
			if (o->flags & CLI_REQUIRED)
				fprintf(to, " --%s %s", o->name, cli_argument_name(o));
			else
				optional = true;
		}
	}
	if (optional || spot->depth == 1)
		fputs(" [options]", to);
}

/* Words from @column on, continued under @indent. */
static void wrap(FILE *to, const char *text, int column, int indent)
{
	while (*text) {
		size_t length = strcspn(text, " ");

		if (column + 1 + (int)length > WIDTH && column > indent) {
			fprintf(to, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', to);
			column++;
		}
		fwrite(text, 1, length, to);
		column += (int)length;
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void entry(FILE *to, const char *term, const char *help, int width)
{
	int length = (int)strlen(term);

	fprintf(to, "  %s", term);
	if (length > width) {
		fputc('\n', to);
		length = -2;
	}
	fprintf(to, "%*s", width - length + 2, "");
	wrap(to, help, width + 4, width + 4);
}

static void option_term(const struct cli_option *o, char *term, size_t size)
{
	int n;

	if (o->letter)
		n = snprintf(term, size, "-%c, --%s", o->letter, o->name);
	else
		n = snprintf(term, size, "    --%s", o->name);
	if (o->type != CLI_FLAG && n > 0 && (size_t)n < size)
		snprintf(term + n, size - (size_t)n, " %s", cli_argument_name(o));
}

static int widest(const struct cli_option *list, bool options, int width)
{
	char term[128];

	for (; list && list->name; list++) {
		int length;

		if (options)
			option_term(list, term, sizeof(term));
		length = (int)strlen(options ? term : list->name);
		if (length > width && length <= TERM_MAX)
			width = length;
	}
	return width;
}

static void options(FILE *to, const struct cli_option *list, int width)
{
	char term[128], help[1024];

	for (; list && list->name; list++) {
		option_term(list, term, sizeof(term));
		snprintf(help, sizeof(help), "%s%s%s", list->help,
			 list->flags & CLI_REQUIRED ? " (required)" : "",
			 cli_says_repeat(list) ? " (may be given more than once)" : "");
		entry(to, term, help, width);
	}
}

static void arguments(const struct cli_spot *spot, FILE *to)
{
	int width = 0;
	bool any = false;

	for (unsigned int i = 0; i < spot->depth; i++)
		width = widest(spot->chain[i]->positionals, false, width);
	for (unsigned int i = 0; i < spot->depth; i++) {
		for (const struct cli_option *p = spot->chain[i]->positionals; p && p->name; p++) {
			if (!any)
				fputs("\nArguments:\n", to);
			any = true;
			entry(to, p->name, p->help, width);
		}
	}
}

static void one_group(const struct cli_command *command, const char *group, FILE *to)
{
	bool any = false;

	for (const struct cli_command *const *sub = command->subs; *sub; sub++) {
		if (command == &cli_root && (!(*sub)->group || strcmp((*sub)->group, group)))
			continue;
		if (!any)
			fprintf(to, "\n%s:\n", group);
		any = true;
		entry(to, (*sub)->name, (*sub)->summary, 12);
	}
}

static void subs(const struct cli_command *command, FILE *to)
{
	static const char *const groups[] = { CLI_GROUP_MIGRATE, CLI_GROUP_DEVICE, CLI_GROUP_WATCH,
					      CLI_GROUP_HOST };

	if (command != &cli_root) {
		one_group(command, "Commands", to);
		return;
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		one_group(command, groups[i], to);
}

static void examples(const struct cli_command *command, FILE *to)
{
	if (!command->examples)
		return;
	fputs("\nExamples:\n", to);
	for (const struct cli_example *e = command->examples; e->line; e++) {
		if (e->what)
			fprintf(to, "  # %s\n", e->what);
		fprintf(to, "  %s\n", e->line);
	}
}

static void exits(const struct cli_command *command, FILE *to)
{
	fputs("\nExit status:\n", to);
	for (unsigned int code = 0; code <= CLI_IN_DOUBT; code++) {
		char number[8];

		if (code != CLI_DONE && code != CLI_USAGE && !(command->exits & CLI_X(code)))
			continue;
		snprintf(number, sizeof(number), "%u", code);
		entry(to, number, cli_exit_words(code), 3);
	}
	if (command->exits & CLI_X_SIGNALS)
		entry(to, "130", "interrupted and undone (143 by SIGTERM)", 3);
}

/* "carry VFs" -> "Carry VFs." */
static void sentence(FILE *to, const char *words)
{
	char text[256];

	snprintf(text, sizeof(text), "%s.", words);
	if (strncmp(text, "vferry", 6))
		text[0] = (char)toupper((unsigned char)text[0]);
	wrap(to, text, 0, 0);
}

void cli_help(const struct cli_spot *spot, FILE *to)
{
	const struct cli_command *command = spot->chain[spot->depth - 1];
	bool own = false;
	int width;

	fputs("Usage: ", to);
	cli_spot_synopsis(spot, to);
	fputs("\n\n", to);
	sentence(to, command->summary);
	for (const char *const *about = command->about; about && *about; about++) {
		fputc('\n', to);
		wrap(to, *about, 0, 0);
	}
	if (command->subs)
		subs(command, to);
	arguments(spot, to);
	width = widest(cli_global_options, true, 0);
	for (unsigned int i = 0; i < spot->depth; i++)
		width = widest(spot->chain[i]->options, true, width);
	for (unsigned int i = spot->depth; i--;) {
		const struct cli_option *list = spot->chain[i]->options;

		if (!list || !list->name)
			continue;
		if (!own)
			fputs("\nOptions:\n", to);
		own = true;
		options(to, list, width);
	}
	fputs(own ? "\nOptions of every command:\n" : "\nOptions:\n", to);
	options(to, cli_global_options, width);
	examples(command, to);
	if (command->run)
		exits(command, to);
	else if (spot->depth == 1)
		fputs("\n'vferry COMMAND --help' tells more.\n", to);
}

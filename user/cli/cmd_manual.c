// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry manual: the manual pages in mdoc, from the table; tools/docs writes them to files. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "cli/state.h"

#define PAGE_DATE "November 22, 2026"

static bool ends_sentence(const char *word, size_t length)
{
	while (length && strchr(")'\"", word[length - 1]))
		length--;
	return length && strchr(".?!", word[length - 1]);
}

/* Running text: a sentence begins a line; a dot or quote in column one would be a macro. */
static void text(const char *words)
{
	int column = 0;

	while (*words) {
		size_t length = strcspn(words, " ");

		if (!column && (*words == '.' || *words == '\''))
			fputs("\\&", stdout);
		for (size_t i = 0; i < length; i++) {
			if (words[i] == '\\')
				fputs("\\e", stdout);
			else if (words[i] == '-')
				fputs("\\-", stdout);
			else
				putchar(words[i]);
		}
		column += (int)length;
		if (words[length] && column < 70 && !ends_sentence(words, length)) {
			putchar(' ');
			column++;
		} else {
			putchar('\n');
			column = 0;
		}
		words += length;
		words += strspn(words, " ");
	}
	if (column)
		putchar('\n');
}

/* One line as it is to be typed. */
static void literal(const char *line)
{
	if (*line == '.' || *line == '\'')
		fputs("\\&", stdout);
	for (; *line; line++)
		fputs(*line == '\\'  ? "\\e"
		      : *line == '-' ? "\\-"
				     : (const char[]){ *line, 0 },
		      stdout);
	putchar('\n');
}

static void paragraphs(const char *const *list, bool first)
{
	for (; list && *list; list++) {
		if (!first)
			puts(".Pp");
		first = false;
		text(*list);
	}
}

static void sentence(const char *words)
{
	char line[512];

	snprintf(line, sizeof(line), "%s.", words);
	if (strncmp(line, "vferry", 6))
		line[0] = (char)toupper((unsigned char)line[0]);
	text(line);
}

/* An argument to a macro line: no blank, no word that is a macro's name. */
static void macro_argument(const char *words)
{
	printf("\"%s\"", words);
}

static bool leaf(const struct cli_command *command)
{
	return command->run;
}

static void synopsis_line(const struct cli_spot *spot)
{
	bool optional = false;

	puts(".Nm vferry");
	for (unsigned int i = 1; i < spot->depth; i++) {
		printf(".Cm %s\n", spot->chain[i]->name);
		for (const struct cli_option *p = spot->chain[i]->positionals; p && p->name; p++)
			printf(p->flags & CLI_OPTIONAL ? ".Op Ar %s%s\n" : ".Ar %s%s\n", p->name,
			       p->flags & (CLI_REPEAT | CLI_REST) ? " ..." : "");
	}
	for (unsigned int i = 0; i < spot->depth; i++) {
		for (const struct cli_option *o = spot->chain[i]->options; o && o->name; o++) {
			optional |= !(o->flags & CLI_REQUIRED);
			if (!(o->flags & CLI_REQUIRED))
				continue;
			printf(".Fl -%s Ar ", o->name);
			macro_argument(cli_argument_name(o));
			putchar('\n');
		}
	}
	if (optional)
		puts(".Op Ar options");
}

static void synopsis(struct cli_spot *spot)
{
	const struct cli_command *command = spot->chain[spot->depth - 1];

	if (leaf(command))
		synopsis_line(spot);
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++) {
		spot->chain[spot->depth++] = *sub;
		synopsis(spot);
		spot->depth--;
	}
}

static void option_list(const struct cli_option *list)
{
	for (; list && list->name; list++) {
		char help[1024];

		fputs(".It ", stdout);
		if (list->letter)
			printf("Fl %c , ", list->letter);
		printf("Fl -%s", list->name);
		if (list->type != CLI_FLAG) {
			fputs(" Ar ", stdout);
			macro_argument(cli_argument_name(list));
		}
		putchar('\n');
		snprintf(help, sizeof(help), "%s%s", list->help,
			 cli_says_repeat(list) ? "; may be given more than once" : "");
		sentence(help);
	}
}

static void positional_list(const struct cli_option *list)
{
	for (; list && list->name; list++) {
		printf(".It Ar %s\n", list->name);
		sentence(list->help);
	}
}

static bool any(const struct cli_option *list)
{
	return list && list->name;
}

/* A command's own arguments and options, and then those of its subs. */
static void description(struct cli_spot *spot, unsigned int from)
{
	const struct cli_command *command = spot->chain[spot->depth - 1];

	if (spot->depth > from) {
		char path[CLI_PATH_MAX];

		cli_spot_path(spot, ' ', path, sizeof(path));
		printf(".Ss %s\n", path);
		sentence(command->summary);
		paragraphs(command->about, false);
	}
	if (any(command->positionals) || any(command->options)) {
		puts(".Bl -tag -width Ds");
		positional_list(command->positionals);
		option_list(command->options);
		puts(".El");
	}
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++) {
		spot->chain[spot->depth++] = *sub;
		description(spot, from);
		spot->depth--;
	}
}

static uint32_t exits_of(const struct cli_command *command)
{
	uint32_t exits = command->exits | CLI_X(CLI_DONE) | CLI_X(CLI_USAGE);

	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++)
		exits |= exits_of(*sub);
	return exits;
}

static void exit_status(uint32_t exits)
{
	puts(".Sh EXIT STATUS\n.Bl -tag -width Ds");
	for (unsigned int code = 0; code <= CLI_IN_DOUBT; code++) {
		if (exits & CLI_X(code)) {
			printf(".It %u\n", code);
			sentence(cli_exit_words(code));
		}
	}
	if (exits & CLI_X_SIGNALS)
		puts(".It 130, 143\nInterrupted (by SIGINT, SIGTERM), and undone.");
	puts(".El");
}

static void examples(const struct cli_command *command, bool *heading)
{
	for (const struct cli_example *e = command->examples; e && e->line; e++) {
		if (!*heading)
			puts(".Sh EXAMPLES");
		else
			puts(".Pp");
		*heading = true;
		if (e->what)
			sentence(e->what);
		puts(".Bd -literal -offset indent -compact");
		literal(e->line);
		puts(".Ed");
	}
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++)
		examples(*sub, heading);
}

static void generated(const struct cli_list *list)
{
	const char *word, *words[4] = { NULL };

	if (!list)
		return;
	printf(".Sh %s\n.Bl -tag -width Ds\n", list->title);
	for (unsigned int n = 0; list->entry(n, &word, words); n++) {
		printf(".It Cm %s\n", word);
		for (unsigned int i = 0; i < 4 && words[i]; i++)
			sentence(words[i]);
	}
	puts(".El");
}

static void sections(const struct cli_command *command)
{
	for (const struct cli_section *s = command->sections; s && s->title; s++) {
		printf(".Sh %s\n", s->title);
		paragraphs(s->paragraphs, true);
	}
	generated(command->list);
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++)
		sections(*sub);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void see_also(const struct cli_command *command)
{
	const char *names[64];
	unsigned int n = 0;

	if (command == &cli_root) {
		for (const struct cli_command *const *sub = command->subs; *sub && n < 63; sub++) {
			if ((*sub)->group)
				names[n++] = (*sub)->name;
		}
		names[n++] = "owner";
	} else {
		for (const char *const *see = command->see; see && *see && n < 64; see++)
			names[n++] = *see;
	}
	qsort(names, n, sizeof(names[0]), by_name);
	puts(".Sh SEE ALSO");
	if (command != &cli_root)
		printf(".Xr vferry 1%s\n", n ? " ," : "");
	for (unsigned int i = 0; i < n; i++)
		printf(".Xr vferry-%s 1%s\n", names[i], i + 1 < n ? " ," : "");
}

static void head(const char *name, const char *summary)
{
	fputs(".\\\" SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n.Dd " PAGE_DATE
	      "\n.Dt ",
	      stdout);
	for (const char *c = name; *c; c++)
		putchar(toupper((unsigned char)*c));
	printf(" 1\n.Os vferry %s\n.Sh NAME\n.Nm %s\n.Nd %s\n.Sh SYNOPSIS\n", VFERRY_VERSION, name,
	       summary);
}

static void root_page(void)
{
	head("vferry", cli_root.summary);
	puts(".Nm vferry\n.Ar command\n.Op Ar options\n.Sh DESCRIPTION");
	paragraphs(cli_root.about, true);
	puts(".Pp\nThe commands, each with a page of its own:\n.Bl -tag -width \"completion\"");
	for (const struct cli_command *const *sub = cli_root.subs; *sub; sub++) {
		if (!(*sub)->group)
			continue;
		printf(".It Cm %s\n", (*sub)->name);
		sentence((*sub)->summary);
	}
	puts(".El\n.Pp\nOptions of every command:\n.Bl -tag -width Ds");
	option_list(cli_global_options);
	puts(".El");
}

static void command_page(const struct cli_command *command, const char *name)
{
	struct cli_spot spot = { .chain = { &cli_root, command }, .depth = 2 };

	head(name, command->summary);
	synopsis(&spot);
	puts(".Sh DESCRIPTION");
	sentence(command->summary);
	paragraphs(command->about, false);
	description(&spot, 2);
	puts(".Pp\nThe options of every command are in\n.Xr vferry 1 .");
}

static void page(const struct cli_command *command, const char *name)
{
	bool heading = false;

	if (command == &cli_root)
		root_page();
	else
		command_page(command, name);
	if (command == &cli_root)
		sections(&(struct cli_command){ .sections = command->sections });
	else
		sections(command);
	exit_status(command == &cli_root ? 0xffffffff : exits_of(command));
	if (command == &cli_root)
		examples(&(struct cli_command){ .examples = command->examples }, &heading);
	else
		examples(command, &heading);
	see_also(command);
}

static int run(struct cli *cli)
{
	const char *wanted = cli_string(cli, "NAME");
	char name[64];

	if (!wanted != cli_has(cli, "list"))
		return cli_usage(cli, "either a page's name or --list");
	if (!wanted)
		puts("vferry");
	else if (!strcmp(wanted, "vferry")) {
		page(&cli_root, wanted);
		return CLI_DONE;
	}
	for (const struct cli_command *const *sub = cli_root.subs; *sub; sub++) {
		if (!(*sub)->group)
			continue;
		snprintf(name, sizeof(name), "vferry-%s", (*sub)->name);
		if (!wanted) {
			puts(name);
		} else if (!strcmp(wanted, name)) {
			page(*sub, name);
			return CLI_DONE;
		}
	}
	return wanted ? cli_usage(cli, "there is no page '%s'; --list names them", wanted)
		      : CLI_DONE;
}

const struct cli_command cli_cmd_manual = {
	.name = "manual",
	.summary = "a manual page in mdoc, or the pages' names",
	.positionals =
		(const struct cli_option[]){
			{ .name = "NAME",
			  .type = CLI_STRING,
			  .flags = CLI_OPTIONAL,
			  .help = "the page, as vferry-admin" },
			CLI_END,
		},
	.options =
		(const struct cli_option[]){
			{ .name = "list", .help = "print the pages' names" },
			CLI_END,
		},
	.run = run,
};

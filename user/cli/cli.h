/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line. One table of commands (struct cli_command) drives parsing, --help, the errors of
 * usage, bash completion and the manual pages. A command is one file cmd_NAME.c that defines
 * cli_cmd_NAME and is listed in table.c.
 *
 *	static int run(struct cli *cli)
 *	{
 *		struct json_object *doc = cli_document("vferry.example");
 *
 *		if (vferry_owner_open(&owner, cli_string(cli, "OWNER"), NULL, &err))
 *			return cli_fail(cli, &err);
 *		cli_add_uint(doc, "context_bytes", bytes);
 *		return cli_print(cli, doc, views);
 *	}
 *
 * Data goes to standard output by cli_print() or cli_row() only, words about it by cli_note() and
 * cli_fail() to standard error.
 */
#ifndef VF_CLI_H
#define VF_CLI_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <vferry/error.h>
#include "cli/parse.h"

struct cli;
struct vferry_cmd;
struct vferry_answer;

/* Exit status (design/interfaces.md). */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_DEVICE = 3,	     /* the device answered with an error status */
	CLI_PERMISSION = 4,  /* permission or capability missing */
	CLI_UNSUPPORTED = 5, /* not supported here */
	CLI_DEADLINE = 6,
	CLI_IN_DOUBT = 7, /* both sides frozen, see vferry recover */
	CLI_SIGINT = 130,
	CLI_SIGTERM = 143,
};

/* For struct cli_command.exits; DONE and USAGE always belong to it. */
#define CLI_X(code)   (1U << (code))
#define CLI_X_SIGNALS (1U << 31)
#define CLI_X_FAILED  CLI_X(CLI_FAILED)
#define CLI_X_OWNER                                                                          \
	(CLI_X_FAILED | CLI_X(CLI_DEVICE) | CLI_X(CLI_PERMISSION) | CLI_X(CLI_UNSUPPORTED) | \
	 CLI_X(CLI_DEADLINE))

enum cli_type {
	CLI_FLAG = 0, /* takes no argument */
	CLI_STRING,
	CLI_NUMBER,   /* with min..max; 0x prefix allowed */
	CLI_SIZE,     /* bytes: 4096, 64K, 256M, 1G (powers of 1024) */
	CLI_DURATION, /* 10us, 50ms, 1.5s; stored in ns; a unit is required except for 0 */
	CLI_VFS,      /* 1, 1-4,7, all */
	CLI_MODE,     /* active, stop, freeze */
	CLI_HEX,      /* pairs of hex digits, blanks and colons between them allowed */
	CLI_OWNER,    /* vfio:BDF, vfio-user:PATH, uring-cmd:PATH */
	CLI_CHOICE,   /* one word of .choices */
	CLI_FILE,     /* as STRING; completion offers files */
};

/*
 * REPEAT: may be given more than once; a last positional takes all that follow. REQUIRED: options only.
 * OPTIONAL: positionals only. REST: a positional that takes every word from there on, options too (a
 * command to run, after --).
 */
#define CLI_REPEAT   0x1u
#define CLI_REQUIRED 0x2u
#define CLI_OPTIONAL 0x4u
#define CLI_REST     0x8u

/**
 * struct cli_option - an option, or a positional argument (then @name is written in capitals)
 * @name: long name without dashes
 * @letter: short name or 0
 * @type: how the argument is read
 * @arg: how the argument is called in help; not for CLI_FLAG. NULL: chosen from the type
 * @help: one sentence in lower case without full stop, wrapped by help
 * @min: NUMBER, SIZE, DURATION: smallest value
 * @max: NUMBER, SIZE, DURATION: largest value; 0: any
 * @choices: CHOICE: "text|json"
 * @flags: CLI_REPEAT and so on
 */
struct cli_option {
	const char *name;
	char letter;
	enum cli_type type;
	const char *arg;
	const char *help;
	uint64_t min;
	uint64_t max;
	const char *choices;
	unsigned int flags;
};

struct cli_example {
	const char *what; /* a line of words, NULL: none */
	const char *line; /* what to type */
};

/** struct cli_section - a section of a manual page, as OVERHEAD or FILES */
struct cli_section {
	const char *title;
	const char *const *paragraphs; /* ended by NULL */
};

/**
 * struct cli_list - a section of a manual page that is made from a table of the program's
 * @title: of the section
 * @entry: number @n: its name and up to four sentences; false behind the last
 */
struct cli_list {
	const char *title;
	bool (*entry)(unsigned int n, const char **word, const char *words[4]);
};

/**
 * struct cli_command - one command of the table
 * @name: the word that names it
 * @group: heading in "vferry --help"; only for commands at the top, where NULL hides the command
 * @summary: one line, lower case, no full stop
 * @synopsis: NULL: made from what follows
 * @about: paragraphs
 * @positionals: in order, ended by a NULL name; those of a command with @subs stand before the sub's name
 * @options: ended by a NULL name; they hold for the subs too
 * @subs: commands below this one, ended by NULL; a command has @subs or @run
 * @examples: ended by a NULL line
 * @exits: CLI_X()
 * @sections: further sections of the manual page, ended by a NULL title
 * @list: a further section of the manual page, after @sections; NULL: none
 * @see: other commands at the top, ended by NULL: "admin"
 * @run: returns the exit status
 */
struct cli_command {
	const char *name;
	const char *group;
	const char *summary;
	const char *synopsis;
	const char *const *about;
	const struct cli_option *positionals;
	const struct cli_option *options;
	const struct cli_command *const *subs;
	const struct cli_example *examples;
	uint32_t exits;
	const struct cli_section *sections;
	const struct cli_list *list;
	const char *const *see;
	int (*run)(struct cli *cli);
};

#define CLI_GROUP_MIGRATE "Migrate"
#define CLI_GROUP_DEVICE  "By hand"
#define CLI_GROUP_WATCH	  "Watch"
#define CLI_GROUP_HOST	  "This host"

/* Every positional or option list ends with this. */
#define CLI_END              \
	{                    \
		.name = NULL \
	}

#define CLI_ARG_OWNER                                                                             \
	{                                                                                         \
		.name = "OWNER", .type = CLI_OWNER,                                               \
		.help = "the owner device: vfio:0000:65:00.0, vfio-user:/run/vferry/pf0.sock or " \
			"uring-cmd:/dev/vferry/0000:65:00.0",                                     \
	}

/* The whole table, and the options that hold everywhere (table.c). */
extern const struct cli_command cli_root;
extern const struct cli_option cli_global_options[];

/*
 * What was given. @name is an option's or positional's name of the command that runs (or of one above it); any
 * other name is a mistake in the program and ends it.
 */
bool cli_has(const struct cli *cli, const char *name);
unsigned int cli_count(const struct cli *cli, const char *name);
/** cli_string() - the words as typed; NULL when not given. */
const char *cli_string(const struct cli *cli, const char *name);
const char *cli_string_at(const struct cli *cli, const char *name, unsigned int n);
/** cli_number() - NUMBER, SIZE (bytes), DURATION (ns), MODE (enum vferry_mode). */
uint64_t cli_number(const struct cli *cli, const char *name, uint64_t otherwise);
/** cli_vfs() - NULL when not given. */
const struct cli_vfs *cli_vfs(const struct cli *cli, const char *name);
const uint8_t *cli_hex(const struct cli *cli, const char *name, size_t *count);
/** cli_rest() - NULL-terminated words of a CLI_REST positional. */
char *const *cli_rest(const struct cli *cli, const char *name);

bool cli_json(const struct cli *cli);		 /* -o json */
unsigned int cli_verbose(const struct cli *cli); /* -v, -vv */
uint64_t cli_timeout_ns(const struct cli *cli);	 /* --timeout, 0: not given */
const char *cli_path(const struct cli *cli);	 /* "vferry admin mode set" */

/* Errors. Each prints and returns the exit status, so that a command ends with "return cli_fail(cli, &err)". */

/** cli_exit_status() - the one place that maps a negative errno to an exit status. */
enum cli_exit cli_exit_status(int code);
/** cli_fail() - print @err and return the exit status of @err->code. */
int cli_fail(struct cli *cli, const struct vferry_error *err);
/** cli_fail_answer() - as cli_fail(), with what the device answered (when @answer has a status other than OK). */
int cli_fail_answer(struct cli *cli, const struct vferry_error *err,
		    const struct vferry_answer *answer);
/** cli_fail_as() - with an exit status of the caller's choice and more members for the JSON document (@more, may be NULL, is consumed). */
int cli_fail_as(struct cli *cli, enum cli_exit status, const struct vferry_error *err,
		struct json_object *more);
/** cli_usage() - wrong arguments: exit status 2 and the way to the help. */
__attribute__((format(printf, 2, 3))) int cli_usage(struct cli *cli, const char *format, ...);
/** cli_note() - a line for the reader on standard error; nothing in JSON mode. */
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *cli, const char *format, ...);

/* Output: one tree of values (json-c), printed as JSON or through views as text. */

enum cli_format {
	CLI_PLAIN =
		0, /* strings as they are, integers in decimal, true and false as yes and no, arrays with commas */
	CLI_BYTES, /* 262144 -> 256.0 KiB */
	CLI_NS,	   /* 1500000 -> 1.500 ms */
	CLI_HEX0X, /* 0x181 */
	CLI_RATE,  /* bytes per second */
};

/**
 * struct cli_column - one member of an object in text
 * @key: member's name; "opcode.name" looks inside
 * @title: heading of a table's column (capitals) or name in a list of values
 * @format: how
 * @width: for cli_row(): at least so many columns
 */
struct cli_column {
	const char *key;
	const char *title;
	enum cli_format format;
	int width;
};

/**
 * struct cli_view - a part of a document in text: a table for an array, lines "name  value" for an object
 * @key: member of the document, NULL: the document itself; "a.0.b" looks inside objects and arrays
 * @title: line above, or NULL
 * @columns: ended by a NULL key
 * @empty: printed instead of a table without rows; NULL: nothing, not even the title
 */
struct cli_view {
	const char *key;
	const char *title;
	const struct cli_column *columns;
	const char *empty;
};

/** cli_document() - a new object with schema and schema_version 1. */
struct json_object *cli_document(const char *schema);
void cli_add(struct json_object *to, const char *key, struct json_object *value);
void cli_add_string(struct json_object *to, const char *key, const char *value);
void cli_add_uint(struct json_object *to, const char *key, uint64_t value);
void cli_add_bool(struct json_object *to, const char *key, bool value);
/** cli_add_opcode() - "opcode": {"opcode": 10, "name": "dev_ctx_read"} */
void cli_add_opcode(struct json_object *to, unsigned int opcode);
/** cli_add_hex() - bytes as a string of hex digits. */
void cli_add_hex(struct json_object *to, const char *key, const void *bytes, size_t count);

/** cli_print() - print a document and release it. @views end with NULL columns. Return: CLI_DONE. */
int cli_print(struct cli *cli, struct json_object *doc, const struct cli_view *views);
/**
 * cli_row() - one object of a stream, released: a JSON line, or a row under a heading that is printed before the
 * first one. Flushed at once.
 */
void cli_row(struct cli *cli, struct json_object *row, const struct cli_column *columns);
/** cli_text() - text that has no place in a view (hex dumps, progress); nothing in JSON mode. */
__attribute__((format(printf, 2, 3))) void cli_text(struct cli *cli, const char *format, ...);
/** cli_hexdump() - bytes with their offset, 16 a line; nothing in JSON mode. */
void cli_hexdump(struct cli *cli, const void *bytes, size_t count, int indent);
/** cli_bytes() - raw bytes to standard output. */
void cli_bytes(struct cli *cli, const void *bytes, size_t count);

/** cli_format_value() - a value as the text renderer shows it; for progress lines. Return: @buffer. */
const char *cli_format_value(char *buffer, size_t size, enum cli_format format, uint64_t value);

#endif

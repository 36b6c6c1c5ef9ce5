// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry doctor: what works on this machine, what does not, and the fix. */
#include <string.h>
#include <unistd.h>
#include "cli/doctor.h"

static const char *const state_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_MISSING] = "missing",
};

void doctor_say(struct doctor *doctor, const char *name, enum doctor_state state, const char *fix,
		const char *format, ...)
{
	struct json_object *check = json_object_new_object();
	char words[512];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	cli_add_string(check, "group", doctor->group);
	cli_add_string(check, "name", name);
	cli_add_string(check, "state", state_names[state]);
	cli_add_string(check, "found", words);
	cli_add_string(check, "fix", fix);
	json_object_array_add(doctor->checks, check);
}

bool doctor_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool have = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (have)
		line[strcspn(line, "\n")] = 0;
	return have;
}

bool doctor_link(const char *path, char *name, size_t size)
{
	char target[512];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *last;

	if (n <= 0)
		return false;
	target[n] = 0;
	last = strrchr(target, '/');
	snprintf(name, size, "%s", last ? last + 1 : target);
	return true;
}

static const char *text_of(struct json_object *check, const char *key)
{
	return json_object_get_string(json_object_object_get(check, key));
}

#define INDENT 26
#define WIDTH  79

static void wrapped(struct cli *cli, const char *words)
{
	int column = INDENT;

	while (*words) {
		int length = (int)strcspn(words, " ");

		if (column > INDENT && column + 1 + length > WIDTH) {
			cli_text(cli, "\n%*s", INDENT, "");
			column = INDENT;
		}
		cli_text(cli, "%s%.*s", column > INDENT ? " " : "", length, words);
		column += length + (column > INDENT);
		words += length;
		words += strspn(words, " ");
	}
	cli_text(cli, "\n");
}

static void as_text(struct cli *cli, struct json_object *checks)
{
	const char *group = "";

	for (size_t i = 0; i < json_object_array_length(checks); i++) {
		struct json_object *check = json_object_array_get_idx(checks, i);
		const char *fix = text_of(check, "fix");

		if (strcmp(group, text_of(check, "group")))
			cli_text(cli, "%s%s\n", *group ? "\n" : "", text_of(check, "group"));
		group = text_of(check, "group");
		cli_text(cli, "  %-7s  %-15s", text_of(check, "state"), text_of(check, "name"));
		wrapped(cli, text_of(check, "found"));
		if (fix && strcmp(text_of(check, "state"), "ok"))
			cli_text(cli, "%*s-> %s\n", INDENT - 3, "", fix);
	}
}

static unsigned int count_state(struct json_object *checks, enum doctor_state state)
{
	unsigned int n = 0;

	for (size_t i = 0; i < json_object_array_length(checks); i++)
		n += !strcmp(text_of(json_object_array_get_idx(checks, i), "state"),
			     state_names[state]);
	return n;
}

static int run(struct cli *cli)
{
	struct doctor doctor = { .checks = json_object_new_array() };
	struct json_object *doc = cli_document("vferry.doctor");

	doctor_host(&doctor);
	doctor_io_uring(&doctor);
	doctor_vfio(&doctor);
	doctor_bpf(&doctor);
	doctor_owners(&doctor);
	doctor_ways(&doctor);
	cli_add(doc, "checks", doctor.checks);
	for (unsigned int state = DOCTOR_OK; state <= DOCTOR_MISSING; state++)
		cli_add_uint(doc, state_names[state], count_state(doctor.checks, state));
	as_text(cli, doctor.checks);
	cli_text(cli, "\n%u ok, %u to look at, %u missing\n", count_state(doctor.checks, DOCTOR_OK),
		 count_state(doctor.checks, DOCTOR_WARN),
		 count_state(doctor.checks, DOCTOR_MISSING));
	cli_print(cli, doc, NULL);
	return doctor.io_uring ? CLI_DONE : CLI_UNSUPPORTED;
}

const struct cli_command cli_cmd_doctor = {
	.name = "doctor",
	.group = CLI_GROUP_HOST,
	.summary = "what works on this machine, what does not, and the fix",
	.about =
		(const char *const[]){
			"Each check ends with ok, warn (works, but slower or in part) or missing, and with what to type. It changes "
			"nothing. What is missing matters only to those who need it: a laptop with the software owner device needs "
			"io_uring and nothing else. The exit status is 5 only when io_uring itself is not usable.",
			NULL,
		},
	.exits = CLI_X_FAILED | CLI_X(CLI_UNSUPPORTED),
	.examples =
		(const struct cli_example[]){
			{ NULL, "vferry doctor" },
			{ "what is missing, for a script",
			  "vferry doctor -o json | jq -r '.checks[] | select(.state == \"missing\") | .name'" },
			{ NULL, NULL },
		},
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Exit status and errors. */
#include <errno.h>
#include <string.h>
#include <vferry/owner.h>
#include "cli/state.h"

enum cli_exit cli_exit_status(int code)
{
	switch (code) {
	case 0:
		return CLI_DONE;
	case -EREMOTEIO:
		return CLI_DEVICE;
	case -EACCES:
	case -EPERM:
		return CLI_PERMISSION;
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EPROTONOSUPPORT:
	case -EAFNOSUPPORT:
		return CLI_UNSUPPORTED;
	case -ETIMEDOUT:
	case -ETIME:
		return CLI_DEADLINE;
	}
	return CLI_FAILED;
}

const char *cli_exit_words(unsigned int code)
{
	switch (code) {
	case CLI_DONE:
		return "done";
	case CLI_FAILED:
		return "failed; the message says why";
	case CLI_USAGE:
		return "wrong arguments";
	case CLI_DEVICE:
		return "the device answered with an error status; the JSON error has it";
	case CLI_PERMISSION:
		return "a permission or capability is missing; the message names it";
	case CLI_UNSUPPORTED:
		return "not supported by this machine or device";
	case CLI_DEADLINE:
		return "a deadline passed";
	case CLI_IN_DOUBT:
		return "in doubt: both sides are frozen, see vferry recover";
	}
	return NULL;
}

/* Words from devices, peers and arguments must not steer a terminal. */
static void put_clean(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		fputc(c < 0x20 || c == 0x7f ? '?' : c, to);
	}
}

static int say(const struct cli *cli, enum cli_exit status, int code, const char *text,
	       const char *way_out, struct json_object *more)
{
	fflush(stdout);
	if (!cli->json) {
		fputs("vferry: ", stderr);
		put_clean(stderr, text);
		if (way_out) {
			fputs("\n", stderr);
			put_clean(stderr, way_out);
		}
		fputc('\n', stderr);
		json_object_put(more);
		return status;
	}
	struct json_object *doc = cli_document("vferry.error");

	cli_add_string(doc, "command", cli->path);
	cli_add_string(doc, "message", text);
	cli_add_uint(doc, "exit_status", status);
	if (code && strerrorname_np(-code))
		cli_add_string(doc, "errno", strerrorname_np(-code));
	if (more) {
		json_object_object_foreach(more, key, value)
			cli_add(doc, key, json_object_get(value));
		json_object_put(more);
	}
	fprintf(stderr, "%s\n",
		json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
	return status;
}

int cli_fail_as(struct cli *cli, enum cli_exit status, const struct vferry_error *err,
		struct json_object *more)
{
	return say(cli, status, err->code, err->text, NULL, more);
}

int cli_fail(struct cli *cli, const struct vferry_error *err)
{
	enum cli_exit status = cli_exit_status(err->code);

	return cli_fail_as(cli, status ? status : CLI_FAILED, err, NULL);
}

int cli_fail_answer(struct cli *cli, const struct vferry_error *err,
		    const struct vferry_answer *answer)
{
	struct json_object *more;

	if (err->code != -EREMOTEIO || !answer || !answer->status)
		return cli_fail(cli, err);
	more = json_object_new_object();
	cli_add_opcode(more, answer->opcode);
	cli_add_uint(more, "status", answer->status);
	cli_add_string(more, "status_name", vferry_status_name(answer->status));
	cli_add_uint(more, "qualifier", answer->qualifier);
	cli_add_string(more, "qualifier_name", vferry_qualifier_name(answer->qualifier));
	return cli_fail_as(cli, CLI_DEVICE, err, more);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	char text[512], way_out[CLI_PATH_MAX + 32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(way_out, sizeof(way_out), "See '%s --help'.", cli->path);
	return say(cli, CLI_USAGE, 0, text, way_out, NULL);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (cli->json)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fflush(stdout);
	fputs("vferry: ", stderr);
	put_clean(stderr, text);
	fputc('\n', stderr);
}

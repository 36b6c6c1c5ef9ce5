// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One tree of values, printed as JSON or as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "cli/state.h"

#define CELL_MAX 512

struct json_object *cli_document(const char *schema)
{
	struct json_object *doc = json_object_new_object();

	cli_add_string(doc, "schema", schema);
	cli_add_uint(doc, "schema_version", 1);
	return doc;
}

void cli_add(struct json_object *to, const char *key, struct json_object *value)
{
	json_object_object_add(to, key, value);
}

void cli_add_string(struct json_object *to, const char *key, const char *value)
{
	cli_add(to, key, value ? json_object_new_string(value) : NULL);
}

void cli_add_uint(struct json_object *to, const char *key, uint64_t value)
{
	cli_add(to, key, json_object_new_uint64(value));
}

void cli_add_bool(struct json_object *to, const char *key, bool value)
{
	cli_add(to, key, json_object_new_boolean(value));
}

void cli_add_opcode(struct json_object *to, unsigned int opcode)
{
	struct json_object *both = json_object_new_object();

	cli_add_uint(both, "opcode", opcode);
	cli_add_string(both, "name", vferry_opcode_name(opcode));
	cli_add(to, "opcode", both);
}

void cli_add_hex(struct json_object *to, const char *key, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	char *text = malloc(2 * count + 1);

	if (!text)
		abort();
	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		snprintf(text + 2 * i, 3, "%02x", at[i]);
	cli_add_string(to, key, text);
	free(text);
}

/* --- Values as text --------------------------------------------------------------------------------- */

const char *cli_format_value(char *buffer, size_t size, enum cli_format format, uint64_t value)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double scaled = (double)value;
	unsigned int unit = 0;

	switch (format) {
	case CLI_BYTES:
	case CLI_RATE:
		for (; scaled >= 1024 && unit < 4; unit++)
			scaled /= 1024;
		snprintf(buffer, size, unit ? "%.1f %s%s" : "%.0f %s%s", scaled, units[unit],
			 format == CLI_RATE ? "/s" : "");
		break;
	case CLI_NS:
		if (value < 1000)
			snprintf(buffer, size, "%" PRIu64 " ns", value);
		else if (value < 1000000)
			snprintf(buffer, size, "%.1f us", scaled / 1e3);
		else if (value < 1000000000)
			snprintf(buffer, size, "%.3f ms", scaled / 1e6);
		else
			snprintf(buffer, size, "%.3f s", scaled / 1e9);
		break;
	case CLI_HEX0X:
		snprintf(buffer, size, "0x%" PRIx64, value);
		break;
	default:
		snprintf(buffer, size, "%" PRIu64, value);
	}
	return buffer;
}

static struct json_object *inside(struct json_object *from, const char *path)
{
	while (path && from) {
		const char *dot = strchrnul(path, '.');
		char key[64];

		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		if (json_object_is_type(from, json_type_array))
			from = json_object_array_get_idx(from, strtoul(key, NULL, 10));
		else if (!json_object_is_type(from, json_type_object) ||
			 !json_object_object_get_ex(from, key, &from))
			return NULL;
		path = *dot ? dot + 1 : NULL;
	}
	return from;
}

/* Words from devices and peers must not steer a terminal. */
static void clean(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			*text = '?';
	}
}

/* Return: true for what stands at the right side of a column. */
static bool cell(char *buffer, struct json_object *value, enum cli_format format)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		snprintf(buffer, CELL_MAX, "-");
		return false;
	case json_type_int:
		cli_format_value(buffer, CELL_MAX, format, json_object_get_uint64(value));
		return true;
	case json_type_boolean:
		snprintf(buffer, CELL_MAX, json_object_get_boolean(value) ? "yes" : "no");
		return false;
	case json_type_double:
		snprintf(buffer, CELL_MAX, "%.3g", json_object_get_double(value));
		return true;
	case json_type_array: {
		size_t used = 0, count = json_object_array_length(value);

		buffer[0] = 0;
		for (size_t i = 0; i < count && used + 2 < CELL_MAX; i++) {
			char part[CELL_MAX];

			cell(part, json_object_array_get_idx(value, i), format);
			used += (size_t)snprintf(buffer + used, CELL_MAX - used, "%s%s",
						 i ? "," : "", part);
		}
		if (!count)
			snprintf(buffer, CELL_MAX, "-");
		return false;
	}
	default:
		snprintf(buffer, CELL_MAX, "%s", json_object_get_string(value));
		clean(buffer);
		if (!*buffer)
			snprintf(buffer, CELL_MAX, "-");
		return false;
	}
}

/* Columns on a terminal, not bytes. */
static int columns_of(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void put_cell(const char *text, int width, bool right, bool last)
{
	int fill = width - columns_of(text);

	if (fill < 0)
		fill = 0;
	if (right)
		printf("%*s%s", fill, "", text);
	else
		printf("%s%*s", text, last ? 0 : fill, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void table(struct json_object *rows, const struct cli_column *columns)
{
	size_t count = json_object_array_length(rows);
	int width[32];
	bool right[32];
	char text[CELL_MAX];
	unsigned int n = 0;

	for (; columns[n].key && n < 32; n++) {
		width[n] = columns_of(columns[n].title);
		right[n] = false;
		for (size_t i = 0; i < count; i++) {
			struct json_object *row = json_object_array_get_idx(rows, i);

			if (cell(text, inside(row, columns[n].key), columns[n].format))
				right[n] = true;
			if (columns_of(text) > width[n])
				width[n] = columns_of(text);
		}
	}
	for (unsigned int c = 0; c < n; c++)
		put_cell(columns[c].title, width[c], right[c], c + 1 == n);
	for (size_t i = 0; i < count; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		for (unsigned int c = 0; c < n; c++) {
			cell(text, inside(row, columns[c].key), columns[c].format);
			put_cell(text, width[c], right[c], c + 1 == n);
		}
	}
}

/* Members that the object does not have are left out. */
static void list(struct json_object *object, const struct cli_column *columns)
{
	char text[CELL_MAX];
	int width = 0;

	for (const struct cli_column *c = columns; c->key; c++) {
		if (inside(object, c->key) && columns_of(c->title) > width)
			width = columns_of(c->title);
	}
	for (const struct cli_column *c = columns; c->key; c++) {
		struct json_object *value = inside(object, c->key);

		if (!value)
			continue;
		cell(text, value, c->format);
		put_cell(c->title, width, false, false);
		printf("%s\n", text);
	}
}

static void view_text(struct json_object *doc, const struct cli_view *view, bool first)
{
	struct json_object *part = inside(doc, view->key);
	bool rows = json_object_is_type(part, json_type_array);

	if (!part || (rows && !json_object_array_length(part) && !view->empty))
		return;
	if (view->title)
		printf("%s%s\n", first ? "" : "\n", view->title);
	if (!rows)
		list(part, view->columns);
	else if (json_object_array_length(part))
		table(part, view->columns);
	else if (*view->empty)
		printf("%s\n", view->empty);
}

int cli_print(struct cli *cli, struct json_object *doc, const struct cli_view *views)
{
	if (cli->json) {
		puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY |
								 JSON_C_TO_STRING_SPACED |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		for (const struct cli_view *view = views; view && view->columns; view++)
			view_text(doc, view, view == views);
	}
	json_object_put(doc);
	return CLI_DONE;
}

static void note_flush(struct cli *cli)
{
	if ((fflush(stdout) || ferror(stdout)) && !cli->write_error)
		cli->write_error = errno ? errno : EIO;
}

void cli_row(struct cli *cli, struct json_object *row, const struct cli_column *columns)
{
	char text[CELL_MAX];

	if (cli->json) {
		puts(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		for (const struct cli_column *c = columns; c->key && !cli->heading_done; c++)
			put_cell(c->title, c->width, c->format != CLI_PLAIN, !c[1].key);
		cli->heading_done = true;
		for (const struct cli_column *c = columns; c->key; c++) {
			bool right = cell(text, inside(row, c->key), c->format);

			put_cell(text, c->width, right || c->format != CLI_PLAIN, !c[1].key);
		}
	}
	json_object_put(row);
	note_flush(cli);
}

void cli_text(struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->json)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void cli_hexdump(struct cli *cli, const void *bytes, size_t count, int indent)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < count; i++) {
		if (i % 16 == 0)
			cli_text(cli, "%*s%04zx ", indent, "", i);
		cli_text(cli, "%s%02x", i % 8 ? " " : "  ", at[i]);
		if (i % 16 == 15 || i + 1 == count)
			cli_text(cli, "\n");
	}
}

void cli_bytes(struct cli *cli, const void *bytes, size_t count)
{
	if (fwrite(bytes, 1, count, stdout) != count && !cli->write_error)
		cli->write_error = errno ? errno : EIO;
}

int cli_flush(struct cli *cli, int status)
{
	note_flush(cli);
	/* Some file systems report a full disk only now. */
	if (fclose(stdout) && !cli->write_error)
		cli->write_error = errno;
	if (cli->write_error) {
		struct vferry_error err;

		vferry_fail(&err, -cli->write_error, "cannot write to standard output: %s",
			    strerror(cli->write_error));
		cli_fail_as(cli, CLI_FAILED, &err, NULL);
		if (status == CLI_DONE)
			status = CLI_FAILED;
	}
	return status;
}

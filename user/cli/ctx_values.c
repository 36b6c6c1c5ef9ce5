// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files of vferry ctx, and what stands in them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "cli/ctx.h"
#include "migrate/messages.h"

bool ctx_is_standard(const char *path)
{
	return !strcmp(path, "-");
}

void ctx_close(struct ctx_file *file)
{
	vf_saved_lanes_free(file->lanes, file->count);
	vf_saved_free(file->saved);
	if (file->fd >= 0 && !ctx_is_standard(file->name))
		close(file->fd);
}

/* What can be read is there for the caller even when an error is returned. */
int ctx_read(struct ctx_file *file, const char *path)
{
	memset(file, 0, sizeof(*file));
	file->name = path;
	file->fd = ctx_is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		file->code = vferry_fail(&file->why, -errno, "cannot read '%s': %s", path,
					 strerror(errno));
	else if (isatty(file->fd))
		file->code = vferry_fail(&file->why, -EINVAL,
					 "a context is not typed: give a file, or a pipe");
	else
		file->code = vf_saved_open(&file->saved, file->fd, &file->why);
	if (!file->code)
		file->code = vf_saved_contexts(file->saved, VF_FRAME_CONTEXT, &file->lanes,
					       &file->count, &file->why);
	return file->code;
}

const char *ctx_kind(const struct ctx_file *file)
{
	if (!file->saved)
		return NULL;
	return vf_saved_kind(file->saved) == VF_SAVED_STREAM ? "stream" : "context";
}

int ctx_fail(struct cli *cli, const struct ctx_file *file)
{
	struct vferry_error err;

	vferry_fail(&err, file->code, "%s: %s", file->name, file->why.text);
	return cli_fail(cli, strstr(file->why.text, file->name) ? &file->why : &err);
}

/* --- Values ------------------------------------------------------------------------------------------------ */

static void add_names(struct json_object *to, const char *name, const char *text)
{
	struct json_object *names = json_object_new_array();
	char key[80];

	while (*text) {
		size_t length = strcspn(text, ",");

		json_object_array_add(names, json_object_new_string_len(text, (int)length));
		text += length + (text[length] == ',');
	}
	snprintf(key, sizeof(key), "%s_names", name);
	cli_add(to, key, names);
}

static struct json_object *values_json(const struct vferry_ctx_pair *pairs, size_t count)
{
	struct json_object *value = json_object_new_object();

	for (size_t i = 0; i < count; i++) {
		const struct vferry_ctx_pair *pair = &pairs[i];

		switch (pair->form) {
		case VFERRY_CTX_TEXT:
			cli_add_string(value, pair->name, pair->text);
			break;
		case VFERRY_CTX_FLAG:
			cli_add_bool(value, pair->name, pair->number);
			break;
		default:
			cli_add_uint(value, pair->name, pair->number);
			if (*pair->text)
				add_names(value, pair->name, pair->text);
		}
	}
	return value;
}

void ctx_pair_text(const struct vferry_ctx_pair *pair, char *text, size_t size)
{
	switch (pair->form) {
	case VFERRY_CTX_TEXT:
		snprintf(text, size, "%s", pair->text);
		break;
	case VFERRY_CTX_FLAG:
		snprintf(text, size, "%s", pair->number ? "yes" : "no");
		break;
	case VFERRY_CTX_HEX:
		snprintf(text, size, *pair->text ? "%#llx %s" : "%#llx",
			 (unsigned long long)pair->number, pair->text);
		break;
	default:
		snprintf(text, size, *pair->text ? "%llu %s" : "%llu",
			 (unsigned long long)pair->number, pair->text);
	}
}

struct json_object *ctx_entry_json(const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS];
	size_t count = vferry_ctx_decode(entry, pairs);
	struct json_object *field = json_object_new_object();

	cli_add_uint(field, "type", entry->type);
	cli_add_string(field, "name", vferry_ctx_type_name(entry->type));
	cli_add_uint(field, "index", entry->index);
	cli_add_uint(field, "length_bytes", entry->length);
	cli_add_bool(field, "optional", entry->flags & VFERRY_CTX_F_OPTIONAL);
	cli_add_uint(field, "image", entry->image);
	cli_add_uint(field, "offset_bytes", entry->offset);
	cli_add(field, "value", values_json(pairs, count));
	return field;
}

bool ctx_sound(const struct ctx_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		if (file->lanes[i].code)
			return false;
	}
	return !file->code;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file's text into a document, also of one that was cut off. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "profile/profile.h"

/* Where objects and arrays stood open behind the last element that was whole; their ends are added. */
struct json_object *prof_salvage(const char *text, size_t length)
{
	char open[32], at_cut[32];
	size_t depth = 0, cut = 0, cut_depth = 0;
	struct json_object *doc = NULL;
	bool quoted = false;
	char *copy;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (depth == sizeof(open))
				return NULL;
			open[depth++] = c;
		} else if (c == '}' || c == ']') {
			if (!depth || open[depth - 1] != (c == '}' ? '{' : '['))
				return NULL;
			depth--;
			cut = i + 1;
			cut_depth = depth;
			memcpy(at_cut, open, sizeof(open));
		}
	}
	if (!cut)
		return NULL;
	copy = malloc(cut + cut_depth + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, cut);
	for (size_t i = 0; i < cut_depth; i++)
		copy[cut + i] = at_cut[cut_depth - 1 - i] == '{' ? '}' : ']';
	copy[cut + cut_depth] = 0;
	doc = json_tokener_parse(copy);
	free(copy);
	return doc;
}

static char *load(const char *path, size_t *length, struct vferry_error *err)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	size_t room = 1 << 16;
	char *text = malloc(room);
	ssize_t got = -1;

	*length = 0;
	if (fd < 0 || !text) {
		vferry_fail(err, fd < 0 ? -errno : -ENOMEM, "cannot open %s: %s", path,
			    strerror(fd < 0 ? errno : ENOMEM));
		goto fail;
	}
	while ((got = read(fd, text + *length, room - *length - 1)) > 0) {
		*length += (size_t)got;
		if (*length > PROF_FILE_MOST) {
			vferry_fail(err, -EFBIG, "%s: more than %u MiB", path,
				    PROF_FILE_MOST >> 20);
			goto fail;
		}
		if (*length + 1 == room) {
			char *grown = realloc(text, room *= 2);

			if (!grown) {
				vferry_fail(err, -ENOMEM, "no memory for %s", path);
				goto fail;
			}
			text = grown;
		}
	}
	if (got < 0) {
		vferry_fail(err, -errno, "cannot read %s: %s", path, strerror(errno));
		goto fail;
	}
	close(fd);
	text[*length] = 0;
	return text;
fail:
	if (fd >= 0)
		close(fd);
	free(text);
	return NULL;
}

int prof_read_file(struct prof_set *set, const char *path, struct vferry_error *err)
{
	struct json_tokener *tokener;
	struct json_object *doc;
	size_t length;
	char *text = load(path, &length, err);

	if (!text)
		return err->code;
	tokener = json_tokener_new_ex(16);
	doc = tokener ? json_tokener_parse_ex(tokener, text, (int)length) : NULL;
	if (!doc && tokener) {
		size_t where = json_tokener_get_parse_end(tokener);

		doc = prof_salvage(text, length);
		if (!length)
			prof_problem(set, "%s: empty", path);
		else
			prof_problem(set, "%s: %s at byte %zu of %zu; %s", path,
				     json_tokener_get_error(tokener) == json_tokener_continue
					     ? "cut off"
					     : "not JSON",
				     where, length,
				     doc ? "what stands before it counts"
					 : "nothing of it can be used");
	}
	if (tokener)
		json_tokener_free(tokener);
	free(text);
	if (doc)
		prof_read_json(set, doc, path);
	else
		json_object_array_add(set->files, json_object_new_string(path));
	json_object_put(doc);
	return 0;
}

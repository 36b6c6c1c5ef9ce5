// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "migrate/json_read.h"
#include "migrate/messages.h"

int vf_json_parse(struct json_object **json, const void *text, size_t length, size_t most,
		  const char *what, struct vferry_error *err)
{
	struct json_tokener *tokener;
	enum json_tokener_error error;
	size_t end;

	if (!length || length > most)
		return vferry_fail(err, length ? -E2BIG : -EBADMSG,
				   "%s: %zu bytes, at most %zu are taken", what, length, most);
	tokener = json_tokener_new_ex(8);
	if (!tokener)
		return vferry_fail(err, -ENOMEM, "%s: no memory", what);
	*json = json_tokener_parse_ex(tokener, text, (int)length);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (error == json_tokener_success && json_object_is_type(*json, json_type_object) &&
	    end == length)
		return 0;
	if (*json)
		json_object_put(*json);
	*json = NULL;
	return vferry_fail(err, -EBADMSG, "%s: not one JSON object (%s at byte %zu)", what,
			   error == json_tokener_success ? "something else"
							 : json_tokener_error_desc(error),
			   end);
}

const char *vf_json_string(struct json_object *json, const char *key, size_t room)
{
	struct json_object *value;
	int length;

	if (!json_object_object_get_ex(json, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	length = json_object_get_string_len(value);
	if (length < 0 || (size_t)length >= room ||
	    strlen(json_object_get_string(value)) != (size_t)length)
		return NULL;
	return json_object_get_string(value);
}

int vf_json_int(struct json_object *json, const char *key, int64_t least, int64_t most,
		int64_t *value)
{
	struct json_object *found;

	if (!json_object_object_get_ex(json, key, &found) ||
	    !json_object_is_type(found, json_type_int))
		return -EBADMSG;
	*value = json_object_get_int64(found);
	return *value < least || *value > most ? -EBADMSG : 0;
}

int vf_json_bool(struct json_object *json, const char *key, _Bool *value)
{
	struct json_object *found;

	if (!json_object_object_get_ex(json, key, &found) ||
	    !json_object_is_type(found, json_type_boolean))
		return -EBADMSG;
	*value = json_object_get_boolean(found);
	return 0;
}

int vf_json_hex(struct json_object *json, const char *key, void *bytes, size_t room)
{
	const char *text = vf_json_string(json, key, 2 * room + 1);
	int ret = text ? vf_unhex(bytes, room, text) : -EBADMSG;

	return ret < 0 ? -EBADMSG : ret;
}

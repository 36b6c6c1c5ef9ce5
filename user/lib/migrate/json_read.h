/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading JSON that a peer sent: bounded in length and depth, each value by type and range. */
#ifndef VF_JSON_READ_H
#define VF_JSON_READ_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>

/** vf_json_parse() - one object, nothing behind it; -EBADMSG, -E2BIG. */
int vf_json_parse(struct json_object **json, const void *text, size_t length, size_t most,
		  const char *what, struct vferry_error *err);
/** vf_json_string() - NULL when it is missing, no string, holds a zero byte, or is not shorter than @room. */
const char *vf_json_string(struct json_object *json, const char *key, size_t room);
/** vf_json_int() - -EBADMSG when it is missing, no integer or out of range. */
int vf_json_int(struct json_object *json, const char *key, int64_t least, int64_t most,
		int64_t *value);
int vf_json_bool(struct json_object *json, const char *key, _Bool *value);
/** vf_json_hex() - bytes from a string of hex digits; their count, or -EBADMSG. */
int vf_json_hex(struct json_object *json, const char *key, void *bytes, size_t room);

#endif

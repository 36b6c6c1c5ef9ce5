// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include "bus/vfio_user_msg.h"

#define VERSION_ROOM 4096

/* A whole number from 1 to @most at capabilities.@key; without the key *@value stays. */
static int number(struct vf_vu *vu, struct json_object *capabilities, const char *key, int64_t most,
		  uint32_t *value, struct vferry_error *err)
{
	struct json_object *item;
	int64_t n;

	if (!json_object_object_get_ex(capabilities, key, &item))
		return 0;
	n = json_object_is_type(item, json_type_int) ? json_object_get_int64(item) : -1;
	if (n < 1)
		return vferry_fail(err, -EPROTO,
				   "%s: the answer to VERSION: %s is not a number above 0",
				   vu->name, key);
	*value = (uint32_t)(n < most ? n : most);
	return 0;
}

int vf_vu_read_capabilities(struct vf_vu *vu, const char *json, size_t length,
			    struct vferry_error *err)
{
	struct json_object *root, *capabilities;
	struct json_tokener *tokener;
	int ret = 0;

	if (!length)
		return 0;
	if (json[length - 1])
		return vferry_fail(err, -EPROTO,
				   "%s: the answer to VERSION: its JSON does not end with a zero",
				   vu->name);
	tokener = json_tokener_new_ex(8);
	if (!tokener)
		return vferry_fail(err, -ENOMEM, "no memory");
	root = json_tokener_parse_ex(tokener, json, (int)length);
	if (!root || !json_object_is_type(root, json_type_object)) {
		ret = vferry_fail(err, -EPROTO,
				  "%s: the answer to VERSION: its JSON cannot be read: %s",
				  vu->name,
				  root ? "not an object"
				       : json_tokener_error_desc(json_tokener_get_error(tokener)));
	} else if (json_object_object_get_ex(root, "capabilities", &capabilities) &&
		   json_object_is_type(capabilities, json_type_object)) {
		ret = number(vu, capabilities, "max_msg_fds", VFIO_USER_MAX_FDS, &vu->max_fds, err);
		if (!ret)
			ret = number(vu, capabilities, "max_data_xfer_size", VFIO_USER_MAX_XFER,
				     &vu->max_xfer, err);
	}
	json_object_put(root);
	json_tokener_free(tokener);
	return ret;
}

int vf_vu_negotiate(struct vf_vu *vu, struct vferry_error *err)
{
	struct {
		struct vfio_user_version version;
		char json[VERSION_ROOM];
	} reply;
	struct vfio_user_version mine = {
		.major = htole16(VFIO_USER_MAJOR),
		.minor = htole16(VFIO_USER_MINOR),
	};
	char json[128];
	struct vf_vu_call call = {
		.command = VFIO_USER_VERSION,
		.out = { { &mine, sizeof(mine) }, { json, 0 } },
		.in = { { &reply, sizeof(reply) } },
		.in_min = sizeof(reply.version),
	};
	struct vferry_error cause;
	int ret;

	call.out[1].iov_len = 1 + (size_t)snprintf(json, sizeof(json),
						   "{\"capabilities\":{\"max_msg_fds\":%d,"
						   "\"max_data_xfer_size\":%u}}",
						   VFIO_USER_MAX_FDS, VFIO_USER_MAX_XFER);
	ret = vf_vu_exchange(vu, &call, &cause);
	if (ret == -ENODEV || ret == -EPROTO || ret == -ETIMEDOUT)
		return vferry_fail(err, ret,
				   "%s: does not behave like a vfio-user server (or serves another "
				   "client): %.300s",
				   vu->name, cause.text);
	if (ret) {
		if (err)
			*err = cause;
		return ret;
	}
	if (le16toh(reply.version.major) != VFIO_USER_MAJOR)
		return vferry_fail(err, -EPROTO,
				   "%s: speaks vfio-user version %u.%u, vferry speaks %d.%d",
				   vu->name, le16toh(reply.version.major),
				   le16toh(reply.version.minor), VFIO_USER_MAJOR, VFIO_USER_MINOR);
	return vf_vu_read_capabilities(vu, reply.json, call.in_bytes - sizeof(reply.version), err);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The greeting: protocol version and capabilities. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include "server.h"

static int read_caps(const struct message *message, struct version_caps *caps, struct reply *reply)
{
	size_t count = message->count - sizeof(struct vfio_user_version);
	const char *text = (const char *)message->body + sizeof(struct vfio_user_version);
	struct json_tokener *tokener;
	struct json_object *root, *capabilities, *value;
	int ret = 0;

	caps->max_fds = 1;
	caps->write_multiple = false;
	if (!count)
		return 0;
	if (text[count - 1])
		return reply_refuse(reply, -EINVAL, "capabilities do not end with NUL");
	tokener = json_tokener_new_ex(8);
	if (!tokener)
		return -ENOMEM;
	root = json_tokener_parse_ex(tokener, text, (int)count);
	if (!root || !json_object_is_type(root, json_type_object)) {
		ret = reply_refuse(reply, -EINVAL, "capabilities are not a JSON object: %s",
				   json_tokener_error_desc(json_tokener_get_error(tokener)));
	} else if (json_object_object_get_ex(root, "capabilities", &capabilities)) {
		if (!json_object_is_type(capabilities, json_type_object))
			ret = reply_refuse(reply, -EINVAL, "\"capabilities\" is not a JSON object");
		if (!ret && json_object_object_get_ex(capabilities, "max_msg_fds", &value)) {
			int64_t fds = json_object_get_int64(value);

			if (!json_object_is_type(value, json_type_int) || fds < 0)
				ret = reply_refuse(reply, -EINVAL,
						   "\"max_msg_fds\" is not a number");
			else
				caps->max_fds = fds > VFIO_USER_MAX_FDS ? VFIO_USER_MAX_FDS
									: (unsigned int)fds;
		}
		if (!ret && json_object_object_get_ex(capabilities, "write_multiple", &value))
			caps->write_multiple = json_object_get_boolean(value);
	}
	json_object_put(root);
	json_tokener_free(tokener);
	return ret;
}

int message_version(const struct message *message, struct version_caps *caps, struct reply *reply)
{
	struct vfio_user_version version;
	char text[256];
	uint8_t *out;
	int ret, count;

	if (message->command != VFIO_USER_VERSION)
		return reply_refuse(reply, -EINVAL, "command %u before VERSION", message->command);
	if (message->fd_count)
		return reply_refuse(reply, -EINVAL, "descriptors beside VERSION");
	if (!message_take(message, &version, sizeof(version)))
		return reply_refuse(reply, -EINVAL, "VERSION of %zu bytes", message->count);
	if (le16toh(version.major) != VFIO_USER_MAJOR)
		return reply_refuse(reply, -ENOTSUP, "protocol %u.%u: only %u.%u is spoken here",
				    le16toh(version.major), le16toh(version.minor), VFIO_USER_MAJOR,
				    VFIO_USER_MINOR);
	ret = read_caps(message, caps, reply);
	if (ret)
		return ret;
	count = snprintf(text, sizeof(text),
			 "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
			 "\"max_dma_maps\":%u,\"pgsizes\":%u%s}}",
			 VFIO_USER_MAX_FDS, VFIO_USER_MAX_XFER, DMA_RANGES_MAX, DMA_PAGE,
			 caps->write_multiple ? ",\"write_multiple\":true" : "");
	/* A minor above ours is answered with ours, as the protocol asks. */
	out = reply_room(reply, sizeof(version) + (size_t)count + 1);
	if (!out)
		return -ENOMEM;
	version.major = htole16(VFIO_USER_MAJOR);
	version.minor = htole16(VFIO_USER_MINOR);
	memcpy(out, &version, sizeof(version));
	memcpy(out + sizeof(version), text, (size_t)count + 1);
	return 0;
}

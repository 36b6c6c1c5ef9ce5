// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "migrate/json_read.h"
#include "migrate/offer.h"
#include "stream/stream.h"

static const char *const kinds[] = {
	[VF_OFFER_MIGRATION] = "migration",
	[VF_OFFER_SNAPSHOT] = "snapshot",
	[VF_OFFER_HAND_OVER] = "hand-over",
};

static void add_hex(struct json_object *json, const char *key, const void *bytes, size_t count)
{
	char text[2 * VF_CONFIG_BYTES + 1];

	vf_hex(text, bytes, count);
	json_object_object_add(json, key, json_object_new_string(text));
}

static struct json_object *pack_about(const struct vf_description *about)
{
	struct json_object *json = json_object_new_object();
	struct json_object *fields = json_object_new_array();
	struct json_object *queues = json_object_new_array();

	for (uint32_t i = 0; i < about->field_count; i++) {
		struct json_object *field = json_object_new_array();

		json_object_array_add(field, json_object_new_int(about->fields[i].type));
		json_object_array_add(field,
				      json_object_new_int64((int64_t)about->fields[i].length));
		json_object_array_add(fields, field);
	}
	for (uint32_t i = 0; i < about->queue_count; i++)
		json_object_array_add(queues, json_object_new_int(about->queue_size[i]));
	json_object_object_add(json, "fields", fields);
	add_hex(json, "device_features", about->features, about->features_bytes);
	json_object_object_add(json, "num_queues", json_object_new_int(about->num_queues));
	json_object_object_add(json, "queue_sizes", queues);
	add_hex(json, "device_config", about->config, about->config_bytes);
	json_object_object_add(json, "device_status", json_object_new_int(about->device_status));
	json_object_object_add(json, "mode", json_object_new_int(about->mode));
	json_object_object_add(json, "size_now_bytes",
			       json_object_new_int64((int64_t)about->size_now));
	json_object_object_add(json, "size_freeze_bytes",
			       json_object_new_int64((int64_t)about->size_freeze));
	return json;
}

char *vf_offer_pack(const struct vf_offer *offer, size_t *length)
{
	struct json_object *json = json_object_new_object();
	char *text;

	json_object_object_add(json, "schema", json_object_new_string("vferry.offer"));
	json_object_object_add(json, "schema_version", json_object_new_int(VF_OFFER_VERSION));
	json_object_object_add(json, "stream_version", json_object_new_int(VF_STREAM_VERSION));
	json_object_object_add(json, "dialect", json_object_new_string(VF_DIALECT));
	json_object_object_add(json, "kind", json_object_new_string(kinds[offer->kind]));
	add_hex(json, "id", offer->id, VF_ID_BYTES);
	add_hex(json, "group", offer->group, VF_ID_BYTES);
	json_object_object_add(json, "vfs", json_object_new_int((int)offer->lanes));
	json_object_object_add(json, "vf", json_object_new_int(offer->vf));
	json_object_object_add(json, "together", json_object_new_boolean(offer->together));
	json_object_object_add(json, "clock", json_object_new_boolean(offer->clock));
	json_object_object_add(json, "chunk_bytes", json_object_new_int((int)offer->chunk_bytes));
	json_object_object_add(json, "source", json_object_new_string(offer->source));
	json_object_object_add(json, "device", pack_about(&offer->about));
	text = strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
	if (text)
		*length = strlen(text);
	return text;
}

static int parse_fields(struct json_object *json, struct vf_description *about)
{
	struct json_object *fields;
	size_t count;

	if (!json_object_object_get_ex(json, "fields", &fields) ||
	    !json_object_is_type(fields, json_type_array))
		return -EBADMSG;
	count = json_object_array_length(fields);
	if (count > VF_FIELDS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		struct json_object *field = json_object_array_get_idx(fields, i), *type, *length;

		if (!json_object_is_type(field, json_type_array) ||
		    json_object_array_length(field) != 2)
			return -EBADMSG;
		type = json_object_array_get_idx(field, 0);
		length = json_object_array_get_idx(field, 1);
		if (!json_object_is_type(type, json_type_int) ||
		    !json_object_is_type(length, json_type_int) ||
		    json_object_get_int64(type) < 0 || json_object_get_int64(type) > 0xffff ||
		    json_object_get_int64(length) < 0)
			return -EBADMSG;
		about->fields[i].type = (uint16_t)json_object_get_int64(type);
		about->fields[i].length = (uint64_t)json_object_get_int64(length);
	}
	about->field_count = (uint32_t)count;
	return 0;
}

static int parse_queues(struct json_object *json, struct vf_description *about)
{
	struct json_object *queues;
	size_t count;

	if (!json_object_object_get_ex(json, "queue_sizes", &queues) ||
	    !json_object_is_type(queues, json_type_array))
		return -EBADMSG;
	count = json_object_array_length(queues);
	if (count > VF_QUEUES_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		struct json_object *size = json_object_array_get_idx(queues, i);

		if (!json_object_is_type(size, json_type_int) || json_object_get_int64(size) < 0 ||
		    json_object_get_int64(size) > 0xffff)
			return -EBADMSG;
		about->queue_size[i] = (uint16_t)json_object_get_int64(size);
	}
	about->queue_count = (uint32_t)count;
	return 0;
}

static int parse_about(struct json_object *json, struct vf_description *about)
{
	int64_t queues, status, mode, size;
	int features = vf_json_hex(json, "device_features", about->features, VF_FEATURES_BYTES);
	int config = vf_json_hex(json, "device_config", about->config, VF_CONFIG_BYTES);

	if (features < 0 || config < 0 || parse_fields(json, about) || parse_queues(json, about) ||
	    vf_json_int(json, "num_queues", 0, 0xffff, &queues) ||
	    vf_json_int(json, "device_status", 0, 0xff, &status) ||
	    vf_json_int(json, "mode", 0, VFERRY_MODE_FREEZE, &mode))
		return -EBADMSG;
	about->features_bytes = (uint32_t)features;
	about->config_bytes = (uint32_t)config;
	about->num_queues = (uint16_t)queues;
	about->device_status = (uint8_t)status;
	about->mode = (uint8_t)mode;
	about->has_common = about->has_status = true;
	if (vf_json_int(json, "size_now_bytes", 0, INT64_MAX, &size))
		return -EBADMSG;
	about->size_now = (uint64_t)size;
	if (vf_json_int(json, "size_freeze_bytes", 0, INT64_MAX, &size))
		return -EBADMSG;
	about->size_freeze = (uint64_t)size;
	return 0;
}

static int parse(struct vf_offer *offer, struct json_object *json, struct vferry_error *err)
{
	const char *schema = vf_json_string(json, "schema", 64);
	const char *dialect = vf_json_string(json, "dialect", 64);
	const char *kind = vf_json_string(json, "kind", 16);
	const char *source = vf_json_string(json, "source", sizeof(offer->source));
	struct json_object *device;
	int64_t version, stream, lanes, vf, chunk;
	struct json_object *clock;
	unsigned int n;

	if (!schema || strcmp(schema, "vferry.offer") ||
	    vf_json_int(json, "schema_version", 0, INT32_MAX, &version) ||
	    vf_json_int(json, "stream_version", 0, INT32_MAX, &stream))
		return vferry_fail(err, -EBADMSG, "the offer is not a vferry.offer");
	if (version != VF_OFFER_VERSION || stream != VF_STREAM_VERSION)
		return vferry_fail(
			err, -EPROTONOSUPPORT,
			"the source speaks version %lld.%lld, this vferry speaks %u.%u: use the "
			"same release on both hosts",
			(long long)stream, (long long)version, VF_STREAM_VERSION, VF_OFFER_VERSION);
	if (!dialect || strcmp(dialect, VF_DIALECT))
		return vferry_fail(
			err, -EPROTONOSUPPORT,
			"the source's device speaks the dialect \"%.32s\", this one \"%s\"",
			dialect ? dialect : "", VF_DIALECT);
	for (n = 0; n < 3; n++)
		if (kind && !strcmp(kind, kinds[n]))
			break;
	if (n == 3 || vf_json_hex(json, "id", offer->id, VF_ID_BYTES) != VF_ID_BYTES ||
	    vf_json_hex(json, "group", offer->group, VF_ID_BYTES) != VF_ID_BYTES ||
	    vf_json_int(json, "vfs", 1, VF_LANES_MAX, &lanes) ||
	    vf_json_int(json, "vf", 1, 0xffff, &vf) ||
	    vf_json_int(json, "chunk_bytes", 1, VF_FRAME_PAYLOAD_MAX, &chunk) ||
	    vf_json_bool(json, "together", &offer->together) || !source ||
	    !json_object_object_get_ex(json, "device", &device) ||
	    !json_object_is_type(device, json_type_object))
		return vferry_fail(err, -EBADMSG,
				   "the offer lacks a value, or has one that cannot be");
	offer->clock =
		json_object_object_get_ex(json, "clock", &clock) && json_object_get_boolean(clock);
	if (parse_about(device, &offer->about))
		return vferry_fail(
			err, -EBADMSG,
			"the offer's description of the device lacks a value, or has one "
			"that cannot be");
	offer->kind = (enum vf_offer_kind)n;
	offer->lanes = (uint32_t)lanes;
	offer->vf = (uint16_t)vf;
	offer->chunk_bytes = (uint32_t)chunk;
	snprintf(offer->source, sizeof(offer->source), "%s", source);
	for (char *c = offer->source; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return 0;
}

int vf_offer_parse(struct vf_offer *offer, const void *body, size_t length,
		   struct vferry_error *err)
{
	struct json_object *json;
	int ret = vf_json_parse(&json, body, length, VF_OFFER_BYTES, "the offer", err);

	if (ret)
		return ret;
	memset(offer, 0, sizeof(*offer));
	ret = parse(offer, json, err);
	json_object_put(json);
	return ret;
}

static int compare_fields(const struct vf_description *source,
			  const struct vf_description *destination, struct vferry_error *err)
{
	for (uint32_t i = 0; i < source->field_count; i++) {
		uint16_t type = source->fields[i].type;
		uint32_t n = 0;

		while (n < destination->field_count && destination->fields[n].type != type)
			n++;
		if (n == destination->field_count)
			return vferry_fail(
				err, -EXDEV,
				"context field 0x%x (%s): the source has it, the destination does not",
				type, vferry_ctx_type_name(type));
		if (destination->fields[n].length != source->fields[i].length)
			return vferry_fail(
				err, -EXDEV,
				"length of context field 0x%x (%s): source %llu, destination %llu",
				type, vferry_ctx_type_name(type),
				(unsigned long long)source->fields[i].length,
				(unsigned long long)destination->fields[n].length);
	}
	return 0;
}

/* Where two byte strings differ first; -1: they agree. */
static int first_difference(const uint8_t *a, uint32_t a_count, const uint8_t *b, uint32_t b_count)
{
	uint32_t least = a_count < b_count ? a_count : b_count;

	for (uint32_t i = 0; i < least; i++)
		if (a[i] != b[i])
			return (int)i;
	return a_count == b_count ? -1 : (int)least;
}

static int compare_features(const struct vf_description *source,
			    const struct vf_description *destination, struct vferry_error *err)
{
	char ours[2 * VF_FEATURES_BYTES + 1], theirs[2 * VF_FEATURES_BYTES + 1];
	uint8_t a[VF_FEATURES_BYTES], b[VF_FEATURES_BYTES];

	if (!memcmp(source->features, destination->features, VF_FEATURES_BYTES))
		return 0;
	/* A number reads from its highest byte. */
	for (uint32_t i = 0; i < source->features_bytes; i++)
		a[i] = source->features[source->features_bytes - 1 - i];
	for (uint32_t i = 0; i < destination->features_bytes; i++)
		b[i] = destination->features[destination->features_bytes - 1 - i];
	vf_hex(theirs, a, source->features_bytes);
	vf_hex(ours, b, destination->features_bytes);
	return vferry_fail(err, -EXDEV, "device features: source 0x%s, destination 0x%s", theirs,
			   ours);
}

int vf_offer_compare(const struct vf_description *source, const struct vf_description *destination,
		     struct vferry_error *err)
{
	int at, ret = compare_fields(source, destination, err);

	if (!ret)
		ret = compare_features(source, destination, err);
	if (ret)
		return ret;
	if (source->num_queues != destination->num_queues)
		return vferry_fail(err, -EXDEV, "number of queues: source %u, destination %u",
				   source->num_queues, destination->num_queues);
	/* An unused queue says its largest size, one in use the size that its driver chose. */
	for (uint32_t i = 0; i < source->queue_count; i++) {
		uint16_t most = i < destination->queue_count ? destination->queue_size[i] : 0;

		if (source->queue_size[i] > most)
			return vferry_fail(err, -EXDEV,
					   "size of queue %u: source %u, destination at most %u", i,
					   source->queue_size[i], most);
	}
	at = first_difference(source->config, source->config_bytes, destination->config,
			      destination->config_bytes);
	if (at >= 0) {
		if (source->config_bytes != destination->config_bytes)
			return vferry_fail(
				err, -EXDEV,
				"length of the device configuration: source %u, destination %u",
				source->config_bytes, destination->config_bytes);
		return vferry_fail(
			err, -EXDEV,
			"device configuration, byte %d: source 0x%02x, destination 0x%02x", at,
			source->config[at], destination->config[at]);
	}
	return 0;
}

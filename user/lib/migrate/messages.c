// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <vferry/admin.h>
#include "migrate/json_read.h"
#include "migrate/messages.h"
#include "stream/stream.h"

struct message_wire {
	__u8 id[VF_ID_BYTES];
	__u8 host[VF_ID_BYTES];
	__le32 state;
	__le32 flags;
	__le32 pass;
	__le32 reserved;
	__le64 bytes;
	__le64 ns;
};

VFERRY_STATIC_ASSERT(sizeof(struct message_wire) == VF_MESSAGE_BYTES, "message");

void vf_message_pack(uint8_t *body, const struct vf_message *message)
{
	struct message_wire wire = {
		.state = htole32(message->state),
		.flags = htole32(message->flags),
		.pass = htole32(message->pass),
		.bytes = htole64(message->bytes),
		.ns = htole64(message->ns),
	};

	memcpy(wire.id, message->id, VF_ID_BYTES);
	memcpy(wire.host, message->host, VF_ID_BYTES);
	memcpy(body, &wire, sizeof(wire));
}

int vf_message_parse(struct vf_message *message, const void *body, size_t length,
		     struct vferry_error *err)
{
	struct message_wire wire;

	if (length != sizeof(wire))
		return vferry_fail(err, -EBADMSG, "a message of %zu bytes, expected %zu", length,
				   sizeof(wire));
	memcpy(&wire, body, sizeof(wire));
	*message = (struct vf_message){
		.state = le32toh(wire.state),
		.flags = le32toh(wire.flags),
		.pass = le32toh(wire.pass),
		.bytes = le64toh(wire.bytes),
		.ns = le64toh(wire.ns),
	};
	memcpy(message->id, wire.id, VF_ID_BYTES);
	memcpy(message->host, wire.host, VF_ID_BYTES);
	if (wire.reserved)
		return vferry_fail(err, -EBADMSG, "a message with reserved bits 0x%x set",
				   le32toh(wire.reserved));
	if (message->state && !strcmp(vferry_state_name(message->state), "none"))
		return vferry_fail(err, -EBADMSG, "a message with the unknown state %u",
				   message->state);
	if (message->flags &
	    ~(uint32_t)(VF_END_FINAL | VF_END_NOTHING | VF_ACCEPT_CLOCK | VF_STATE_UNKNOWN))
		return vferry_fail(err, -EBADMSG, "a message with the unknown flags 0x%x",
				   message->flags);
	return 0;
}

static int pack_words(char *body, size_t room, const struct vf_words *words, int most)
{
	struct json_object *json = json_object_new_object();
	char id[VF_ID_TEXT];
	const char *text;
	size_t length;
	int ret;

	if (!json)
		return -ENOMEM;
	vf_id_text(id, words->id);
	json_object_object_add(json, "schema_version", json_object_new_int(1));
	json_object_object_add(json, "id", json_object_new_string(id));
	json_object_object_add(json, "code", json_object_new_int(words->code));
	json_object_object_add(json, "words", json_object_new_string_len(words->text, most));
	text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	length = strlen(text);
	ret = length > room ? -ENOSPC : (int)length;
	if (ret > 0)
		memcpy(body, text, length);
	json_object_put(json);
	return ret;
}

int vf_words_pack(char *body, size_t room, const struct vf_words *words)
{
	int most = (int)strnlen(words->text, sizeof(words->text));
	int ret;

	/* Escapes may make the text longer. */
	while ((ret = pack_words(body, room, words, most)) == -ENOSPC && most)
		most /= 2;
	return ret;
}

int vf_words_parse(struct vf_words *words, const void *body, size_t length,
		   struct vferry_error *err)
{
	struct json_object *json;
	const char *id, *text;
	int64_t code;
	int ret = vf_json_parse(&json, body, length, VF_WORDS_BYTES, "the peer's words", err);

	if (ret)
		return ret;
	id = vf_json_string(json, "id", VF_ID_TEXT);
	text = vf_json_string(json, "words", VF_WORDS_BYTES);
	memset(words, 0, sizeof(*words));
	if (!id || vf_id_parse(words->id, id) || !text ||
	    vf_json_int(json, "code", -4095, 0, &code)) {
		json_object_put(json);
		return vferry_fail(err, -EBADMSG, "the peer's words lack id, code or words");
	}
	words->code = (int)code;
	snprintf(words->text, sizeof(words->text), "%s", text);
	for (char *c = words->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	json_object_put(json);
	return 0;
}

uint32_t vf_frame_room(unsigned int type)
{
	switch (type) {
	case VF_FRAME_OFFER:
		return VF_OFFER_BYTES;
	case VF_FRAME_REFUSE:
	case VF_FRAME_REFUSED:
	case VF_FRAME_ABORT:
		return VF_WORDS_BYTES;
	case VF_FRAME_CONTEXT:
		return VF_FRAME_PAYLOAD_MAX;
	case VF_FRAME_ACCEPT:
	case VF_FRAME_END:
	case VF_FRAME_STAGED:
	case VF_FRAME_LOADED:
	case VF_FRAME_RELEASE:
	case VF_FRAME_ACTIVE:
	case VF_FRAME_DONE:
	case VF_FRAME_QUERY:
	case VF_FRAME_STATE:
	case VF_FRAME_PING:
	case VF_FRAME_PONG:
		return VF_MESSAGE_BYTES;
	}
	return 0;
}

void *vf_inbox_room(struct vf_inbox *inbox, const struct vf_frame *frame, struct vferry_error *err)
{
	uint32_t most = vf_frame_room(frame->type);

	if (!most) {
		vferry_fail(err, -EBADMSG, "frame %llu has the unknown type %u",
			    (unsigned long long)frame->sequence, frame->type);
		return NULL;
	}
	if (frame->length > most || frame->type == VF_FRAME_CONTEXT) {
		vferry_fail(err, -EBADMSG,
			    "frame %llu (%s) has %u bytes, at most %u are taken here",
			    (unsigned long long)frame->sequence, vf_frame_name(frame->type),
			    frame->length, frame->type == VF_FRAME_CONTEXT ? 0 : most);
		return NULL;
	}
	if (frame->length <= sizeof(inbox->small))
		return inbox->small;
	free(inbox->large);
	inbox->large = malloc(frame->length);
	if (!inbox->large)
		vferry_fail(err, -ENOMEM, "no memory for a frame of %u bytes", frame->length);
	return inbox->large;
}

void vf_inbox_clear(struct vf_inbox *inbox)
{
	free(inbox->large);
	inbox->large = NULL;
}

void vf_hex(char *text, const void *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = bytes;

	for (size_t i = 0; i < count; i++) {
		*text++ = digits[b[i] >> 4];
		*text++ = digits[b[i] & 15];
	}
	*text = 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int vf_unhex(void *bytes, size_t room, const char *text)
{
	size_t length = strlen(text);
	uint8_t *b = bytes;

	if (length % 2 || length / 2 > room)
		return -EINVAL;
	for (size_t i = 0; i < length / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		b[i] = (uint8_t)(high << 4 | low);
	}
	return (int)(length / 2);
}

void vf_id_text(char text[VF_ID_TEXT], const uint8_t id[VF_ID_BYTES])
{
	vf_hex(text, id, VF_ID_BYTES);
}

int vf_id_parse(uint8_t id[VF_ID_BYTES], const char *text)
{
	return vf_unhex(id, VF_ID_BYTES, text) == VF_ID_BYTES ? 0 : -EINVAL;
}

int vf_id_new(uint8_t id[VF_ID_BYTES])
{
	return getrandom(id, VF_ID_BYTES, 0) == VF_ID_BYTES ? 0 : -EIO;
}

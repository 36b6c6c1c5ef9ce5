// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <vferry/admin.h>
#include "migrate/messages.h"
#include "migrate/offer.h"
#include "stream/stream.h"

static void small_messages_round_trip(void **state)
{
	struct vf_message message = {
		.state = VFERRY_STATE_FROZEN,
		.flags = VF_END_FINAL,
		.pass = 7,
		.bytes = 1ULL << 40,
		.ns = 123456789,
	};
	uint8_t body[VF_MESSAGE_BYTES];
	struct vf_message again;
	struct vferry_error err;

	assert_int_equal(vf_id_new(message.id), 0);
	assert_int_equal(vf_id_new(message.host), 0);
	vf_message_pack(body, &message);
	assert_int_equal(vf_message_parse(&again, body, sizeof(body), &err), 0);
	/* Field by field: what lies between the fields is not the message's. */
	assert_memory_equal(again.id, message.id, sizeof(message.id));
	assert_memory_equal(again.host, message.host, sizeof(message.host));
	assert_int_equal(again.state, message.state);
	assert_int_equal(again.flags, message.flags);
	assert_int_equal(again.pass, message.pass);
	assert_int_equal(again.bytes, message.bytes);
	assert_int_equal(again.ns, message.ns);
	for (size_t length = 0; length < sizeof(body); length++)
		assert_int_equal(vf_message_parse(&again, body, length, &err), -EBADMSG);
	body[32] = 99; /* a state that is none */
	assert_int_equal(vf_message_parse(&again, body, sizeof(body), &err), -EBADMSG);
	body[32] = VFERRY_STATE_FROZEN;
	body[36] = 0x40; /* a flag that is none */
	assert_int_equal(vf_message_parse(&again, body, sizeof(body), &err), -EBADMSG);
	body[36] = 0;
	body[44] = 1; /* reserved */
	assert_int_equal(vf_message_parse(&again, body, sizeof(body), &err), -EBADMSG);
}

static void words_are_bounded_and_harmless(void **state)
{
	struct vf_words words = { .code = -EBUSY }, again;
	struct vferry_error err;
	char body[VF_WORDS_BYTES];
	int length;

	snprintf(words.text, sizeof(words.text), "VF 3 is \"in use\"\033[2J\n");
	length = vf_words_pack(body, sizeof(body), &words);
	assert_true(length > 0);
	assert_int_equal(vf_words_parse(&again, body, (size_t)length, &err), 0);
	assert_int_equal(again.code, -EBUSY);
	assert_string_equal(again.text, "VF 3 is \"in use\"?[2J?");
	/* Every escape makes six characters of one: cut, not refused. */
	memset(words.text, 1, sizeof(words.text) - 1);
	length = vf_words_pack(body, sizeof(body), &words);
	assert_true(length > 0 && length <= (int)sizeof(body));
	assert_int_equal(vf_words_parse(&again, body, (size_t)length, &err), 0);
	assert_int_equal(vf_words_parse(&again, "{}", 2, &err), -EBADMSG);
	assert_int_equal(vf_words_parse(&again, "[]", 2, &err), -EBADMSG);
	assert_int_equal(vf_words_parse(&again, "{} x", 4, &err), -EBADMSG);
	assert_int_equal(vf_words_parse(&again, "", 0, &err), -EBADMSG);
}

static void describe(struct vf_description *about)
{
	memset(about, 0, sizeof(*about));
	about->field_count = 2;
	about->fields[0].type = VFERRY_CTX_DEVICE_STATUS;
	about->fields[0].length = 1;
	about->fields[1].type = VFERRY_CTX_BLOCK;
	about->fields[1].length = 65536;
	about->features_bytes = 8;
	about->features[1] = 0x12;
	about->num_queues = 2;
	about->queue_count = 2;
	about->queue_size[0] = about->queue_size[1] = 256;
	about->config_bytes = 60;
	about->config[3] = 4;
	about->has_common = about->has_status = true;
	about->size_now = 1000;
	about->size_freeze = 2000;
}

static void an_offer_round_trips(void **state)
{
	static struct vf_offer offer, again;
	struct vferry_error err;
	size_t length;
	char *body;

	offer = (struct vf_offer){
		.kind = VF_OFFER_SNAPSHOT,
		.lanes = 4,
		.vf = 3,
		.together = true,
		.clock = true,
		.chunk_bytes = 262144,
		.source = "host vfio-user:/tmp/pf0.sock",
	};
	vf_id_new(offer.id);
	vf_id_new(offer.group);
	describe(&offer.about);
	body = vf_offer_pack(&offer, &length);
	assert_non_null(body);
	assert_int_equal(vf_offer_parse(&again, body, length, &err), 0);
	assert_memory_equal(again.id, offer.id, 16);
	assert_int_equal(again.kind, offer.kind);
	assert_int_equal(again.lanes, 4);
	assert_true(again.together);
	assert_true(again.clock);
	assert_int_equal(vf_offer_compare(&offer.about, &again.about, &err), 0);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(vf_offer_parse(&again, body, cut, &err), -EBADMSG);
	free(body);
}

static void replace_and_parse(const char *body, const char *from, const char *to, int expected,
			      const char *word)
{
	static struct vf_offer offer;
	struct vferry_error err = { 0 };
	const char *at = strstr(body, from);
	char text[8192];

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - body), body, to, at + strlen(from));
	assert_int_equal(vf_offer_parse(&offer, text, strlen(text), &err), expected);
	assert_non_null(strstr(err.text, word));
}

static void a_wrong_offer_is_refused_by_name(void **state)
{
	static struct vf_offer offer;
	size_t length;
	char *body;

	offer = (struct vf_offer){ .lanes = 1, .vf = 1, .chunk_bytes = 4096 };
	describe(&offer.about);
	body = vf_offer_pack(&offer, &length);
	assert_non_null(body);
	replace_and_parse(body, "\"stream_version\":1", "\"stream_version\":2", -EPROTONOSUPPORT,
			  "version 2.2");
	replace_and_parse(body, "draft-v3", "virtio-1.4", -EPROTONOSUPPORT, "virtio-1.4");
	replace_and_parse(body, "vferry.offer", "vferry.other", -EBADMSG, "vferry.offer");
	replace_and_parse(body, "\"vfs\":1", "\"vfs\":0", -EBADMSG, "lacks");
	replace_and_parse(body, "\"vfs\":1", "\"vfs\":256", -EBADMSG, "lacks");
	replace_and_parse(body, "\"chunk_bytes\":4096", "\"chunk_bytes\":99999999", -EBADMSG,
			  "lacks");
	replace_and_parse(body, "\"num_queues\":2", "\"num_queues\":\"2\"", -EBADMSG, "device");
	replace_and_parse(body, "[768,65536]", "[768]", -EBADMSG, "device");
	replace_and_parse(body, "[768,65536]", "[99999999,1]", -EBADMSG, "device");
	free(body);
}

static void differences_are_named_with_both_values(void **state)
{
	static struct vf_description a, b;
	struct vferry_error err;

	describe(&a);
	describe(&b);
	assert_int_equal(vf_offer_compare(&a, &b, &err), 0);
	b.num_queues = 4;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_string_equal(err.text, "number of queues: source 2, destination 4");
	describe(&b);
	b.queue_size[1] = 128;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_string_equal(err.text, "size of queue 1: source 256, destination at most 128");
	a.queue_size[1] = 64; /* a driver may choose a smaller one */
	assert_int_equal(vf_offer_compare(&a, &b, &err), 0);
	describe(&a);
	describe(&b);
	b.features[1] = 0x13;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_non_null(strstr(err.text, "0x0000000000001200, destination 0x0000000000001300"));
	describe(&b);
	b.config[3] = 5;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_non_null(strstr(err.text, "byte 3: source 0x04, destination 0x05"));
	describe(&b);
	b.fields[1].length = 4096;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_non_null(strstr(err.text, "block"));
	b.fields[1].type = 0x999;
	assert_int_equal(vf_offer_compare(&a, &b, &err), -EXDEV);
	assert_non_null(strstr(err.text, "the destination does not"));
}

static void an_inbox_takes_what_may_come(void **state)
{
	static struct vf_inbox inbox;
	struct vf_frame frame = { .type = VF_FRAME_OFFER, .length = VF_OFFER_BYTES };
	struct vferry_error err;

	assert_non_null(vf_inbox_room(&inbox, &frame, &err));
	frame.length++;
	assert_null(vf_inbox_room(&inbox, &frame, &err));
	frame.type = VF_FRAME_RELEASE;
	frame.length = VF_MESSAGE_BYTES + 1;
	assert_null(vf_inbox_room(&inbox, &frame, &err));
	frame.type = 77;
	assert_null(vf_inbox_room(&inbox, &frame, &err));
	assert_non_null(strstr(err.text, "unknown type 77"));
	vf_inbox_clear(&inbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_messages_round_trip),
		cmocka_unit_test(words_are_bounded_and_harmless),
		cmocka_unit_test(an_offer_round_trips),
		cmocka_unit_test(a_wrong_offer_is_refused_by_name),
		cmocka_unit_test(differences_are_named_with_both_values),
		cmocka_unit_test(an_inbox_takes_what_may_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

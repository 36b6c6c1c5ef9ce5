// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a hostile peer may say: every body of a control frame, and what is compared of an offer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "migrate/messages.h"
#include "migrate/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vf_offer offer, again;
	struct vferry_error err;
	struct vf_message message;
	struct vf_words words;
	uint8_t body[VF_MESSAGE_BYTES];
	size_t length;
	char *packed;

	if (size < 1)
		return 0;
	switch (data[0] % 3) {
	case 0:
		if (!vf_message_parse(&message, data + 1, size - 1, &err)) {
			vf_message_pack(body, &message);
			if (memcmp(body, data + 1, sizeof(body)))
				abort();
		}
		break;
	case 1:
		if (!vf_words_parse(&words, data + 1, size - 1, &err) &&
		    memchr(words.text, '\n', strlen(words.text)))
			abort();
		break;
	case 2:
		if (vf_offer_parse(&offer, data + 1, size - 1, &err))
			break;
		/* What was understood says the same when it is said again, and agrees with itself. */
		packed = vf_offer_pack(&offer, &length);
		if (!packed || vf_offer_parse(&again, packed, length, &err) ||
		    memcmp(&offer.about, &again.about, sizeof(again.about)))
			abort();
		if (offer.about.queue_count && vf_offer_compare(&offer.about, &again.about, &err))
			abort();
		free(packed);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What source and destination say to each other: frame types and their bodies (design/handoff.md, "Messages, in order"). */
#ifndef VF_MESSAGES_H
#define VF_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>
#include <vferry/phase.h>

/* X(NAME, number) */
#define VF_FRAMES(X)   \
	X(OFFER, 1)    \
	X(ACCEPT, 2)   \
	X(REFUSE, 3)   \
	X(CONTEXT, 4)  \
	X(END, 5)      \
	X(STAGED, 6)   \
	X(LOADED, 7)   \
	X(RELEASE, 8)  \
	X(ACTIVE, 9)   \
	X(REFUSED, 10) \
	X(DONE, 11)    \
	X(ABORT, 12)   \
	X(QUERY, 13)   \
	X(STATE, 14)   \
	X(PING, 15)    \
	X(PONG, 16)

enum vf_frame_type {
#define X(name, number) VF_FRAME_##name = number,
	VF_FRAMES(X)
#undef X
};

static inline const char *vf_frame_name(unsigned int type)
{
	switch (type) {
#define X(name, number) \
	case number:    \
		return #name;
		VF_FRAMES(X)
#undef X
	}
	return "unknown";
}

#define VF_ID_BYTES	 16
#define VF_MESSAGE_BYTES 64
#define VF_OFFER_BYTES	 (256u << 10) /* largest OFFER */
#define VF_WORDS_BYTES	 1024u	      /* largest REFUSE, REFUSED, ABORT */
#define VF_LANES_MAX	 255
#define VF_LANE_ALL \
	0xffffffffu /* REFUSE, ABORT of the whole run; QUERY and STATE, which are of no run */
#define VF_ACCEPT_CLOCK	 0x4 /* ACCEPT: PING is answered; said only to who offered to ask */
#define VF_END_FINAL	 0x1 /* END of the last image: all that follows is LOADED */
#define VF_END_NOTHING	 0x2 /* the pass had no bytes */
#define VF_STATE_UNKNOWN 0x8 /* STATE: nothing is known here of this id */

/**
 * struct vf_message - body of the small frames: ACCEPT, END, STAGED, LOADED, RELEASE, ACTIVE, DONE, QUERY, STATE, PING, PONG
 * @id: of this VF's migration
 * @host: ACCEPT, STATE: who says so (vf_host_id()); QUERY: who is asked, as its ACCEPT said; zero otherwise
 * @state: the sender's state
 * @flags: VF_END_*, VF_ACCEPT_CLOCK, VF_STATE_UNKNOWN
 * @pass: END, STAGED: number of the image, from 0
 * @bytes: END: of this pass; STAGED, LOADED: staged so far; ACCEPT: largest chunk that the destination takes
 * PING and PONG (the clocks): @pass is the exchange's number; PING: @ns when it was sent; PONG: @bytes when PING came, @ns when PONG was sent
 * @ns: ACTIVE: from RELEASE to the device's OK; LOADED: from the last byte to the device's answer
 */
struct vf_message {
	uint8_t id[VF_ID_BYTES];
	uint8_t host[VF_ID_BYTES];
	uint32_t state;
	uint32_t flags;
	uint32_t pass;
	uint64_t bytes;
	uint64_t ns;
};

/** vf_message_pack() - into VF_MESSAGE_BYTES bytes. */
void vf_message_pack(uint8_t *body, const struct vf_message *message);
/** vf_message_parse() - -EBADMSG for a wrong length, unknown states or flags. */
int vf_message_parse(struct vf_message *message, const void *body, size_t length,
		     struct vferry_error *err);

/** struct vf_words - REFUSE, REFUSED, ABORT: why */
struct vf_words {
	uint8_t id[VF_ID_BYTES];
	int code; /* negative errno */
	char text[400];
};

/** vf_words_pack() - JSON into @body of @room bytes, the text cut to fit; its length, or -ENOMEM. */
int vf_words_pack(char *body, size_t room, const struct vf_words *words);
/** vf_words_parse() - control characters of a hostile peer become '?'. */
int vf_words_parse(struct vf_words *words, const void *body, size_t length,
		   struct vferry_error *err);

/** vf_frame_room() - the largest body that @type may have; 0 for an unknown type. CONTEXT is bounded by the slot instead. */
uint32_t vf_frame_room(unsigned int type);

/** struct vf_inbox - memory for the body of the frame that is arriving, CONTEXT excepted */
struct vf_inbox {
	uint8_t small[VF_WORDS_BYTES];
	void *large;
};
struct vf_frame;
/** vf_inbox_room() - NULL, and words, for a type or a length that cannot be. */
void *vf_inbox_room(struct vf_inbox *inbox, const struct vf_frame *frame, struct vferry_error *err);
/** vf_inbox_clear() - the frame is dealt with. */
void vf_inbox_clear(struct vf_inbox *inbox);

/* ids as text: 32 hex digits */
#define VF_ID_TEXT 33
void vf_id_text(char text[VF_ID_TEXT], const uint8_t id[VF_ID_BYTES]);
int vf_id_parse(uint8_t id[VF_ID_BYTES], const char *text);
int vf_id_new(uint8_t id[VF_ID_BYTES]);

/* hex for JSON */
void vf_hex(char *text, const void *bytes, size_t count); /* 2 * count + 1 */
int vf_unhex(void *bytes, size_t room, const char *text); /* count, or -EINVAL */

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* OFFER: what the source is and wants, and the comparison with the destination, before anything is touched. */
#ifndef VF_OFFER_H
#define VF_OFFER_H

#include "migrate/messages.h"
#include "migrate/probe.h"

#define VF_OFFER_VERSION 2
#define VF_DIALECT	 "draft-v3"

enum vf_offer_kind {
	VF_OFFER_MIGRATION, /* the destination answers */
	VF_OFFER_SNAPSHOT,  /* a copy: the source goes on */
	VF_OFFER_HAND_OVER, /* nobody answers, but the source stays released */
};

struct vf_offer {
	uint8_t id[VF_ID_BYTES];
	uint8_t group[VF_ID_BYTES];
	enum vf_offer_kind kind;
	uint32_t lanes; /* VFs in this run */
	uint16_t vf;	/* at the source, for messages */
	bool together;
	bool clock; /* the source knows PING and PONG; a peer that does not know the word passes over it */
	uint32_t chunk_bytes; /* largest CONTEXT frame */
	char source[320];     /* host and owner, for messages */
	struct vf_description about;
};

/** vf_offer_pack() - JSON, malloc()ed; its length in @length. NULL without memory. */
char *vf_offer_pack(const struct vf_offer *offer, size_t *length);
/** vf_offer_parse() - -EBADMSG, -EPROTONOSUPPORT for another version or dialect. */
int vf_offer_parse(struct vf_offer *offer, const void *body, size_t length,
		   struct vferry_error *err);
/** vf_offer_compare() - -EXDEV, and the words name the first difference with both values. */
int vf_offer_compare(const struct vf_description *source, const struct vf_description *destination,
		     struct vferry_error *err);

#endif

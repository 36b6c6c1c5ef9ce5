/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A whole context, outside of a migration: its images merged by key, its values decoded, checked against the rules of
 * device-rules.md and compared with another one. Values above VFERRY_CTX_KEPT bytes are kept as a digest only, so a
 * context of many GiB is read in little memory.
 */
#ifndef VFERRY_CONTEXT_CHECK_H
#define VFERRY_CONTEXT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <vferry/context.h>

#pragma GCC visibility push(default)

#define VFERRY_CTX_KEPT 4096

#ifdef __cplusplus
extern "C" {
#endif

struct vferry_context;

/**
 * struct vferry_ctx_entry - one field as it stands after all images
 * @type: field type
 * @flags: field flags
 * @index: field index
 * @image: number of the image that wrote it last
 * @offset: of that field's header in the stream
 * @length: of the value
 * @value: the value; NULL when it is longer than VFERRY_CTX_KEPT or when too much is kept already
 * @digest: XXH3-128 of the value, high half first
 */
struct vferry_ctx_entry {
	uint16_t type;
	uint8_t flags;
	uint32_t index;
	uint32_t image;
	uint64_t offset;
	uint64_t length;
	const uint8_t *value;
	uint64_t digest[2];
};

/** struct vferry_ctx_totals - what was read */
struct vferry_ctx_totals {
	uint64_t bytes;	      /* of the stream */
	uint32_t images;      /* complete ones */
	uint32_t deltas;      /* of these */
	uint64_t fields;      /* in all images */
	uint64_t value_bytes; /* of the merged context */
};

/** vferry_context_new() - an empty context. Return: it, or NULL without memory. */
struct vferry_context *vferry_context_new(void);
void vferry_context_free(struct vferry_context *ctx);

/**
 * vferry_context_add() - the next bytes of the stream of images, cut anywhere
 *
 * Return: 0; -EBADMSG with words; -ENOMEM.
 */
int vferry_context_add(struct vferry_context *ctx, const void *bytes, uint64_t count,
		       struct vferry_error *err);

/**
 * vferry_context_finish() - the stream is at its end: now entries can be looked at
 *
 * To be called after an error too; then the entries are what was read before it.
 *
 * Return: 0; -EBADMSG when there is no image or the last one is incomplete; the error of an earlier vferry_context_add().
 */
int vferry_context_finish(struct vferry_context *ctx, struct vferry_error *err);

/** vferry_context_read() - vferry_context_add() until the end of a descriptor's bytes, then vferry_context_finish(). */
int vferry_context_read(struct vferry_context *ctx, int fd, struct vferry_error *err);

const struct vferry_ctx_totals *vferry_context_totals(const struct vferry_context *ctx);
/** vferry_context_count() - number of entries. They are in the order of type and index. */
size_t vferry_context_count(const struct vferry_context *ctx);
const struct vferry_ctx_entry *vferry_context_entry(const struct vferry_context *ctx, size_t n);
/** vferry_context_find() - the entry of a key, or NULL. */
const struct vferry_ctx_entry *vferry_context_find(const struct vferry_context *ctx, uint16_t type,
						   uint32_t index);

/* --- decoded values --- */

#define VFERRY_CTX_PAIRS 12 /* no field decodes to more */

/**
 * struct vferry_ctx_pair - one name and its value: a line of text, a member in JSON
 * @name: snake_case
 * @form: NUMBER and HEX: @number, to be shown in that form; FLAG: @number is 0 or 1; TEXT: @text
 * @text: TEXT: the value. NUMBER and HEX: what its bits mean ("version_1,ring_event_idx"), or empty
 */
struct vferry_ctx_pair {
	const char *name;
	enum {
		VFERRY_CTX_NUMBER,
		VFERRY_CTX_HEX,
		VFERRY_CTX_FLAG,
		VFERRY_CTX_TEXT,
	} form;
	uint64_t number;
	char text[288];
};

/**
 * vferry_ctx_decode() - take a value apart
 * @entry: a field
 * @pairs: room for VFERRY_CTX_PAIRS
 *
 * A type that vferry does not know, or a known one with a wrong length, becomes "bytes" (the first 128 in hex) or,
 * when the value is not kept, "digest".
 *
 * Return: number of pairs, at least one.
 */
size_t vferry_ctx_decode(const struct vferry_ctx_entry *entry,
			 struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS]);

/** vferry_ctx_pair_equal() - same name, form and value? */
bool vferry_ctx_pair_equal(const struct vferry_ctx_pair *a, const struct vferry_ctx_pair *b);

/* --- comparing --- */

/** struct vferry_ctx_difference - a key that is in one context only (the other is NULL), or in both with other values */
struct vferry_ctx_difference {
	const struct vferry_ctx_entry *a;
	const struct vferry_ctx_entry *b;
};

/**
 * vferry_context_compare() - two contexts field by field
 * @each: called for each difference, in the order of type and index; may be NULL
 *
 * Return: number of differences.
 */
size_t vferry_context_compare(const struct vferry_context *a, const struct vferry_context *b,
			      void (*each)(void *arg,
					   const struct vferry_ctx_difference *difference),
			      void *arg);

/* --- checking --- */

/**
 * struct vferry_ctx_finding - something that is wrong with the values, though the container is sound
 * @error: a device would refuse it; otherwise it is only strange
 * @type: of the field
 * @index: of the field
 * @entry: the field; NULL when it is missing
 * @text: what is wrong, with the offending value
 */
struct vferry_ctx_finding {
	bool error;
	uint16_t type;
	uint32_t index;
	const struct vferry_ctx_entry *entry;
	char text[200];
};

/**
 * vferry_context_check() - values and completeness of a finished context
 * @each: called for each finding; may be NULL
 *
 * Return: number of findings that are errors.
 */
size_t vferry_context_check(const struct vferry_context *ctx,
			    void (*each)(void *arg, const struct vferry_ctx_finding *finding),
			    void *arg);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a VF is, as its own context tells: fields and lengths, device features, queues, device configuration,
 * status. Both sides look at their VF this way before anything is touched. The context is read no further than
 * needed: a destination discards it, a source keeps what was read as the beginning of its first image.
 *
 * START alone is read first, then DISCARD and START again: a device that does not begin anew cannot give again
 * what it has given, and what is read from it must be kept (handoff.md, "What is kept"). Nothing but START, which is
 * kept, is lost by asking.
 */
#ifndef VF_PROBE_H
#define VF_PROBE_H

#include <vferry/context.h>
#include "admin/admin.h"

#define VF_FIELDS_MAX	  256 /* entries of FIELDS_QUERY that fit a command's own memory */
#define VF_QUEUES_MAX	  256
#define VF_FEATURES_BYTES 64
#define VF_CONFIG_BYTES	  1024

struct vf_description {
	uint32_t field_count;
	struct {
		uint16_t type;
		uint64_t length;
	} fields[VF_FIELDS_MAX];
	bool has_status;
	uint8_t device_status;
	uint32_t features_bytes;
	uint8_t features[VF_FEATURES_BYTES];
	bool has_common;
	uint16_t num_queues;
	uint32_t queue_count; /* queues told, in order of index */
	uint16_t queue_size[VF_QUEUES_MAX];
	uint32_t config_bytes;
	uint8_t config[VF_CONFIG_BYTES];
	uint8_t mode;
	bool reads_clear; /* READ clears: DISCARD does not make a full image due */
	uint64_t size_now,
		size_freeze; /* SIZE_GET's estimates: what remains to be read now, and in Freeze */
};

/** struct vf_probe - one look at a VF; zeroed, then vf_probe_start() */
struct vf_probe {
	struct vf_admin *admin;
	struct vf_arena *arena;
	uint16_t vf;
	void (*done)(void *arg, int error, const struct vferry_error *why);
	void *arg;

	struct vf_description *about;
	struct vferry_cmd cmd;
	struct vferry_sg sg;
	struct vf_slot *slot;
	uint32_t have; /* bytes of the image in @slot */
	unsigned int tries;
	bool keep; /* a source: @slot is the caller's afterwards, when @have */
	struct vferry_ctx_walker *walker;
	uint8_t value[2048]; /* of the field at hand */
	uint32_t value_bytes;
	bool image_over;
	bool running;
	uint16_t status, qualifier;
	struct vferry_error why;
	int error;
	struct vf_timer retry;
};

/**
 * vf_probe_start() - MODE_GET, FIELDS_QUERY, DISCARD, READ as far as needed, SIZE_GET
 * @about: filled in; stays the caller's
 * @keep: leave what was read in @probe->slot (@probe->have bytes), with the device in the middle of its image; vf_probe_drop()
 *	  gives the slot back. Otherwise it is discarded
 *
 * @done is called from vf_ring_turn(): 0; -EREMOTEIO when the device refused; -EBADMSG when the context is malformed.
 */
void vf_probe_start(struct vf_probe *probe, struct vf_admin *admin, struct vf_arena *arena,
		    uint16_t vf, bool keep, struct vf_description *about,
		    void (*done)(void *arg, int error, const struct vferry_error *why), void *arg);
void vf_probe_drop(struct vf_probe *probe);

#endif

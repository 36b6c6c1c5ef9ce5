/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a VF is, as its own context tells: fields and lengths, device features, queues, device configuration,
 * status. Both sides look at their VF this way before anything is touched. The context is read no further than
 * needed and then discarded, so that a full image is due.
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
	uint64_t size_now, size_freeze; /* SIZE_GET's estimates of a full context */
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
 * vf_probe_start() - MODE_GET, FIELDS_QUERY, DISCARD, READ as far as needed, DISCARD, SIZE_GET
 * @about: filled in; stays the caller's
 *
 * @done is called from vf_ring_turn(): 0; -EREMOTEIO when the device refused; -EBADMSG when the context is malformed.
 */
void vf_probe_start(struct vf_probe *probe, struct vf_admin *admin, struct vf_arena *arena,
		    uint16_t vf, struct vf_description *about,
		    void (*done)(void *arg, int error, const struct vferry_error *why), void *arg);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a device whose READ clears has given, kept until the source is GONE: written from the arena's slots into an
 * unnamed file, and read back into slots when the VF is taken back.
 */
#ifndef VF_RETAIN_H
#define VF_RETAIN_H

#include "admin/admin.h"
#include "migrate/writer.h"

struct vf_retain;

/** struct vf_keep - a run of bytes on its way into the file */
struct vf_keep {
	struct vf_op op;
	struct vf_retain *retain;
	const uint8_t *bytes;
	uint32_t left;
	uint64_t offset;
	void (*done)(struct vf_keep *keep);
};

/**
 * struct vf_retain - one VF's file
 * @settled: nothing is on its way any more
 */
struct vf_retain {
	struct vf_ring *ring;
	int fd;
	char place[256]; /* the folder whose file system holds it */
	uint64_t bytes;	 /* kept, on their way included */
	unsigned int busy;
	int error;
	struct vferry_error why;
	void (*settled)(void *arg);
	void *arg;

	/* on the way back */
	struct vf_writer *writer;
	struct vf_op op;
	struct vf_slot *slot;
	uint64_t restored;
	uint32_t length;
};

/** vf_retain_open() - before anything is read that cannot be read again. */
int vf_retain_open(struct vf_retain *retain, struct vf_ring *ring, void (*settled)(void *arg),
		   void *arg, struct vferry_error *err);
void vf_retain_close(struct vf_retain *retain);
/** vf_retain_add() - keep @length bytes; @done when they need not stay any more. Errors stand in @retain->error. */
void vf_retain_add(struct vf_retain *retain, struct vf_keep *keep, const void *bytes,
		   uint32_t length, void (*done)(struct vf_keep *keep));
/** vf_retain_restore() - begin to give all that was kept to @writer; vf_retain_restore_on() whenever it has made progress or slots came free. */
void vf_retain_restore(struct vf_retain *retain, struct vf_writer *writer);
void vf_retain_restore_on(struct vf_retain *retain);
/** vf_retain_restored() - all is written, and the device said OK. */
bool vf_retain_restored(const struct vf_retain *retain);

#endif

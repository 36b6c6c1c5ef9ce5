/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes a context into a VF: chunks of any length are gathered by descriptors to multiples of 8; what is left over
 * is the first run of the next WRITE. Nothing is copied; a slot goes back when the last WRITE that names it is answered.
 *
 * One WRITE of a VF is with the device at a time. It takes all that has come meanwhile (up to VFERRY_CMD_SG_MAX runs). No rule of
 * the device makes a second one safe: a WRITE says nowhere which bytes of the context it brings, EAGAIN has no side effect,
 * and those behind the one that was put off are carried out. What they brought would stand where the first one's bytes belong,
 * and only DISCARD and the whole context once more would put that right, with the VF down.
 *
 * What that costs, seen by the device's probe in a move of 512 MiB over loopback on a busy machine: 274 WRITEs, 30 ms of work
 * in 2234 ms; nearly all of the rest it waits for the network. The pauses shorter than 200 us, in which data may have been there
 * already, add up to 14 ms, 0.6% of the move; those shorter than 50 us to 1.5 ms.
 */
#ifndef VF_WRITER_H
#define VF_WRITER_H

#include "admin/admin.h"

/**
 * struct vf_writer_events - from vf_ring_turn()
 * @progress: a WRITE was answered OK: slots came free
 * @drained: all that came is written, but for fewer than 8 bytes that wait for more
 * @failed: once; -EREMOTEIO: the device refused (@writer->status), -errno
 */
struct vf_writer_events {
	void (*progress)(void *arg);
	void (*drained)(void *arg);
	void (*failed)(void *arg, int error, const struct vferry_error *why);
	void *arg;
};

struct vf_run {
	struct vf_slot *slot;
	uint32_t offset, length;
};

struct vf_writer {
	struct vf_admin *admin;
	struct vf_arena *arena;
	struct vf_writer_events events;
	uint16_t vf;

	struct vf_run *runs; /* a ring as large as the arena has slots */
	uint32_t room, head, count;
	uint64_t pending; /* bytes in runs */
	struct vferry_cmd cmd;
	struct vferry_sg sg[VFERRY_CMD_SG_MAX];
	uint32_t sg_bytes;
	bool busy, failed;
	uint64_t accepted, written, commands;
	uint16_t status, qualifier;
	struct vferry_error why;
};

int vf_writer_init(struct vf_writer *writer, struct vf_admin *admin, struct vf_arena *arena,
		   uint16_t vf, const struct vf_writer_events *events);
/** vf_writer_free() - only when not busy; gives back the slots of what was never written. */
void vf_writer_free(struct vf_writer *writer);
/** vf_writer_add() - @length bytes at the beginning of @slot, which is the writer's from now on. */
void vf_writer_add(struct vf_writer *writer, struct vf_slot *slot, uint32_t length);
/** vf_writer_drop() - forget what waits; a WRITE under way is answered all the same. */
void vf_writer_drop(struct vf_writer *writer);
bool vf_writer_busy(const struct vf_writer *writer);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "migrate/retain.h"

int vf_retain_open(struct vf_retain *retain, struct vf_ring *ring, void (*settled)(void *arg),
		   void *arg, struct vferry_error *err)
{
	const char *folder = getenv("VFERRY_SPOOL_DIR");

	if (!folder)
		folder = getenv("TMPDIR");
	if (!folder)
		folder = "/var/tmp";
	memset(retain, 0, sizeof(*retain));
	retain->ring = ring;
	retain->settled = settled;
	retain->arg = arg;
	snprintf(retain->place, sizeof(retain->place), "%s", folder);
	retain->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (retain->fd < 0)
		return vferry_fail(
			err, -errno,
			"this device's READ clears, so that all it gives must be kept, but no "
			"file can be made in %s: %s (VFERRY_SPOOL_DIR names another folder)",
			folder, strerror(errno));
	return 0;
}

void vf_retain_close(struct vf_retain *retain)
{
	if (retain->ring && retain->fd >= 0)
		close(retain->fd);
	retain->fd = -1;
}

static void over(struct vf_keep *keep)
{
	struct vf_retain *retain = keep->retain;

	retain->busy--;
	keep->done(keep);
	if (!retain->busy)
		retain->settled(retain->arg);
}

static void written(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_keep *keep = (struct vf_keep *)((char *)op - offsetof(struct vf_keep, op));
	struct vf_retain *retain = keep->retain;

	if (res <= 0 && res != -EINTR && res != -EAGAIN) {
		if (!retain->error)
			retain->error = vferry_fail(
				&retain->why, res ? res : -EIO,
				"what the device gave cannot be kept in %s: %s (VFERRY_SPOOL_DIR names "
				"another folder)",
				retain->place, strerror(res ? -res : EIO));
		over(keep);
		return;
	}
	if (res > 0) {
		keep->bytes += res;
		keep->offset += (uint32_t)res;
		keep->left -= (uint32_t)res;
	}
	if (!keep->left) {
		over(keep);
		return;
	}
	io_uring_prep_write(vf_ring_sqe(retain->ring, &keep->op), retain->fd, keep->bytes,
			    keep->left, keep->offset);
}

void vf_retain_add(struct vf_retain *retain, struct vf_keep *keep, const void *bytes,
		   uint32_t length, void (*done)(struct vf_keep *keep))
{
	*keep = (struct vf_keep){
		.op.done = written,
		.retain = retain,
		.bytes = bytes,
		.left = length,
		.offset = retain->bytes,
		.done = done,
	};
	retain->bytes += length;
	retain->busy++;
	io_uring_prep_write(vf_ring_sqe(retain->ring, &keep->op), retain->fd, keep->bytes,
			    keep->left, keep->offset);
}

static void read_back(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_retain *retain =
		(struct vf_retain *)((char *)op - offsetof(struct vf_retain, op));
	struct vf_slot *slot = retain->slot;

	retain->slot = NULL;
	if (res <= 0) {
		vf_arena_put(retain->writer->arena, slot);
		retain->error = vferry_fail(&retain->why, res ? res : -EIO,
					    "what was kept in %s cannot be read back: %s",
					    retain->place, strerror(res ? -res : EIO));
		retain->settled(retain->arg);
		return;
	}
	retain->restored += (uint32_t)res;
	vf_writer_add(retain->writer, slot, (uint32_t)res);
	vf_retain_restore_on(retain);
}

void vf_retain_restore(struct vf_retain *retain, struct vf_writer *writer)
{
	retain->writer = writer;
	retain->restored = 0;
	vf_retain_restore_on(retain);
}

void vf_retain_restore_on(struct vf_retain *retain)
{
	uint64_t left = retain->bytes - retain->restored;

	if (!retain->writer || retain->slot || !left || retain->error)
		return;
	retain->slot = vf_arena_get(retain->writer->arena);
	if (!retain->slot)
		return;
	retain->op.done = read_back;
	io_uring_prep_read(vf_ring_sqe(retain->ring, &retain->op), retain->fd, retain->slot->memory,
			   left < retain->slot->bytes ? (unsigned int)left : retain->slot->bytes,
			   retain->restored);
}

bool vf_retain_restored(const struct vf_retain *retain)
{
	return retain->restored == retain->bytes && !retain->slot && !retain->writer->busy &&
	       !retain->writer->pending;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fn.h"

/* A client may take O_NONBLOCK away at any time: so many writes may then wait in workers. */
#define BESIDE_MOST 64

static const uint64_t one = 1;

static void signal_done(struct vf_op *op, int32_t res, uint32_t flags);

/*
 * A client owns the eventfd, its counter and its flags: a write from this thread could block for ever.
 * io_uring's write of a descriptor with O_NONBLOCK is done on the spot, others go to a worker thread.
 */
static void signal_begin(struct msix_vector *vector)
{
	struct vf_ring *ring = vector->fn->owner->ring;
	bool known_done = false;
	struct io_uring_sqe *sqe;

	/* Within one turn: what was submitted and done on the spot is over, though nobody has looked at its completion. */
	if (vector->op.busy)
		known_done = !vector->blocking && vector->beside < BESIDE_MOST &&
			     vf_ring_stats(ring)->enters != vector->enters;
	if (vector->op.busy && !known_done) {
		vector->again = true;
		return;
	}
	vector->op.done = signal_done;
	sqe = vf_ring_sqe(ring, known_done ? NULL : &vector->op);
	io_uring_prep_write(sqe, vector->fd, &one, sizeof(one), 0);
	vector->beside = known_done ? vector->beside + 1 : 0;
	if (known_done)
		vf_ring_quiet(ring, sqe);
	if (vector->blocking)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	vector->enters = vf_ring_stats(ring)->enters;
}

static void signal_done(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct msix_vector *vector = container_of(op, struct msix_vector, op);
	bool again = vector->again;

	vector->again = false;
	if (vector->closing >= 0) {
		owner_close(vector->fn->owner, vector->closing);
		vector->closing = -1;
	}
	if (again && vector->fd >= 0)
		signal_begin(vector);
}

static void vector_drop_fd(struct msix_vector *vector)
{
	if (vector->fd < 0)
		return;
	if (vector->op.busy && vector->closing < 0) {
		vector->closing = vector->fd;
		vf_ring_cancel(vector->fn->owner->ring, &vector->op);
	} else {
		owner_close(vector->fn->owner, vector->fd);
	}
	vector->fd = -1;
	vector->again = false;
}

static bool held_back(const struct msix *msix, const struct msix_vector *vector)
{
	return vector->masked || msix->function_mask ||
	       (vector->table_written && vector->table[12] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static bool mode_lets_through(const struct function *fn)
{
	return fn->mode == VFERRY_MODE_ACTIVE || FN_WRONG(fn, STOP_INTERRUPTS) ||
	       FN_WRONG(fn, STOP_RAISES_OWED);
}

static void vector_deliver(struct function *fn, struct msix_vector *vector)
{
	if (!vector->pending || vector->fd < 0 || held_back(&fn->io->msix, vector) ||
	    !mode_lets_through(fn))
		return;
	vector->pending = false;
	signal_begin(vector);
}

void msix_raise(struct function *fn, unsigned int vector)
{
	struct msix *msix = &fn->io->msix;

	if (vector >= msix->count)
		return;
	msix->vectors[vector].pending = true;
	vector_deliver(fn, &msix->vectors[vector]);
}

void msix_deliver(struct function *fn)
{
	for (unsigned int i = 0; i < fn->io->msix.count; i++)
		vector_deliver(fn, &fn->io->msix.vectors[i]);
}

void msix_control(struct function *fn, bool function_mask)
{
	fn->io->msix.function_mask = function_mask;
	msix_deliver(fn);
}

void msix_reset(struct function *fn)
{
	struct msix *msix = &fn->io->msix;

	msix->function_mask = false;
	for (unsigned int i = 0; i < msix->count; i++) {
		struct msix_vector *vector = &msix->vectors[i];

		memset(vector->table, 0, sizeof(vector->table));
		vector->table[12] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		vector->table_written = false;
		vector->masked = false;
		vector->pending = false;
		vector->again = false;
	}
}

int msix_init(struct function *fn, unsigned int vectors)
{
	struct msix *msix = &fn->io->msix;

	msix->vectors = calloc(vectors, sizeof(*msix->vectors));
	if (!msix->vectors)
		return -ENOMEM;
	msix->count = vectors;
	msix->other[0] = msix->other[1] = -1;
	for (unsigned int i = 0; i < vectors; i++) {
		msix->vectors[i].fn = fn;
		msix->vectors[i].fd = msix->vectors[i].closing = -1;
	}
	msix_reset(fn);
	return 0;
}

void msix_drop(struct function *fn)
{
	struct msix *msix = &fn->io->msix;

	for (unsigned int i = 0; i < msix->count; i++)
		vector_drop_fd(&msix->vectors[i]);
	for (unsigned int i = 0; i < 2; i++) {
		if (msix->other[i] >= 0)
			owner_close(fn->owner, msix->other[i]);
		msix->other[i] = -1;
	}
}

void msix_free(struct function *fn)
{
	free(fn->io->msix.vectors);
	fn->io->msix.vectors = NULL;
	fn->io->msix.count = 0;
}

void msix_bar_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count)
{
	struct msix *msix = &fn->io->msix;

	for (size_t i = 0; i < count; i++, offset++) {
		uint64_t bit = offset - MSIX_PBA;

		data[i] = 0;
		if (offset < msix->count * sizeof(msix->vectors->table))
			data[i] = msix->vectors[offset / 16].table[offset % 16];
		else if (offset >= MSIX_PBA)
			for (unsigned int b = 0; b < 8 && bit * 8 + b < msix->count; b++)
				data[i] |= (uint8_t)(msix->vectors[bit * 8 + b].pending << b);
	}
}

void msix_bar_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count)
{
	struct msix *msix = &fn->io->msix;

	for (size_t i = 0; i < count; i++, offset++) {
		struct msix_vector *vector;

		if (offset >= msix->count * sizeof(msix->vectors->table))
			return;
		vector = &msix->vectors[offset / 16];
		/* Message address: dword aligned. Vector control: only the mask bit exists. */
		if (offset % 16 == 0)
			vector->table[0] = data[i] & 0xfc;
		else if (offset % 16 < 12)
			vector->table[offset % 16] = data[i];
		else if (offset % 16 == 12) {
			vector->table[12] = data[i] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
			/* A client that gives eventfds and leaves the table alone gets its interrupts. */
			vector->table_written = true;
		}
		vector_deliver(fn, vector);
	}
}

static bool is_eventfd(int fd)
{
	char path[40], text[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, text, sizeof(text) - 1);
	if (length < 0)
		return errno == ENOENT; /* no /proc to ask */
	text[length] = '\0';
	return !strcmp(text, "anon_inode:[eventfd]");
}

static int set_eventfds(struct function *fn, uint32_t start, uint32_t count, int *fds,
			unsigned int fd_count)
{
	struct msix *msix = &fn->io->msix;

	if (fd_count && fd_count != count)
		return -EINVAL;
	for (unsigned int i = 0; i < fd_count; i++)
		if (!is_eventfd(fds[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		struct msix_vector *vector = &msix->vectors[start + i];

		vector_drop_fd(vector);
		if (!fd_count)
			continue;
		vector->fd = fds[i];
		vector->blocking = !(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
		fds[i] = -1;
		vector_deliver(fn, vector);
	}
	return 0;
}

static void act(struct function *fn, struct msix_vector *vector, uint32_t action)
{
	switch (action) {
	case VFIO_USER_IRQ_ACTION_MASK:
		vector->masked = true;
		break;
	case VFIO_USER_IRQ_ACTION_UNMASK:
		vector->masked = false;
		vector_deliver(fn, vector);
		break;
	case VFIO_USER_IRQ_ACTION_TRIGGER:
		if (vector->fd >= 0)
			signal_begin(vector);
		break;
	}
}

/* Error and request interrupts: an eventfd is kept for them; this device never raises either. */
static int set_other(struct function *fn, const struct vfio_user_set_irqs *set, int *fds,
		     unsigned int fd_count)
{
	int *other = &fn->io->msix.other[le32toh(set->index) - VFIO_USER_IRQ_ERR];

	if (le32toh(set->start) || le32toh(set->count) > 1 || fd_count > 1)
		return -EINVAL;
	if (!(le32toh(set->flags) & VFIO_USER_IRQ_ACTION_TRIGGER))
		return -EINVAL;
	if (*other >= 0)
		owner_close(fn->owner, *other);
	*other = -1;
	if (fd_count) {
		*other = fds[0];
		fds[0] = -1;
	}
	return 0;
}

int msix_set_irqs(struct function *fn, const struct vfio_user_set_irqs *set, const uint8_t *data,
		  size_t data_count, int *fds, unsigned int fd_count)
{
	struct msix *msix = &fn->io->msix;
	uint32_t index = le32toh(set->index), start = le32toh(set->start);
	uint32_t count = le32toh(set->count), flags = le32toh(set->flags);
	uint32_t kind = flags & 7, action = flags & 0x38;

	if (flags & ~0x3fU || __builtin_popcount(kind) != 1 || __builtin_popcount(action) != 1)
		return -EINVAL;
	if (fd_count && kind != VFIO_USER_IRQ_DATA_EVENTFD)
		return -EINVAL;
	if (index == VFIO_USER_IRQ_ERR || index == VFIO_USER_IRQ_REQ)
		return set_other(fn, set, fds, fd_count);
	if (index != VFIO_USER_IRQ_MSIX)
		/* Absent kinds have no vectors; switching off all of none is what VMMs do. */
		return index < VFIO_USER_IRQS && !start && !count && !fd_count ? 0 : -EINVAL;
	if (start > msix->count || count > msix->count - start)
		return -EINVAL;
	if (!count) {
		if (start || kind != VFIO_USER_IRQ_DATA_NONE ||
		    action != VFIO_USER_IRQ_ACTION_TRIGGER)
			return -EINVAL;
		for (uint32_t i = 0; i < msix->count; i++)
			vector_drop_fd(&msix->vectors[i]);
		return 0;
	}
	if (kind == VFIO_USER_IRQ_DATA_EVENTFD)
		/* Telling a client when it masks itself is not offered. */
		return action == VFIO_USER_IRQ_ACTION_TRIGGER
			       ? set_eventfds(fn, start, count, fds, fd_count)
			       : -EINVAL;
	if (kind == VFIO_USER_IRQ_DATA_BOOL && data_count < count)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (kind == VFIO_USER_IRQ_DATA_NONE || data[i])
			act(fn, &msix->vectors[start + i], action);
	return 0;
}

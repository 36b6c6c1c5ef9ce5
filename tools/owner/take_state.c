// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "take_over.h"

#define MAGIC	  0x4f544656U /* "VFTO" */
#define NO_OBJECT UINT32_MAX

/* Both ends are this program on this machine: native numbers. */
struct state_head {
	uint32_t magic;
	uint32_t bytes; /* of this structure */
	uint32_t max_fds;
	uint32_t objects;
	uint32_t ranges;
	uint32_t vectors;
	uint8_t write_multiple;
	uint8_t function_mask;
	uint8_t isr;
	uint8_t other[2]; /* has an eventfd */
	uint8_t config[PCI_CONFIG_BYTES];
};

struct state_vector {
	uint8_t table[16];
	uint8_t masked, table_written, pending, has_fd;
};

struct state_range {
	uint64_t iova, size, offset;
	uint32_t flags;
	uint32_t object; /* NO_OBJECT: the client gave no descriptor */
};

/* --- saving ----------------------------------------------------------------------------------------------- */

static int add_fd(struct take_fds *fds, int fd, struct vferry_error *err)
{
	if (fds->count == TAKE_FDS_MAX)
		return vferry_fail(err, -E2BIG, "more than %u descriptors would have to go along",
				   TAKE_FDS_MAX);
	fds->fds[fds->count++] = fd;
	return 0;
}

static uint32_t object_number(const struct dma *dma, const struct dma_object *wanted)
{
	uint32_t n = 0;

	for (const struct dma_object *object = dma->objects; object; object = object->next, n++)
		if (object == wanted)
			return n;
	return NO_OBJECT;
}

static int put(int fd, const void *data, size_t bytes, struct vferry_error *err)
{
	ssize_t n = write(fd, data, bytes);

	if (n == (ssize_t)bytes)
		return 0;
	return vferry_fail(err, n < 0 ? -errno : -EIO, "cannot write the state: %s",
			   strerror(n < 0 ? errno : EIO));
}

static int save_vectors(struct function *fn, struct take_fds *fds, int to, struct vferry_error *err)
{
	const struct msix *msix = &fn->io->msix;
	int ret = 0;

	for (unsigned int i = 0; i < msix->count && !ret; i++) {
		const struct msix_vector *vector = &msix->vectors[i];
		struct state_vector state = {
			.masked = vector->masked,
			.table_written = vector->table_written,
			.pending = vector->pending,
			.has_fd = vector->fd >= 0,
		};

		memcpy(state.table, vector->table, sizeof(state.table));
		if (vector->fd >= 0)
			ret = add_fd(fds, vector->fd, err);
		if (!ret)
			ret = put(to, &state, sizeof(state), err);
	}
	for (unsigned int i = 0; i < 2 && !ret; i++)
		if (msix->other[i] >= 0)
			ret = add_fd(fds, msix->other[i], err);
	return ret;
}

static int save_ranges(const struct dma *dma, int to, struct vferry_error *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < dma->count && !ret; i++) {
		const struct dma_range *range = &dma->ranges[i];
		struct state_range state = {
			.iova = range->iova,
			.size = range->size,
			.offset = range->object ? (uint64_t)(range->host - range->object->base) : 0,
			.flags = range->flags,
			.object = object_number(dma, range->object),
		};

		ret = put(to, &state, sizeof(state), err);
	}
	return ret;
}

static int save_objects(const struct dma *dma, struct take_fds *fds, struct vferry_error *err)
{
	int ret = 0;

	for (const struct dma_object *object = dma->objects; object && !ret; object = object->next)
		ret = object->fd < 0 ? vferry_fail(err, -EBADF, "memory without its descriptor")
				     : add_fd(fds, object->fd, err);
	return ret;
}

int take_save(struct function *fn, const struct version_caps *caps, struct take_fds *fds,
	      struct vferry_error *err)
{
	const struct dma *dma = &fn->io->dma;
	struct state_head head = {
		.magic = MAGIC,
		.bytes = sizeof(head),
		.max_fds = caps->max_fds,
		.objects = dma->object_count,
		.ranges = dma->count,
		.vectors = fn->io->msix.count,
		.write_multiple = caps->write_multiple,
		.function_mask = fn->io->msix.function_mask,
		.isr = fn->io->isr,
		.other = { fn->io->msix.other[0] >= 0, fn->io->msix.other[1] >= 0 },
	};
	int to = memfd_create("vferry-take-over", MFD_CLOEXEC), ret;

	if (to < 0)
		return vferry_fail(err, -errno, "no memory for the state: %s", strerror(errno));
	memcpy(head.config, fn->io->pci.config, sizeof(head.config));
	ret = put(to, &head, sizeof(head), err);
	if (!ret)
		ret = add_fd(fds, to, err);
	if (!ret)
		ret = save_objects(dma, fds, err);
	if (!ret)
		ret = save_vectors(fn, fds, to, err);
	if (!ret)
		ret = save_ranges(dma, to, err);
	if (ret)
		close(to);
	return ret;
}

/* --- loading ---------------------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *at;
	size_t left;
};

static bool take(struct cursor *cursor, void *to, size_t bytes)
{
	if (cursor->left < bytes)
		return false;
	memcpy(to, cursor->at, bytes);
	cursor->at += bytes;
	cursor->left -= bytes;
	return true;
}

static int fd_at(struct take_fds *fds, unsigned int n)
{
	return n < fds->count ? fds->fds[n] : -1;
}

static int load_ranges(struct function *fn, const struct state_head *head, struct cursor *cursor,
		       struct take_fds *fds, struct vferry_error *err)
{
	for (uint32_t i = 0; i < head->ranges; i++) {
		struct state_range range;
		int fd = -1, ret;

		if (!take(cursor, &range, sizeof(range)))
			return vferry_fail(err, -EINVAL, "the state ends early");
		if (range.object != NO_OBJECT) {
			fd = range.object < head->objects ? fd_at(fds, 2 + range.object) : -1;
			if (fd < 0)
				return vferry_fail(err, -EINVAL, "memory object %u is missing",
						   range.object);
		}
		ret = dma_map(&fn->io->dma, range.iova, range.size, range.offset, range.flags, fd,
			      err);
		if (ret)
			return ret;
	}
	return 0;
}

static int give_eventfd(struct function *fn, uint32_t index, uint32_t start, int *fd,
			struct vferry_error *err)
{
	struct vfio_user_set_irqs set = {
		.argsz = htole32(sizeof(set)),
		.flags = htole32(VFIO_USER_IRQ_DATA_EVENTFD | VFIO_USER_IRQ_ACTION_TRIGGER),
		.index = htole32(index),
		.start = htole32(start),
		.count = htole32(1),
	};
	int ret = msix_set_irqs(fn, &set, NULL, 0, fd, 1);

	return ret ? vferry_fail(err, ret, "vector %u: %s", start, strerror(-ret)) : 0;
}

static int load_vectors(struct function *fn, const struct state_head *head, struct cursor *cursor,
			struct take_fds *fds, struct vferry_error *err)
{
	struct msix *msix = &fn->io->msix;
	unsigned int next = 2 + head->objects;
	int ret = 0;

	for (uint32_t i = 0; i < head->vectors && !ret; i++) {
		struct msix_vector *vector = &msix->vectors[i];
		struct state_vector state;

		if (!take(cursor, &state, sizeof(state)))
			return vferry_fail(err, -EINVAL, "the state ends early");
		if (state.has_fd && fd_at(fds, next) < 0)
			return vferry_fail(err, -EINVAL, "eventfd of vector %u is missing", i);
		if (state.has_fd)
			ret = give_eventfd(fn, VFIO_USER_IRQ_MSIX, i, &fds->fds[next++], err);
		memcpy(vector->table, state.table, sizeof(vector->table));
		vector->masked = state.masked;
		vector->table_written = state.table_written;
		vector->pending = state.pending;
	}
	for (uint32_t i = 0; i < 2 && !ret; i++) {
		if (!head->other[i])
			continue;
		if (fd_at(fds, next) < 0)
			return vferry_fail(err, -EINVAL, "an eventfd is missing");
		ret = give_eventfd(fn, VFIO_USER_IRQ_ERR + i, 0, &fds->fds[next++], err);
	}
	return ret;
}

static void load_config(struct function *fn, const struct state_head *head)
{
	struct pci *pci = &fn->io->pci;

	for (unsigned int i = 0; i < PCI_CONFIG_BYTES; i++)
		pci->config[i] = (uint8_t)((pci->config[i] & ~pci->writable[i]) |
					   (head->config[i] & pci->writable[i]));
	fn->io->msix.function_mask = head->function_mask;
	fn->io->isr = head->isr;
}

/* The other end may change the memory meanwhile: all is read once. */
static uint8_t *read_once(int fd, size_t *bytes, struct vferry_error *err)
{
	const size_t most = sizeof(struct state_head) +
			    MSIX_VECTORS_MAX * sizeof(struct state_vector) +
			    DMA_RANGES_MAX * sizeof(struct state_range);
	uint8_t *data = malloc(most);
	ssize_t n;

	if (!data) {
		vferry_fail(err, -ENOMEM, "no memory");
		return NULL;
	}
	/* A memfd alone has seals, and gives all at once. */
	n = fcntl(fd, F_GET_SEALS) < 0 ? -1 : pread(fd, data, most, 0);
	if (n < 0) {
		vferry_fail(err, -EINVAL, "the state is no memfd");
		free(data);
		return NULL;
	}
	*bytes = (size_t)n;
	return data;
}

int take_load(struct function *fn, struct take_fds *fds, struct version_caps *caps,
	      struct vferry_error *err)
{
	struct cursor cursor;
	struct state_head head = { 0 };
	uint8_t *data;
	int ret;

	if (fds->count < 2)
		return vferry_fail(err, -EINVAL, "no socket and no state");
	data = read_once(fds->fds[1], &cursor.left, err);
	if (!data)
		return err->code;
	cursor.at = data;
	if (!take(&cursor, &head, sizeof(head)) || head.magic != MAGIC ||
	    head.bytes != sizeof(head) || head.ranges > DMA_RANGES_MAX ||
	    head.objects > TAKE_FDS_MAX)
		ret = vferry_fail(err, -EINVAL, "this is not the state of such a connection");
	else if (head.vectors != fn->io->msix.count)
		ret = vferry_fail(err, -EINVAL, "%u interrupt vectors there, %u here", head.vectors,
				  fn->io->msix.count);
	else
		ret = load_vectors(fn, &head, &cursor, fds, err);
	if (!ret)
		ret = load_ranges(fn, &head, &cursor, fds, err);
	free(data);
	if (ret) {
		msix_drop(fn);
		msix_reset(fn);
		dma_unmap_all(&fn->io->dma);
		dma_reap(&fn->io->dma);
		return ret;
	}
	load_config(fn, &head);
	caps->max_fds = head.max_fds <= VFIO_USER_MAX_FDS ? head.max_fds : VFIO_USER_MAX_FDS;
	caps->write_multiple = head.write_multiple;
	return 0;
}

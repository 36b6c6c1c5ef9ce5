// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One vfio-user message and its answer. All of it is hostile: nothing here trusts a length. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "server.h"

struct region {
	uint32_t index;
	uint64_t bytes;
	void (*read)(struct function *fn, uint64_t offset, uint8_t *data, size_t count);
	void (*write)(struct function *fn, uint64_t offset, const uint8_t *data, size_t count);
};

static const struct region regions[] = {
	{ BAR_VIRTIO, BAR_VIRTIO_BYTES, transport_read, transport_write },
	{ BAR_MSIX, BAR_MSIX_BYTES, msix_bar_read, msix_bar_write },
	{ VFIO_USER_CONFIG, PCI_CONFIG_BYTES, pci_read, pci_write },
};

static const struct region *region_find(uint32_t index)
{
	for (unsigned int i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		if (regions[i].index == index)
			return &regions[i];
	return NULL;
}

int reply_refuse(struct reply *reply, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reply->words, sizeof(reply->words), format, args);
	va_end(args);
	return code;
}

uint8_t *reply_room(struct reply *reply, size_t bytes)
{
	if (reply->room < bytes) {
		uint8_t *data = realloc(reply->data, bytes);

		if (!data)
			return NULL;
		reply->data = data;
		reply->room = bytes;
	}
	memset(reply->data, 0, bytes);
	reply->count = bytes;
	return reply->data;
}

static int answer_with(struct reply *reply, const void *data, size_t bytes)
{
	uint8_t *to = reply_room(reply, bytes);

	if (!to)
		return -ENOMEM;
	memcpy(to, data, bytes);
	return 0;
}

void reply_free(struct reply *reply)
{
	free(reply->data);
	*reply = (struct reply){ 0 };
}

bool message_take(const struct message *message, void *to, size_t bytes)
{
	if (message->count < bytes)
		return false;
	memcpy(to, message->body, bytes);
	return true;
}

/* --- memory ----------------------------------------------------------------------------------------------- */

static int on_dma_map(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_dma_map map;
	struct vferry_error err;
	int ret;

	if (!message_take(message, &map, sizeof(map)) || le32toh(map.argsz) < sizeof(map))
		return reply_refuse(reply, -EINVAL, "DMA_MAP of %zu bytes", message->count);
	if (message->fd_count > 1)
		return reply_refuse(reply, -EINVAL, "DMA_MAP with %u descriptors",
				    message->fd_count);
	ret = dma_map(&fn->io->dma, le64toh(map.address), le64toh(map.size), le64toh(map.offset),
		      le32toh(map.flags), message->fd_count ? message->fds[0] : -1, &err);
	return ret ? reply_refuse(reply, ret, "DMA_MAP: %.140s", err.text) : 0;
}

static int on_dma_unmap(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_dma_unmap unmap;
	int ret;

	if (!message_take(message, &unmap, sizeof(unmap)) || le32toh(unmap.argsz) < sizeof(unmap))
		return reply_refuse(reply, -EINVAL, "DMA_UNMAP of %zu bytes", message->count);
	if (le32toh(unmap.flags))
		return reply_refuse(reply, -EINVAL, "DMA_UNMAP with flags 0x%x",
				    le32toh(unmap.flags));
	ret = dma_unmap(&fn->io->dma, le64toh(unmap.address), le64toh(unmap.size));
	if (ret)
		return reply_refuse(reply, ret,
				    "DMA_UNMAP of 0x%llx+0x%llx, which cuts a range in two",
				    (unsigned long long)le64toh(unmap.address),
				    (unsigned long long)le64toh(unmap.size));
	/* A command in service still points into what is retired; it goes with the command. */
	if (!fn->io->in_service)
		dma_reap(&fn->io->dma);
	return answer_with(reply, &unmap, sizeof(unmap));
}

/* --- what there is ---------------------------------------------------------------------------------------- */

static int on_device_info(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_device_info info;

	if (!message_take(message, &info, 4) || le32toh(info.argsz) < sizeof(info))
		return reply_refuse(reply, -EINVAL, "DEVICE_GET_INFO of %zu bytes", message->count);
	info = (struct vfio_user_device_info){
		.argsz = htole32(sizeof(info)),
		.flags = htole32(VFIO_USER_DEVICE_F_RESET | VFIO_USER_DEVICE_F_PCI),
		.num_regions = htole32(VFIO_USER_REGIONS),
		.num_irqs = htole32(VFIO_USER_IRQS),
	};
	return answer_with(reply, &info, sizeof(info));
}

static int on_region_info(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_region_info info;
	const struct region *region;
	uint32_t index;

	if (!message_take(message, &info, sizeof(info)) || le32toh(info.argsz) < sizeof(info))
		return reply_refuse(reply, -EINVAL, "DEVICE_GET_REGION_INFO of %zu bytes",
				    message->count);
	index = le32toh(info.index);
	if (index >= VFIO_USER_REGIONS)
		return reply_refuse(reply, -EINVAL, "region %u", index);
	region = region_find(index);
	info = (struct vfio_user_region_info){
		.argsz = htole32(sizeof(info)),
		.index = htole32(index),
		.flags = htole32(region ? VFIO_USER_REGION_F_READ | VFIO_USER_REGION_F_WRITE : 0),
		.size = htole64(region ? region->bytes : 0),
	};
	return answer_with(reply, &info, sizeof(info));
}

static int on_region_io_fds(struct function *fn, struct message *message, struct reply *reply)
{
	unsigned int queues = fn_total_queues(fn), fds = queues;
	struct vfio_user_region_io_fds info;
	uint32_t argsz, index;
	uint8_t *out;
	size_t bytes;
	int ret;

	if (!message_take(message, &info, sizeof(info)) || le32toh(info.argsz) < sizeof(info))
		return reply_refuse(reply, -EINVAL, "DEVICE_GET_REGION_IO_FDS of %zu bytes",
				    message->count);
	argsz = le32toh(info.argsz);
	index = le32toh(info.index);
	if (index >= VFIO_USER_REGIONS || le32toh(info.flags))
		return reply_refuse(reply, -EINVAL, "region %u, flags 0x%x", index,
				    le32toh(info.flags));
	if (fds > message->max_fds)
		fds = message->max_fds;
	if (index != BAR_VIRTIO || fn->owner->opts.no_ioeventfd || !fds)
		queues = fds = 0;
	bytes = sizeof(info) + queues * sizeof(struct vfio_user_ioeventfd);
	info = (struct vfio_user_region_io_fds){
		.argsz = htole32((uint32_t)bytes),
		.index = htole32(index),
		.count = htole32(queues),
	};
	/* Too little room: say how much, as the protocol asks. */
	if (argsz < bytes || !queues)
		return answer_with(reply, &info, sizeof(info));
	ret = doorbells_make(fn, fds);
	if (ret)
		return reply_refuse(reply, ret, "eventfds for %u queues: %s", queues,
				    strerror(-ret));
	out = reply_room(reply, bytes);
	if (!out)
		return -ENOMEM;
	memcpy(out, &info, sizeof(info));
	/* Admin queues first: who keeps only the first few keeps those that matter. */
	for (unsigned int i = 0; i < queues; i++) {
		unsigned int q = (fn->io->admin_first % queues + i) % queues;
		struct vfio_user_ioeventfd bell = {
			.offset = htole64(BAR_NOTIFY + q * NOTIFY_MULTIPLIER),
			.size = htole64(2),
			.fd_index = htole32(q % fds),
			.type = htole32(VFIO_USER_IO_FD_IOEVENTFD),
		};

		memcpy(out + sizeof(info) + i * sizeof(bell), &bell, sizeof(bell));
	}
	for (unsigned int i = 0; i < fds; i++)
		reply->fds[i] = doorbell_fd(fn, i);
	reply->fd_count = fds;
	return 0;
}

static int on_irq_info(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_irq_info info;
	uint32_t index, count = 0, flags = 0;

	if (!message_take(message, &info, sizeof(info)) || le32toh(info.argsz) < sizeof(info))
		return reply_refuse(reply, -EINVAL, "DEVICE_GET_IRQ_INFO of %zu bytes",
				    message->count);
	index = le32toh(info.index);
	if (index >= VFIO_USER_IRQS)
		return reply_refuse(reply, -EINVAL, "interrupt index %u", index);
	if (index == VFIO_USER_IRQ_MSIX) {
		count = fn->io->msix.count;
		flags = VFIO_USER_IRQ_F_EVENTFD | VFIO_USER_IRQ_F_MASKABLE;
	} else if (index >= VFIO_USER_IRQ_ERR) {
		count = 1;
		flags = VFIO_USER_IRQ_F_EVENTFD;
	}
	info = (struct vfio_user_irq_info){
		.argsz = htole32(sizeof(info)),
		.flags = htole32(flags),
		.index = htole32(index),
		.count = htole32(count),
	};
	return answer_with(reply, &info, sizeof(info));
}

static int on_set_irqs(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_set_irqs set;
	int ret;

	if (!message_take(message, &set, sizeof(set)) || le32toh(set.argsz) < sizeof(set))
		return reply_refuse(reply, -EINVAL, "DEVICE_SET_IRQS of %zu bytes", message->count);
	ret = msix_set_irqs(fn, &set, message->body + sizeof(set), message->count - sizeof(set),
			    message->fds, message->fd_count);
	if (ret)
		return reply_refuse(
			reply, ret,
			"DEVICE_SET_IRQS index %u, flags 0x%x, %u from %u, %u descriptors",
			le32toh(set.index), le32toh(set.flags), le32toh(set.count),
			le32toh(set.start), message->fd_count);
	return 0;
}

/* --- access ----------------------------------------------------------------------------------------------- */

static const struct region *access_check(const struct vfio_user_region_access *access)
{
	const struct region *region = region_find(le32toh(access->region));
	uint64_t offset = le64toh(access->offset), count = le32toh(access->count);

	if (!region || !count || offset > region->bytes || count > region->bytes - offset)
		return NULL;
	return region;
}

static int bad_access(struct reply *reply, const char *what,
		      const struct vfio_user_region_access *access)
{
	return reply_refuse(reply, -EINVAL, "%s of %u bytes at 0x%llx in region %u", what,
			    le32toh(access->count), (unsigned long long)le64toh(access->offset),
			    le32toh(access->region));
}

static int on_region_read(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_region_access access;
	const struct region *region;
	uint8_t *out;

	if (!message_take(message, &access, sizeof(access)) || message->count != sizeof(access))
		return reply_refuse(reply, -EINVAL, "REGION_READ of %zu bytes", message->count);
	region = access_check(&access);
	if (!region)
		return bad_access(reply, "REGION_READ", &access);
	out = reply_room(reply, sizeof(access) + le32toh(access.count));
	if (!out)
		return -ENOMEM;
	memcpy(out, &access, sizeof(access));
	region->read(fn, le64toh(access.offset), out + sizeof(access), le32toh(access.count));
	return 0;
}

static int on_region_write(struct function *fn, struct message *message, struct reply *reply)
{
	struct vfio_user_region_access access;
	const struct region *region;

	if (!message_take(message, &access, sizeof(access)) ||
	    message->count - sizeof(access) != le32toh(access.count))
		return reply_refuse(reply, -EINVAL, "REGION_WRITE of %zu bytes", message->count);
	region = access_check(&access);
	if (!region)
		return bad_access(reply, "REGION_WRITE", &access);
	if (answer_with(reply, &access, sizeof(access)))
		return -ENOMEM;
	region->write(fn, le64toh(access.offset), message->body + sizeof(access),
		      le32toh(access.count));
	return 0;
}

struct multi_entry {
	struct vfio_user_region_access access;
	uint8_t data[8];
};

static uint64_t multi_count(const struct message *message)
{
	struct vfio_user_write_multi multi;

	if (!message_take(message, &multi, sizeof(multi)) ||
	    (message->count - sizeof(multi)) % sizeof(struct multi_entry) ||
	    le64toh(multi.count) != (message->count - sizeof(multi)) / sizeof(struct multi_entry))
		return 0;
	return le64toh(multi.count);
}

static struct multi_entry multi_entry(const struct message *message, uint64_t n)
{
	struct multi_entry entry;

	memcpy(&entry, message->body + sizeof(struct vfio_user_write_multi) + n * sizeof(entry),
	       sizeof(entry));
	return entry;
}

static int on_write_multi(struct function *fn, struct message *message, struct reply *reply)
{
	uint64_t count = multi_count(message);

	if (!count)
		return reply_refuse(reply, -EINVAL, "REGION_WRITE_MULTI of %zu bytes",
				    message->count);
	/* All or none: what is wrong is found before the first write. */
	for (uint64_t i = 0; i < count; i++) {
		struct multi_entry entry = multi_entry(message, i);

		if (!access_check(&entry.access) || le32toh(entry.access.count) > 8)
			return bad_access(reply, "REGION_WRITE_MULTI", &entry.access);
	}
	for (uint64_t i = 0; i < count; i++) {
		struct multi_entry entry = multi_entry(message, i);

		access_check(&entry.access)
			->write(fn, le64toh(entry.access.offset), entry.data,
				le32toh(entry.access.count));
	}
	return answer_with(reply, message->body, sizeof(struct vfio_user_write_multi));
}

static int on_reset(struct function *fn, struct message *message, struct reply *reply)
{
	if (message->count)
		return reply_refuse(reply, -EINVAL, "DEVICE_RESET of %zu bytes", message->count);
	fn_flr(fn);
	return 0;
}

/* --- dispatch --------------------------------------------------------------------------------------------- */

static enum message_reach write_reach(const struct function *fn,
				      const struct vfio_user_region_access *access)
{
	const struct pci *pci = &fn->io->pci;
	uint64_t from = le64toh(access->offset), to = from + le32toh(access->count);
	enum message_reach flr = fn->number ? MESSAGE_QUIETS_FUNCTION : MESSAGE_QUIETS_ALL;

#define HITS(at, bytes) (from < (uint64_t)(at) + (bytes) && (uint64_t)(at) < to)
	if (to < from)
		return MESSAGE_PLAIN;
	if (le32toh(access->region) == BAR_VIRTIO)
		return HITS(BAR_COMMON + VIRTIO_PCI_COMMON_STATUS, 1) ||
				       HITS(BAR_COMMON + VIRTIO_PCI_COMMON_Q_RESET, 2)
			       ? MESSAGE_QUIETS_FUNCTION
			       : MESSAGE_PLAIN;
	if (le32toh(access->region) != VFIO_USER_CONFIG)
		return MESSAGE_PLAIN;
	if (HITS(pci->pcie_cap + PCI_EXP_DEVCTL, 2))
		return flr;
	if (pci->sriov_cap && HITS(pci->sriov_cap + PCI_SRIOV_CTRL, 2))
		return flr;
	return HITS(pci->access_cap + 16, 4) ? MESSAGE_QUIETS_FUNCTION : MESSAGE_PLAIN;
#undef HITS
}

enum message_reach message_reach(const struct function *fn, const struct message *message)
{
	enum message_reach reach = MESSAGE_PLAIN, one;
	struct vfio_user_region_access access;
	uint64_t count;

	switch (message->command) {
	case VFIO_USER_DMA_UNMAP:
		return MESSAGE_QUIETS_FUNCTION;
	case VFIO_USER_DEVICE_RESET:
		return fn->number ? MESSAGE_QUIETS_FUNCTION : MESSAGE_QUIETS_ALL;
	case VFIO_USER_REGION_WRITE:
		return message_take(message, &access, sizeof(access)) ? write_reach(fn, &access)
								      : MESSAGE_PLAIN;
	case VFIO_USER_REGION_WRITE_MULTI:
		count = multi_count(message);
		for (uint64_t i = 0; i < count; i++) {
			struct multi_entry entry = multi_entry(message, i);

			one = write_reach(fn, &entry.access);
			reach = one > reach ? one : reach;
		}
	}
	return reach;
}

int message_handle(struct function *fn, struct message *message, struct reply *reply)
{
	static int (*const handlers[])(struct function *, struct message *, struct reply *) = {
		[VFIO_USER_DMA_MAP] = on_dma_map,
		[VFIO_USER_DMA_UNMAP] = on_dma_unmap,
		[VFIO_USER_DEVICE_GET_INFO] = on_device_info,
		[VFIO_USER_DEVICE_GET_REGION_INFO] = on_region_info,
		[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = on_region_io_fds,
		[VFIO_USER_DEVICE_GET_IRQ_INFO] = on_irq_info,
		[VFIO_USER_DEVICE_SET_IRQS] = on_set_irqs,
		[VFIO_USER_REGION_READ] = on_region_read,
		[VFIO_USER_REGION_WRITE] = on_region_write,
		[VFIO_USER_DEVICE_RESET] = on_reset,
		[VFIO_USER_REGION_WRITE_MULTI] = on_write_multi,
	};
	unsigned int command = message->command;

	if (command == VFIO_USER_VERSION)
		return reply_refuse(reply, -EINVAL, "VERSION a second time");
	if (command >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[command])
		return reply_refuse(reply, -ENOTSUP, "command %u", command);
	if (message->fd_count && command != VFIO_USER_DMA_MAP &&
	    command != VFIO_USER_DEVICE_SET_IRQS)
		return reply_refuse(reply, -EINVAL, "%u descriptors beside command %u",
				    message->fd_count, command);
	return handlers[command](fn, message, reply);
}

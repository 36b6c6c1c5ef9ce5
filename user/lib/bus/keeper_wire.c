// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "bus/keeper_wire.h"

static void header(struct vf_keeper_hdr *hdr, unsigned int op, size_t bytes)
{
	hdr->op = htole16((uint16_t)op);
	hdr->version = htole16(VF_KEEPER_VERSION);
	hdr->bytes = htole32((uint32_t)bytes);
}

unsigned int vf_keeper_op_of(const void *bytes, size_t count)
{
	struct vf_keeper_hdr hdr;

	if (count < sizeof(hdr))
		return 0;
	memcpy(&hdr, bytes, sizeof(hdr));
	if (le16toh(hdr.version) != VF_KEEPER_VERSION || le32toh(hdr.bytes) != count)
		return 0;
	return le16toh(hdr.op);
}

static void get_vfs(struct vf_vfset *set, const __le64 *words)
{
	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++)
		set->bits[i] = le64toh(words[i]);
}

static void put_vfs(__le64 *words, const struct vf_vfset *set)
{
	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++)
		words[i] = htole64(set->bits[i]);
}

static size_t request_size(unsigned int op)
{
	switch (op) {
	case VF_KEEPER_BORROW:
		return sizeof(struct vf_keeper_borrow);
	case VF_KEEPER_RETURN:
	case VF_KEEPER_KICK:
		return sizeof(struct vf_keeper_bare);
	case VF_KEEPER_RESET:
	case VF_KEEPER_STOP:
		return sizeof(struct vf_keeper_time);
	case VF_KEEPER_STATUS:
		return sizeof(struct vf_keeper_status);
	case VF_KEEPER_DEPOSIT:
	case VF_KEEPER_FETCH:
	case VF_KEEPER_FORGET:
		return sizeof(struct vf_keeper_kept);
	}
	return 0;
}

static int decode_borrow(const void *bytes, struct vf_keeper_request *request,
			 struct vferry_error *err)
{
	struct vf_keeper_borrow message;

	memcpy(&message, bytes, sizeof(message));
	request->flags = le32toh(message.flags);
	request->arena_bytes = le64toh(message.arena_bytes);
	get_vfs(&request->vfs, message.vfs);
	if (message.reserved || request->flags & ~(VF_KEEPER_F_WAIT | VF_KEEPER_F_ALONE))
		return vferry_fail(err, -EPROTO, "keeper: BORROW with unknown flags %#x",
				   request->flags);
	if (request->vfs.bits[0] & 1)
		return vferry_fail(err, -EPROTO, "keeper: BORROW names VF 0; VFs count from 1");
	return 0;
}

static int decode_kept(const void *bytes, struct vf_keeper_request *request,
		       struct vferry_error *err)
{
	struct vf_keeper_kept message;

	memcpy(&message, bytes, sizeof(message));
	request->vf = le16toh(message.vf);
	memcpy(request->id, message.id, sizeof(request->id));
	if (message.reserved[0] || message.reserved[1] || message.reserved[2])
		return vferry_fail(err, -EPROTO, "keeper: operation %u with reserved bits",
				   request->op);
	if (!request->vf || request->vf >= VF_MAX_VFS)
		return vferry_fail(err, -EPROTO, "keeper: operation %u names VF %u", request->op,
				   request->vf);
	return 0;
}

int vf_keeper_decode(const void *bytes, size_t count, struct vf_keeper_request *request,
		     struct vferry_error *err)
{
	struct vf_keeper_status status;
	struct vf_keeper_time time;
	struct vf_keeper_hdr hdr;
	unsigned int op;

	memset(request, 0, sizeof(*request));
	if (count < sizeof(hdr))
		return vferry_fail(err, -EPROTO, "keeper: a message of %zu bytes has no header",
				   count);
	memcpy(&hdr, bytes, sizeof(hdr));
	op = le16toh(hdr.op);
	if (le16toh(hdr.version) != VF_KEEPER_VERSION)
		return vferry_fail(
			err, -EPROTO,
			"this keeper speaks version %d of its protocol and you speak %u: "
			"use the vferry that started it, or stop it with vferry keep --stop",
			VF_KEEPER_VERSION, le16toh(hdr.version));
	if (!request_size(op))
		return vferry_fail(err, -EPROTO, "keeper: no operation %u", op);
	if (count != request_size(op) || le32toh(hdr.bytes) != count)
		return vferry_fail(err, -EPROTO,
				   "keeper: operation %u has %zu bytes, not %zu (it says %u)", op,
				   request_size(op), count, le32toh(hdr.bytes));
	request->op = (enum vf_keeper_op)op;
	switch (request->op) {
	case VF_KEEPER_BORROW:
		return decode_borrow(bytes, request, err);
	case VF_KEEPER_RESET:
	case VF_KEEPER_STOP:
		memcpy(&time, bytes, sizeof(time));
		request->ns = le64toh(time.ns);
		return 0;
	case VF_KEEPER_STATUS:
		memcpy(&status, bytes, sizeof(status));
		request->flags = le32toh(status.ask);
		if (status.reserved ||
		    request->flags & ~(VF_KEEPER_ASK_MODES | VF_KEEPER_ASK_SIZES))
			return vferry_fail(err, -EPROTO, "keeper: STATUS with unknown flags %#x",
					   request->flags);
		return 0;
	case VF_KEEPER_DEPOSIT:
	case VF_KEEPER_FETCH:
	case VF_KEEPER_FORGET:
		return decode_kept(bytes, request, err);
	default:
		return 0;
	}
}

size_t vf_keeper_encode(const struct vf_keeper_request *request, void *bytes)
{
	size_t count = request_size(request->op);
	struct vf_keeper_borrow borrow = { 0 };
	struct vf_keeper_status status = { 0 };
	struct vf_keeper_time time = { 0 };
	struct vf_keeper_bare bare = { 0 };
	struct vf_keeper_kept kept = { 0 };

	switch (request->op) {
	case VF_KEEPER_BORROW:
		header(&borrow.hdr, request->op, count);
		borrow.flags = htole32(request->flags);
		borrow.arena_bytes = htole64(request->arena_bytes);
		put_vfs(borrow.vfs, &request->vfs);
		memcpy(bytes, &borrow, count);
		break;
	case VF_KEEPER_RESET:
	case VF_KEEPER_STOP:
		header(&time.hdr, request->op, count);
		time.ns = htole64(request->ns);
		memcpy(bytes, &time, count);
		break;
	case VF_KEEPER_STATUS:
		header(&status.hdr, request->op, count);
		status.ask = htole32(request->flags);
		memcpy(bytes, &status, count);
		break;
	case VF_KEEPER_DEPOSIT:
	case VF_KEEPER_FETCH:
	case VF_KEEPER_FORGET:
		header(&kept.hdr, request->op, count);
		kept.vf = htole16(request->vf);
		memcpy(kept.id, request->id, sizeof(kept.id));
		memcpy(bytes, &kept, count);
		break;
	default:
		header(&bare.hdr, request->op, count);
		memcpy(bytes, &bare, count);
	}
	return count;
}

void vf_keeper_put_result(struct vf_keeper_result *message, enum vf_keeper_op op, int code,
			  const char *text)
{
	memset(message, 0, sizeof(*message));
	header(&message->hdr, op, sizeof(*message));
	message->code = htole32((uint32_t)-code);
	if (text)
		strncpy((char *)message->text, text, sizeof(message->text) - 1);
}

int vf_keeper_get_result(const void *bytes, size_t count, struct vferry_error *err)
{
	struct vf_keeper_result message;
	unsigned int op = vf_keeper_op_of(bytes, count);
	uint32_t code;

	if ((op != VF_KEEPER_RESULT && op != VF_KEEPER_GONE) || count != sizeof(message))
		return vferry_fail(err, -EPROTO,
				   "the keeper answered something that is no answer (%zu bytes)",
				   count);
	memcpy(&message, bytes, sizeof(message));
	code = le32toh(message.code);
	if (code > 4095)
		return vferry_fail(err, -EPROTO, "the keeper answered with error number %u", code);
	if (!code)
		return 0;
	return vferry_fail(err, -(int)code, "%.*s", (int)sizeof(message.text),
			   (const char *)message.text);
}

unsigned int vf_keeper_put_lent(struct vf_keeper_lent *message, int fds[VF_KEEPER_FDS],
				const struct vf_lease *lease)
{
	unsigned int count = 0;
	uint32_t mask = VF_KEEPER_FD_RINGS | VF_KEEPER_FD_CALL;

	memset(message, 0, sizeof(*message));
	header(&message->hdr, VF_KEEPER_LENT, sizeof(*message));
	fds[count++] = lease->rings_fd;
	fds[count++] = lease->call_fd;
	if (lease->doorbell == VF_DOORBELL_STORE) {
		mask |= VF_KEEPER_FD_NOTIFY;
		fds[count++] = lease->notify_fd;
	}
	if (lease->doorbell == VF_DOORBELL_EVENTFD) {
		mask |= VF_KEEPER_FD_KICK;
		fds[count++] = lease->kick_fd;
	}
	if (lease->arena_bytes) {
		mask |= VF_KEEPER_FD_ARENA;
		fds[count++] = lease->arena_fd;
	}
	message->fds = htole32(mask);
	memcpy(message->epoch, lease->epoch, sizeof(message->epoch));
	message->generation = htole64(lease->generation);
	message->list = htole64(lease->list);
	put_vfs(message->vfs, &lease->vfs);
	message->rings_bytes = htole64(lease->rings_bytes);
	message->rings_iova = htole64(lease->rings_iova);
	message->arena_bytes = htole64(lease->arena_bytes);
	message->arena_iova = htole64(lease->arena_iova);
	message->notify_offset = htole64(lease->notify_fd_offset);
	message->desc_offset = htole32(lease->desc_offset);
	message->avail_offset = htole32(lease->avail_offset);
	message->used_offset = htole32(lease->used_offset);
	message->commands_offset = htole32(lease->commands_offset);
	message->queue = htole16(lease->queue);
	message->queue_size = htole16(lease->queue_size);
	message->num_vfs = htole16(lease->num_vfs);
	message->features = (uint8_t)((lease->event_idx ? VF_KEEPER_EVENT_IDX : 0) |
				      (lease->indirect ? VF_KEEPER_INDIRECT : 0) |
				      (lease->can_reset ? VF_KEEPER_CAN_RESET : 0));
	message->doorbell = (uint8_t)lease->doorbell;
	return count;
}

static bool lies_within(uint64_t offset, uint64_t bytes, uint64_t whole)
{
	return offset <= whole && bytes <= whole - offset;
}

/* The engine indexes the rings by these numbers: they must not lead outside. */
static bool rings_add_up(const struct vf_lease *lease)
{
	uint64_t size = lease->queue_size;

	return size && !(size & (size - 1)) &&
	       lies_within(lease->desc_offset, size * 16, lease->rings_bytes) &&
	       lies_within(lease->avail_offset, 6 + size * 2, lease->rings_bytes) &&
	       lies_within(lease->used_offset, 6 + size * 8, lease->rings_bytes) &&
	       lease->commands_offset < lease->rings_bytes && !(lease->desc_offset % 16) &&
	       !(lease->avail_offset % 2) && !(lease->used_offset % 4);
}

int vf_keeper_get_lent(const void *bytes, size_t count, const int *fds, unsigned int fd_count,
		       struct vf_lease *lease, struct vferry_error *err)
{
	struct vf_keeper_lent message;
	unsigned int next = 0;
	uint32_t mask;

	if (vf_keeper_op_of(bytes, count) != VF_KEEPER_LENT || count != sizeof(message))
		return vferry_fail(err, -EPROTO, "the keeper lent something else (%zu bytes)",
				   count);
	memcpy(&message, bytes, sizeof(message));
	memcpy(lease->epoch, message.epoch, sizeof(lease->epoch));
	lease->generation = le64toh(message.generation);
	lease->list = le64toh(message.list);
	get_vfs(&lease->vfs, message.vfs);
	lease->rings_bytes = le64toh(message.rings_bytes);
	lease->rings_iova = le64toh(message.rings_iova);
	lease->arena_bytes = le64toh(message.arena_bytes);
	lease->arena_iova = le64toh(message.arena_iova);
	lease->notify_fd_offset = le64toh(message.notify_offset);
	lease->desc_offset = le32toh(message.desc_offset);
	lease->avail_offset = le32toh(message.avail_offset);
	lease->used_offset = le32toh(message.used_offset);
	lease->commands_offset = le32toh(message.commands_offset);
	lease->queue = le16toh(message.queue);
	lease->queue_size = le16toh(message.queue_size);
	lease->num_vfs = le16toh(message.num_vfs);
	lease->event_idx = message.features & VF_KEEPER_EVENT_IDX;
	lease->indirect = message.features & VF_KEEPER_INDIRECT;
	lease->can_reset = message.features & VF_KEEPER_CAN_RESET;
	mask = le32toh(message.fds);
	if (message.doorbell > VF_DOORBELL_RELAY || message.reserved ||
	    mask >= 1u << VF_KEEPER_FDS || (unsigned int)__builtin_popcount(mask) != fd_count ||
	    (mask & (VF_KEEPER_FD_RINGS | VF_KEEPER_FD_CALL)) !=
		    (VF_KEEPER_FD_RINGS | VF_KEEPER_FD_CALL))
		return vferry_fail(err, -EPROTO, "the keeper lent %u descriptors for %#x", fd_count,
				   mask);
	lease->doorbell = (enum vf_doorbell)message.doorbell;
	if ((lease->doorbell == VF_DOORBELL_STORE) != !!(mask & VF_KEEPER_FD_NOTIFY) ||
	    (lease->doorbell == VF_DOORBELL_EVENTFD) != !!(mask & VF_KEEPER_FD_KICK) ||
	    !lease->arena_bytes != !(mask & VF_KEEPER_FD_ARENA))
		return vferry_fail(err, -EPROTO,
				   "the keeper lent descriptors %#x for doorbell %u and an arena "
				   "of %llu bytes",
				   mask, message.doorbell, (unsigned long long)lease->arena_bytes);
	if (!rings_add_up(lease))
		return vferry_fail(
			err, -EPROTO,
			"the keeper lent a queue of %u entries whose rings do not fit its "
			"%llu bytes",
			lease->queue_size, (unsigned long long)lease->rings_bytes);
	lease->rings_fd = fds[next++];
	lease->call_fd = fds[next++];
	lease->notify_fd = mask & VF_KEEPER_FD_NOTIFY ? fds[next++] : -1;
	lease->kick_fd = mask & VF_KEEPER_FD_KICK ? fds[next++] : -1;
	lease->arena_fd = mask & VF_KEEPER_FD_ARENA ? fds[next++] : -1;
	return 0;
}

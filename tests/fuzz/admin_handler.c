// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The administration of the software owner under hostile commands: any opcode, member, data, lengths and
 * cuts, resets in between, Active -> Stop that ends late or never. What must hold after each command:
 * the used length is no more than the writable part, status and qualifier are known, the mode is one of
 * three, and a command that answers EINVAL has changed no mode and no value of any VF.
 */
#include <stdlib.h>
#include <string.h>
#include "tools/owner/admin.h"

#define VFS	3
#define QUEUES	2
#define PENDING 8
#define DATA	1024

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* --- a function room that does what it is asked ------------------------------------------------------ */

static struct {
	bool late;
	void (*done[PENDING])(void *arg);
	void *arg[PENDING];
	unsigned int count;
} stops;

void fn_stop(struct function *fn, void (*done)(void *arg), void *arg)
{
	if (!stops.late || stops.count == PENDING) {
		done(arg);
		return;
	}
	stops.done[stops.count] = done;
	stops.arg[stops.count++] = arg;
}

static void end_stop(void)
{
	if (stops.count) {
		stops.count--;
		stops.done[stops.count](stops.arg[stops.count]);
	}
}

void fn_freeze(struct function *fn)
{
}

void fn_thaw(struct function *fn)
{
}

void fn_resume(struct function *fn)
{
	MUST(fn->mode == VFERRY_MODE_ACTIVE);
}

void fn_state_loaded(struct function *fn)
{
	MUST(fn->mode == VFERRY_MODE_FREEZE);
	for (unsigned int i = 0; i < fn->num_queues; i++)
		MUST(fn->queues[i].size <= OWNER_QUEUE_SIZE && fn->queues[i].enabled <= 1);
}

void fn_reset(struct function *fn)
{
	fn->device_status = 0;
	fn->driver_features = 0;
	memset(fn->queues, 0, fn->num_queues * sizeof(*fn->queues));
	admin_function_reset(fn);
}

/* --- one command -------------------------------------------------------------------------------------- */

struct slot {
	struct admin_request request;
	bool taken;
	uint8_t out[24 + DATA];
	uint8_t in[DATA];
	struct iovec out_iov[4];
	struct iovec in_iov[4];
	size_t room;
	uint16_t opcode;
};

static struct slot slots[PENDING];
static struct {
	int calls;
	uint16_t status;
	bool whole; /* the status is there to be read */
} answer;

static bool known_status(uint16_t status)
{
	return strcmp(vferry_status_name(status), "unknown");
}

static void complete(struct admin_request *request, uint32_t used)
{
	struct slot *slot = request->arg;
	struct vferry_admin_answer_hdr header;
	uint32_t context_len;

	MUST(slot->taken);
	slot->taken = false;
	MUST(used <= slot->room);
	memcpy(&header, slot->in, sizeof(header));
	answer.calls++;
	answer.whole = slot->room >= 8;
	if (!answer.whole)
		return;
	MUST(used >= 8);
	answer.status = le16toh(header.status);
	MUST(known_status(answer.status));
	MUST(le16toh(header.status_qualifier) <= VFERRY_Q_TRYAGAIN);
	MUST(!answer.status == !header.status_qualifier);
	MUST(!answer.status || used == 8);
	memcpy(&context_len, header.output, sizeof(context_len));
	if (slot->opcode == VFERRY_CMD_DEV_CTX_READ && !answer.status)
		MUST(used == 8 + le32toh(context_len));
	else
		MUST(!context_len);
	for (size_t at = used; at < slot->room; at++)
		MUST(slot->in[at] == 0xee);
}

static unsigned int cut(struct iovec *iov, uint8_t *bytes, size_t count, unsigned int where)
{
	size_t first = count ? where % (count + 1) : 0;

	iov[0] = (struct iovec){ bytes, first };
	iov[1] = (struct iovec){ NULL, 0 };
	iov[2] = (struct iovec){ bytes + first, count - first };
	return 3;
}

/* --- the input ------------------------------------------------------------------------------------------ */

struct input {
	const uint8_t *at;
	size_t left;
};

static unsigned int take(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

static size_t take_bytes(struct input *input, uint8_t *to, size_t count)
{
	if (count > input->left)
		count = input->left;
	memcpy(to, input->at, count);
	input->at += count;
	input->left -= count;
	return count;
}

static uint64_t state_sum(const struct owner *owner)
{
	uint64_t sum = 0;

	for (unsigned int i = 1; i <= VFS; i++) {
		const struct function *fn = &owner->vfs[i];
		const uint8_t *queue = (const uint8_t *)fn->queues;

		MUST(fn->mode <= VFERRY_MODE_FREEZE);
		sum = sum * 31 + fn->mode;
		sum = sum * 31 + fn->device_status;
		sum = sum * 31 + fn->driver_features;
		for (size_t at = 0; at < QUEUES * sizeof(struct vqueue); at++)
			sum = sum * 31 + queue[at];
	}
	return sum;
}

static void submit(struct owner *owner, struct input *input, uint16_t opcode)
{
	struct vferry_admin_hdr header = { .opcode = htole16(opcode) };
	unsigned int flags = take(input);
	unsigned int where = take(input);
	struct slot *slot = NULL;
	size_t bytes = sizeof(header);
	uint64_t before;

	for (unsigned int i = 0; i < PENDING && !slot; i++)
		if (!slots[i].taken)
			slot = &slots[i];
	if (!slot)
		return;
	header.group_type = htole16(flags & 0x40 ? (uint16_t)take(input) : VFERRY_GROUP_SRIOV);
	header.group_member_id = htole64(flags & 0x80 ? take(input) << 8 : flags % 5);
	memcpy(slot->out, &header, sizeof(header));
	bytes += take_bytes(input, slot->out + bytes, take(input) * 4);
	if (flags & 0x20 && where < bytes)
		bytes = where;
	slot->room = take(input) * (flags & 0x10 ? 4 : 1);
	memset(slot->in, 0xee, sizeof(slot->in));
	slot->opcode = bytes >= 2 ? opcode : bytes ? opcode & 0xff : 0;
	slot->taken = true;
	slot->request = (struct admin_request){
		.queue = where % 3,
		.out = slot->out_iov,
		.out_count = cut(slot->out_iov, slot->out, bytes, where),
		.in = slot->in_iov,
		.in_count = cut(slot->in_iov, slot->in, slot->room, where),
		.complete = complete,
		.arg = slot,
	};
	before = state_sum(owner);
	answer.calls = 0;
	answer.whole = false;
	admin_request_begin(owner, &slot->request);
	if (answer.calls == 1 && answer.whole && answer.status == VFERRY_STATUS_EINVAL)
		MUST(state_sum(owner) == before);
}

/* A VF's own image written to another: deep into staging and commit without the fuzzer having to find it. */
static void carry(struct owner *owner, struct input *input)
{
	struct function *to = &owner->vfs[1 + take(input) % VFS];
	unsigned int flips = take(input) % 4;
	static uint8_t image[8192 + 65552];
	struct segments room;
	struct iovec iov = { image, sizeof(image) };
	size_t count = 0, chunk = 1 + take(input) * 256;
	uint32_t got;

	if (to->mode != VFERRY_MODE_FREEZE)
		return;
	image_forget(&owner->vfs[1]);
	do {
		room = segments_at(&iov, 1, count);
		got = image_read(&owner->vfs[1], &room, sizeof(image) - count);
		count += got;
	} while (got);
	while (flips--)
		image[(take(input) << 8 | take(input)) % count] ^= (uint8_t)take(input);
	for (size_t at = 0; at < count; at += chunk) {
		struct vferry_error err;

		iov = (struct iovec){ image + at, count - at < chunk ? count - at : chunk };
		room = segments_at(&iov, 1, 0);
		if (stage_write(to, &room, &err))
			break;
	}
}

static void other(struct owner *owner, struct input *input, unsigned int what)
{
	unsigned int value = take(input);

	switch (what % 8) {
	case 0:
		stops.late = value & 1;
		break;
	case 1:
		end_stop();
		break;
	case 2:
		fn_reset(&owner->vfs[1 + value % VFS]);
		break;
	case 3:
		admin_queue_reset(owner, value % 3);
		for (unsigned int i = 0; i < PENDING; i++)
			if (slots[i].request.queue == value % 3)
				slots[i].taken = false;
		break;
	case 4:
		admin_pf_reset(owner);
		for (unsigned int i = 0; i < PENDING; i++)
			slots[i].taken = false;
		break;
	case 5:
		admin_vfs_enabled(owner, (uint16_t)(value % (VFS + 1)));
		break;
	case 6:
		admin_changed(&owner->vfs[1 + value % VFS], (uint16_t)(0x100 + take(input)),
			      value % 3);
		blocks_change(&owner->vfs[1 + value % VFS], value << 12);
		break;
	case 7:
		carry(owner, input);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct owner owner = { .num_vfs = VFS };
	struct function vfs[VFS + 1] = { 0 };
	struct vqueue queues[VFS + 1][QUEUES] = { 0 };
	unsigned int knobs = take(&input);

	memset(&stops, 0, sizeof(stops));
	memset(slots, 0, sizeof(slots));
	owner.vfs = vfs;
	owner.opts = (struct owner_opts){
		.vfs = VFS,
		.context_bytes = knobs & 1 ? 65536 : 0,
		.full_images = knobs & 2,
		.read_clears = knobs & 4,
		.seed = 1,
	};
	for (unsigned int i = 1; i <= VFS; i++) {
		vfs[i].owner = &owner;
		vfs[i].number = (uint16_t)i;
		vfs[i].num_queues = QUEUES;
		vfs[i].queues = queues[i];
		vfs[i].device_features = 0x100000040ULL;
		vfs[i].device_cfg_len = knobs & 8 ? 64 : 37;
		for (unsigned int q = 0; q < QUEUES; q++)
			queues[i][q] = (struct vqueue){ .size = 16,
							.enabled = 1,
							.notify_off = (uint16_t)q };
	}
	MUST(!admin_new(&owner, NULL));
	if (knobs & 0x80)
		owner.admin->list = VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION;
	while (input.left) {
		unsigned int what = take(&input);

		if (what < 128)
			submit(&owner, &input, what % 16);
		else if (what < 136)
			submit(&owner, &input, (uint16_t)(take(&input) << 8 | what));
		else
			other(&owner, &input, what);
	}
	/* Stops that are still to end do so after the owner's end at the latest: never. */
	while (knobs & 0x10 && stops.count)
		end_stop();
	admin_free(&owner);
	return 0;
}

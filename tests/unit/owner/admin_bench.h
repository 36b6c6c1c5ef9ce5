/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An owner with VFs and no function room: admin commands go in as requests and come back as answers. The
 * fn_*() of the function room are played here, and written down, so that a test sees what the
 * administration asked of it.
 */
#ifndef ADMIN_BENCH_H
#define ADMIN_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/owner/admin.h"

#define BENCH_VFS    4
#define BENCH_QUEUES 2
#define ROOM	     65536

static struct {
	char calls[256]; /* one letter a call: S top, F reeze, T haw, R esume, L oaded, 0 reset */
	bool stop_later;
	void (*done)(void *arg);
	void *done_arg;
} played;

static inline void played_call(char letter)
{
	size_t used = strlen(played.calls);

	if (used < sizeof(played.calls) - 1)
		played.calls[used] = letter;
}

void fn_stop(struct function *fn, void (*done)(void *arg), void *arg)
{
	played_call('S');
	if (!played.stop_later) {
		done(arg);
		return;
	}
	played.done = done;
	played.done_arg = arg;
}

void fn_freeze(struct function *fn)
{
	played_call('F');
}

void fn_thaw(struct function *fn)
{
	played_call('T');
}

void fn_resume(struct function *fn)
{
	assert_int_equal(fn->mode, VFERRY_MODE_ACTIVE);
	played_call('R');
}

void fn_state_loaded(struct function *fn)
{
	played_call('L');
}

void fn_reset(struct function *fn)
{
	played_call('0');
	fn->driver_features = 0;
	fn->device_status = 0;
	fn->config_msix_vector = 0xffff;
	fn->queue_select = 0;
	fn->config_owed = false;
	for (unsigned int i = 0; i < fn->num_queues; i++) {
		uint16_t notify_off = fn->queues[i].notify_off;

		fn->queues[i] =
			(struct vqueue){ .size = 256, .vector = 0xffff, .notify_off = notify_off };
	}
	admin_function_reset(fn);
}

/* --- the owner ------------------------------------------------------------------------------------------ */

struct bench {
	struct owner owner;
	struct function vfs[BENCH_VFS + 1];
	struct vqueue queues[BENCH_VFS + 1][BENCH_QUEUES];
};

static inline struct owner_opts bench_opts(void)
{
	return (struct owner_opts){ .vfs = BENCH_VFS, .context_bytes = 3 * 65536, .seed = 7 };
}

/* VFs in use: every value differs from every other and from a blank one. */
static inline void bench_dress(struct function *fn, unsigned int salt)
{
	fn->device_features = 0x130000040ULL;
	fn->driver_features = 0x100000040ULL;
	fn->device_feature_select = 1;
	fn->driver_feature_select = salt & 1;
	fn->config_msix_vector = 0;
	fn->queue_select = 1;
	fn->config_generation = (uint8_t)(salt + 3);
	fn->device_status = 0xf;
	for (unsigned int i = 0; i < fn->num_queues; i++)
		fn->queues[i] = (struct vqueue){
			.size = 128,
			.vector = (uint16_t)(i + 1),
			.enabled = 1,
			.notify_off = (uint16_t)i,
			.desc = 0x100000 + i * 0x10000 + salt * 0x1000000ULL,
			.driver = 0x104000 + i * 0x10000,
			.device = 0x108000 + i * 0x10000,
			.next_avail = (uint16_t)(40 + salt + i),
			.used = (uint16_t)(40 + salt + i),
			.signalled = (uint16_t)(39 + salt + i),
			.kicked = i == 0,
			.owed = i == 1,
		};
}

static inline struct bench *bench_new(struct owner_opts opts)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	memset(&played, 0, sizeof(played));
	assert_true(opts.vfs <= BENCH_VFS);
	bench->owner.opts = opts;
	bench->owner.vfs = bench->vfs;
	bench->owner.num_vfs = (uint16_t)opts.vfs;
	for (unsigned int i = 1; i <= opts.vfs; i++) {
		struct function *fn = &bench->vfs[i];

		fn->owner = &bench->owner;
		fn->number = (uint16_t)i;
		fn->num_queues = BENCH_QUEUES;
		fn->queues = bench->queues[i];
		fn->device_cfg_len = 60;
		fn->device_cfg[0] = 0x77;
		bench_dress(fn, i);
	}
	assert_int_equal(admin_new(&bench->owner, NULL), 0);
	return bench;
}

static inline void bench_free(struct bench *bench)
{
	admin_free(&bench->owner);
	faults_free(&bench->owner);
	free(bench);
}

/* --- one command ------------------------------------------------------------------------------------------ */

struct reply {
	uint16_t status;
	uint16_t qualifier;
	uint32_t output;
	uint32_t used;
	int calls; /* of complete */
	uint8_t *data;
	struct admin_request request;
	struct iovec out;
	struct iovec in;
	uint8_t *in_bytes;
};

static inline void reply_complete(struct admin_request *request, uint32_t used)
{
	struct reply *reply = request->arg;
	struct vferry_admin_answer_hdr header = { 0 };
	uint32_t output;

	reply->calls++;
	reply->used = used;
	memcpy(&header, reply->in_bytes,
	       reply->in.iov_len < sizeof(header) ? reply->in.iov_len : sizeof(header));
	memcpy(&output, header.output, sizeof(output));
	reply->status = le16toh(header.status);
	reply->qualifier = le16toh(header.status_qualifier);
	reply->output = le32toh(output);
}

/* The bytes must stay until the reply is dropped. */
static inline void bench_submit(struct bench *bench, struct reply *reply, unsigned int queue,
				const void *out, size_t out_bytes, size_t room)
{
	memset(reply, 0, sizeof(*reply));
	reply->in_bytes = malloc(room + 1);
	assert_non_null(reply->in_bytes);
	memset(reply->in_bytes, 0xee, room + 1);
	reply->data = reply->in_bytes + 8;
	reply->out = (struct iovec){ malloc(out_bytes + 1), out_bytes };
	assert_non_null(reply->out.iov_base);
	memcpy(reply->out.iov_base, out, out_bytes);
	reply->in = (struct iovec){ reply->in_bytes, room };
	reply->request = (struct admin_request){
		.queue = queue,
		.out = &reply->out,
		.out_count = out_bytes ? 1 : 0,
		.in = &reply->in,
		.in_count = room ? 1 : 0,
		.complete = reply_complete,
		.arg = reply,
	};
	admin_request_begin(&bench->owner, &reply->request);
}

static inline void reply_drop(struct reply *reply)
{
	assert_int_equal(reply->in_bytes[reply->in.iov_len], 0xee);
	assert_true(reply->calls <= 1);
	free(reply->in_bytes);
	free(reply->out.iov_base);
	memset(reply, 0, sizeof(*reply));
}

struct message {
	uint8_t bytes[24 + 4096];
	size_t count;
};

static inline struct message message(uint16_t opcode, uint64_t member, const void *data,
				     size_t count)
{
	struct vferry_admin_hdr header = {
		.opcode = htole16(opcode),
		.group_type = htole16(VFERRY_GROUP_SRIOV),
		.group_member_id = htole64(member),
	};
	struct message made = { .count = 24 + count };

	assert_true(count <= 4096);
	memcpy(made.bytes, &header, sizeof(header));
	if (data)
		memcpy(made.bytes + 24, data, count);
	return made;
}

/* Sends and waits for the answer, which is there at once without service time. The caller drops the reply. */
static inline struct reply *command(struct bench *bench, struct reply *reply, uint16_t opcode,
				    uint64_t member, const void *data, size_t count, size_t room)
{
	struct message made = message(opcode, member, data, count);

	bench_submit(bench, reply, 0, made.bytes, made.count, room);
	return reply;
}

static inline void expect(struct reply *reply, unsigned int status, unsigned int qualifier)
{
	assert_int_equal(reply->calls, 1);
	assert_int_equal(reply->status, status);
	assert_int_equal(reply->qualifier, qualifier);
	if (status)
		assert_int_equal(reply->used, reply->in.iov_len < 8 ? reply->in.iov_len : 8);
}

#define EXPECT(reply, status_, qualifier_) \
	expect(reply, VFERRY_STATUS_##status_, VFERRY_Q_##qualifier_)

/* --- the commands ------------------------------------------------------------------------------------------- */

static inline void use_all(struct bench *bench)
{
	uint64_t list = htole64(VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION);
	struct reply reply;

	EXPECT(command(bench, &reply, VFERRY_CMD_LIST_USE, 0, &list, 8, 8), OK, OK);
	reply_drop(&reply);
}

static inline struct bench *bench_ready(struct owner_opts opts)
{
	struct bench *bench = bench_new(opts);

	use_all(bench);
	return bench;
}

static inline unsigned int set_mode(struct bench *bench, uint64_t vf, unsigned int mode)
{
	uint8_t data[8] = { (uint8_t)mode };
	struct reply reply;
	unsigned int status;

	command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, vf, data, sizeof(data), 8);
	assert_int_equal(reply.calls, 1);
	assert_int_equal(reply.used, 8);
	status = reply.status;
	if (!status)
		assert_int_equal(reply.qualifier, 0);
	else
		assert_int_equal(status, VFERRY_STATUS_EINVAL);
	reply_drop(&reply);
	return status;
}

static inline unsigned int get_mode(struct bench *bench, uint64_t vf)
{
	struct reply reply;
	unsigned int mode;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_GET, vf, NULL, 0, 16), OK, OK);
	assert_int_equal(reply.used, 9);
	mode = reply.data[0];
	reply_drop(&reply);
	return mode;
}

static inline uint64_t get_size(struct bench *bench, uint64_t vf, unsigned int frozen)
{
	uint8_t data[8] = { (uint8_t)frozen };
	struct reply reply;
	uint64_t size;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_SIZE_GET, vf, data, sizeof(data), 16), OK,
	       OK);
	assert_int_equal(reply.used, 16);
	memcpy(&size, reply.data, sizeof(size));
	reply_drop(&reply);
	return le64toh(size);
}

static inline void discard_context(struct bench *bench, uint64_t vf)
{
	struct reply reply;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_DISCARD, vf, NULL, 0, 8), OK, OK);
	reply_drop(&reply);
}

/* READ with room for @room bytes of data; the bytes go to @to (NULL: nowhere). */
static inline uint32_t read_chunk(struct bench *bench, uint64_t vf, uint8_t *to, size_t room)
{
	struct reply reply;
	uint32_t got;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_READ, vf, NULL, 0, 8 + room), OK, OK);
	got = reply.output;
	assert_true(got <= room);
	assert_int_equal(reply.used, 8 + got);
	if (to && got)
		memcpy(to, reply.data, got);
	reply_drop(&reply);
	return got;
}

struct image_bytes {
	uint8_t *bytes;
	size_t count;
};

/* A whole image, up to the READ that answers 0. */
static inline struct image_bytes read_image(struct bench *bench, uint64_t vf, size_t chunk)
{
	struct image_bytes image = { 0 };

	for (;;) {
		uint32_t got;

		image.bytes = realloc(image.bytes, image.count + chunk);
		assert_non_null(image.bytes);
		got = read_chunk(bench, vf, image.bytes + image.count, chunk);
		if (!got)
			return image;
		image.count += got;
	}
}

static inline unsigned int write_bytes(struct bench *bench, uint64_t vf, const void *bytes,
				       size_t count)
{
	struct vferry_admin_hdr header = {
		.opcode = htole16(VFERRY_CMD_DEV_CTX_WRITE),
		.group_type = htole16(VFERRY_GROUP_SRIOV),
		.group_member_id = htole64(vf),
	};
	uint8_t *made = malloc(sizeof(header) + count);
	struct reply reply;
	unsigned int status;

	assert_non_null(made);
	memcpy(made, &header, sizeof(header));
	memcpy(made + sizeof(header), bytes, count);
	bench_submit(bench, &reply, 0, made, sizeof(header) + count, 8);
	assert_int_equal(reply.calls, 1);
	assert_int_equal(reply.used, 8);
	status = reply.status | (unsigned int)reply.qualifier << 16;
	reply_drop(&reply);
	free(made);
	return status;
}

#define ST(status_, qualifier_) \
	((unsigned int)VFERRY_STATUS_##status_ | (unsigned int)VFERRY_Q_##qualifier_ << 16)

/* --- looking into images -------------------------------------------------------------------------------------- */

struct seen_field {
	uint16_t type;
	uint32_t index;
	uint64_t length;
	size_t value; /* offset in the image */
};

struct seen_image {
	bool delta;
	unsigned int images;
	unsigned int count;
	struct seen_field fields[64];
	const uint8_t *base;
};

static inline int see(void *arg, const struct vferry_ctx_event *event)
{
	struct seen_image *seen = arg;

	if (event->kind == VFERRY_CTX_IMAGE_BEGIN)
		seen->delta = event->delta;
	if (event->kind == VFERRY_CTX_IMAGE_END)
		seen->images++;
	if (event->kind == VFERRY_CTX_FIELD_BEGIN) {
		assert_true(seen->count < 64);
		seen->fields[seen->count++] =
			(struct seen_field){ event->type, event->index, event->length,
					     event->offset + 16 };
	}
	return 0;
}

/* @after_full: a full image came before, so that a delta may stand alone. */
static inline struct seen_image look(struct image_bytes image, bool after_full)
{
	static const uint8_t empty_full[40] = { [8] = 8, [24] = 1 };
	struct seen_image seen = { .base = image.bytes };
	struct vferry_ctx_walk_opts opts = {
		.image_bound = 1ULL << 32, .fields_max = 1 << 20, .event = see, .arg = &seen
	};
	struct vferry_ctx_walker *walker = vferry_ctx_walker_new(&opts);
	struct vferry_error err;

	assert_non_null(walker);
	if (after_full) {
		assert_int_equal(vferry_ctx_walk(walker, empty_full, 40, &err), 0);
		seen.images = 0;
	}
	if (vferry_ctx_walk(walker, image.bytes, image.count, &err))
		fail_msg("%s", err.text);
	assert_false(vferry_ctx_walk_open(walker));
	vferry_ctx_walker_free(walker);
	for (unsigned int i = 0; after_full && i < seen.count; i++)
		seen.fields[i].value -= 40;
	return seen;
}

static inline const struct seen_field *find(const struct seen_image *seen, uint16_t type,
					    uint32_t index)
{
	for (unsigned int i = 0; i < seen->count; i++)
		if (seen->fields[i].type == type && seen->fields[i].index == index)
			return &seen->fields[i];
	return NULL;
}

#endif

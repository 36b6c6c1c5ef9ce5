// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Exact bytes to the device and back, with a deadline on each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conform/conform.h"
#include "ring/ring.h"

static void end(struct conform *c, enum verdict verdict, const char *format, va_list args)
{
	if (!going(c))
		return;
	c->verdict = verdict;
	vsnprintf(c->words, sizeof(c->words), format, args);
}

void fail(struct conform *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(c, CHECK_FAILED, format, args);
	va_end(args);
}

void not_applicable(struct conform *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(c, CHECK_NOT_APPLICABLE, format, args);
	va_end(args);
}

/* --- memory --- */

int exs_new(struct conform *c)
{
	c->exs = calloc(EX_MAX, sizeof(*c->exs));
	if (!c->exs)
		return -ENOMEM;
	for (unsigned int i = 0; i < EX_MAX; i++) {
		c->exs[i].c = c;
		c->exs[i].over = true;
		c->exs[i].sent = malloc(EX_BYTES);
		c->exs[i].answer = malloc(EX_BYTES);
		if (!c->exs[i].sent || !c->exs[i].answer)
			return -ENOMEM;
	}
	return 0;
}

void exs_free(struct conform *c)
{
	for (unsigned int i = 0; c->exs && i < EX_MAX; i++) {
		free(c->exs[i].sent);
		free(c->exs[i].answer);
	}
	free(c->exs);
	c->exs = NULL;
}

/* --- one chain --- */

static void keep_record(struct conform *c, const struct ex *ex)
{
	struct record *record = &c->records[c->record_count++ % RECORDS];
	uint32_t n = ex->sent_bytes < RECORD_BYTES ? ex->sent_bytes : RECORD_BYTES;

	record->sent_bytes = ex->sent_bytes;
	record->room_bytes = ex->room_bytes;
	record->used = ex->used;
	record->error = ex->error;
	memcpy(record->sent, ex->sent, n);
	n = ex->room_bytes < RECORD_BYTES ? ex->room_bytes : RECORD_BYTES;
	memcpy(record->answer, ex->answer, n);
}

static uint64_t arena_at(unsigned int n, bool in)
{
	return (uint64_t)n * 2 * EX_BYTES + (in ? EX_BYTES : 0);
}

static void take_answer(struct ex *ex)
{
	struct vferry_admin_answer_hdr head;
	struct conform *c = ex->c;
	unsigned int n = (unsigned int)(ex - c->exs);
	uint32_t output;

	/* With what lies behind the room: it must not have been touched. */
	memcpy(ex->answer, (uint8_t *)c->owner->lease.arena + arena_at(n, true),
	       ex->room_bytes + BEYOND);
	memset(&head, FILL, sizeof(head));
	memcpy(&head, ex->answer, ex->room_bytes < sizeof(head) ? ex->room_bytes : sizeof(head));
	ex->status = le16toh(head.status);
	ex->qualifier = le16toh(head.status_qualifier);
	memcpy(&output, head.output, sizeof(output));
	ex->output = le32toh(output);
}

static void answered(struct vferry_cmd *cmd)
{
	struct ex *ex = cmd->arg;

	ex->over = true;
	ex->error = cmd->error;
	ex->used = cmd->used;
	ex->turn = ex->c->turns++;
	if (!ex->error)
		take_answer(ex);
	keep_record(ex->c, ex);
}

static unsigned int runs(struct vferry_sg *sg, uint64_t iova, uint32_t count, uint32_t cut)
{
	unsigned int n = 0;

	while (count) {
		uint32_t length = cut && cut < count && n + 1 < VFERRY_CMD_SG_MAX ? cut : count;

		sg[n++] = (struct vferry_sg){ iova, length };
		iova += length;
		count -= length;
	}
	return n;
}

struct ex *raw_begin(struct conform *c, unsigned int n, const void *bytes, uint32_t count,
		     uint32_t room, uint32_t cut)
{
	struct ex *ex = &c->exs[n % EX_MAX];
	uint8_t *arena = c->owner ? c->owner->lease.arena : NULL;
	uint64_t iova = c->owner ? c->owner->lease.arena_iova : 0;

	n %= EX_MAX;
	ex->error = -ECANCELED;
	ex->used = ex->output = 0;
	ex->status = ex->qualifier = UINT16_MAX;
	ex->result = ex->answer + sizeof(struct vferry_admin_answer_hdr);
	if (!going(c) || c->wedged || !arena || !ex->over || count > EX_BYTES ||
	    room > EX_BYTES - BEYOND) {
		memset(ex->answer, FILL, EX_BYTES);
		return ex;
	}
	ex->sent_bytes = count;
	ex->room_bytes = room;
	memcpy(ex->sent, bytes, count);
	memset(ex->answer, FILL, room + BEYOND);
	memcpy(arena + arena_at(n, false), bytes, count);
	/* Beyond the room too: nothing must be written there. */
	memset(arena + arena_at(n, true), FILL, room + BEYOND);
	ex->cmd = (struct vferry_cmd){
		.order = VF_ORDER_RAW,
		.data = ex->out,
		.data_count = runs(ex->out, iova + arena_at(n, false), count, cut),
		.result = ex->in,
		.result_count = runs(ex->in, iova + arena_at(n, true), room, cut),
		.deadline_ns = vf_now_ns() + c->opts.timeout_ns,
		.no_retry = true,
		.done = answered,
		.arg = ex,
	};
	ex->over = false;
	vferry_owner_submit(c->owner, &ex->cmd);
	return ex;
}

static bool all_over(const struct conform *c)
{
	for (unsigned int i = 0; i < EX_MAX; i++)
		if (!c->exs[i].over)
			return false;
	return true;
}

/* The device was silent, or said what cannot be: get the queue back. */
static void settle(struct conform *c)
{
	uint64_t deadline = vf_now_ns() + 2 * c->opts.timeout_ns;
	int ret = vf_admin_settle(c->owner->admin, deadline);

	if (!ret)
		return;
	c->wedged = true;
	snprintf(c->wedged_why, sizeof(c->wedged_why),
		 ret == -ENODEV ? "the owner is gone"
				: "the admin queue does not come back, not even by queue reset");
}

void exs_wait(struct conform *c)
{
	/* Each has a deadline, so this ends. */
	while (!all_over(c)) {
		int ret = vferry_owner_turn(c->owner, UINT64_MAX);

		if (ret < 0 && ret != -EINTR)
			for (unsigned int i = 0; i < EX_MAX; i++)
				if (!c->exs[i].over)
					vf_admin_cancel(c->owner->admin, &c->exs[i].cmd);
	}
	for (unsigned int i = 0; i < EX_MAX && going(c); i++) {
		const struct ex *ex = &c->exs[i];

		if (ex->error && ex->error != -ECANCELED)
			fail(c, "an answer within %llu ms, and there was none: %s",
			     (unsigned long long)(c->opts.timeout_ns / 1000000),
			     ex->cmd.why ? ex->cmd.why : strerror(-ex->error));
	}
	if (c->owner->admin->abandoned || c->owner->admin->dead)
		settle(c);
}

struct ex *raw(struct conform *c, const void *bytes, uint32_t count, uint32_t room, uint32_t cut)
{
	struct ex *ex = raw_begin(c, 0, bytes, count, room, cut);

	if (!ex->over)
		exs_wait(c);
	return ex;
}

/* --- commands --- */

struct vferry_admin_hdr header(uint16_t opcode, uint16_t group, uint64_t member)
{
	return (struct vferry_admin_hdr){
		.opcode = htole16(opcode),
		.group_type = htole16(group),
		.group_member_id = htole64(member),
	};
}

static struct ex *begin(struct conform *c, unsigned int n, const struct vferry_admin_hdr *head,
			const void *data, uint32_t count, uint32_t result_room)
{
	uint8_t *bytes = calloc(1, EX_BYTES);
	uint32_t padded = (count + 7) & ~7u;
	struct ex *ex;

	if (!bytes)
		abort();
	if (padded > EX_DATA)
		padded = count = EX_DATA;
	memcpy(bytes, head, sizeof(*head));
	if (count)
		memcpy(bytes + sizeof(*head), data, count);
	ex = raw_begin(c, n, bytes, (uint32_t)sizeof(*head) + padded,
		       (uint32_t)sizeof(struct vferry_admin_answer_hdr) + result_room, 0);
	free(bytes);
	return ex;
}

struct ex *command_begin(struct conform *c, unsigned int n, uint16_t opcode, const void *data,
			 uint32_t count, uint32_t result_room)
{
	struct vferry_admin_hdr head = header(opcode, VFERRY_GROUP_SRIOV, c->vf);

	return begin(c, n, &head, data, count, result_room);
}

struct ex *addressed(struct conform *c, uint16_t opcode, uint16_t group, uint64_t member,
		     const void *data, uint32_t count, uint32_t result_room)
{
	struct vferry_admin_hdr head = header(opcode, group, member);
	uint64_t until = vf_now_ns() + c->opts.timeout_ns;
	struct ex *ex;

	for (;;) {
		ex = begin(c, 0, &head, data, count, result_room);
		if (!ex->over)
			exs_wait(c);
		if (ex->error || ex->status != VFERRY_STATUS_EAGAIN || vf_now_ns() >= until)
			return ex;
		guest_pause(c);
	}
}

struct ex *command(struct conform *c, uint16_t opcode, const void *data, uint32_t count,
		   uint32_t result_room)
{
	return addressed(c, opcode, VFERRY_GROUP_SRIOV, c->vf, data, count, result_room);
}

/* --- what is expected --- */

void want_untouched(struct conform *c, const struct ex *ex, uint32_t from)
{
	for (uint32_t at = from; at < ex->room_bytes + BEYOND && going(c); at++)
		want(c, ex->answer[at] == FILL,
		     "nothing written from byte %u of the writable part on, and byte %u of %u is 0x%02x",
		     from, at, ex->room_bytes, ex->answer[at]);
}

static const char *answer_words(const struct ex *ex, char *words, size_t room)
{
	snprintf(words, room, "status %u (%s), qualifier %u (%s)", ex->status,
		 vferry_status_name(ex->status), ex->qualifier,
		 vferry_qualifier_name(ex->qualifier));
	return words;
}

void want_ok(struct conform *c, const struct ex *ex, const char *what)
{
	char words[96];

	want(c, ex->status == VFERRY_STATUS_OK, "%s: status 0 (ok), and it is %s", what,
	     answer_words(ex, words, sizeof(words)));
}

void want_refused(struct conform *c, const struct ex *ex, uint16_t qualifier, const char *what)
{
	char words[96];

	want(c, ex->status == VFERRY_STATUS_EINVAL && ex->qualifier == qualifier,
	     "%s: status 22 (einval), qualifier %u (%s), and it is %s", what, qualifier,
	     vferry_qualifier_name(qualifier), answer_words(ex, words, sizeof(words)));
}

void want_used(struct conform *c, const struct ex *ex, uint32_t used, const char *what)
{
	want(c, ex->used == used, "%s: used length %u, and it is %u", what, used, ex->used);
}

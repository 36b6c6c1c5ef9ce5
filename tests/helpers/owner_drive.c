// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * owner_drive ADDRESS SCENARIO: drives an owner device through libvferry, without a keeper; "ok NAME" or "not ok NAME" a check.
 * tests/system/test_engine_owner starts owners with the faults that the scenarios expect.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "admin/owner.h"

#define MOST (8u << 20)

static unsigned int failures;
static struct vferry_error err;

#define check(name, good)                                                                  \
	do {                                                                               \
		bool fine = (good);                                                        \
		printf("%sok %s\n", fine ? "" : "not ", name);                             \
		if (!fine)                                                                 \
			printf("# %s:%d: %s (%s)\n", __func__, __LINE__, #good, err.text); \
		failures += !fine;                                                         \
	} while (0)

static struct vferry_owner *open_owner(const char *address, uint64_t timeout_ms, uint16_t num_vfs)
{
	struct vferry_owner_opts opts = {
		.size = sizeof(opts),
		.flags = VFERRY_OWNER_DIRECT,
		.timeout_ns = timeout_ms * 1000000,
		.num_vfs = num_vfs,
		.slot_bytes = 64 << 10,
		.arena_bytes = 16 << 20,
	};
	struct vferry_owner *owner;

	if (vferry_owner_open(&owner, address, &opts, &err)) {
		printf("not ok open\n# %s\n", err.text);
		exit(1);
	}
	return owner;
}

/* The whole context as READ gives it; its length. */
static uint32_t read_all(struct vferry_owner *owner, uint16_t vf, unsigned char *to)
{
	uint32_t total = 0, count;
	const void *bytes;

	for (;;) {
		if (vferry_ctx_read(owner, vf, &bytes, &count, NULL, &err))
			return 0;
		if (!count)
			return total;
		if (total + count > MOST)
			return 0;
		memcpy(to + total, bytes, count);
		total += count;
	}
}

static struct vferry_cmd command(uint16_t opcode, uint64_t member)
{
	return (struct vferry_cmd){
		.opcode = opcode,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = member,
	};
}

static void nine(const char *address)
{
	unsigned char *one = malloc(MOST), *two = malloc(MOST);
	struct vferry_owner *owner = open_owner(address, 30000, 4);
	struct vferry_admin_field fields[64];
	struct vferry_answer answer;
	struct vferry_cmd cmd;
	uint32_t count, bytes;
	uint64_t words[8], size;
	enum vferry_mode mode;
	bool same = true;

	check("VFs are enabled", vferry_owner_num_vfs(owner) == 4);
	count = 8;
	check("list_query", !vferry_list_query(owner, 1, words, &count, &answer, &err) &&
				    count >= 1 && (words[0] & 0x3f83) == 0x3f83);
	check("mode_get",
	      !vferry_mode_get(owner, 1, &mode, &answer, &err) && mode == VFERRY_MODE_ACTIVE);
	for (unsigned int i = 0; i < 9; i++) {
		same &= !vferry_mode_set(owner, 1, i / 3, NULL, &err);
		same &= !vferry_mode_set(owner, 1, i % 3, NULL, &err);
		same &= !vferry_mode_get(owner, 1, &mode, NULL, &err) && mode == i % 3;
	}
	check("all nine pairs of modes", same);
	check("mode_set with a mode that is none",
	      vferry_mode_set(owner, 1, 7, &answer, &err) == -EREMOTEIO &&
		      answer.status == VFERRY_STATUS_EINVAL &&
		      answer.qualifier == VFERRY_Q_INVALID_FIELD);
	check("a member beyond the last",
	      vferry_mode_get(owner, 5, &mode, &answer, &err) == -EREMOTEIO &&
		      answer.qualifier == VFERRY_Q_INVALID_MEMBER);
	cmd = command(0x3333, 1);
	check("an opcode that is none", !vferry_owner_exec(owner, &cmd) &&
						cmd.status == VFERRY_STATUS_EINVAL &&
						cmd.qualifier == VFERRY_Q_INVALID_OPCODE);
	cmd = command(VFERRY_CMD_DEV_MODE_GET, 1);
	cmd.group_type = 99;
	check("a group that is none",
	      !vferry_owner_exec(owner, &cmd) && cmd.qualifier == VFERRY_Q_INVALID_GROUP);
	check("ctx_write while not in Freeze",
	      vferry_ctx_write(owner, 2, "12345678", 8, &answer, &err) == -EREMOTEIO &&
		      answer.status == VFERRY_STATUS_EINVAL);
	count = 64;
	check("ctx_fields", !vferry_ctx_fields(owner, 1, fields, &count, NULL, &err) && count > 4);
	check("freeze", !vferry_mode_set(owner, 1, VFERRY_MODE_FREEZE, NULL, &err) &&
				!vferry_mode_set(owner, 2, VFERRY_MODE_FREEZE, NULL, &err));
	check("ctx_size", !vferry_ctx_size(owner, 1, false, &size, NULL, &err) && size > 1000000);
	bytes = read_all(owner, 1, one);
	check("ctx_read", bytes == size);
	check("ctx_size is zero after it",
	      !vferry_ctx_size(owner, 1, false, &size, NULL, &err) && !size);
	check("ctx_discard", !vferry_ctx_discard(owner, 1, NULL, &err));
	check("the same bytes again", read_all(owner, 1, two) == bytes && !memcmp(one, two, bytes));
	same = true;
	for (uint32_t at = 0; at < bytes; at += 40000)
		same &= !vferry_ctx_write(owner, 2, one + at,
					  bytes - at < 40000 ? bytes - at : 40000, NULL, &err);
	check("ctx_write in pieces", same);
	check("the commit", !vferry_mode_set(owner, 2, VFERRY_MODE_STOP, NULL, &err));
	check("is read back", read_all(owner, 2, two) == bytes && !memcmp(one, two, bytes));
	words[0] = 3 | 1ULL << VFERRY_CMD_DEV_MODE_GET;
	check("list_use of less", !vferry_list_use(owner, 1, words, 1, NULL, &err));
	check("what is not in use is refused",
	      vferry_ctx_size(owner, 1, false, &size, &answer, &err) == -EREMOTEIO &&
		      answer.qualifier == VFERRY_Q_INVALID_OPCODE);
	check("an odd number of bytes is not sent",
	      vferry_ctx_write(owner, 2, one, 12, NULL, &err) == -EINVAL);
	vferry_owner_close(owner);

	/* It has reset the owner: VFs that come back are blank and Active. */
	owner = open_owner(address, 30000, 4);
	check("closing resets",
	      !vferry_mode_get(owner, 2, &mode, NULL, &err) && mode == VFERRY_MODE_ACTIVE);
	vferry_owner_close(owner);
	free(one);
	free(two);
}

/* --- many at once --- */

struct flow {
	struct vferry_owner *owner;
	struct vferry_cmd cmd;
	struct vf_slot *slot;
	struct vferry_sg run;
	struct vferry_cmd *next;
};

struct reading {
	unsigned char *bytes;
	uint32_t count;
	unsigned int under_way;
	bool ended, failed;
};

static struct reading readings[5];

static void chunk_read(struct vferry_cmd *cmd)
{
	struct flow *flow = cmd->arg;
	struct reading *reading = &readings[cmd->member];
	uint32_t count;

	memcpy(&count, cmd->output, sizeof(count));
	count = le32toh(count);
	reading->under_way--;
	if (cmd->error || cmd->status) {
		reading->failed = true;
	} else if (!count) {
		reading->ended = true;
	} else if (reading->count + count <= MOST) {
		memcpy(reading->bytes + reading->count, flow->slot->memory, count);
		reading->count += count;
	}
	if (reading->ended || reading->failed)
		return;
	reading->under_way++;
	vferry_owner_submit(flow->owner, cmd);
}

/* Several READs of each of four VFs; their bytes belong in the order of done(). */
static bool read_pipelined(struct vferry_owner *owner, unsigned int depth)
{
	struct flow flows[4][8] = { 0 };
	bool all = false, good = true;

	for (unsigned int vf = 1; vf <= 4; vf++) {
		unsigned char *bytes = readings[vf].bytes ? readings[vf].bytes : malloc(MOST);

		readings[vf] = (struct reading){ .bytes = bytes };
		for (unsigned int i = 0; i < depth; i++) {
			struct flow *flow = &flows[vf - 1][i];

			flow->owner = owner;
			flow->slot = vf_arena_get(owner->arena);
			flow->run = (struct vferry_sg){ flow->slot->iova, flow->slot->bytes };
			flow->cmd = command(VFERRY_CMD_DEV_CTX_READ, vf);
			flow->cmd.result = &flow->run;
			flow->cmd.result_count = 1;
			flow->cmd.done = chunk_read;
			flow->cmd.arg = flow;
			readings[vf].under_way++;
			vferry_owner_submit(owner, &flow->cmd);
		}
	}
	while (!all) {
		vferry_owner_turn(owner, UINT64_MAX);
		all = true;
		for (unsigned int vf = 1; vf <= 4; vf++)
			all &= !readings[vf].under_way;
	}
	for (unsigned int vf = 1; vf <= 4; vf++) {
		for (unsigned int i = 0; i < depth; i++)
			vf_arena_put(owner->arena, flows[vf - 1][i].slot);
		good &= readings[vf].ended && !readings[vf].failed;
	}
	return good;
}

static void pipelined(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 30000, 4);
	unsigned char *plain = malloc(MOST);
	bool same = true;

	for (uint16_t vf = 1; vf <= 4; vf++)
		same &= !vferry_mode_set(owner, vf, VFERRY_MODE_FREEZE, NULL, &err);
	check("freeze", same);
	for (unsigned int depth = 1; depth <= 8; depth *= 2) {
		same = read_pipelined(owner, depth);
		for (uint16_t vf = 1; vf <= 4; vf++) {
			uint32_t count;

			same &= !vferry_ctx_discard(owner, vf, NULL, &err);
			count = read_all(owner, vf, plain);
			same &= count && count == readings[vf].count &&
				!memcmp(plain, readings[vf].bytes, count);
			same &= !vferry_ctx_discard(owner, vf, NULL, &err);
		}
		check("READs side by side give the same bytes as one after the other", same);
	}
	check("all of it in one queue", vferry_owner_stats(owner)->inflight_max == 32);
	vferry_owner_close(owner);
	for (unsigned int vf = 1; vf <= 4; vf++)
		free(readings[vf].bytes);
	free(plain);
}

static unsigned int writes_done, writes_failed, writes_overtaken;

static void chunk_written(struct vferry_cmd *cmd)
{
	writes_done++;
	writes_failed += cmd->error || cmd->status;
	writes_overtaken += cmd->error == -EILSEQ;
}

/* @count bytes as WRITEs of VF 2, all handed over at once. */
static void write_all(struct vferry_owner *owner, const unsigned char *from, uint32_t bytes,
		      enum vferry_order order)
{
	static struct flow flows[64];
	unsigned int n = 0;

	writes_done = writes_failed = writes_overtaken = 0;
	for (uint32_t at = 0; at < bytes; at += flows[n - 1].run.length) {
		struct flow *flow = &flows[n++];

		flow->slot = vf_arena_get(owner->arena);
		flow->run.iova = flow->slot->iova;
		flow->run.length = bytes - at < flow->slot->bytes ? bytes - at : flow->slot->bytes;
		memcpy(flow->slot->memory, from + at, flow->run.length);
		flow->cmd = command(VFERRY_CMD_DEV_CTX_WRITE, 2);
		flow->cmd.data = &flow->run;
		flow->cmd.data_count = 1;
		flow->cmd.order = (uint8_t)order;
		flow->cmd.done = chunk_written;
		vferry_owner_submit(owner, &flow->cmd);
	}
	while (writes_done < n)
		vferry_owner_turn(owner, UINT64_MAX);
	while (n)
		vf_arena_put(owner->arena, flows[--n].slot);
}

/* An owner that puts off WRITEs at random. */
static void ordered(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 30000, 4);
	unsigned char *one = malloc(MOST), *two = malloc(MOST);
	unsigned int overtaken = 0, whole = 0;
	uint32_t bytes;

	check("freeze", !vferry_mode_set(owner, 1, VFERRY_MODE_FREEZE, NULL, &err) &&
				!vferry_mode_set(owner, 2, VFERRY_MODE_FREEZE, NULL, &err));
	bytes = read_all(owner, 1, one);
	check("read", bytes);
	write_all(owner, one, bytes, VFERRY_ORDER_STRICT);
	check("STRICT: every WRITE is taken", !writes_failed);
	check("after some were put off", vferry_owner_stats(owner)->retried);
	check("in order", !vferry_mode_set(owner, 2, VFERRY_MODE_STOP, NULL, &err) &&
				  read_all(owner, 2, two) == bytes && !memcmp(one, two, bytes));
	for (unsigned int i = 0; i < 20; i++) {
		vferry_mode_set(owner, 2, VFERRY_MODE_FREEZE, NULL, &err);
		vferry_ctx_discard(owner, 2, NULL, &err);
		write_all(owner, one, bytes, VFERRY_ORDER_PIPELINED);
		overtaken += writes_failed && writes_overtaken;
		whole += !writes_failed &&
			 !vferry_mode_set(owner, 2, VFERRY_MODE_STOP, NULL, &err) &&
			 read_all(owner, 2, two) == bytes && !memcmp(one, two, bytes);
	}
	check("PIPELINED: whole, or said to be overtaken", overtaken + whole == 20 && overtaken);
	vferry_owner_close(owner);
	free(one);
	free(two);
}

/* --- an owner with faults --- */

/* SIZE_GET of VF 2 is never answered, once. */
static void silence(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 300, 4);
	enum vferry_mode mode;
	uint64_t size;

	check("no answer", vferry_ctx_size(owner, 2, false, &size, NULL, &err) == -ETIMEDOUT);
	check("it is the device's still", vf_admin_busy(owner->admin));
	check("the rest goes on", !vferry_mode_get(owner, 2, &mode, NULL, &err));
	check("a reset of the queue takes it back",
	      !vf_admin_settle(owner->admin, vf_now_ns() + 10000000000ULL) &&
		      !vf_admin_busy(owner->admin));
	check("and all works again", !vferry_ctx_size(owner, 2, false, &size, NULL, &err));
	check("list in use is still in use", !vferry_mode_get(owner, 1, &mode, NULL, &err));
	vferry_owner_close(owner);
}

/* The first READ is never answered: its memory is not used for another. */
static void silent_read(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 300, 4);
	uint32_t slots = vf_arena_free_slots(owner->arena), count;
	const void *bytes;

	check("no answer", vferry_ctx_read(owner, 2, &bytes, &count, NULL, &err) == -ETIMEDOUT);
	check("its slot is kept", vf_arena_free_slots(owner->arena) == slots - 1 && owner->lost);
	check("another one works", !vferry_ctx_read(owner, 2, &bytes, &count, NULL, &err) && count);
	check("settle", !vf_admin_settle(owner->admin, vf_now_ns() + 10000000000ULL));
	check("the slot comes back", !vferry_ctx_read(owner, 2, &bytes, &count, NULL, &err) &&
					     vf_arena_free_slots(owner->arena) == slots - 1 &&
					     !owner->lost);
	vferry_owner_close(owner);
}

/* MODE_GET of VF 1 takes 700 ms, once. */
static void late(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 300, 4);
	enum vferry_mode mode;

	check("not in time", vferry_mode_get(owner, 1, &mode, NULL, &err) == -ETIMEDOUT);
	check("the late answer is waited for",
	      !vf_admin_settle(owner->admin, vf_now_ns() + 20000000000ULL) &&
		      !vf_admin_busy(owner->admin) && !owner->admin->inflight);
	check("and all works again", !vferry_mode_get(owner, 1, &mode, NULL, &err));
	vferry_owner_close(owner);
}

/* The owner dies at the first DISCARD. */
static void die(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 60000, 4);
	enum vferry_mode mode;

	check("-ENODEV at once, not after the deadline",
	      vferry_ctx_discard(owner, 1, NULL, &err) == -ENODEV);
	check("and from then on", vferry_mode_get(owner, 1, &mode, NULL, &err) == -ENODEV);
	vferry_owner_close(owner);
}

/* Everything may come back wrong; what counts is that it ends. */
static void garbage(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 2000, 4);
	unsigned int good = 0, bad = 0;

	for (unsigned int i = 0; i < 500; i++) {
		uint16_t vf = (uint16_t)(1 + i % 4);
		enum vferry_mode mode;
		const void *bytes;
		uint32_t count;
		int ret = i % 3 ? vferry_mode_get(owner, vf, &mode, NULL, &err)
				: vferry_ctx_read(owner, vf, &bytes, &count, NULL, &err);

		good += !ret;
		bad += ret == -EPROTO || ret == -EREMOTEIO;
		if (owner->admin->dead)
			vf_admin_settle(owner->admin, vf_now_ns() + 10000000000ULL);
	}
	check("each command is answered or refused by words", good + bad == 500);
	check("both kinds were seen", good && bad);
	vferry_owner_close(owner);
}

/* --- one thread, somebody else's loop --- */

static unsigned int embedded_done;

static void one_more(struct vferry_cmd *cmd)
{
	if (!cmd->error && !cmd->status && ++embedded_done < 1000)
		vferry_owner_submit(cmd->arg, cmd);
}

static void embedded(const char *address)
{
	struct vferry_owner *owner = open_owner(address, 30000, 4);
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_MODE_GET, 1);
	struct pollfd pfd = { .fd = vferry_owner_fd(owner), .events = POLLIN };
	unsigned int idle = 0;

	check("a descriptor to poll", pfd.fd >= 0 && vferry_owner_fd(owner) == pfd.fd);
	while (poll(&pfd, 1, 0) > 0 && idle++ < 1000)
		vferry_owner_turn(owner, 0);
	check("which is quiet when there is nothing to do", idle < 1000);
	cmd.result_room = 8;
	cmd.done = one_more;
	cmd.arg = owner;
	vferry_owner_submit(owner, &cmd);
	while (embedded_done < 1000 && poll(&pfd, 1, 60000) > 0)
		vferry_owner_turn(owner, 0);
	check("drives 1000 commands", embedded_done == 1000);
	vferry_owner_close(owner);
}

static void refused(const char *address)
{
	uint16_t vf = 9;
	struct vferry_owner_opts opts = {
		.size = sizeof(opts),
		.flags = VFERRY_OWNER_DIRECT,
		.num_vfs = 200,
	};
	struct vferry_owner *owner;

	check("more VFs than there are",
	      vferry_owner_open(&owner, address, &opts, &err) == -EINVAL &&
		      strstr(err.text, "200"));
	opts.num_vfs = 4;
	opts.vfs = &vf;
	opts.vfs_count = 1;
	check("a VF that is not there",
	      vferry_owner_open(&owner, address, &opts, &err) == -EINVAL &&
		      strstr(err.text, "VF 9"));
	opts.size = 3;
	check("options of no known size",
	      vferry_owner_open(&owner, address, &opts, &err) == -EINVAL);
}

static const struct {
	const char *name;
	void (*run)(const char *address);
} scenarios[] = {
	{ "nine", nine },	  { "pipelined", pipelined }, { "ordered", ordered },
	{ "silence", silence },	  { "late", late },	      { "silent_read", silent_read },
	{ "die", die },		  { "garbage", garbage },     { "refused", refused },
	{ "embedded", embedded },
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int i = 0; argc == 3 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(argv[2], scenarios[i].name))
			continue;
		scenarios[i].run(argv[1]);
		return failures ? 1 : 0;
	}
	fprintf(stderr, "usage: owner_drive ADDRESS SCENARIO\n");
	return 2;
}

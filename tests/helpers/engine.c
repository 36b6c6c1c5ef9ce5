// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * engine ADDRESS VFS [hold|hammer|check|once|hang] [wait] [alone] [start]: borrows like an engine does, says "borrowed QUEUE EPOCH", and then
 *
 *   hold    waits until standard input ends, and gives back; says "recalled" when the keeper asks for that
 *   hammer  keeps the queue full of commands for its VFs, until it is killed
 *   check   asks each VF for its mode and reads some context: the owner is at rest and answers. Says "fine"
 *   once    gives back at once
 *   list    does not borrow: what the keeper knows, a line for each VF: number, mode, bytes, borrower
 *   strip   takes all but the LIST commands out of the list in use, then as hold
 *   poison  scribbles over its available index and rings the doorbell, then as hold
 *   hang    says it and drops the connection without giving back, and lives on
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/owner.h"
#include "bus/keeper.h"

#define COMMANDS 24

struct hammer {
	struct vferry_cmd cmd;
	struct vferry_sg sg;
	struct vferry_owner *owner;
	const uint16_t *vfs;
	unsigned int vfs_count;
};

static unsigned int parse_vfs(const char *text, uint16_t *vfs, unsigned int room)
{
	unsigned int count = 0;

	while (*text && count < room) {
		char *end;

		vfs[count++] = (uint16_t)strtoul(text, &end, 10);
		text = *end ? end + 1 : end;
	}
	return count;
}

static void next(struct hammer *hammer);

static void done(struct vferry_cmd *cmd)
{
	next((struct hammer *)cmd);
}

static void next(struct hammer *hammer)
{
	struct vferry_cmd *cmd = &hammer->cmd;
	int roll = rand() % 10;

	memset(cmd, 0, sizeof(*cmd));
	cmd->group_type = VFERRY_GROUP_SRIOV;
	cmd->member = hammer->vfs[(unsigned int)rand() % hammer->vfs_count];
	cmd->done = done;
	if (roll < 2) {
		cmd->opcode = VFERRY_CMD_DEV_MODE_SET;
		cmd->inline_data[0] = (uint8_t)(rand() % 3);
		cmd->inline_length = 1;
	} else if (roll < 3) {
		cmd->opcode = VFERRY_CMD_DEV_MODE_GET;
		cmd->result_room = 8;
	} else if (roll < 4) {
		cmd->opcode = VFERRY_CMD_DEV_CTX_DISCARD;
	} else {
		cmd->opcode = VFERRY_CMD_DEV_CTX_READ;
		cmd->result = &hammer->sg;
		cmd->result_count = 1;
	}
	vferry_owner_submit(hammer->owner, cmd);
}

static int hammer_on(struct vferry_owner *owner, const uint16_t *vfs, unsigned int vfs_count)
{
	static struct hammer hammers[COMMANDS];

	srand((unsigned int)getpid());
	for (unsigned int i = 0; i < COMMANDS; i++) {
		hammers[i] = (struct hammer){
			.sg = { .iova = owner->lease.arena_iova + i * 65536, .length = 65536 },
			.owner = owner,
			.vfs = vfs,
			.vfs_count = vfs_count,
		};
		next(&hammers[i]);
	}
	for (;;) {
		int ret = vferry_owner_turn(owner, 1000000000ULL);

		if (ret < 0 && ret != -EINTR)
			return ret;
		if (owner->lease.ops->alive(&owner->lease) == -ENODEV)
			return -ENODEV;
	}
}

static int check(struct vferry_owner *owner, const uint16_t *vfs, unsigned int vfs_count,
		 struct vferry_error *err)
{
	for (unsigned int i = 0; i < vfs_count; i++) {
		enum vferry_mode mode;
		const void *bytes;
		uint32_t count;
		int ret;

		ret = vferry_mode_get(owner, vfs[i], &mode, NULL, err);
		if (!ret)
			ret = vferry_mode_set(owner, vfs[i], VFERRY_MODE_STOP, NULL, err);
		if (!ret)
			ret = vferry_ctx_discard(owner, vfs[i], NULL, err);
		if (!ret)
			ret = vferry_ctx_read(owner, vfs[i], &bytes, &count, NULL, err);
		if (!ret && !count)
			ret = vferry_fail(err, -EPROTO, "VF %u: an empty context", vfs[i]);
		if (!ret)
			ret = vferry_mode_set(owner, vfs[i], VFERRY_MODE_ACTIVE, NULL, err);
		if (ret)
			return ret;
	}
	puts("fine");
	return 0;
}

/* Until standard input or the keeper ends; a recall is said once. */
static void hold(struct vferry_owner *owner)
{
	int keeper = owner->lease.ops->fd(&owner->lease), ret = 0;
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN },
				 { .fd = keeper, .events = POLLIN } };

	while (ret != -ENODEV && !fds[0].revents) {
		poll(fds, 2, -1);
		if (!fds[1].revents)
			continue;
		ret = owner->lease.ops->alive(&owner->lease);
		if (ret == -ECANCELED)
			puts("recalled");
		if (ret == -ENODEV)
			puts("gone");
	}
}

/* What no driver does: more available entries than the ring has. */
static void poison(struct vferry_owner *owner)
{
	uint16_t *index = (uint16_t *)((char *)owner->lease.rings + owner->lease.avail_offset + 2);
	uint64_t one = 1;

	*index = (uint16_t)(*index + 5000);
	if (owner->lease.doorbell == VF_DOORBELL_EVENTFD &&
	    write(owner->lease.kick_fd, &one, sizeof(one)) < 0)
		perror("doorbell");
}

static int list(const char *address)
{
	struct vf_keeper_report *report;
	struct vferry_error err;

	if (vf_keeper_ask(address, VF_KEEPER_ASK_MODES | VF_KEEPER_ASK_SIZES, 0, &report, &err)) {
		fprintf(stderr, "%d %s\n", -err.code, err.text);
		return 1;
	}
	printf("state %d software %d queues %u of %u loans %u wedged %u %s\n", report->state,
	       report->software, report->queues_free, report->queues, report->loan_count,
	       report->wedged, report->trouble);
	for (unsigned int i = 0; i < report->vf_count; i++)
		printf("vf %u mode %d bytes %lld pid %d\n", report->vfs[i].vf, report->vfs[i].mode,
		       report->vfs[i].size_known ? (long long)report->vfs[i].context_bytes : -1LL,
		       (int)report->vfs[i].pid);
	vf_keeper_report_free(report);
	return 0;
}

int main(int argc, char **argv)
{
	struct vferry_owner_opts opts = { .size = sizeof(opts),
					  .arena_bytes = 4 << 20,
					  .flags = VFERRY_OWNER_NO_START };
	const char *what = "once";
	struct vferry_owner *owner;
	struct vferry_error err = { 0 };
	uint16_t vfs[255];
	int ret = 0;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	opts.vfs = vfs;
	opts.vfs_count = parse_vfs(argv[2], vfs, 255);
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "wait"))
			opts.flags |= VFERRY_OWNER_WAIT;
		else if (!strcmp(argv[i], "alone"))
			opts.flags |= VFERRY_OWNER_ALONE;
		else if (!strcmp(argv[i], "start"))
			opts.flags &= ~VFERRY_OWNER_NO_START;
		else
			what = argv[i];
	}
	if (!strcmp(what, "list"))
		return list(argv[1]);
	if (vferry_owner_open(&owner, argv[1], &opts, &err)) {
		fprintf(stderr, "%d %s\n", -err.code, err.text);
		return 1;
	}
	printf("borrowed %u ", owner->lease.queue);
	for (int i = 0; i < 16; i++)
		printf("%02x", vferry_owner_epoch(owner)[i]);
	printf(" %u\n", owner->lease.doorbell);
	if (!strcmp(what, "poison"))
		poison(owner);
	if (!strcmp(what, "strip")) {
		ret = vferry_list_use(owner, VFERRY_GROUP_SRIOV, &(uint64_t){ VFERRY_LIST_BASE }, 1,
				      NULL, &err);
		puts(ret ? err.text : "stripped");
	}
	if (!ret && (!strcmp(what, "hold") || !strcmp(what, "poison") || !strcmp(what, "strip")))
		hold(owner);
	else if (!strcmp(what, "hammer"))
		ret = hammer_on(owner, vfs, opts.vfs_count);
	else if (!strcmp(what, "check"))
		ret = check(owner, vfs, opts.vfs_count, &err);
	if (!strcmp(what, "hang")) {
		close(owner->lease.ops->fd(&owner->lease));
		pause();
	}
	vferry_owner_close(owner);
	if (ret)
		fprintf(stderr, "%d %s\n", -ret, err.text);
	return ret ? 1 : 0;
}

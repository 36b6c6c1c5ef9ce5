// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long does each IORING_OP_URING_CMD take, of whatever program? From the SQE's being taken to the CQE's being posted, with no probe in user
 * space. A request is known by its address between the two. The file is looked at when it ends: when it begins it has not been found yet.
 */
#include "rows.bpf.h"

#define OP_URING_CMD 46
#define DEV_MINORS   20 /* bits of the minor number in a dev_t of the kernel */

/* Fixed before loading. */
const volatile __u32 vferry_major = 0; /* of /dev/vferry; 0: the module is not there */
const volatile __u32 vferry_admin = 0; /* VFERRY_URING_ADMIN */
const volatile bool want_other = false;

struct sent {
	__u64 begin_ns;
	__u64 member;
	__u32 tgid;
	__u32 cmd_op;
	__u16 opcode;
	__u16 group;
	__u32 pad;
};

/* What begins an SQE of /dev/vferry: struct vferry_uring_admin, at offset 48. */
struct admin {
	__u16 opcode;
	__u16 group_type;
	__u32 flags;
	__u64 member;
};

/* The oldest goes when it is full: requests whose end was not reported leave nothing behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct sent);
} sent SEC(".maps");

static __always_inline int begins(struct io_kiocb *req)
{
	struct sent now = { .begin_ns = bpf_ktime_get_ns(),
			    .tgid = bpf_get_current_pid_tgid() >> 32 };
	const struct io_uring_cmd *cmd;
	__u64 key = (__u64)req;

	if (BPF_CORE_READ(req, opcode) != OP_URING_CMD || !tgid_wanted(now.tgid))
		return 0;
	cmd = (const void *)req + bpf_core_field_offset(((struct io_kiocb *)req)->cmd);
	now.cmd_op = BPF_CORE_READ(cmd, cmd_op);
	if (now.cmd_op == vferry_admin && bpf_core_field_exists(cmd->sqe)) {
		const void *sqe = BPF_CORE_READ(cmd, sqe);
		struct admin admin = {};

		if (bpf_probe_read_kernel(&admin, sizeof(admin), sqe + 48))
			count_lost(VFT_LOST_ARGS);
		now.opcode = admin.opcode;
		now.group = admin.group_type;
		now.member = admin.member;
	}
	bpf_map_update_elem(&sent, &key, &now, BPF_ANY);
	return 0;
}

/* @answer is the first of the two words that a CQE32 has beside its result, at @big or as a number. */
static __always_inline int ends(struct io_kiocb *req, int res, __u64 answer, const void *big)
{
	struct vft_event event = {
		.kind = VFT_EVENT_COMMAND,
		.end_ns = bpf_ktime_get_ns(),
	};
	struct sent *then;
	bool ours;
	__u64 key = (__u64)req;

	if (!req || BPF_CORE_READ(req, opcode) != OP_URING_CMD)
		return 0;
	then = bpf_map_lookup_elem(&sent, &key);
	ours = vferry_major &&
	       BPF_CORE_READ(req, file, f_inode, i_rdev) >> DEV_MINORS == vferry_major;
	if (!ours && !want_other) {
		if (then)
			bpf_map_delete_elem(&sent, &key);
		return 0;
	}
	if (!then) {
		if (tgid_wanted(bpf_get_current_pid_tgid() >> 32))
			count_lost(VFT_LOST_PAIRS);
		return 0;
	}
	event.tgid = then->tgid;
	event.begin_ns = then->begin_ns;
	event.source = ours ? VFT_URING : VFT_URING_OTHER;
	event.what = then->cmd_op & 0xffff;
	if (ours && then->cmd_op == vferry_admin) {
		event.what = then->opcode | (__u32)then->group << 16;
		event.member = then->member;
		if (res >= 0) {
			if (big && bpf_probe_read_kernel(&answer, sizeof(answer), big))
				count_lost(VFT_LOST_ARGS);
			event.answer = (__u32)answer;
			event.bytes = res > 8 ? (__u32)res - 8 : 0;
		}
	}
	if (res < 0)
		event.error = res;
	bpf_map_delete_elem(&sent, &key);
	account(&event);
	return 0;
}

SEC("tp_btf/io_uring_submit_req") /* 6.4 on */
int BPF_PROG(submit_req, struct io_kiocb *req)
{
	return begins(req);
}

SEC("tp_btf/io_uring_submit_sqe") /* until 6.3 */
int BPF_PROG(submit_sqe, struct io_kiocb *req)
{
	return begins(req);
}

SEC("tp_btf/io_uring_complete") /* scalars: 6.1, 6.12 */
int BPF_PROG(complete_scalars, void *ctx_, void *req, __u64 user_data, int res, unsigned int flags,
	     __u64 extra)
{
	return ends(req, res, extra, 0);
}

SEC("tp_btf/io_uring_complete") /* the entry itself: 6.18, 7.x */
int BPF_PROG(complete_entry, void *ctx_, void *req, struct io_uring_cqe___view *cqe)
{
	return ends(req, BPF_CORE_READ(cqe, res), 0, (const void *)cqe + 16);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

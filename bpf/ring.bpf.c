// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How do the traced processes use io_uring: operations submitted, completed, failed, and punted to io-wq (a thread hop each)?
 * The tracepoints' arguments changed between 6.1 and 7.3; user space loads the programs that fit the running kernel's BTF.
 */
#include "rows.bpf.h"

static __always_inline struct vft_ring *ring_of_current(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&rings, &tgid);
}

static __always_inline int submitted(void)
{
	struct vft_ring *ring = ring_of_current();

	if (ring)
		__sync_fetch_and_add(&ring->submitted, 1);
	return 0;
}

static __always_inline int completed(int res)
{
	struct vft_ring *ring = ring_of_current();

	if (ring) {
		__sync_fetch_and_add(&ring->completed, 1);
		if (res < 0 && res != -62 &&
		    res != -125) /* a timer that fired, an operation called back */
			__sync_fetch_and_add(&ring->failed, 1);
	}
	return 0;
}

SEC("tp_btf/io_uring_submit_req") /* 6.4 on */
int BPF_PROG(submit_req)
{
	return submitted();
}

SEC("tp_btf/io_uring_submit_sqe") /* until 6.3 */
int BPF_PROG(submit_sqe)
{
	return submitted();
}

SEC("tp_btf/io_uring_complete") /* scalars: 6.1, 6.12 */
int BPF_PROG(complete_scalars, void *ctx_, void *req, __u64 user_data, int res)
{
	return completed(res);
}

SEC("tp_btf/io_uring_complete") /* the entry itself: 6.18, 7.x */
int BPF_PROG(complete_entry, void *ctx_, void *req, struct io_uring_cqe___view *cqe)
{
	return completed(BPF_CORE_READ(cqe, res));
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(punted)
{
	struct vft_ring *ring = ring_of_current();

	if (ring)
		__sync_fetch_and_add(&ring->punted, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

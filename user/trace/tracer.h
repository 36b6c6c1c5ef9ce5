/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of a tracer: attach.c (libvferry's probes) and rungs.c (the kernel's) share it. */
#ifndef VFT_TRACER_H
#define VFT_TRACER_H

#include <unistd.h>
#include "trace/attach.h"
#include "trace/ladder.h"
#include "bpf/usdt_trace.skel.h"
#include "bpf/kernel_aq.skel.h"
#include "bpf/ring.skel.h"
#include "bpf/uring_cmd.skel.h"
#include "bpf/vfio_irq.skel.h"

#define LINKS_MAX 2048

struct vft_tracer {
	struct vft_filter filter;
	struct vft_kernel kernel;
	struct {
		bool btf;	 /* there is type information */
		bool exec, done; /* of these functions of virtio_pci */
		bool submit_req; /* of these tracepoints of io_uring */
		int complete;	 /* how many arguments; -1: no such tracepoint */
	} types;
	struct usdt_trace_bpf *usdt;
	struct kernel_aq_bpf *queue;
	struct ring_bpf *ring;
	struct vfio_irq_bpf *irq;
	struct uring_cmd_bpf *uring;
	struct vft_finder finder;
	struct bpf_link *links[LINKS_MAX];
	unsigned int link_count;
	bool irq_wanted;
	bool probed; /* a program with our probes was found once */
	struct vft_rung rungs[VFT_RUNGS_MAX];
	unsigned int rung_count;
	struct vft_rung *usdt_rung;
};

/* The objects have the same filters in their read-only data; the macro sets one object's. */
#define SET_FILTER(skel, f)                                                                \
	do {                                                                               \
		(skel)->rodata->only_tgid = (__u32)(f)->pid;                               \
		(skel)->rodata->self_tgid = (__u32)getpid();                               \
		(skel)->rodata->by_member = (f)->by_member;                                \
		(skel)->rodata->want_commands = (f)->commands;                             \
		(skel)->rodata->only_errors = (f)->only_errors;                            \
		(skel)->rodata->min_latency_ns = (f)->min_latency_ns;                      \
		(skel)->rodata->opcode_mask = (f)->opcode_mask ? (f)->opcode_mask : ~0ULL; \
		(skel)->rodata->filter_members = (f)->filter_members;                      \
		(skel)->rodata->rows_each = VFT_ROWS_EACH(vft_filter_rows(f));             \
		memcpy((void *)(skel)->rodata->member_mask, (f)->member_mask,              \
		       sizeof((f)->member_mask));                                          \
	} while (0)

/** vft_rung() - note what came of a probe. */
struct vft_rung *vft_rung(struct vft_tracer *tracer, const char *name, enum vft_rung_state state,
			  const char *why);

/* Each tries what the kernel offers, and notes its rung: never an error. */
void vft_load_queue(struct vft_tracer *tracer);
void vft_load_ring(struct vft_tracer *tracer);
void vft_load_irq(struct vft_tracer *tracer);
void vft_load_uring(struct vft_tracer *tracer);

#endif

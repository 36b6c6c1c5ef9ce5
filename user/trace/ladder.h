/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this kernel offers the tracer: looked up in its BTF, its symbols and by a trial. Shared by trace and doctor. */
#ifndef VFT_LADDER_H
#define VFT_LADDER_H

#include <stdbool.h>
#include <stddef.h>

struct btf;

struct vft_kernel {
	struct btf *btf; /* NULL: the kernel has none */
	char lockdown[32];
};

int vft_kernel_open(struct vft_kernel *kernel);
/** vft_kernel_lockdown() - reads how far the kernel is locked down: none, integrity, confidentiality, or unknown. */
void vft_kernel_lockdown(struct vft_kernel *kernel);
void vft_kernel_close(struct vft_kernel *kernel);
/** vft_kernel_has_function() - a function with type information: fentry may work. */
bool vft_kernel_has_function(const struct vft_kernel *kernel, const char *name);
/** vft_kernel_has_symbol() - a symbol at all: kprobe may work. */
bool vft_kernel_has_symbol(const char *name);
/** vft_own_pids() - process ids here are those that the kernel's programs see: this is the first pid namespace. */
bool vft_own_pids(void);
/** vft_kernel_tracepoint_args() - arguments of a raw tracepoint (without the leading context); -1: no such tracepoint. */
int vft_kernel_tracepoint_args(const struct vft_kernel *kernel, const char *name);

#endif

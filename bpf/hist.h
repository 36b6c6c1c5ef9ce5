/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The log-linear histogram of latencies, in nanoseconds: 32 slots an octave from 64 ns to 137 s, so that a slot's middle is
 * within 1/64 (1.6%) of every value in it. Shared by the BPF programs and by user space.
 */
#ifndef VFT_HIST_H
#define VFT_HIST_H

#define VFT_HIST_SUB	   32u /* slots an octave */
#define VFT_HIST_SUB_SHIFT 5
#define VFT_HIST_MIN_SHIFT 6 /* first octave begins at 64 ns; below, slots of 2 ns */
#define VFT_HIST_OCTAVES   31u
#define VFT_HIST_SLOTS	   (VFT_HIST_SUB + VFT_HIST_OCTAVES * VFT_HIST_SUB)

static inline unsigned int vft_log2(unsigned long long v)
{
	unsigned int shift, r;

	r = (v > 0xffffffffULL) << 5;
	v >>= r;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (unsigned int)(v >> 1);
}

static inline unsigned int vft_hist_slot(unsigned long long ns)
{
	unsigned int top, slot;

	if (ns < (1ULL << VFT_HIST_MIN_SHIFT))
		return (unsigned int)(ns >> 1);
	top = vft_log2(ns);
	slot = (top - VFT_HIST_MIN_SHIFT + 1) * VFT_HIST_SUB +
	       (unsigned int)((ns >> (top - VFT_HIST_SUB_SHIFT)) & (VFT_HIST_SUB - 1));
	return slot < VFT_HIST_SLOTS ? slot : VFT_HIST_SLOTS - 1;
}

/* The smallest value that falls into @slot. */
static inline unsigned long long vft_hist_low(unsigned int slot)
{
	unsigned int octave = slot / VFT_HIST_SUB;

	if (!octave)
		return (unsigned long long)slot << 1;
	return (unsigned long long)(VFT_HIST_SUB + slot % VFT_HIST_SUB) << octave;
}

/* The slot's middle: what stands for its values. */
static inline unsigned long long vft_hist_middle(unsigned int slot)
{
	return (vft_hist_low(slot) + vft_hist_low(slot + 1)) / 2;
}

#endif

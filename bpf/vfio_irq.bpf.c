// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When did the interrupt arrive, with the PF on vfio-pci? vfio_msihandler() runs in the hard interrupt and signals the eventfd that the
 * engine waits for. The times of the last interrupts are kept; admin_complete looks for the last one before its wake-up.
 * Interrupts of other VFIO devices stand in the same list: on a machine with many the split is a guess, and says "at most".
 */
#include "rows.bpf.h"

static __always_inline int interrupt(void)
{
	const __u32 zero = 0;
	struct vft_irqs *seen = bpf_map_lookup_elem(&irqs, &zero);

	if (!seen)
		return 0;
	/* Two processors at once may share a place: of two interrupts a few nanoseconds apart one time is kept; both are counted. */
	seen->at_ns[seen->count & (VFT_IRQS - 1)] = bpf_ktime_get_ns();
	__sync_fetch_and_add(&seen->count, 1);
	return 0;
}

SEC("fentry/vfio_msihandler")
int BPF_PROG(msi_fentry)
{
	return interrupt();
}

SEC("kprobe/vfio_msihandler")
int BPF_KPROBE(msi_kprobe)
{
	return interrupt();
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

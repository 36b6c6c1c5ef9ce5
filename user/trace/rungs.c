// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rungs of the ladder that stand in the kernel: its admin queue, its io_uring, VFIO's interrupts. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/uring_cmd.h>
#include "trace/tracer.h"

#define NO_BTF \
	"no type information (BTF) of this kernel: it needs one with CONFIG_DEBUG_INFO_BTF, and /sys/kernel/btf"

struct vft_rung *vft_rung(struct vft_tracer *tracer, const char *name, enum vft_rung_state state,
			  const char *why)
{
	struct vft_rung *rung = &tracer->rungs[tracer->rung_count];

	if (tracer->rung_count < VFT_RUNGS_MAX - 1)
		tracer->rung_count++;
	rung->name = name;
	rung->state = state;
	snprintf(rung->why, sizeof(rung->why), "%s", why);
	return rung;
}

/* Rows, events and losses are one set of maps for all objects. */
static int share_maps(struct vft_tracer *tracer, struct bpf_object *object)
{
	static const char *const names[] = { "rows",  "blank", "events", "lost",
					     "rings", "irqs",  "shares" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, names[i]);
		struct bpf_map *from = bpf_object__find_map_by_name(tracer->usdt->obj, names[i]);
		int ret;

		if (!map || !from)
			continue;
		ret = bpf_map__reuse_fd(map, bpf_map__fd(from));
		if (ret)
			return ret;
	}
	return 0;
}

/* The kernel's admin queue: by fentry, else by kprobe, else not at all. */
static bool try_queue(struct vft_tracer *tracer, bool fentry, char *why, size_t room)
{
	struct kernel_aq_bpf *queue = kernel_aq_bpf__open();
	bool done = fentry ? tracer->types.done : vft_kernel_has_symbol("vp_modern_avq_done");
	int ret;

	if (!queue) {
		snprintf(why, room, "%s", strerror(errno));
		return false;
	}
	SET_FILTER(queue, &tracer->filter);
	bpf_program__set_autoload(queue->progs.exec_fentry, fentry);
	bpf_program__set_autoload(queue->progs.exec_fexit, fentry);
	bpf_program__set_autoload(queue->progs.done_fentry, fentry && done);
	bpf_program__set_autoload(queue->progs.exec_kprobe, !fentry);
	bpf_program__set_autoload(queue->progs.exec_kretprobe, !fentry);
	bpf_program__set_autoload(queue->progs.done_kprobe, !fentry && done);
	ret = share_maps(tracer, queue->obj);
	if (!ret)
		ret = kernel_aq_bpf__load(queue);
	if (!ret)
		ret = kernel_aq_bpf__attach(queue);
	if (ret) {
		snprintf(why, room, "%s%s", strerror(-ret),
			 ret == -EPERM && !strcmp(tracer->kernel.lockdown, "confidentiality")
				 ? " (the kernel is locked down: confidentiality)"
			 : ret == -EPERM		    ? " (this kernel does not allow it)"
			 : ret == -ENOENT || ret == -ENODEV ? " (not built into this kernel)"
							    : "");
		kernel_aq_bpf__destroy(queue);
		return false;
	}
	tracer->queue = queue;
	return true;
}

void vft_load_queue(struct vft_tracer *tracer)
{
	static const char target[] = "vp_modern_admin_cmd_exec";
	char why[160] = "";

	if (!tracer->filter.kernel) {
		vft_rung(tracer, "kernel admin queue", VFT_RUNG_OFF, "not asked for");
		return;
	}
	if (!vft_kernel_has_symbol(target)) {
		vft_rung(
			tracer, "kernel admin queue", VFT_RUNG_ABSENT,
			"this kernel has no virtio_pci admin queue, or its module is not loaded (6.8 and later have it)");
		return;
	}
	if (!tracer->types.btf) {
		vft_rung(tracer, "kernel admin queue", VFT_RUNG_ABSENT, NO_BTF);
		return;
	}
	if (getenv("VFERRY_NO_FENTRY")) {
		vft_rung(tracer, "kernel admin queue by fentry", VFT_RUNG_OFF, "VFERRY_NO_FENTRY");
	} else if (tracer->types.exec) {
		if (try_queue(tracer, true, why, sizeof(why))) {
			vft_rung(tracer, "kernel admin queue by fentry", VFT_RUNG_OK, "");
			return;
		}
		vft_rung(tracer, "kernel admin queue by fentry", VFT_RUNG_FAILED, why);
	} else {
		vft_rung(tracer, "kernel admin queue by fentry", VFT_RUNG_ABSENT,
			 "no type information (BTF) for it");
	}
	if (try_queue(tracer, false, why, sizeof(why)))
		vft_rung(tracer, "kernel admin queue by kprobe", VFT_RUNG_OK, "");
	else
		vft_rung(tracer, "kernel admin queue by kprobe", VFT_RUNG_FAILED, why);
}

void vft_load_ring(struct vft_tracer *tracer)
{
	bool req = tracer->types.submit_req;
	int complete = tracer->types.complete;
	struct ring_bpf *ring;
	int ret;

	if (!tracer->filter.ring) {
		vft_rung(tracer, "io_uring", VFT_RUNG_OFF, "not asked for (--ring)");
		return;
	}
	if (complete < 0) {
		vft_rung(tracer, "io_uring", VFT_RUNG_ABSENT, NO_BTF);
		return;
	}
	ring = ring_bpf__open();
	if (!ring) {
		vft_rung(tracer, "io_uring", VFT_RUNG_FAILED, strerror(errno));
		return;
	}
	SET_FILTER(ring, &tracer->filter);
	bpf_program__set_autoload(ring->progs.submit_req, req);
	bpf_program__set_autoload(ring->progs.submit_sqe, !req);
	bpf_program__set_autoload(ring->progs.complete_scalars, complete > 3);
	bpf_program__set_autoload(ring->progs.complete_entry, complete == 3);
	ret = share_maps(tracer, ring->obj);
	if (!ret)
		ret = ring_bpf__load(ring);
	if (!ret)
		ret = ring_bpf__attach(ring);
	if (ret) {
		vft_rung(tracer, "io_uring", VFT_RUNG_FAILED, strerror(-ret));
		ring_bpf__destroy(ring);
		return;
	}
	tracer->ring = ring;
	vft_rung(tracer, "io_uring", VFT_RUNG_OK, "");
}

static bool try_irq(struct vft_tracer *tracer, bool fentry, char *why, size_t room)
{
	struct vfio_irq_bpf *irq = vfio_irq_bpf__open();
	int ret;

	if (!irq) {
		snprintf(why, room, "%s", strerror(errno));
		return false;
	}
	bpf_program__set_autoload(irq->progs.msi_fentry, fentry);
	bpf_program__set_autoload(irq->progs.msi_kprobe, !fentry);
	ret = share_maps(tracer, irq->obj);
	if (!ret)
		ret = vfio_irq_bpf__load(irq);
	if (!ret)
		ret = vfio_irq_bpf__attach(irq);
	if (ret) {
		snprintf(why, room, "%s", strerror(-ret));
		vfio_irq_bpf__destroy(irq);
		return false;
	}
	tracer->irq = irq;
	return true;
}

void vft_load_irq(struct vft_tracer *tracer)
{
	char why[160] = "";

	if (!tracer->irq_wanted) {
		vft_rung(
			tracer, "VFIO interrupts", VFT_RUNG_ABSENT,
			"vfio_pci is not loaded: nothing to split at the interrupt (load it first)");
		return;
	}
	if (!getenv("VFERRY_NO_FENTRY") && try_irq(tracer, true, why, sizeof(why)))
		vft_rung(tracer, "VFIO interrupts by fentry", VFT_RUNG_OK, "");
	else if (try_irq(tracer, false, why, sizeof(why)))
		vft_rung(tracer, "VFIO interrupts by kprobe", VFT_RUNG_OK, "");
	else
		vft_rung(tracer, "VFIO interrupts", VFT_RUNG_FAILED, why);
}

/* The character device's major number, 0 without: the kernel gives any that is free. */
static unsigned int major_of(const char *name)
{
	FILE *file = fopen("/proc/devices", "re");
	unsigned int major = 0, number;
	char line[128], found[64];

	while (file && !major && fgets(line, sizeof(line), file) && strncmp(line, "Block", 5))
		if (sscanf(line, "%u %63s", &number, found) == 2 && !strcmp(found, name))
			major = number;
	if (file)
		fclose(file);
	return major;
}

void vft_load_uring(struct vft_tracer *tracer)
{
	bool req = tracer->types.submit_req;
	int complete = tracer->types.complete, ret;
	unsigned int major = major_of("vferry");
	const char *name =
		tracer->filter.any_uring ? "URING_CMD of any file" : "URING_CMD of /dev/vferry";
	struct uring_cmd_bpf *uring;

	if (!tracer->filter.uring) {
		vft_rung(tracer, name, VFT_RUNG_OFF, "not asked for");
		return;
	}
	if (!major && !tracer->filter.any_uring) {
		vft_rung(tracer, name, VFT_RUNG_ABSENT,
			 "the module vferry_vfio_pci is not loaded (load it first)");
		return;
	}
	if (complete < 0) {
		vft_rung(tracer, name, VFT_RUNG_ABSENT, NO_BTF);
		return;
	}
	uring = uring_cmd_bpf__open();
	if (!uring) {
		vft_rung(tracer, name, VFT_RUNG_FAILED, strerror(errno));
		return;
	}
	SET_FILTER(uring, &tracer->filter);
	uring->rodata->vferry_major = major;
	uring->rodata->vferry_admin = VFERRY_URING_ADMIN;
	uring->rodata->want_other = tracer->filter.any_uring;
	bpf_program__set_autoload(uring->progs.submit_req, req);
	bpf_program__set_autoload(uring->progs.submit_sqe, !req);
	bpf_program__set_autoload(uring->progs.complete_scalars, complete > 3);
	bpf_program__set_autoload(uring->progs.complete_entry, complete == 3);
	ret = share_maps(tracer, uring->obj);
	if (!ret)
		ret = uring_cmd_bpf__load(uring);
	if (!ret)
		ret = uring_cmd_bpf__attach(uring);
	if (ret) {
		vft_rung(tracer, name, VFT_RUNG_FAILED, strerror(-ret));
		uring_cmd_bpf__destroy(uring);
		return;
	}
	tracer->uring = uring;
	vft_rung(tracer, name, VFT_RUNG_OK, "");
}

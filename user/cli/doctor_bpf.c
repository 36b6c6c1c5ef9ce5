// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What vferry trace and profile can attach to. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "cli/doctor.h"
#include "trace/attach.h"

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void btf(struct doctor *doctor)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		doctor_say(doctor, "btf", DOCTOR_OK, NULL, "/sys/kernel/btf/vmlinux is there");
	else
		doctor_say(
			doctor, "btf", DOCTOR_WARN, NULL,
			"no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF): no kernel-side probes");
}

static void lockdown(struct doctor *doctor)
{
	char line[64] = "";

	doctor_line("/sys/kernel/security/lockdown", line, sizeof(line));
	if (strstr(line, "[confidentiality]"))
		doctor_say(doctor, "lockdown", DOCTOR_MISSING,
			   "boot without lockdown=confidentiality",
			   "confidentiality: BPF may not read kernel memory");
	else if (strstr(line, "[integrity]"))
		doctor_say(doctor, "lockdown", DOCTOR_WARN, NULL,
			   "integrity: some probes may be refused; vferry trace says which");
	else
		doctor_say(doctor, "lockdown", DOCTOR_OK, NULL, "none");
}

static void programs(struct doctor *doctor)
{
	int tracing = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL);
	int ring = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL);
	char strict[16] = "";

	if (tracing == 1 && ring == 1) {
		doctor_say(doctor, "bpf", DOCTOR_OK, NULL,
			   "tracing programs load, ring buffers are there");
		return;
	}
	doctor_line("/proc/sys/kernel/unprivileged_bpf_disabled", strict, sizeof(strict));
	if (geteuid())
		doctor_say(doctor, "bpf", DOCTOR_MISSING,
			   "sudo, or: setcap cap_bpf,cap_perfmon+ep $(command -v vferry)",
			   "tracing programs may not be loaded by this user");
	else
		doctor_say(doctor, "bpf", DOCTOR_MISSING, NULL, "tracing programs do not load (%s)",
			   tracing < 0 ? strerror(-tracing)
			   : ring == 1 ? "not in this kernel"
				       : "no BPF ring buffer");
}

static void uprobes(struct doctor *doctor)
{
	if (!access("/sys/bus/event_source/devices/uprobe/type", R_OK))
		doctor_say(doctor, "uprobes", DOCTOR_OK, NULL,
			   "there: the probes of vferry's programs can be attached to");
	else
		doctor_say(
			doctor, "uprobes", DOCTOR_MISSING, NULL,
			"no uprobes (CONFIG_UPROBE_EVENTS): the probes of vferry's programs cannot be attached to");
}

/* What vferry trace would try, and what came of it here. */
static void ladder(struct doctor *doctor)
{
	struct vft_filter filter = { .engine = true,
				     .device = true,
				     .kernel = true,
				     .ring = true,
				     .uring = true,
				     .rows = 16 };
	struct vft_tracer *tracer;
	struct vferry_error err;
	const struct vft_rung *rungs;
	unsigned int count;

	if (vft_tracer_open(&tracer, &filter, &err)) {
		doctor_say(doctor, "vferry trace", DOCTOR_MISSING, NULL, "%s", err.text);
		return;
	}
	rungs = vft_tracer_rungs(tracer, &count);
	for (unsigned int i = 0; i < count; i++) {
		bool works = rungs[i].state == VFT_RUNG_OK;

		doctor_say(doctor, "probe", works ? DOCTOR_OK : DOCTOR_WARN, NULL, "%s%s%s",
			   rungs[i].name,
			   *rungs[i].why ? ": "
			   : works	 ? ": loads"
					 : ": not there",
			   rungs[i].why);
	}
	vft_tracer_close(tracer);
}

void doctor_bpf(struct doctor *doctor)
{
	libbpf_print_fn_t before = libbpf_set_print(quiet);

	doctor->group = "Tracing";
	btf(doctor);
	lockdown(doctor);
	programs(doctor);
	uprobes(doctor);
	ladder(doctor);
	libbpf_set_print(before);
}

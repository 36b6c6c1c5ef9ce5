// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel, memory and rights. */
#include <inttypes.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cli/doctor.h"

#define ARENA_BYTES (64ull << 20)

static void kernel(struct doctor *doctor)
{
	unsigned int major = 0, minor = 0;
	struct utsname host;

	uname(&host);
	sscanf(host.release, "%u.%u", &major, &minor);
	if (major > 6 || (major == 6 && minor >= 1))
		doctor_say(doctor, "kernel", DOCTOR_OK, NULL, "Linux %s, %s", host.release,
			   host.machine);
	else
		doctor_say(doctor, "kernel", DOCTOR_WARN, NULL,
			   "Linux %s: older than 6.1, the oldest that vferry is tried on",
			   host.release);
}

static bool has_capability(cap_value_t capability)
{
	cap_t mine = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (!mine)
		return false;
	cap_get_flag(mine, capability, CAP_EFFECTIVE, &value);
	cap_free(mine);
	return value == CAP_SET;
}

static void memlock(struct doctor *doctor)
{
	struct rlimit limit = { 0 };
	char text[64];

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (has_capability(CAP_IPC_LOCK)) {
		doctor_say(doctor, "memlock", DOCTOR_OK, NULL,
			   "no limit counts, thanks to cap_ipc_lock");
		return;
	}
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= 2 * ARENA_BYTES) {
		doctor_say(doctor, "memlock", DOCTOR_OK, NULL,
			   "enough for the 64 MiB arena, registered and mapped for DMA");
		return;
	}
	cli_format_value(text, sizeof(text), CLI_BYTES, limit.rlim_cur);
	doctor_say(
		doctor, "memlock", DOCTOR_WARN,
		limit.rlim_max >= 2 * ARENA_BYTES
			? "ulimit -l 131072"
			: "LimitMEMLOCK=infinity in the service, or memlock in /etc/security/limits.conf",
		"limit %s: the 64 MiB arena is counted once for io_uring and once for VFIO. Without room io_uring "
		"goes without registered buffers; VFIO does not work",
		text);
}

static void huge_pages(struct doctor *doctor)
{
	uint64_t total = 0, free = 0, size_kib = 0;
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "HugePages_Total: %" SCNu64, &total);
		sscanf(line, "HugePages_Free: %" SCNu64, &free);
		sscanf(line, "Hugepagesize: %" SCNu64, &size_kib);
	}
	if (file)
		fclose(file);
	if (free * size_kib * 1024 >= ARENA_BYTES)
		doctor_say(doctor, "huge pages", DOCTOR_OK, NULL,
			   "%" PRIu64 " of %" PRIu64 " free, %" PRIu64 " KiB each", free, total,
			   size_kib);
	else
		doctor_say(doctor, "huge pages", DOCTOR_WARN, "sysctl -w vm.nr_hugepages=32",
			   "%" PRIu64
			   " free: the arena takes small pages; pinning and DMA mappings cost more",
			   free);
}

static void capabilities(struct doctor *doctor)
{
	static const struct {
		cap_value_t value;
		const char *name;
		const char *what;
	} wanted[] = {
		{ CAP_SYS_ADMIN, "cap_sys_admin", "binding PFs, enabling VFs" },
		{ CAP_IPC_LOCK, "cap_ipc_lock", "pinning beyond the memlock limit" },
		{ CAP_BPF, "cap_bpf", "vferry trace, vferry profile" },
		{ CAP_PERFMON, "cap_perfmon", "vferry trace, vferry profile" },
	};
	char have[128] = "", lack[256] = "";

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t at = strlen(have), gap = strlen(lack);

		if (has_capability(wanted[i].value))
			snprintf(have + at, sizeof(have) - at, "%s%s", at ? ", " : "",
				 wanted[i].name);
		else
			snprintf(lack + gap, sizeof(lack) - gap, "%s%s (%s)", gap ? ", " : "",
				 wanted[i].name, wanted[i].what);
	}
	if (!*lack)
		doctor_say(doctor, "capabilities", DOCTOR_OK, NULL, "%s", have);
	else
		doctor_say(
			doctor, "capabilities", DOCTOR_WARN,
			"sudo, or: setcap cap_bpf,cap_perfmon,cap_ipc_lock+ep $(command -v vferry)",
			"without %s", lack);
}

void doctor_host(struct doctor *doctor)
{
	doctor->group = "Host";
	kernel(doctor);
	memlock(doctor);
	huge_pages(doctor);
	capabilities(doctor);
}

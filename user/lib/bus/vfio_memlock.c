// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Memory that a device may see is locked: it counts against RLIMIT_MEMLOCK, for each process by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include "bus/vfio_group.h"

static bool may_lock(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, CAP_IPC_LOCK, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

static uint64_t locked_now(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "VmLck: %llu", &kib) == 1)
			break;
	}
	if (status)
		fclose(status);
	return kib * 1024;
}

int vf_vfio_memlock(const char *name, uint64_t more, struct vferry_error *err)
{
	struct rlimit limit;
	uint64_t now, need;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY || may_lock())
		return 0;
	now = locked_now();
	need = now + more;
	if (need <= limit.rlim_cur)
		return 0;
	return vferry_fail(
		err, -ENOMEM,
		"vfio:%s: the device is to see %llu KiB of memory, %llu KiB are locked already, and "
		"RLIMIT_MEMLOCK allows %llu KiB: ulimit -l %llu (LimitMEMLOCK= in a service), or "
		"CAP_IPC_LOCK",
		name, (unsigned long long)more >> 10, (unsigned long long)now >> 10,
		(unsigned long long)limit.rlim_cur >> 10, (unsigned long long)(need + 1023) >> 10);
}

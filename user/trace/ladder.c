// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "trace/ladder.h"

void vft_kernel_lockdown(struct vft_kernel *kernel)
{
	char *out = kernel->lockdown;
	const size_t room = sizeof(kernel->lockdown);
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128], *begin, *end;

	snprintf(out, room, "unknown");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file) && (begin = strchr(line, '[')) &&
	    (end = strchr(begin, ']'))) {
		*end = 0;
		snprintf(out, room, "%s", begin + 1);
	}
	fclose(file);
}

int vft_kernel_open(struct vft_kernel *kernel)
{
	kernel->btf = btf__load_vmlinux_btf();
	if (kernel->btf && libbpf_get_error(kernel->btf))
		kernel->btf = NULL;
	vft_kernel_lockdown(kernel);
	return kernel->btf ? 0 : -ENOENT;
}

void vft_kernel_close(struct vft_kernel *kernel)
{
	btf__free(kernel->btf);
	kernel->btf = NULL;
}

bool vft_kernel_has_function(const struct vft_kernel *kernel, const char *name)
{
	return kernel->btf && btf__find_by_name_kind(kernel->btf, name, BTF_KIND_FUNC) > 0;
}

bool vft_kernel_has_symbol(const char *name)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	size_t length = strlen(name);
	char line[512];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		char *symbol = strchr(line, ' ');

		if (symbol && (symbol = strchr(symbol + 1, ' ')))
			found = !strncmp(symbol + 1, name, length) &&
				strchr("\n\t ", symbol[1 + length]);
	}
	fclose(file);
	return found;
}

/* PROC_PID_INIT_INO of the kernel: the inode of its first pid namespace. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCU

bool vft_own_pids(void)
{
	struct stat file;

	return !stat("/proc/self/ns/pid", &file) && file.st_ino == FIRST_PID_NAMESPACE;
}

int vft_kernel_tracepoint_args(const struct vft_kernel *kernel, const char *name)
{
	const struct btf_type *type;
	char full[128];
	int id;

	if (!kernel->btf)
		return -1;
	snprintf(full, sizeof(full), "btf_trace_%s", name);
	id = btf__find_by_name_kind(kernel->btf, full, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -1;
	/* typedef -> pointer -> prototype, whose first parameter is the context */
	type = btf__type_by_id(kernel->btf, (__u32)id);
	type = type ? btf__type_by_id(kernel->btf, type->type) : NULL;
	type = type && btf_is_ptr(type) ? btf__type_by_id(kernel->btf, type->type) : NULL;
	if (!type || !btf_is_func_proto(type))
		return -1;
	return (int)btf_vlen(type) - 1;
}

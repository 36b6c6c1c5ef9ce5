/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An engine that was started without us: its USDT probes, as a side of a profile. */
#ifndef PROF_PROBES_H
#define PROF_PROBES_H

#include <json-c/json.h>
#include <stdint.h>
#include <sys/types.h>
#include <vferry/error.h>

struct prof_probes;

int prof_probes_open(struct prof_probes **probes, pid_t pid, struct vferry_error *err);
int prof_probes_fd(const struct prof_probes *probes);
void prof_probes_read(struct prof_probes *probes);
/** prof_probes_result() - a side for each role the process has played. */
void prof_probes_result(struct prof_probes *probes, struct json_object *sides);
void prof_probes_close(struct prof_probes *probes);

/** prof_boot_id() - tells this host's clock since its boot from every other. */
void prof_boot_id(char text[64]);
/** prof_now_ns() - the kernel's own monotonic clock, without what our time namespace adds. */
int64_t prof_now_ns(void);
/** prof_namespace_ns() - what its time namespace adds to the monotonic clock of @pid. */
int64_t prof_namespace_ns(pid_t pid);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Prometheus text for node_exporter's textfile collector: bounded labels, base units, written atomically. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vferry/admin.h>
#include "trace/trace.h"

/* Bucket bounds in nanoseconds: powers of two of the histogram's octaves, 1 us to 34 s. */
#define FIRST_BOUND 1024ULL
#define BOUNDS	    26u

/* No dialect and no process has more names: opcodes below 64 twice, those of the module, and all others. */
#define SUMS 160u

struct sum {
	struct vft_row row;
	char name[32];
};

static bool has_engine(const struct vft_table *table, __u32 tgid)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (table->entries[i].key.tgid == tgid &&
		    table->entries[i].key.source == VFT_ENGINE)
			return true;
	return false;
}

/* One line for an owner's VF: the word of the user with the lowest id counts, so root's is the last. */
static bool overruled(const struct vft_modes *modes, const struct vft_vf *vf)
{
	for (unsigned int i = 0; i < modes->count; i++) {
		const struct vft_vf *other = &modes->vfs[i];

		if (other->source != VFT_DEVICE && other->mode != VFT_MODE_UNKNOWN &&
		    other->owner == vf->owner && other->member == vf->member &&
		    other->uid < vf->uid)
			return true;
	}
	return false;
}

/* Labels are opcodes only: rows of all processes and members come together. */
static unsigned int fold(const struct vft_table *table, struct sum *sums, unsigned int room)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < table->count; i++) {
		const struct vft_entry *entry = &table->entries[i];
		const char *name;
		unsigned int at;
		char text[24];

		/* Another view of the same commands would count them twice. */
		if (entry->key.source == VFT_DEVICE || entry->key.source == VFT_URING_OTHER ||
		    (entry->key.source == VFT_URING && has_engine(table, entry->key.tgid)))
			continue;
		name = vft_opcode_label(entry->key.source, entry->key.opcode, text, sizeof(text));
		for (at = 0; at < count && strcmp(sums[at].name, name); at++)
			;
		if (at == room)
			continue;
		if (at == count)
			snprintf(sums[count++].name, sizeof(sums->name), "%s", name);
		sums[at].row.count += entry->row.count;
		sums[at].row.sum_ns += entry->row.sum_ns;
		for (unsigned int s = 0; s < VFT_STATUSES; s++)
			sums[at].row.status[s] += entry->row.status[s];
		for (unsigned int s = 0; s < VFT_HIST_SLOTS; s++)
			sums[at].row.hist[s] += entry->row.hist[s];
	}
	return count;
}

static void durations(FILE *file, const struct sum *sums, unsigned int count)
{
	fprintf(file,
		"# HELP vferry_admin_command_duration_seconds Admin commands, from hand-over to answer.\n"
		"# TYPE vferry_admin_command_duration_seconds histogram\n");
	for (unsigned int i = 0; i < count; i++) {
		const char *name = sums[i].name;
		unsigned int slot = 0;
		__u64 seen = 0;

		for (unsigned int b = 0; b < BOUNDS; b++) {
			__u64 bound = FIRST_BOUND << b;

			while (slot < VFT_HIST_SLOTS && vft_hist_low(slot + 1) <= bound)
				seen += sums[i].row.hist[slot++];
			fprintf(file,
				"vferry_admin_command_duration_seconds_bucket{opcode=\"%s\",le=\"%.9g\"} %llu\n",
				name, (double)bound / 1e9, (unsigned long long)seen);
		}
		fprintf(file,
			"vferry_admin_command_duration_seconds_bucket{opcode=\"%s\",le=\"+Inf\"} %llu\n"
			"vferry_admin_command_duration_seconds_sum{opcode=\"%s\"} %.9f\n"
			"vferry_admin_command_duration_seconds_count{opcode=\"%s\"} %llu\n",
			name, (unsigned long long)sums[i].row.count, name,
			(double)sums[i].row.sum_ns / 1e9, name,
			(unsigned long long)sums[i].row.count);
	}
}

static void failures(FILE *file, const struct sum *sums, unsigned int count)
{
	fprintf(file,
		"# HELP vferry_admin_command_errors_total Admin commands by the error they were answered with.\n"
		"# TYPE vferry_admin_command_errors_total counter\n");
	for (unsigned int i = 0; i < count; i++) {
		const char *name = sums[i].name;

		for (unsigned int s = VFT_OK + 1; s < VFT_STATUSES; s++)
			if (sums[i].row.status[s])
				fprintf(file,
					"vferry_admin_command_errors_total{opcode=\"%s\",status=\"%s\"} %llu\n",
					name, vft_status_label(s),
					(unsigned long long)sums[i].row.status[s]);
	}
}

static void modes_and_losses(FILE *file, const struct vft_modes *modes, const __u64 *lost)
{
	static const char *const probes[VFT_LOSTS] = { "events", "rows", "arguments", "pairs",
						       "modes" };

	fprintf(file, "# HELP vferry_device_mode Mode of a VF: 0 active, 1 stop, 2 freeze.\n"
		      "# TYPE vferry_device_mode gauge\n");
	for (unsigned int i = 0; i < modes->count; i++) {
		const struct vft_vf *vf = &modes->vfs[i];

		if (vf->source != VFT_DEVICE && vf->mode != VFT_MODE_UNKNOWN &&
		    !overruled(modes, vf))
			fprintf(file, "vferry_device_mode{owner=\"%016llx\",vf=\"%llu\"} %u\n",
				(unsigned long long)vf->owner, (unsigned long long)vf->member,
				vf->mode);
	}
	fprintf(file, "# HELP vferry_trace_events_lost_total What the tracer did not see.\n"
		      "# TYPE vferry_trace_events_lost_total counter\n");
	for (unsigned int i = 0; i < VFT_LOSTS; i++)
		fprintf(file, "vferry_trace_events_lost_total{probe=\"%s\"} %llu\n", probes[i],
			(unsigned long long)lost[i]);
}

int vft_metrics_write(const char *path, const struct vft_table *table,
		      const struct vft_modes *modes, const __u64 *lost, struct vferry_error *err)
{
	struct sum *sums = calloc(SUMS, sizeof(*sums));
	char temporary[4096];
	unsigned int count;
	FILE *file;
	int ret = 0;

	if (!sums)
		return vferry_fail(err, -ENOMEM, "no memory for %s", path);
	snprintf(temporary, sizeof(temporary), "%s.%d.tmp", path, getpid());
	file = fopen(temporary, "we");
	if (!file) {
		ret = -errno;
		free(sums);
		return vferry_fail(err, ret, "cannot write %s: %s", temporary, strerror(-ret));
	}
	count = fold(table, sums, SUMS);
	durations(file, sums, count);
	failures(file, sums, count);
	modes_and_losses(file, modes, lost);
	if (fflush(file) || ferror(file))
		ret = errno ? -errno : -EIO;
	if (fclose(file) && !ret)
		ret = -errno;
	if (!ret && rename(temporary, path))
		ret = -errno;
	free(sums);
	if (!ret)
		return 0;
	unlink(temporary);
	return vferry_fail(
		err, ret, "cannot write the metrics to %s: %s; the file there is as it was%s", path,
		strerror(-ret),
		ret == -ENOSPC || ret == -EDQUOT ? ". Make room there, or name a file elsewhere"
						 : "");
}

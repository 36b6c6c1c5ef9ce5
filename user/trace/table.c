// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include <vferry/uring_cmd.h>
#include "trace/table.h"

static int compare_keys(const struct vft_key *a, const struct vft_key *b)
{
	if (a->tgid != b->tgid)
		return a->tgid < b->tgid ? -1 : 1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	return (a->opcode > b->opcode) - (a->opcode < b->opcode);
}

static int compare_entries(const void *a, const void *b)
{
	return compare_keys(&((const struct vft_entry *)a)->key,
			    &((const struct vft_entry *)b)->key);
}

static void sort(struct vft_table *table)
{
	if (table->count)
		qsort(table->entries, table->count, sizeof(*table->entries), compare_entries);
}

static struct vft_entry *grow(struct vft_table *table)
{
	if (table->count == table->room) {
		unsigned int room = table->room ? table->room * 2 : 16;
		struct vft_entry *entries = realloc(table->entries, room * sizeof(*entries));

		if (!entries)
			return NULL;
		table->entries = entries;
		table->room = room;
	}
	memset(&table->entries[table->count], 0, sizeof(*table->entries));
	return &table->entries[table->count++];
}

static void add_row(struct vft_row *sum, const struct vft_row *share)
{
	sum->count += share->count;
	sum->sum_ns += share->sum_ns;
	if (share->max_ns > sum->max_ns)
		sum->max_ns = share->max_ns;
	sum->wait_ns += share->wait_ns;
	sum->device_ns += share->device_ns;
	sum->reap_ns += share->reap_ns;
	sum->split += share->split;
	sum->irq_split += share->irq_split;
	sum->irq_device_ns += share->irq_device_ns;
	sum->irq_wake_ns += share->irq_wake_ns;
	sum->bytes += share->bytes;
	sum->retries += share->retries;
	for (unsigned int i = 0; i < VFT_STATUSES; i++)
		sum->status[i] += share->status[i];
	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++)
		sum->hist[i] += share->hist[i];
	if (!sum->comm[0])
		memcpy(sum->comm, share->comm, sizeof(sum->comm));
}

static void look_at_process(struct vft_entry *entry)
{
	snprintf(entry->process, sizeof(entry->process), "%.*s", VFT_COMM,
		 entry->row.comm[0] ? entry->row.comm : "?");
	vft_clean(entry->process);
	entry->alive = entry->key.tgid && (!kill((pid_t)entry->key.tgid, 0) || errno == EPERM);
}

int vft_table_read(struct vft_table *table, int fd)
{
	int processors = libbpf_num_possible_cpus();
	struct vft_key key, next, *at = NULL;
	struct vft_row *shares;

	table->count = 0;
	if (processors <= 0)
		return -EINVAL;
	shares = calloc((size_t)processors, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, at, &next)) {
		struct vft_entry *entry;

		key = next;
		at = &key;
		if (bpf_map_lookup_elem(fd, &key, shares))
			continue;
		entry = grow(table);
		if (!entry) {
			free(shares);
			return -ENOMEM;
		}
		entry->key = key;
		for (int cpu = 0; cpu < processors; cpu++)
			add_row(&entry->row, &shares[cpu]);
		look_at_process(entry);
	}
	free(shares);
	sort(table);
	return 0;
}

/* More rows than this of ended processes are not kept apart: those that ended first come together. */
#define ENDED_ROWS 2048

/* The entry of @key among the first @among, else a new one. */
static struct vft_entry *place(struct vft_table *table, const struct vft_key *key,
			       unsigned int among)
{
	struct vft_entry *entry;

	for (unsigned int i = 0; i < among; i++)
		if (!compare_keys(&table->entries[i].key, key))
			return &table->entries[i];
	entry = grow(table);
	if (entry)
		entry->key = *key;
	return entry;
}

int vft_table_add(struct vft_table *table, const struct vft_table *from)
{
	const unsigned int had = table->count;

	for (unsigned int i = 0; i < from->count; i++) {
		const struct vft_entry *one = &from->entries[i];
		struct vft_entry *sum = place(table, &one->key, had);

		if (!sum)
			return -ENOMEM;
		add_row(&sum->row, &one->row);
		memcpy(sum->process, one->process, sizeof(sum->process));
		sum->alive = sum->alive || one->alive;
	}
	sort(table);
	return 0;
}

/* The half of them that ended first become one row for each command, of no process in particular. Rows stand in the order of their end. */
static int fold(struct vft_table *table)
{
	struct vft_table old = *table;
	unsigned int half = old.count / 2;
	int ret = 0;

	*table = (struct vft_table){ 0 };
	for (unsigned int i = 0; i < old.count && !ret; i++) {
		const struct vft_entry *one = &old.entries[i];
		struct vft_key key = { .source = one->key.source, .opcode = one->key.opcode };
		struct vft_entry *sum = place(table, i < half ? &key : &one->key, table->count);

		ret = sum ? 0 : -ENOMEM;
		if (!sum)
			continue;
		add_row(&sum->row, &one->row);
		if (i >= half)
			memcpy(sum->process, one->process, sizeof(sum->process));
	}
	vft_table_free(&old);
	return ret;
}

int vft_table_take(struct vft_table *ended, struct vft_table *from, const struct vft_table *before,
		   void (*forget)(void *arg, const struct vft_key *key), void *arg)
{
	unsigned int kept = 0;
	int ret = 0;

	for (unsigned int i = 0; i < from->count; i++) {
		struct vft_entry *entry = &from->entries[i], *sum = NULL;
		/* What it did between the reading of its row and its end is in the row by now. */
		const struct vft_entry *old =
			before->count && entry->key.tgid && !entry->alive
				? bsearch(entry, before->entries, before->count,
					  sizeof(*before->entries), compare_entries)
				: NULL;

		if (old && !old->alive && !ret) {
			sum = place(ended, &entry->key, ended->count);
			ret = sum ? 0 : -ENOMEM;
		}
		if (!sum) {
			from->entries[kept++] = *entry;
			continue;
		}
		add_row(&sum->row, &entry->row);
		memcpy(sum->process, entry->process, sizeof(sum->process));
		forget(arg, &entry->key);
	}
	from->count = kept;
	if (!ret && ended->count > ENDED_ROWS)
		ret = fold(ended);
	return ret;
}

static void subtract(struct vft_row *row, const struct vft_row *before)
{
	row->count -= before->count;
	row->sum_ns -= before->sum_ns;
	row->wait_ns -= before->wait_ns;
	row->device_ns -= before->device_ns;
	row->reap_ns -= before->reap_ns;
	row->split -= before->split;
	row->irq_split -= before->irq_split;
	row->irq_device_ns -= before->irq_device_ns;
	row->irq_wake_ns -= before->irq_wake_ns;
	row->bytes -= before->bytes;
	row->retries -= before->retries;
	for (unsigned int i = 0; i < VFT_STATUSES; i++)
		row->status[i] -= before->status[i];
	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++)
		row->hist[i] -= before->hist[i];
}

/* The kernel keeps the maximum since the start; for an interval it is the highest slot that grew. */
static void interval_maximum(struct vft_row *row, __u64 before)
{
	if (row->max_ns > before)
		return;
	for (unsigned int i = VFT_HIST_SLOTS; i-- > 0;) {
		if (row->hist[i]) {
			__u64 high = vft_hist_low(i + 1) - 1;

			if (high < row->max_ns)
				row->max_ns = high;
			return;
		}
	}
}

int vft_table_diff(struct vft_table *out, const struct vft_table *now,
		   const struct vft_table *before)
{
	out->count = 0;
	for (unsigned int i = 0; i < now->count; i++) {
		const struct vft_entry *old =
			before->count ? bsearch(&now->entries[i], before->entries, before->count,
						sizeof(*before->entries), compare_entries)
				      : NULL;
		struct vft_entry *entry;

		if (old && old->row.count == now->entries[i].row.count)
			continue;
		entry = grow(out);
		if (!entry)
			return -ENOMEM;
		*entry = now->entries[i];
		if (old) {
			subtract(&entry->row, &old->row);
			interval_maximum(&entry->row, old->row.max_ns);
		}
	}
	return 0;
}

void vft_clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

void vft_table_free(struct vft_table *table)
{
	free(table->entries);
	*table = (struct vft_table){ 0 };
}

__u64 vft_percentile(const struct vft_row *row, double percent)
{
	__u64 counted = 0, rank, seen = 0;

	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++)
		counted += row->hist[i];
	if (!counted)
		return 0;
	rank = (__u64)((double)counted * percent / 100.0);
	if ((double)rank * 100.0 < (double)counted * percent)
		rank++;
	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++) {
		seen += row->hist[i];
		if (seen >= rank) {
			__u64 middle = vft_hist_middle(i);

			return middle < row->max_ns ? middle : row->max_ns;
		}
	}
	return row->max_ns;
}

__u64 vft_row_errors(const struct vft_row *row)
{
	return row->count - row->status[VFT_OK];
}

const char *vft_status_label(unsigned int status)
{
	static const char *const labels[VFT_STATUSES] = {
		[VFT_OK] = "ok",	 [VFT_ENXIO] = "enxio",	  [VFT_EAGAIN] = "eagain",
		[VFT_ENOMEM] = "enomem", [VFT_EBUSY] = "ebusy",	  [VFT_EINVAL] = "einval",
		[VFT_ENOSPC] = "enospc", [VFT_OTHER] = "unknown", [VFT_NONE] = "no_answer",
	};

	return status < VFT_STATUSES ? labels[status] : "unknown";
}

const char *vft_source_label(unsigned int source)
{
	static const char *const labels[VFT_SOURCES] = {
		[VFT_ENGINE] = "engine",
		[VFT_DEVICE] = "device",
		[VFT_KERNEL] = "kernel",
		[VFT_URING] = "uring-cmd",
		[VFT_URING_OTHER] = "other-uring-cmd",
	};

	return source < VFT_SOURCES ? labels[source] : "unknown";
}

/* The kernel speaks the ratified commands, in which the draft's numbers mean something else. */
static const char *kernel_opcode(unsigned int opcode)
{
	static const char *const names[] = {
		[0x00] = "list_query",
		[0x01] = "list_use",
		[0x02] = "legacy_common_cfg_write",
		[0x03] = "legacy_common_cfg_read",
		[0x04] = "legacy_dev_cfg_write",
		[0x05] = "legacy_dev_cfg_read",
		[0x06] = "legacy_notify_info",
		[0x07] = "cap_id_list_query",
		[0x08] = "device_cap_get",
		[0x09] = "driver_cap_set",
		[0x0a] = "resource_obj_create",
		[0x0d] = "resource_obj_destroy",
		[0x0e] = "dev_parts_metadata_get",
		[0x0f] = "dev_parts_get",
		[0x10] = "dev_parts_set",
		[0x11] = "dev_mode_set",
	};

	return opcode < sizeof(names) / sizeof(names[0]) && names[opcode] ? names[opcode]
									  : "unknown";
}

/* The low half of cmd_op: what the commands that are no admin commands are called. */
static const char *uring_opcode(unsigned int low)
{
	static const struct {
		unsigned int command;
		const char *name;
	} names[] = {
		{ VFERRY_URING_REGISTER, "register" }, { VFERRY_URING_UNREGISTER, "unregister" },
		{ VFERRY_URING_CLAIM, "claim" },       { VFERRY_URING_RELEASE, "release" },
		{ VFERRY_URING_QUERY, "query" },
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((names[i].command & 0xffff) == low)
			return names[i].name;
	return vferry_opcode_name(low);
}

const char *vft_opcode_label(unsigned int source, unsigned int opcode, char *text, size_t room)
{
	const char *name = source == VFT_KERNEL	       ? kernel_opcode(opcode)
			   : source == VFT_URING       ? uring_opcode(opcode)
			   : source == VFT_URING_OTHER ? "unknown"
						       : vferry_opcode_name(opcode);

	if (opcode == VFT_OPCODE_OTHER)
		return "(all others)";
	if (source == VFT_URING_OTHER) {
		snprintf(text, room, "cmd_op ..%04x", opcode);
		return text;
	}
	if (strcmp(name, "unknown"))
		return name;
	snprintf(text, room, "opcode 0x%x", opcode);
	return text;
}

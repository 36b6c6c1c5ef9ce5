/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of latencies as user space sees it: snapshots of the kernel's rows, what came between two of them, percentiles. */
#ifndef VFT_TABLE_H
#define VFT_TABLE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include "bpf/events.h"

struct vft_entry {
	struct vft_key key;
	struct vft_row row;
	char process[VFT_COMM];
	bool alive;
};

struct vft_table {
	struct vft_entry *entries; /* sorted by process, source, member, opcode */
	unsigned int count;
	unsigned int room;
};

/** vft_table_read() - all rows of the map @fd, the processors' shares added up. */
int vft_table_read(struct vft_table *table, int fd);
/** vft_table_diff() - @out becomes what @now has more than @before, rows without a change left out. */
int vft_table_diff(struct vft_table *out, const struct vft_table *now,
		   const struct vft_table *before);
/** vft_table_add() - all rows of @from are added to those of @table. */
int vft_table_add(struct vft_table *table, const struct vft_table *from);
/** vft_table_take() - the rows of @from whose process has ended, and had already ended before: they go to @ended. @forget is told of each. */
int vft_table_take(struct vft_table *ended, struct vft_table *from, const struct vft_table *before,
		   void (*forget)(void *arg, const struct vft_key *key), void *arg);
void vft_table_free(struct vft_table *table);

/**
 * vft_percentile() - latency in nanoseconds below which @percent of the row's commands lie
 *
 * The middle of the histogram's slot, never above the largest value seen: within 1.6% of the true value.
 */
__u64 vft_percentile(const struct vft_row *row, double percent);
/** vft_row_errors() - commands that were answered with another status than OK, or not at all. */
__u64 vft_row_errors(const struct vft_row *row);

static inline void vft_ring_add(struct vft_ring *sum, const struct vft_ring *one)
{
	sum->submitted += one->submitted;
	sum->completed += one->completed;
	sum->failed += one->failed;
	sum->punted += one->punted;
}

/** vft_clean() - @text without what a terminal would obey: a process names itself as it likes. */
void vft_clean(char *text);

const char *vft_status_label(unsigned int status);
const char *vft_source_label(unsigned int source);
/** vft_opcode_label() - name in the dialect that @source speaks, or the number in @text. */
const char *vft_opcode_label(unsigned int source, unsigned int opcode, char *text, size_t room);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hand-off's journal: one small file for each VF and migration and side, in <run dir>/journal. It survives the
 * process and ends with the host, like the state that it describes. Its writer is whoever has the VF on loan.
 *
 * A file has two places for a record, written in turn, each with a sequence number and a check over all of it: a
 * write that is cut by a death leaves the record before it. The file has its full size from the start, so that a full
 * file system cannot stop a later step.
 */
#ifndef VF_JOURNAL_H
#define VF_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <vferry/error.h>
#include <vferry/phase.h>
#include "migrate/messages.h"

#define VF_JOURNAL_BYTES   4096
#define VF_JOURNAL_VERSION 2

enum vf_role {
	VF_ROLE_SOURCE = 1,
	VF_ROLE_DESTINATION = 2,
};

#define VF_JOURNAL_ONE_WAY  0x1 /* a released file: nobody can be asked */
#define VF_JOURNAL_TOGETHER 0x2 /* one of a group (migrate/group.h): @group is its leader's @id */
#define VF_JOURNAL_KEEPS    0x4 /* the device's READ clears, and was begun in Freeze */
#define VF_JOURNAL_KEPT	    0x8 /* all that it had is kept */
#define VF_JOURNAL_HAND_OVER \
	0x10 /* destination: the stream is one that was released to whoever holds it */
#define VF_JOURNAL_NO_VF 0x20 /* REFUSED for an id that was asked for and that nobody knew */

/** struct vf_journal_record - what is known of one VF's migration */
struct vf_journal_record {
	uint8_t id[VF_ID_BYTES];
	uint8_t group[VF_ID_BYTES]; /* the run's: VFs sent together share it */
	uint8_t epoch[16];	    /* of the owner when the journal was opened */
	uint8_t boot[16]; /* of the kernel: another one means that the device's copies are gone */
	uint8_t host
		[VF_ID_BYTES]; /* source: who accepted (vf_host_id()); zero before ACCEPT, and for a file */
	uint8_t role;	       /* enum vf_role */
	uint8_t state;	       /* enum vferry_state */
	uint8_t mode_found; /* enum vferry_mode */
	uint16_t vf;
	uint16_t members; /* how many VFs the group has; 0: moved by itself */
	uint32_t flags;	  /* VF_JOURNAL_* */
	uint32_t pid;	  /* of the last writer, for messages only */
	uint64_t sequence;
	uint64_t opened_ns;	  /* CLOCK_REALTIME */
	uint64_t written_ns;	  /* CLOCK_REALTIME */
	uint64_t written_boot_ns; /* CLOCK_BOOTTIME, which is never set back */
	char owner[256];	  /* address */
	char peer[256];		  /* address, for messages and as recover's default */
};

/** struct vf_journal - an open journal; all zero but fd = -1: none */
struct vf_journal {
	int fd;
	char path[512];
	struct vf_journal_record record;
};

/*
 * Two folders: journals of open migrations, and those that are kept behind a migration because forgetting them could
 * make two live copies (settled.h).
 */
enum vf_journal_place {
	VF_PLACE_OPEN,
	VF_PLACE_SETTLED,
};

/** vf_journal_dir() - <run dir>/journal or <run dir>/settled; both are made with mode 0700 when @make. */
int vf_journal_dir(enum vf_journal_place place, char *path, size_t room, bool make,
		   struct vferry_error *err);
/** vf_journal_path() - of an id's file. */
int vf_journal_path(enum vf_journal_place place, const uint8_t id[VF_ID_BYTES], unsigned int role,
		    char *path, size_t room, struct vferry_error *err);

/**
 * vf_journal_create() - open a new journal
 * @record: id, group, epoch, role, state, mode_found, vf, flags, owner and peer are the caller's
 *
 * Return: 0; -EEXIST when this id has a journal of this role already; -ENOSPC, -EACCES, …
 */
int vf_journal_create(struct vf_journal *journal, const struct vf_journal_record *record,
		      struct vferry_error *err);
/** vf_journal_create_in() - as vf_journal_create(), in either folder. */
int vf_journal_create_in(enum vf_journal_place place, struct vf_journal *journal,
			 const struct vf_journal_record *record, struct vferry_error *err);
/** vf_journal_write() - a new state, on its way down before this returns. */
int vf_journal_write(struct vf_journal *journal, enum vferry_state state, struct vferry_error *err);
/** vf_journal_open() - an existing one; -EBADMSG, -EPROTONOSUPPORT (another version): it is neither acted on nor deleted. */
int vf_journal_open(struct vf_journal *journal, const char *path, struct vferry_error *err);
/** vf_journal_remove() - the migration is settled: delete and close. */
int vf_journal_remove(struct vf_journal *journal, struct vferry_error *err);
/** vf_journal_close() - close, and leave the file. */
void vf_journal_close(struct vf_journal *journal);

/**
 * vf_journal_each() - call @fn for each journal of this host
 * @fn: @record is NULL and @why says what is wrong for a file that cannot be read; non-zero ends the search
 *
 * Return: what @fn gave, 0 at the end (also without a directory), -errno.
 */
int vf_journal_each(int (*fn)(void *arg, const char *path, const struct vf_journal_record *record,
			      const struct vferry_error *why),
		    void *arg, struct vferry_error *err);
/** vf_journal_each_in() - as vf_journal_each(), in either folder. */
int vf_journal_each_in(enum vf_journal_place place,
		       int (*fn)(void *arg, const char *path,
				 const struct vf_journal_record *record,
				 const struct vferry_error *why),
		       void *arg, struct vferry_error *err);

/**
 * vf_journal_find() - the journal of an id
 *
 * Return: 0 and an open @journal; -ENOENT; -errno.
 */
int vf_journal_find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], enum vf_role role,
		    struct vferry_error *err);

/**
 * vf_journal_check_free() - -EBUSY, with words, when a journal is open for @vf of @owner
 *
 * For everything that would change a VF: a send, a recv, a mode change by hand.
 */
int vf_journal_check_free(const char *owner, uint16_t vf, struct vferry_error *err);

/** vf_journal_valid_here() - 0, -ESTALE when another boot or another @epoch (of the owner now) made this device's copies go. */
int vf_journal_valid_here(const struct vf_journal_record *record, const uint8_t epoch[16],
			  struct vferry_error *err);

const char *vf_role_name(unsigned int role);

/* The record as it stands in the file; for tests and fuzzing. */
int vf_journal_parse(struct vf_journal_record *record, const uint8_t bytes[VF_JOURNAL_BYTES],
		     struct vferry_error *err);
void vf_journal_pack(uint8_t place[VF_JOURNAL_BYTES / 2], const struct vf_journal_record *record);

#endif

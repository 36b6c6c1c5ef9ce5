// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keep/keeper.h"
#include "keep/peer.h"
#include "keep/successor.h"

#define RECORD	"vferry-keeper"
#define VERSION 1

struct record_loan {
	struct vf_vfset vfs;
	uint64_t started; /* of the borrower's process: its number may be another's by now */
	uint32_t pid;
	uint8_t alone;
	char comm[16];
	uint32_t lent; /* written last */
};

/* In a memfd that the service manager keeps. Written by one build, perhaps read by another. */
struct record {
	char magic[16];
	uint32_t version, bytes;
	char address[256];
	uint8_t epoch[16];
	uint64_t generation;
	struct vf_pf_kept pf;
	struct record_loan loans[VF_KEEPER_LOANS_MAX];
	uint32_t serving; /* written last: all of it is there */
};

static const char magic[16] = "vferry-keeper";

/* What is written before it must be in memory before it, whenever the process ends. */
static void set_flag(uint32_t *flag, uint32_t value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static int check(const struct record *record, const char *address, struct vferry_error *err)
{
	if (memcmp(record->magic, magic, sizeof(magic)) || record->version != VERSION ||
	    record->bytes != sizeof(*record))
		return vferry_fail(err, -EPROTO, "another vferry has written it");
	if (strncmp(record->address, address, sizeof(record->address)))
		return vferry_fail(err, -EPROTO, "it is of another owner, %.200s", record->address);
	if (!record->serving)
		return vferry_fail(err, -EPROTO, "the last keeper ended before it served");
	return 0;
}

static int map_record(struct keeper *keeper, struct vferry_error *err)
{
	int fd = keeper->manager.fds.take(&keeper->manager.fds, RECORD);
	struct stat stat;
	void *memory;

	if (fd < 0)
		return fd;
	if (fstat(fd, &stat) || (size_t)stat.st_size != sizeof(struct record)) {
		close(fd);
		return vferry_fail(err, -EPROTO, "another vferry has written it");
	}
	memory = mmap(NULL, sizeof(struct record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return vferry_fail(err, -errno, "it cannot be mapped: %s", strerror(errno));
	keeper->record = memory;
	return 0;
}

static void forget(struct keeper *keeper)
{
	if (keeper->record)
		munmap(keeper->record, sizeof(*keeper->record));
	keeper->record = NULL;
	manager_drop_all(&keeper->manager);
}

int successor_resume(struct keeper *keeper, const struct vf_pf_opts *opts, struct vferry_error *err)
{
	int ret;

	if (!manager_has(&keeper->manager, RECORD))
		return 1;
	ret = map_record(keeper, err);
	if (!ret)
		ret = check(keeper->record, keeper->address, err);
	if (!ret)
		ret = vf_pf_resume(&keeper->pf, keeper->address, opts, &keeper->record->pf,
				   &keeper->manager.fds, err);
	if (ret) {
		forget(keeper);
		return ret;
	}
	memcpy(keeper->epoch, keeper->record->epoch, sizeof(keeper->epoch));
	keeper->resumed = true;
	return 0;
}

static int make_record(struct keeper *keeper)
{
	int fd = memfd_create(RECORD, MFD_CLOEXEC | MFD_ALLOW_SEALING), ret;
	void *memory = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, sizeof(struct record)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		memory = mmap(NULL, sizeof(struct record), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      0);
	ret = memory == MAP_FAILED ? -errno : 0;
	if (!ret) {
		keeper->record = memory;
		ret = keeper->manager.fds.put(&keeper->manager.fds, RECORD, fd);
	}
	close(fd);
	return ret;
}

void successor_keep(struct keeper *keeper)
{
	struct vferry_error why;
	struct record *record;
	int ret;

	if (!keeper->manager.there || keeper->resumed)
		return;
	ret = make_record(keeper);
	if (ret)
		vferry_fail(&why, ret, "%s", strerror(-ret));
	else
		ret = vf_pf_keep(keeper->pf, &keeper->record->pf, &keeper->manager.fds, &why);
	if (ret) {
		keep_log("should this keeper be killed, the owner will be reset: the service "
			 "manager does not keep its descriptors: %s",
			 why.text);
		return;
	}
	record = keeper->record;
	memcpy(record->magic, magic, sizeof(magic));
	record->version = VERSION;
	record->bytes = sizeof(*record);
	memcpy(record->address, keeper->address, sizeof(record->address));
	memcpy(record->epoch, keeper->epoch, sizeof(record->epoch));
	set_flag(&record->serving, 1);
}

void successor_epoch(struct keeper *keeper)
{
	if (keeper->record)
		memcpy(keeper->record->epoch, keeper->epoch, sizeof(keeper->epoch));
}

/* --- loans --- */

void successor_lent(struct keeper *keeper, const struct loan *loan)
{
	struct record_loan *left;

	if (!keeper->record)
		return;
	left = &keeper->record->loans[loan->queue];
	keeper->record->generation = keeper->loans.generation;
	left->vfs = loan->vfs;
	left->pid = loan->pid;
	left->started = peer_started((pid_t)loan->pid);
	left->alone = loan->alone;
	memcpy(left->comm, loan->comm, sizeof(left->comm));
	set_flag(&left->lent, 1);
}

void successor_rested(struct keeper *keeper, const struct loan *loan)
{
	if (keeper->record)
		set_flag(&keeper->record->loans[loan->queue].lent, 0);
}

/* A queue of no loan: the keeper's own, or one whose loan had not begun or was just ending. */
static void nobodys(struct keeper *keeper, unsigned int queue, bool list_too)
{
	struct loan *loan = &keeper->loans.slots[queue];

	vf_pf_lease_left(keeper->pf, queue, &loan->lease);
	snprintf(loan->comm, sizeof(loan->comm), "the last keeper");
	loan->state = VF_LOAN_LENT;
	/* It may have died while it put LIST_USE back. */
	loan->alone = list_too;
	rest_begin(loan);
}

void successor_loans(struct keeper *keeper)
{
	struct loans *loans = &keeper->loans;
	unsigned int found = 0;
	bool list_too = true;

	if (!keeper->resumed)
		return;
	loans->generation = keeper->record->generation;
	for (unsigned int queue = loans->first; queue < loans->count; queue++) {
		const struct record_loan *left = &keeper->record->loans[queue];
		struct loan *loan = &loans->slots[queue];

		if (!left->lent) {
			nobodys(keeper, queue, list_too);
			list_too = false;
			continue;
		}
		vf_pf_lease_left(keeper->pf, queue, &loan->lease);
		loan->state = VF_LOAN_LENT;
		loan->vfs = left->vfs;
		loan->alone = left->alone;
		loan->pid = left->pid;
		snprintf(loan->comm, sizeof(loan->comm), "%.15s", left->comm);
		loan->since_ns = vf_now_ns();
		session_orphan(keeper, loan, left->started);
		found++;
	}
	if (found)
		keep_log("%u loans of the last keeper come to rest", found);
}

void successor_end(struct keeper *keeper)
{
	forget(keeper);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vferry/admin.h>
#include <xxhash.h>
#include "bus/lent.h"
#include "migrate/fault_point.h"
#include "migrate/journal.h"

#define MAGIC	    0x4c4e5246564a0a0dULL /* with line ends: a file that was "converted" is seen */
#define PLACE_BYTES (VF_JOURNAL_BYTES / 2)
#define SUFFIX	    ".journal"

struct record_wire {
	__le64 magic;
	__le32 version;
	__le32 bytes; /* of this record */
	__le64 sequence;
	__u8 id[16];
	__u8 group[16];
	__u8 epoch[16];
	__u8 boot[16];
	__u8 role;
	__u8 state;
	__u8 mode_found;
	__u8 reserved1;
	__le16 vf;
	__le16 members; /* of a group; 0: moved by itself */
	__le32 flags;
	__le32 pid;
	__le64 opened_ns;
	__le64 written_ns;
	char owner[256];
	char peer[256];
	__le64 check; /* XXH3-64 of all before it */
};

VFERRY_STATIC_ASSERT(sizeof(struct record_wire) == 640, "journal record");
VFERRY_STATIC_ASSERT(offsetof(struct record_wire, role) == 88, "journal role");
VFERRY_STATIC_ASSERT(offsetof(struct record_wire, opened_ns) == 104, "journal times");
VFERRY_STATIC_ASSERT(sizeof(struct record_wire) <= PLACE_BYTES, "journal place");

const char *vf_role_name(unsigned int role)
{
	return role == VF_ROLE_SOURCE	     ? "source"
	       : role == VF_ROLE_DESTINATION ? "destination"
					     : "unknown";
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int boot_id(uint8_t boot[16])
{
	char text[64] = "", hex[33];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	unsigned int digits = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	for (const char *c = text; *c && digits < 32; c++)
		if (*c != '-')
			hex[digits++] = *c;
	hex[digits] = 0;
	return vf_unhex(boot, 16, hex) == 16 ? 0 : -EIO;
}

void vf_journal_pack(uint8_t place[PLACE_BYTES], const struct vf_journal_record *record)
{
	struct record_wire wire = {
		.magic = htole64(MAGIC),
		.version = htole32(VF_JOURNAL_VERSION),
		.bytes = htole32(sizeof(wire)),
		.sequence = htole64(record->sequence),
		.role = record->role,
		.state = record->state,
		.mode_found = record->mode_found,
		.vf = htole16(record->vf),
		.members = htole16(record->members),
		.flags = htole32(record->flags),
		.pid = htole32(record->pid),
		.opened_ns = htole64(record->opened_ns),
		.written_ns = htole64(record->written_ns),
	};

	memcpy(wire.id, record->id, 16);
	memcpy(wire.group, record->group, 16);
	memcpy(wire.epoch, record->epoch, 16);
	memcpy(wire.boot, record->boot, 16);
	memcpy(wire.owner, record->owner, strnlen(record->owner, sizeof(wire.owner) - 1));
	memcpy(wire.peer, record->peer, strnlen(record->peer, sizeof(wire.peer) - 1));
	wire.check = htole64(XXH3_64bits(&wire, offsetof(struct record_wire, check)));
	memset(place, 0, PLACE_BYTES);
	memcpy(place, &wire, sizeof(wire));
}

static bool state_fits(unsigned int role, unsigned int state)
{
	switch (state) {
#define X(name, number, text) case number:
		VFERRY_SOURCE_STATES(X)
		return role == VF_ROLE_SOURCE;
		VFERRY_DESTINATION_STATES(X)
		return role == VF_ROLE_DESTINATION;
#undef X
	}
	return false;
}

static bool text_ends(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

/* One of the two places: 0, -ENODATA when it was never written, or what is wrong with it. */
static int parse_place(struct vf_journal_record *record, const uint8_t *place,
		       struct vferry_error *err)
{
	struct record_wire wire;

	memcpy(&wire, place, sizeof(wire));
	if (!wire.magic)
		return -ENODATA;
	if (le64toh(wire.magic) != MAGIC)
		return vferry_fail(err, -EBADMSG, "not a vferry journal (magic 0x%llx)",
				   (unsigned long long)le64toh(wire.magic));
	if (le32toh(wire.version) != VF_JOURNAL_VERSION)
		return vferry_fail(
			err, -EPROTONOSUPPORT,
			"written by another vferry (journal version %u, this one reads %u)",
			le32toh(wire.version), VF_JOURNAL_VERSION);
	if (le32toh(wire.bytes) != sizeof(wire) ||
	    le64toh(wire.check) != XXH3_64bits(&wire, offsetof(struct record_wire, check)))
		return vferry_fail(err, -EBADMSG, "a damaged record (its check does not agree)");
	if (!state_fits(wire.role, wire.state) || wire.mode_found > VFERRY_MODE_FREEZE ||
	    !wire.vf || !text_ends(wire.owner, sizeof(wire.owner)) ||
	    !text_ends(wire.peer, sizeof(wire.peer)) || wire.reserved1 ||
	    (le16toh(wire.members) != 0) != ((le32toh(wire.flags) & VF_JOURNAL_TOGETHER) != 0))
		return vferry_fail(
			err, -EBADMSG,
			"a record that cannot be (role %u, state %u, mode found %u, VF %u)",
			wire.role, wire.state, wire.mode_found, le16toh(wire.vf));
	*record = (struct vf_journal_record){
		.role = wire.role,
		.state = wire.state,
		.mode_found = wire.mode_found,
		.vf = le16toh(wire.vf),
		.members = le16toh(wire.members),
		.flags = le32toh(wire.flags),
		.pid = le32toh(wire.pid),
		.sequence = le64toh(wire.sequence),
		.opened_ns = le64toh(wire.opened_ns),
		.written_ns = le64toh(wire.written_ns),
	};
	memcpy(record->id, wire.id, 16);
	memcpy(record->group, wire.group, 16);
	memcpy(record->epoch, wire.epoch, 16);
	memcpy(record->boot, wire.boot, 16);
	memcpy(record->owner, wire.owner, sizeof(wire.owner));
	memcpy(record->peer, wire.peer, sizeof(wire.peer));
	return 0;
}

int vf_journal_parse(struct vf_journal_record *record, const uint8_t bytes[VF_JOURNAL_BYTES],
		     struct vferry_error *err)
{
	struct vf_journal_record two[2];
	struct vferry_error why[2] = { 0 };
	int ret[2];

	for (int i = 0; i < 2; i++)
		ret[i] = parse_place(&two[i], bytes + i * PLACE_BYTES, &why[i]);
	/* A version that is not ours may mean more than the other place says: hands off. */
	for (int i = 0; i < 2; i++) {
		if (ret[i] == -EPROTONOSUPPORT) {
			if (err)
				*err = why[i];
			return ret[i];
		}
	}
	if (!ret[0] && !ret[1]) {
		if (memcmp(two[0].id, two[1].id, VF_ID_BYTES) || two[0].role != two[1].role ||
		    two[0].vf != two[1].vf)
			return vferry_fail(err, -EBADMSG,
					   "two records of different migrations in one file");
		*record = two[0].sequence > two[1].sequence ? two[0] : two[1];
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (!ret[i]) {
			*record = two[i];
			return 0;
		}
	}
	if (ret[0] == -ENODATA && ret[1] == -ENODATA)
		return vferry_fail(err, -EBADMSG, "an empty journal: its writer died making it");
	if (err)
		*err = ret[0] == -ENODATA ? why[1] : why[0];
	return -EBADMSG;
}

int vf_journal_dir(char *path, size_t room, bool make, struct vferry_error *err)
{
	char run[200];
	int ret = vf_run_dir(run, sizeof(run), err);

	if (ret)
		return ret;
	if ((size_t)snprintf(path, room, "%s/journal", run) >= room)
		return vferry_fail(err, -ENAMETOOLONG, "%s/journal: the path is too long", run);
	if (make && mkdir(run, 0755) && errno != EEXIST)
		return vferry_fail(err, -errno, "cannot make %s: %s", run, strerror(errno));
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return vferry_fail(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static int put(struct vf_journal *journal, struct vferry_error *err)
{
	struct vf_journal_record *record = &journal->record;
	uint8_t place[PLACE_BYTES];
	ssize_t done;

	record->sequence++;
	record->written_ns = real_ns();
	record->pid = (uint32_t)getpid();
	vf_journal_pack(place, record);
	VF_FAULT_POINT("journal-write");
	if (vf_fault_err()) {
		errno = ENOSPC;
		done = -1;
	} else {
		done = pwrite(journal->fd, place, sizeof(place),
			      (off_t)(record->sequence % 2 * PLACE_BYTES));
	}
	VF_FAULT_POINT("journal-written");
	if (done == (ssize_t)sizeof(place))
		return 0;
	/* The other place has the state that holds; it is not written over. */
	record->sequence--;
	return vferry_fail(err, done < 0 ? -errno : -EIO, "cannot write the journal %s: %s",
			   journal->path, done < 0 ? strerror(errno) : "short write");
}

static int give_name(const struct vf_journal *journal, struct vferry_error *err)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", journal->fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, journal->path, AT_SYMLINK_FOLLOW))
		return vferry_fail(err, -errno, "cannot make the journal %s: %s", journal->path,
				   strerror(errno));
	return 0;
}

int vf_journal_create(struct vf_journal *journal, const struct vf_journal_record *record,
		      struct vferry_error *err)
{
	char dir[256], id[VF_ID_TEXT];
	int ret;

	memset(journal, 0, sizeof(*journal));
	journal->fd = -1;
	ret = vf_journal_dir(dir, sizeof(dir), true, err);
	if (ret)
		return ret;
	journal->record = *record;
	journal->record.sequence = 0;
	journal->record.opened_ns = real_ns();
	ret = boot_id(journal->record.boot);
	if (ret)
		return vferry_fail(err, ret, "cannot read /proc/sys/kernel/random/boot_id: %s",
				   strerror(-ret));
	vf_id_text(id, record->id);
	snprintf(journal->path, sizeof(journal->path), "%s/%s.%s" SUFFIX, dir, id,
		 vf_role_name(record->role));
	/* It gets its name when it is whole: whoever dies here leaves nothing that cannot be read. */
	journal->fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (journal->fd < 0)
		return vferry_fail(err, -errno, "cannot make the journal %s: %s", journal->path,
				   strerror(errno));
	ret = -posix_fallocate(journal->fd, 0, VF_JOURNAL_BYTES);
	if (ret)
		vferry_fail(err, ret, "cannot allocate the journal %s (%u bytes): %s",
			    journal->path, VF_JOURNAL_BYTES, strerror(-ret));
	VF_FAULT_POINT("journal-empty");
	/* Twice, so that both places hold pages and the first change of state tears nothing. */
	if (!ret)
		ret = put(journal, err);
	if (!ret)
		ret = put(journal, err);
	if (!ret)
		ret = give_name(journal, err);
	if (ret)
		vf_journal_close(journal);
	return ret;
}

int vf_journal_write(struct vf_journal *journal, enum vferry_state state, struct vferry_error *err)
{
	enum vferry_state before = journal->record.state;
	int ret;

	if (journal->fd < 0)
		return vferry_fail(err, -EBADF, "no journal is open for %s",
				   vferry_state_name(state));
	journal->record.state = (uint8_t)state;
	ret = put(journal, err);
	if (ret)
		journal->record.state = (uint8_t)before;
	return ret;
}

static int read_file(int fd, const char *path, struct vf_journal_record *record,
		     struct vferry_error *err)
{
	uint8_t bytes[VF_JOURNAL_BYTES];
	struct vferry_error why = { 0 };
	struct stat stat;
	ssize_t got;
	int ret;

	if (fstat(fd, &stat))
		return vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(stat.st_mode) || stat.st_size != VF_JOURNAL_BYTES)
		return vferry_fail(err, -EBADMSG,
				   "%s: %lld bytes, a journal has %u: cut, or not one; left alone",
				   path, (long long)stat.st_size, VF_JOURNAL_BYTES);
	if (stat.st_uid != geteuid() && stat.st_uid != 0)
		return vferry_fail(err, -EACCES, "%s: belongs to user %u; left alone", path,
				   stat.st_uid);
	got = pread(fd, bytes, sizeof(bytes), 0);
	if (got != (ssize_t)sizeof(bytes))
		return vferry_fail(err, got < 0 ? -errno : -EIO, "%s: cannot read it", path);
	ret = vf_journal_parse(record, bytes, &why);
	if (ret)
		return vferry_fail(err, ret, "%s: %s; left alone", path, why.text);
	return 0;
}

int vf_journal_open(struct vf_journal *journal, const char *path, struct vferry_error *err)
{
	int ret;

	memset(journal, 0, sizeof(*journal));
	snprintf(journal->path, sizeof(journal->path), "%s", path);
	journal->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (journal->fd < 0)
		return vferry_fail(err, -errno, "cannot open the journal %s: %s", path,
				   strerror(errno));
	ret = read_file(journal->fd, path, &journal->record, err);
	if (ret)
		vf_journal_close(journal);
	return ret;
}

int vf_journal_remove(struct vf_journal *journal, struct vferry_error *err)
{
	int ret = 0;

	if (journal->fd < 0)
		return 0;
	VF_FAULT_POINT("journal-remove");
	if (unlink(journal->path) && errno != ENOENT)
		ret = vferry_fail(err, -errno, "cannot delete the journal %s: %s", journal->path,
				  strerror(errno));
	vf_journal_close(journal);
	return ret;
}

void vf_journal_close(struct vf_journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
}

int vf_journal_each(int (*fn)(void *arg, const char *path, const struct vf_journal_record *record,
			      const struct vferry_error *why),
		    void *arg, struct vferry_error *err)
{
	char dir[256], path[600];
	struct dirent *entry;
	DIR *folder;
	int ret = vf_journal_dir(dir, sizeof(dir), false, err);

	if (ret)
		return ret;
	folder = opendir(dir);
	if (!folder)
		return errno == ENOENT ? 0
				       : vferry_fail(err, -errno, "cannot read %s: %s", dir,
						     strerror(errno));
	while (!ret && (entry = readdir(folder))) {
		size_t length = strlen(entry->d_name);
		struct vferry_error why = { 0 };
		struct vf_journal journal;

		if (length <= strlen(SUFFIX) ||
		    strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		ret = vf_journal_open(&journal, path, &why);
		if (ret == -ENOENT) { /* settled meanwhile */
			ret = 0;
			continue;
		}
		if (ret) {
			ret = fn(arg, path, NULL, &why);
			continue;
		}
		ret = fn(arg, path, &journal.record, NULL);
		vf_journal_close(&journal);
	}
	closedir(folder);
	return ret;
}

int vf_journal_find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], enum vf_role role,
		    struct vferry_error *err)
{
	char dir[256], text[VF_ID_TEXT], path[400];
	int ret = vf_journal_dir(dir, sizeof(dir), false, err);

	journal->fd = -1;
	if (ret)
		return ret;
	vf_id_text(text, id);
	snprintf(path, sizeof(path), "%s/%s.%s" SUFFIX, dir, text, vf_role_name(role));
	return vf_journal_open(journal, path, err);
}

struct search {
	const char *owner;
	uint16_t vf;
	struct vferry_error *err;
};

static int is_of(void *arg, const char *path, const struct vf_journal_record *record,
		 const struct vferry_error *why)
{
	struct search *search = arg;
	char id[VF_ID_TEXT];

	if (!record) /* a file that cannot be read may be of this VF: say so, do not guess */
		return vferry_fail(
			search->err, -EBUSY,
			"VF %u of %s may have an open journal: %s. See vferry recover --list",
			search->vf, search->owner, why->text);
	if (record->vf != search->vf || strcmp(record->owner, search->owner))
		return 0;
	vf_id_text(id, record->id);
	return vferry_fail(
		search->err, -EBUSY,
		"VF %u of %s is already moving: migration %s is in state %s on this side "
		"(%s, peer %s, process %u). Settle it with: vferry recover %s",
		search->vf, search->owner, id, vferry_state_name(record->state),
		vf_role_name(record->role), record->peer, record->pid, id);
}

int vf_journal_check_free(const char *owner, uint16_t vf, struct vferry_error *err)
{
	struct search search = { .owner = owner, .vf = vf, .err = err };

	return vf_journal_each(is_of, &search, err);
}

int vf_journal_valid_here(const struct vf_journal_record *record, const uint8_t epoch[16],
			  struct vferry_error *err)
{
	uint8_t boot[16];
	int ret = boot_id(boot);

	if (ret)
		return vferry_fail(err, ret, "cannot read the boot id: %s", strerror(-ret));
	if (memcmp(boot, record->boot, 16))
		return vferry_fail(
			err, -ESTALE,
			"this journal was written before the last boot, or on another host: "
			"the copy of VF %u's context that it speaks of is gone",
			record->vf);
	if (memcmp(epoch, record->epoch, 16))
		return vferry_fail(
			err, -ESTALE,
			"%s was reset or opened anew since this journal was written (another "
			"epoch): the copy of VF %u's context that it speaks of is gone",
			record->owner, record->vf);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bus/lent.h"
#include "migrate/fault_point.h"
#include "migrate/journal.h"

#define PLACE_BYTES (VF_JOURNAL_BYTES / 2)
#define SUFFIX	    ".journal"

const char *vf_role_name(unsigned int role)
{
	return role == VF_ROLE_SOURCE	     ? "source"
	       : role == VF_ROLE_DESTINATION ? "destination"
					     : "unknown";
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
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

static const char *const folders[] = {
	[VF_PLACE_OPEN] = "journal",
	[VF_PLACE_SETTLED] = "settled",
};

/* Both at once: a journal moves from one to the other when nothing may stop it. */
static int make_folders(const char *run, struct vferry_error *err)
{
	char path[256];

	if (mkdir(run, 0755) && errno != EEXIST)
		return vferry_fail(err, -errno, "cannot make %s: %s", run, strerror(errno));
	for (unsigned int i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", run, folders[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			return vferry_fail(err, -errno, "cannot make %s: %s", path,
					   strerror(errno));
	}
	return 0;
}

int vf_journal_dir(enum vf_journal_place place, char *path, size_t room, bool make,
		   struct vferry_error *err)
{
	char run[200];
	int ret = vf_run_dir(run, sizeof(run), err);

	if (ret)
		return ret;
	if ((size_t)snprintf(path, room, "%s/%s", run, folders[place]) >= room)
		return vferry_fail(err, -ENAMETOOLONG, "%s/%s: the path is too long", run,
				   folders[place]);
	return make ? make_folders(run, err) : 0;
}

int vf_journal_path(enum vf_journal_place place, const uint8_t id[VF_ID_BYTES], unsigned int role,
		    char *path, size_t room, struct vferry_error *err)
{
	char dir[256], text[VF_ID_TEXT];
	int ret = vf_journal_dir(place, dir, sizeof(dir), false, err);

	if (ret)
		return ret;
	vf_id_text(text, id);
	if ((size_t)snprintf(path, room, "%s/%s.%s" SUFFIX, dir, text, vf_role_name(role)) >= room)
		return vferry_fail(err, -ENAMETOOLONG, "%s: the path is too long", dir);
	return 0;
}

static int put(struct vf_journal *journal, struct vferry_error *err)
{
	struct vf_journal_record *record = &journal->record;
	uint8_t place[PLACE_BYTES];
	ssize_t done;

	record->sequence++;
	record->written_ns = clock_ns(CLOCK_REALTIME);
	record->written_boot_ns = clock_ns(CLOCK_BOOTTIME);
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

int vf_journal_create_in(enum vf_journal_place place, struct vf_journal *journal,
			 const struct vf_journal_record *record, struct vferry_error *err)
{
	char dir[256];
	int ret;

	memset(journal, 0, sizeof(*journal));
	journal->fd = -1;
	ret = vf_journal_dir(place, dir, sizeof(dir), true, err);
	if (ret)
		return ret;
	journal->record = *record;
	journal->record.sequence = 0;
	journal->record.opened_ns = clock_ns(CLOCK_REALTIME);
	ret = boot_id(journal->record.boot);
	if (ret)
		return vferry_fail(err, ret, "cannot read /proc/sys/kernel/random/boot_id: %s",
				   strerror(-ret));
	ret = vf_journal_path(place, record->id, record->role, journal->path, sizeof(journal->path),
			      err);
	if (ret)
		return ret;
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

int vf_journal_create(struct vf_journal *journal, const struct vf_journal_record *record,
		      struct vferry_error *err)
{
	return vf_journal_create_in(VF_PLACE_OPEN, journal, record, err);
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

/* Of this boot, and later than now by a clock that is never set back: nobody has written that. */
static bool from_the_future(const struct vf_journal_record *record)
{
	uint8_t boot[16];

	return !boot_id(boot) && !memcmp(boot, record->boot, 16) &&
	       record->written_boot_ns > clock_ns(CLOCK_BOOTTIME);
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
	if (from_the_future(record))
		return vferry_fail(
			err, -EBADMSG,
			"%s: says that it was written %llu s after this host's start, which "
			"is still to come: from the future; left alone",
			path, (unsigned long long)(record->written_boot_ns / 1000000000));
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

int vf_journal_each_in(enum vf_journal_place place,
		       int (*fn)(void *arg, const char *path,
				 const struct vf_journal_record *record,
				 const struct vferry_error *why),
		       void *arg, struct vferry_error *err)
{
	char dir[256], path[600];
	struct dirent *entry;
	DIR *folder;
	int ret = vf_journal_dir(place, dir, sizeof(dir), false, err);

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

int vf_journal_each(int (*fn)(void *arg, const char *path, const struct vf_journal_record *record,
			      const struct vferry_error *why),
		    void *arg, struct vferry_error *err)
{
	return vf_journal_each_in(VF_PLACE_OPEN, fn, arg, err);
}

int vf_journal_find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], enum vf_role role,
		    struct vferry_error *err)
{
	char path[400];
	int ret = vf_journal_path(VF_PLACE_OPEN, id, role, path, sizeof(path), err);

	journal->fd = -1;
	return ret ? ret : vf_journal_open(journal, path, err);
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

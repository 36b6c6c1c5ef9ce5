// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry admin read and write: a context to a file, and back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/admin.h"

#define CHUNK (256u << 10)

static bool is_standard(const char *path)
{
	return !path || !strcmp(path, "-");
}

static int put_all(int fd, const uint8_t *bytes, size_t count)
{
	while (count) {
		ssize_t n = write(fd, bytes, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes += n;
		count -= (size_t)n;
	}
	return 0;
}

/* Fewer than @count only at the end. */
static ssize_t get_all(int fd, uint8_t *bytes, size_t count)
{
	size_t have = 0;

	while (have < count) {
		ssize_t n = read(fd, bytes + have, count - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

struct totals {
	uint64_t bytes;
	uint64_t commands;
	uint64_t images;
};

static int print_totals(struct cli *cli, const char *schema, uint16_t vf, const char *path,
			const struct totals *totals)
{
	static const struct cli_column columns[] = {
		{ .key = "vf", .title = "VF" },
		{ .key = "context_bytes", .title = "BYTES" },
		{ .key = "commands", .title = "COMMANDS" },
		{ .key = "file", .title = "FILE" },
		{ .key = NULL },
	};
	static const struct cli_view views[] = { { .key = "vfs", .columns = columns },
						 { .columns = NULL } };
	struct json_object *doc = cli_document(schema);
	struct json_object *vfs = json_object_new_array();
	struct json_object *row = json_object_new_object();

	cli_add_string(doc, "owner", cli_string(cli, "OWNER"));
	cli_add_uint(row, "vf", vf);
	cli_add_uint(row, "context_bytes", totals->bytes);
	cli_add_uint(row, "commands", totals->commands);
	cli_add_string(row, "file", path);
	json_object_array_add(vfs, row);
	cli_add(doc, "vfs", vfs);
	return cli_print(cli, doc, views);
}

/* --- read ------------------------------------------------------------------------------------------------ */

/* Only what has a length needs it: not a pipe, not a device. */
static int empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) && ftruncate(fd, 0) ? -errno : 0;
}

static int read_passes(struct cli *cli, struct vferry_owner *owner, uint16_t vf, int fd,
		       struct totals *totals)
{
	uint64_t passes = cli_number(cli, "passes", 1);
	struct vferry_answer answer = { 0 };
	uint64_t before = 0;
	struct vferry_error err;
	int rc;

	for (;;) {
		const void *bytes;
		uint32_t count;

		rc = vferry_ctx_read(owner, vf, &bytes, &count, &answer, &err);
		if (rc)
			break;
		totals->commands++;
		if (!count) {
			/* An image has ended, or there is nothing more to say. */
			if (totals->bytes == before || ++totals->images == passes)
				return CLI_DONE;
			before = totals->bytes;
			continue;
		}
		rc = totals->bytes || fd == STDOUT_FILENO ? 0 : empty(fd);
		if (!rc)
			rc = put_all(fd, bytes, count);
		if (rc) {
			vferry_fail(
				&err, rc,
				"cannot write the context of VF %u after %llu bytes: %s. The device has forgotten what "
				"it returned; 'discard' makes a full image due again",
				vf, (unsigned long long)totals->bytes, strerror(-rc));
			/* The file's errno says nothing about permissions of ours. */
			return cli_fail_as(cli, CLI_FAILED, &err, NULL);
		}
		totals->bytes += count;
	}
	return cli_fail_answer(cli, &err, &answer);
}

static int dry_run_read(struct cli *cli, uint16_t vf)
{
	struct vferry_sg room = { .length = CHUNK };
	struct vferry_cmd cmd = {
		.opcode = VFERRY_CMD_DEV_CTX_READ,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = vf,
		.result = &room,
		.result_count = 1,
	};

	return admin_dry_run(cli, &cmd, 1, "repeated until context_len is 0");
}

static int open_out(struct cli *cli, const char *path, struct vferry_error *err)
{
	int fd;

	if (is_standard(path))
		return STDOUT_FILENO;
	/* Not truncated yet: it may be the only copy of what the device has forgotten. */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return vferry_fail(err, -errno, "cannot write '%s': %s", path, strerror(errno));
	return fd;
}

int admin_run_read(struct cli *cli)
{
	const char *path = cli_string(cli, "out");
	struct totals totals = { 0 };
	struct vferry_owner *owner;
	struct vferry_error err;
	uint16_t vf = admin_one_vf(cli);
	struct cli_vfs vfs = { .count = 1, .vf = &vf };
	int fd, status;

	if (!vf)
		return CLI_USAGE;
	if (cli_has(cli, "dry-run"))
		return dry_run_read(cli, vf);
	if (is_standard(path) && cli_json(cli))
		return cli_usage(cli,
				 "with -o json the context needs a file of its own: --out FILE");
	if (is_standard(path) && isatty(STDOUT_FILENO))
		return cli_usage(cli,
				 "a context is not written to a terminal: --out FILE, or a pipe");
	if (admin_open(cli, &owner, &vfs, 0, &err))
		return cli_fail(cli, &err);
	/* What a dead engine has not settled may need what this would make the device forget. */
	fd = admin_may_change(cli, &vfs, &err) ? -1 : open_out(cli, path, &err);
	status = fd < 0 ? cli_fail(cli, &err) : read_passes(cli, owner, vf, fd, &totals);
	vferry_owner_close(owner);
	if (fd >= 0 && fd != STDOUT_FILENO && close(fd) && !status) {
		vferry_fail(&err, -errno, "cannot write '%s': %s", path, strerror(errno));
		status = cli_fail(cli, &err);
	}
	if (status)
		return status;
	if (fd == STDOUT_FILENO) {
		if (cli_verbose(cli))
			cli_note(cli, "VF %u: %llu bytes in %llu reads", vf,
				 (unsigned long long)totals.bytes,
				 (unsigned long long)totals.commands);
		return CLI_DONE;
	}
	if (!totals.bytes)
		cli_note(
			cli,
			"VF %u has nothing to say since it was read last, and %s is left as it was; 'discard' makes a full image due",
			vf, path);
	return print_totals(cli, "vferry.admin.read", vf, path, &totals);
}

/* --- write ----------------------------------------------------------------------------------------------- */

static int write_chunks(struct cli *cli, struct vferry_owner *owner, uint16_t vf, int fd,
			const char *path, struct totals *totals)
{
	uint8_t *buffer = malloc(CHUNK);
	struct vferry_answer answer = { 0 };
	struct vferry_error err;
	int rc = buffer ? 0 : vferry_fail(&err, -ENOMEM, "no memory for a chunk");

	while (!rc) {
		ssize_t n = get_all(fd, buffer, CHUNK);

		if (!n && totals->bytes)
			break;
		if (!n)
			rc = vferry_fail(&err, -EBADMSG,
					 "nothing came from %s: no context is empty", path);
		else if (n < 0)
			rc = vferry_fail(&err, (int)n, "cannot read '%s': %s", path,
					 strerror((int)-n));
		else if (n % VFERRY_ADMIN_ALIGN)
			rc = vferry_fail(
				&err, -EBADMSG,
				"'%s' ends after %llu bytes, which is no multiple of %u: it is cut short or "
				"not a context. 'discard' drops what is staged",
				path, (unsigned long long)totals->bytes + (unsigned long long)n,
				VFERRY_ADMIN_ALIGN);
		else
			rc = vferry_ctx_write(owner, vf, buffer, (uint32_t)n, &answer, &err);
		if (!rc) {
			totals->bytes += (uint64_t)n;
			totals->commands++;
		}
	}
	free(buffer);
	if (rc == -EREMOTEIO && answer.qualifier == VFERRY_Q_INVALID_COMMAND && !totals->bytes)
		cli_note(
			cli,
			"a context is written in freeze only; see 'vferry admin OWNER mode get --vf %u'",
			vf);
	return rc ? cli_fail_answer(cli, &err, &answer) : CLI_DONE;
}

static int open_in(const char *path, struct vferry_error *err)
{
	struct stat st;
	int fd = is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return vferry_fail(err, -errno, "cannot read '%s': %s", path, strerror(errno));
	/* A regular file that cannot be a context is refused before anything is sent. */
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && fd != STDIN_FILENO &&
	    (!st.st_size || st.st_size % VFERRY_ADMIN_ALIGN)) {
		close(fd);
		return vferry_fail(
			err, -EBADMSG,
			"'%s' has %lld bytes, which is no multiple of %u: it is empty, cut short or not a context",
			path, (long long)st.st_size, VFERRY_ADMIN_ALIGN);
	}
	return fd;
}

static int dry_run_write(struct cli *cli, uint16_t vf, const char *path)
{
	struct vferry_cmd cmd = {
		.opcode = VFERRY_CMD_DEV_CTX_WRITE,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = vf,
	};
	char note[160];

	snprintf(note, sizeof(note), "then the bytes of %.80s, at most %u a command",
		 is_standard(path) ? "standard input" : path, CHUNK);
	return admin_dry_run(cli, &cmd, 1, note);
}

int admin_run_write(struct cli *cli)
{
	const char *path = cli_string(cli, "in");
	struct totals totals = { 0 };
	struct vferry_owner *owner;
	struct vferry_error err;
	uint16_t vf = admin_one_vf(cli);
	struct cli_vfs vfs = { .count = 1, .vf = &vf };
	const char *shown = is_standard(path) ? "standard input" : path;
	int fd, status;

	if (!vf)
		return CLI_USAGE;
	if (cli_has(cli, "dry-run"))
		return dry_run_write(cli, vf, path);
	if (is_standard(path) && isatty(STDIN_FILENO))
		return cli_usage(cli, "a context is not typed: --in FILE, or a pipe");
	fd = open_in(path, &err);
	if (fd < 0)
		return cli_fail(cli, &err);
	if (admin_open(cli, &owner, &vfs, 0, &err)) {
		status = cli_fail(cli, &err);
	} else {
		/* What is written becomes the VF's own by a mode change, and a look at the VF then would drop it. */
		status = admin_may_live(cli, owner, &vfs, &err)
				 ? cli_fail(cli, &err)
				 : write_chunks(cli, owner, vf, fd, shown, &totals);
		vferry_owner_close(owner);
	}
	if (fd != STDIN_FILENO)
		close(fd);
	return status ? status : print_totals(cli, "vferry.admin.write", vf, shown, &totals);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "ring/ring.h"

#define TIMEOUT_NS 5000000000ULL

static void take_words(char *to, size_t room, const __u8 *from, size_t count)
{
	snprintf(to, room, "%.*s", (int)count, (const char *)from);
	/* What another process says goes to a terminal: nothing but text. */
	for (char *c = to; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
}

static void take_vfs(struct vf_vfset *set, const __le64 *words)
{
	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++)
		set->bits[i] = le64toh(words[i]);
}

static void take_loan(struct vf_keeper_loan *loan, const uint8_t *bytes)
{
	struct vf_keeper_report_loan entry;

	memcpy(&entry, bytes, sizeof(entry));
	loan->pid = (pid_t)le32toh(entry.pid);
	loan->queue = le16toh(entry.queue);
	loan->state = (enum vf_loan_state)entry.state;
	loan->alone = entry.alone;
	loan->age_ns = le64toh(entry.age_ns);
	take_vfs(&loan->vfs, entry.vfs);
	take_words(loan->comm, sizeof(loan->comm), entry.comm, sizeof(entry.comm));
}

static void take_vf(struct vf_keeper_report *report, struct vf_keeper_vf *vf, const uint8_t *bytes)
{
	struct vf_keeper_report_vf entry;

	memcpy(&entry, bytes, sizeof(entry));
	vf->vf = le16toh(entry.vf);
	vf->mode = entry.mode == VF_KEEPER_MODE_UNKNOWN ? -1 : entry.mode;
	vf->size_known = entry.size_known;
	vf->context_bytes = le64toh(entry.context_bytes);
	for (unsigned int i = 0; i < report->loan_count; i++) {
		if (vf_vfset_has(&report->loans[i].vfs, vf->vf))
			vf->pid = report->loans[i].pid;
	}
}

int vf_keeper_decode_report(const void *bytes, size_t count, struct vf_keeper_report **out,
			    struct vferry_error *err)
{
	struct vf_keeper_report_hdr hdr;
	struct vf_keeper_report *report;
	const uint8_t *at = bytes;

	if (vf_keeper_op_of(bytes, count) != VF_KEEPER_REPORT || count < sizeof(hdr)) {
		int ret = vf_keeper_get_result(bytes, count, err);

		return ret ? ret : vferry_fail(err, -EPROTO, "the keeper reported nothing");
	}
	memcpy(&hdr, bytes, sizeof(hdr));
	at += sizeof(hdr);
	if (le16toh(hdr.loans) > VF_KEEPER_LOANS_MAX || le16toh(hdr.vfs) > VF_MAX_VFS ||
	    count != sizeof(hdr) + le16toh(hdr.loans) * sizeof(struct vf_keeper_report_loan) +
			     le16toh(hdr.vfs) * sizeof(struct vf_keeper_report_vf))
		return vferry_fail(err, -EPROTO,
				   "the keeper's report of %u loans and %u VFs has %zu bytes",
				   le16toh(hdr.loans), le16toh(hdr.vfs), count);
	report = calloc(1, sizeof(*report));
	if (report) {
		report->loan_count = le16toh(hdr.loans);
		report->vf_count = le16toh(hdr.vfs);
		report->loans = calloc(report->loan_count + 1U, sizeof(*report->loans));
		report->vfs = calloc(report->vf_count + 1U, sizeof(*report->vfs));
	}
	if (!report || !report->loans || !report->vfs) {
		vf_keeper_report_free(report);
		return vferry_fail(err, -ENOMEM, "no memory for the keeper's report");
	}
	take_words(report->address, sizeof(report->address), hdr.address, sizeof(hdr.address));
	take_words(report->trouble, sizeof(report->trouble), hdr.trouble, sizeof(hdr.trouble));
	memcpy(report->epoch, hdr.epoch, sizeof(report->epoch));
	report->driver = strncmp(report->address, "vfio:", 5) ? "vfio-user" : "vfio-pci";
	report->software = hdr.software;
	report->state = (enum vf_keeper_state)hdr.state;
	report->pid = (pid_t)le32toh(hdr.pid);
	report->num_vfs = le16toh(hdr.num_vfs);
	report->total_vfs = le16toh(hdr.total_vfs);
	report->queues = le16toh(hdr.queues);
	report->queues_free = le16toh(hdr.queues_free);
	report->waiting = le16toh(hdr.waiting);
	report->wedged = le32toh(hdr.wedged);
	report->list = le64toh(hdr.list);
	take_words(report->token, sizeof(report->token), hdr.token, sizeof(hdr.token));
	for (unsigned int i = 0; i < report->loan_count;
	     i++, at += sizeof(struct vf_keeper_report_loan))
		take_loan(&report->loans[i], at);
	for (unsigned int i = 0; i < report->vf_count;
	     i++, at += sizeof(struct vf_keeper_report_vf))
		take_vf(report, &report->vfs[i], at);
	*out = report;
	return 0;
}

void vf_keeper_report_free(struct vf_keeper_report *report)
{
	if (!report)
		return;
	free(report->loans);
	free(report->vfs);
	free(report);
}

static int ask_on(int sock, uint32_t ask, uint64_t deadline_ns, struct vf_keeper_report **out,
		  struct vferry_error *err)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_STATUS, .flags = ask };
	uint8_t *bytes = malloc(VF_KEEPER_REPORT_MAX);
	ssize_t n;
	int ret;

	if (!bytes)
		return vferry_fail(err, -ENOMEM, "no memory for the keeper's report");
	ret = vf_keeper_send(sock, &request, err);
	if (!ret) {
		n = vf_keeper_receive(sock, bytes, VF_KEEPER_REPORT_MAX, NULL, NULL, deadline_ns,
				      err);
		ret = n < 0 ? (int)n : vf_keeper_decode_report(bytes, (size_t)n, out, err);
	}
	free(bytes);
	return ret;
}

int vf_keeper_ask(const char *address, uint32_t ask, uint64_t timeout_ns,
		  struct vf_keeper_report **out, struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + (timeout_ns ? timeout_ns : TIMEOUT_NS);
	int sock = vf_keeper_connect(address, deadline, err);
	int ret;

	if (sock < 0)
		return sock;
	ret = ask_on(sock, ask, deadline, out, err);
	close(sock);
	return ret;
}

int vf_keeper_stop(const char *address, uint64_t grace_ns, struct vferry_error *err)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_STOP,
					     .ns = grace_ns ? grace_ns : TIMEOUT_NS };
	uint64_t deadline = vf_now_ns() + TIMEOUT_NS;
	struct vf_keeper_result answer;
	ssize_t n;
	int sock = vf_keeper_connect(address, deadline, err);
	int ret;

	if (sock < 0)
		return sock;
	ret = vf_keeper_send(sock, &request, err);
	if (!ret) {
		n = vf_keeper_receive(sock, &answer, sizeof(answer), NULL, NULL, deadline, err);
		ret = n < 0 ? (int)n : vf_keeper_get_result(&answer, (size_t)n, err);
	}
	/* Borrowers first, then their queues come to rest, then the bus is closed. */
	deadline += request.ns + 30000000000ULL;
	while (!ret) {
		n = vf_keeper_receive(sock, &answer, sizeof(answer), NULL, NULL, deadline, err);
		if (n < 0)
			ret = (int)n;
	}
	close(sock);
	if (ret == -ETIMEDOUT)
		return vferry_fail(err, ret, "the keeper of %s has not ended in time", address);
	return ret == -ECONNRESET ? 0 : ret;
}

struct walk {
	uint32_t ask;
	uint64_t timeout_ns;
	int (*fn)(void *arg, const struct vf_keeper_report *report, const struct vferry_error *why);
	void *arg;
	int seen;
};

static int visit(struct walk *walk, const char *dir, const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct vf_keeper_report *report = NULL;
	struct vferry_error why = { 0 };
	int sock, ret;

	if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", dir, name) >=
	    sizeof(to.sun_path))
		return 0;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (const struct sockaddr *)&to, sizeof(to))) {
		ret = -errno;
		close(sock);
		if (ret == -ECONNREFUSED || ret == -ENOENT)
			return 0; /* left behind by a keeper that was killed */
		vferry_fail(&why, ret, "%s: cannot reach this keeper: %s", to.sun_path,
			    strerror(-ret));
	} else {
		ret = ask_on(sock, walk->ask, vf_now_ns() + walk->timeout_ns, &report, &why);
		close(sock);
	}
	walk->seen++;
	ret = walk->fn(walk->arg, ret ? NULL : report, &why);
	vf_keeper_report_free(report);
	return ret;
}

static int walk_dir(struct walk *walk, const char *run_dir)
{
	char dir[PATH_MAX];
	struct dirent **names;
	int count, ret = 0;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/keep", run_dir) >= sizeof(dir))
		return -ENAMETOOLONG;
	count = scandir(dir, &names, NULL, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		size_t length = strlen(names[i]->d_name);

		if (!ret && length > 5 && !strcmp(names[i]->d_name + length - 5, ".sock"))
			ret = visit(walk, dir, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return ret;
}

int vf_keepers(uint32_t ask, uint64_t timeout_ns,
	       int (*fn)(void *arg, const struct vf_keeper_report *report,
			 const struct vferry_error *why),
	       void *arg, struct vferry_error *err)
{
	struct walk walk = {
		.ask = ask, .timeout_ns = timeout_ns ? timeout_ns : TIMEOUT_NS, .fn = fn, .arg = arg
	};
	char dir[PATH_MAX];
	int ret = vf_run_dir(dir, sizeof(dir), NULL);

	if (!ret)
		ret = walk_dir(&walk, dir);
	else
		ret = 0;
	if (!ret && geteuid() != 0 && !getenv("VFERRY_RUN_DIR"))
		ret = walk_dir(&walk, "/run/vferry");
	if (ret < 0)
		return vferry_fail(err, ret, "%s/keep: %s", dir, strerror(-ret));
	return ret ? ret : walk.seen;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What io_uring offers here: each feature is tried, not concluded from a version. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/doctor.h"
#include "ring/compat.h"

static int setup_with(unsigned int flags)
{
	struct io_uring_params params = { .flags = flags };
	struct io_uring ring;
	int rc = io_uring_queue_init_params(4, &ring, &params);

	if (!rc)
		io_uring_queue_exit(&ring);
	return rc;
}

static void basic(struct doctor *doctor)
{
	char disabled[16] = "0";
	int rc = setup_with(0);

	doctor->io_uring = !rc;
	if (!rc) {
		doctor_say(doctor, "io_uring", DOCTOR_OK, NULL, "works");
		return;
	}
	doctor_line("/proc/sys/kernel/io_uring_disabled", disabled, sizeof(disabled));
	if (rc == -ENOSYS)
		doctor_say(
			doctor, "io_uring", DOCTOR_MISSING, NULL,
			"this kernel is built without io_uring, or a seccomp filter hides it: nothing of vferry works");
	else if (strcmp(disabled, "0"))
		doctor_say(doctor, "io_uring", DOCTOR_MISSING,
			   "sysctl -w kernel.io_uring_disabled=0",
			   "forbidden by kernel.io_uring_disabled=%s: nothing of vferry works",
			   disabled);
	else
		doctor_say(
			doctor, "io_uring", DOCTOR_MISSING, NULL,
			"%s; in a container the seccomp profile may forbid it: nothing of vferry works",
			strerror(-rc));
}

static void single_issuer(struct doctor *doctor)
{
	if (!setup_with(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN))
		doctor_say(doctor, "defer_taskrun", DOCTOR_OK, NULL,
			   "SINGLE_ISSUER and DEFER_TASKRUN are used");
	else
		doctor_say(
			doctor, "defer_taskrun", DOCTOR_WARN, NULL,
			"this kernel has no SINGLE_ISSUER with DEFER_TASKRUN (6.1): completions cost more wake-ups");
}

static void send_zc(struct doctor *doctor)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool have = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);

	io_uring_free_probe(probe);
	if (have)
		doctor_say(
			doctor, "send_zc", DOCTOR_OK, NULL,
			"offered; on loopback and UNIX sockets the kernel copies all the same, and vferry says how often");
	else
		doctor_say(doctor, "send_zc", DOCTOR_WARN, NULL,
			   "this kernel has no SEND_ZC (6.0): it copies what is sent");
}

/* One IORING_OP_URING_CMD with the large entries that uring-cmd: needs; /dev/null answers any of them since 6.0. */
static int null_command(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int fd, rc = io_uring_queue_init_params(4, &ring, &params);

	if (rc)
		return rc;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sqe = io_uring_get_sqe(&ring);
	if (sqe) {
		memset(sqe, 0, 2 * sizeof(*sqe)); /* SQE128 */
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = fd;
		rc = io_uring_submit_and_wait(&ring, 1);
	}
	if (rc == 1)
		rc = io_uring_peek_cqe(&ring, &cqe) ?: cqe->res;
	io_uring_queue_exit(&ring);
	if (fd >= 0)
		close(fd);
	return rc;
}

static void uring_cmd(struct doctor *doctor)
{
	int rc = null_command();

	if (!rc)
		doctor_say(doctor, "uring_cmd", DOCTOR_OK, NULL,
			   "IORING_OP_URING_CMD works (tried on /dev/null)");
	else
		doctor_say(doctor, "uring_cmd", DOCTOR_WARN, NULL,
			   "IORING_OP_URING_CMD on /dev/null: %s. uring-cmd: owners will not work",
			   strerror(-rc));
}

void doctor_io_uring(struct doctor *doctor)
{
	doctor->group = "io_uring";
	basic(doctor);
	if (!doctor->io_uring)
		return;
	single_issuer(doctor);
	send_zc(doctor);
	uring_cmd(doctor);
}

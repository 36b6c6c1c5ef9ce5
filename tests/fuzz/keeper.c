// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The keeper's sessions and loans under hostile callers: several connections, any bytes as messages, well-formed ones with any
 * fields, hang-ups in between, a device that answers late or never. What must hold: no VF and no queue on two loans, what is
 * lent is at rest, and when all have gone everything is free.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "keep/loans.c"
#undef LINGER_NS
#include "keep/rest.c"
#undef RESET_NS
#include "keep/peer.c"
/* One file for all: names that two of them use for themselves. */
#include "keep/manager.h"
#define take session_take
#include "keep/session.c"
#undef take
#include "keep/manager.c"
#define drop deposits_drop_those
#include "keep/deposits.c"
#undef drop
#include "keep/successor.c"

#define QUEUES	4
#define CALLERS 5

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* --- a device --- */

static struct {
	uint16_t pending[QUEUES];
	bool leased[QUEUES];
	bool resets;
} dev;

static int null_fd = -1, file_fd = -1;

static int dev_lease(void *device, unsigned int queue, uint64_t arena_bytes, struct vf_lease *lease,
		     struct vferry_error *err)
{
	MUST(!dev.leased[queue] && !dev.pending[queue]);
	dev.leased[queue] = true;
	*lease = (struct vf_lease){ .queue = (uint16_t)queue,
				    .rings_fd = null_fd,
				    .call_fd = -1,
				    .kick_fd = null_fd,
				    .arena_fd = null_fd,
				    .notify_fd = null_fd,
				    .arena_bytes = arena_bytes,
				    .doorbell = VF_DOORBELL_EVENTFD,
				    .can_reset = dev.resets };
	return 0;
}

static int dev_unlease(void *device, struct vf_lease *lease, struct vferry_error *err)
{
	MUST(dev.leased[lease->queue] && !dev.pending[lease->queue]);
	dev.leased[lease->queue] = false;
	return 0;
}

static uint16_t dev_pending(void *device, unsigned int queue)
{
	return dev.pending[queue];
}

static void dev_kick(void *device, struct vf_lease *lease)
{
	MUST(dev.leased[lease->queue]);
}

static int dev_reset(void *device, unsigned int queue, uint64_t deadline_ns,
		     struct vferry_error *err)
{
	if (!dev.resets)
		return -EOPNOTSUPP;
	dev.pending[queue] = 0;
	return 0;
}

static const struct keep_device_ops dev_ops = { dev_lease, dev_unlease, dev_pending, dev_kick,
						dev_reset };

/* --- the rest of the keeper --- */

void keep_log(const char *format, ...)
{
}

bool epoch_check(struct keeper *keeper)
{
	return true;
}

void own_ask(struct keeper *keeper, uint32_t ask)
{
	sessions_report(keeper, ask);
}

void *report_make(const struct keeper *keeper, uint32_t ask, size_t *count)
{
	*count = 64;
	return calloc(1, *count);
}

/* As the real one, without signals: the callers are this process. */
void keeper_end(struct keeper *keeper, uint64_t grace_ns)
{
	for (struct session *s = keeper->sessions; s; s = s->next) {
		if (s->want.loan)
			session_recall(s, grace_ns);
	}
}

static void ended(struct loans *loans, struct loan *loan)
{
	sessions_ended(loans->arg, loan);
}

/* --- callers --- */

static struct keeper keeper;
static int callers[CALLERS];

static void turn(void)
{
	uint8_t answer[1024];

	vf_ring_turn(keeper.ring, 0);
	sessions_sweep(&keeper);
	for (int i = 0; i < CALLERS; i++) {
		while (callers[i] >= 0 &&
		       recv(callers[i], answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
	}
}

static void rules_hold(void)
{
	unsigned int vf;

	for (struct session *a = keeper.sessions; a; a = a->next) {
		for (struct session *b = a->next; b; b = b->next) {
			if (!a->want.loan || !b->want.loan)
				continue;
			MUST(a->want.loan != b->want.loan);
			MUST(!a->want.alone && !b->want.alone);
			MUST(!overlap(&a->want.vfs, &b->want.vfs, &vf));
		}
	}
	MUST(!dev.leased[0]);
}

static void hang_up(int n)
{
	if (callers[n] >= 0)
		close(callers[n]);
	callers[n] = -1;
}

static void call(int n)
{
	int pair[2];

	if (callers[n] >= 0)
		return;
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	callers[n] = pair[0];
	session_new(&keeper, pair[1]);
}

/* A DEPOSIT comes with a file. */
static void send_it(int to, void *bytes, size_t count, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { bytes, count };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say(int n, uint8_t how, const uint8_t *bytes, size_t count)
{
	/* By the number of the operation; DEPOSIT, FETCH and FORGET have the last three. */
	static const size_t sizes[] = { 8, 56, 8, 8, 16, 16, 16, 32, 32, 32 };
	unsigned int op = (how & 15) % 10;
	uint8_t message[300] = { 0 };
	size_t length = how & 0x80 ? count : sizes[op];
	struct vf_keeper_hdr hdr = {
		.op = htole16((uint16_t)op),
		.version = htole16(VF_KEEPER_VERSION),
		.bytes = htole32((uint32_t)length),
	};

	memcpy(message + (how & 0x80 ? 0 : sizeof(hdr)), bytes, count);
	if (!(how & 0x80))
		memcpy(message, &hdr, sizeof(hdr));
	/* Flags and VFs that can be, or nothing would ever be lent. */
	if (!(how & 0xc0) && op == VF_KEEPER_BORROW) {
		struct vf_keeper_borrow borrow = { .hdr = hdr };

		borrow.flags = htole32(message[8] & 3);
		borrow.arena_bytes = htole64((uint64_t)message[9] << 12);
		borrow.vfs[0] = htole64(message[10] & 0xfe);
		memcpy(message, &borrow, sizeof(borrow));
	}
	if (callers[n] >= 0 && length)
		send_it(callers[n], message, length, op == VF_KEEPER_DEPOSIT ? file_fd : -1);
}

static void begin(void)
{
	if (null_fd < 0) {
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		file_fd = memfd_create("kept", MFD_CLOEXEC);
		MUST(file_fd >= 0);
		MUST(!vf_ring_new(&keeper.ring, 64, NULL));
	}
	memset(&dev, 0, sizeof(dev));
	memset(&keeper.loans, 0, sizeof(keeper.loans));
	keeper.loans.ops = &dev_ops;
	keeper.loans.ring = keeper.ring;
	keeper.loans.num_vfs = 7;
	keeper.loans.ended = ended;
	keeper.loans.arg = &keeper;
	MUST(!loans_init(&keeper.loans, QUEUES, NULL));
	for (int i = 0; i < CALLERS; i++)
		callers[i] = -1;
}

static void end(void)
{
	for (int i = 0; i < CALLERS; i++)
		hang_up(i);
	for (struct session *s = keeper.sessions; s; s = s->next)
		session_close(s);
	memset(dev.pending, 0, sizeof(dev.pending));
	for (int i = 0; i < 200 && (keeper.sessions || loans_lent(&keeper.loans)); i++)
		turn();
	for (unsigned int i = 0; i < QUEUES; i++) {
		if (keeper.loans.slots[i].state == VF_LOAN_WEDGED)
			rest_again(&keeper.loans.slots[i]);
	}
	for (int i = 0; i < 200 && (keeper.sessions || loans_lent(&keeper.loans)); i++)
		turn();
	MUST(!keeper.sessions && !keeper.session_count && !keeper.loans.waiting);
	MUST(!loans_lent(&keeper.loans) && !loans_wedged(&keeper.loans));
	for (unsigned int i = 0; i < QUEUES; i++)
		MUST(!dev.leased[i]);
	deposits_end(&keeper);
	loans_free(&keeper.loans);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	size_t at = 0;

	begin();
	dev.resets = size && input[0] & 1;
	for (at = 1; at + 3 <= size;) {
		int n = input[at] % CALLERS;
		uint8_t how = input[at + 1];
		size_t count = input[at + 2] % 64;

		switch (input[at] >> 5) {
		case 0:
			hang_up(n);
			break;
		case 1:
			/* The device falls silent for what is lent, or catches up. */
			for (unsigned int q = 1; q < QUEUES; q++)
				dev.pending[q] = dev.leased[q] ? how >> q & 1 : 0;
			break;
		default:
			call(n);
			if (count > size - at - 3)
				count = size - at - 3;
			say(n, how, input + at + 3, count);
			at += count;
		}
		at += 3;
		turn();
		rules_hold();
	}
	end();
	return 0;
}

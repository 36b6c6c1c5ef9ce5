// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vferry/virtio.h>
#include "bus/lent.h"
#include "keep/keeper.h"
#include "virtio/pf.h"

#define REST_NS	  5000000000ULL
#define GRACE_NS  5000000000ULL
#define PLACE_NS  15000000000ULL /* a successor waits for who has started a keeper meanwhile */
#define KILLED_NS 10000000000ULL /* from SIGKILL until the borrowers' queues are given up */

/* --- callers --- */

static void arm_accept(struct keeper *keeper)
{
	io_uring_prep_accept(vf_ring_sqe(keeper->ring, &keeper->accept), keeper->place.sock, NULL,
			     NULL, SOCK_CLOEXEC);
}

static void accepted(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct keeper *keeper = (struct keeper *)((char *)op - offsetof(struct keeper, accept));

	if (keeper->ended) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res >= 0) {
		session_new(keeper, res);
		arm_accept(keeper);
		return;
	}
	if (res == -ECANCELED)
		return;
	/* Out of descriptors or memory: what is there goes on, new callers wait. */
	if (res != -ECONNABORTED && res != -EINTR)
		keep_log("accept: %s", strerror(-res));
	vf_timer_set(keeper->ring, &keeper->accept_again, vf_now_ns() + 100000000ULL);
}

static void accept_again(struct vf_timer *timer)
{
	arm_accept((struct keeper *)((char *)timer - offsetof(struct keeper, accept_again)));
}

/* --- the end --- */

static void ends_when_quiet(struct keeper *keeper)
{
	if (keeper->ending && !loans_lent(&keeper->loans))
		keeper->ended = true;
}

static void out_of_patience(struct vf_timer *timer)
{
	struct keeper *keeper =
		(struct keeper *)((char *)timer - offsetof(struct keeper, patience));

	if (keeper->killed) {
		keep_log("gives up on %u loans that do not come to rest",
			 loans_lent(&keeper->loans));
		keeper->ended = true;
		return;
	}
	keeper->killed = true;
	for (struct session *s = keeper->sessions; s; s = s->next) {
		if (s->want.loan && !s->closing)
			session_kill(s);
	}
	vf_timer_set(keeper->ring, timer, vf_now_ns() + keeper->loans.rest_ns + KILLED_NS);
}

void keeper_end(struct keeper *keeper, uint64_t grace_ns)
{
	if (grace_ns > 3600000000000ULL)
		grace_ns = 3600000000000ULL;
	if (!keeper->ending) {
		keeper->ending = true;
		loans_trouble(&keeper->loans, -ESHUTDOWN, "the keeper of %s is ending",
			      keeper->address);
		for (struct session *s = keeper->sessions; s; s = s->next) {
			if (s->want.loan)
				session_recall(s, grace_ns);
		}
	}
	if (!keeper->killed) {
		keeper->patience.fn = out_of_patience;
		vf_timer_set(keeper->ring, &keeper->patience, vf_now_ns() + grace_ns);
	}
	ends_when_quiet(keeper);
}

static void loan_ended(struct loans *loans, struct loan *loan)
{
	struct keeper *keeper = loans->arg;

	if (loan->state == VF_LOAN_WEDGED)
		keep_log("%s", loans->trouble);
	if (!loan->state)
		successor_rested(keeper, loan);
	sessions_ended(keeper, loan);
	if (loan->alone && !loan->state && !keeper->ending)
		own_list_use(keeper);
	ends_when_quiet(keeper);
}

static void arm_signals(struct keeper *keeper)
{
	io_uring_prep_read(vf_ring_sqe(keeper->ring, &keeper->signal), keeper->signal_fd,
			   &keeper->signal_info, sizeof(keeper->signal_info), 0);
}

static void signalled(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct keeper *keeper = (struct keeper *)((char *)op - offsetof(struct keeper, signal));

	if (keeper->ended || res == -ECANCELED)
		return;
	/* The second one is impatient. */
	keeper_end(keeper, keeper->ending ? 0 : GRACE_NS);
	if (!keeper->ended)
		arm_signals(keeper);
}

static int watch_signals(struct keeper *keeper, struct vferry_error *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	keeper->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (keeper->signal_fd < 0)
		return vferry_fail(err, -errno, "signalfd: %s", strerror(errno));
	keeper->signal.done = signalled;
	arm_signals(keeper);
	return 0;
}

/* --- the beginning --- */

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* A process serves it, or a hypervisor: the subsystem that they give their virtio devices. */
static bool is_software(struct keeper *keeper)
{
	__le16 subsystem[2];

	if (!strncmp(keeper->address, "vfio-user:", 10))
		return true;
	if (vf_bus_read(vf_pf_bus(keeper->pf), VFIO_PCI_CONFIG_REGION_INDEX,
			PCI_SUBSYSTEM_VENDOR_ID, subsystem, sizeof(subsystem), NULL))
		return false;
	return le16toh(subsystem[0]) == VFERRY_PCI_VENDOR_VIRTIO && le16toh(subsystem[1]) == 0x1100;
}

static int open_owner(struct keeper *keeper, struct vferry_error *err)
{
	struct vf_pf_opts opts = {
		.bus = { .timeout_ns = keeper->opts->timeout_ns,
			 .vf_token = keeper->opts->vf_token },
		.num_vfs = keeper->opts->num_vfs,
	};
	struct loans *loans = &keeper->loans;
	int ret;

	ret = successor_resume(keeper, &opts, err);
	if (ret < 0)
		keep_log("cannot go on where the last keeper of %s stopped, so the owner is reset "
			 "and its VFs lose their state: %s",
			 keeper->address, err->text);
	if (ret)
		ret = vf_pf_open(&keeper->pf, keeper->address, &opts, err);
	if (ret)
		return ret;
	keeper->software = is_software(keeper);
	loans->ops = &keep_device_pf;
	loans->device = keeper->pf;
	loans->ring = keeper->ring;
	loans->num_vfs = vf_pf_num_vfs(keeper->pf);
	if (loans->num_vfs >= VF_MAX_VFS)
		loans->num_vfs = VF_MAX_VFS - 1;
	loans->rest_ns = keeper->opts->rest_ns ? keeper->opts->rest_ns : REST_NS;
	loans->ended = loan_ended;
	loans->arg = keeper;
	ret = loans_init(loans, vf_pf_queues(keeper->pf), err);
	if (!ret)
		ret = epoch_begin(keeper, err);
	if (!ret)
		ret = own_begin(keeper, err);
	if (!ret) {
		successor_keep(keeper);
		successor_loans(keeper);
		deposits_resume(keeper);
	}
	return ret;
}

static int begin(struct keeper *keeper, struct vferry_error *err)
{
	int ret;

	ret = vf_owner_address(keeper->opts->address, keeper->address, sizeof(keeper->address),
			       err);
	if (!ret)
		ret = place_take(&keeper->place, keeper->address,
				 keeper->manager.count ? PLACE_NS : 0, err);
	if (!ret)
		ret = vf_ring_new(&keeper->ring, 256, err);
	if (!ret)
		ret = watch_signals(keeper, err);
	if (!ret)
		ret = open_owner(keeper, err);
	return ret;
}

/* The owner first, then the name: a successor must find the owner free. The callers last: who waits for the end waits for all of it. */
static void end(struct keeper *keeper)
{
	for (struct session *s = keeper->sessions; s; s = s->next)
		session_leave(s);
	vf_ring_cancel(keeper->ring, &keeper->accept);
	vf_ring_cancel(keeper->ring, &keeper->signal);
	vf_ring_cancel(keeper->ring, &keeper->hangup);
	if (keeper->pf) {
		own_end(keeper);
		loans_free(&keeper->loans);
	}
	vf_ring_free(keeper->ring);
	vf_pf_close(keeper->pf);
	if (keeper->signal_fd >= 0)
		close(keeper->signal_fd);
	deposits_end(keeper);
	successor_end(keeper);
	place_leave(&keeper->place);
	sessions_sweep(keeper);
}

int keep_run(const struct keep_opts *opts, struct vferry_error *err)
{
	struct keeper keeper = {
		.opts = opts,
		.place = { .lock_fd = -1, .sock = -1 },
		.signal_fd = -1,
		.accept.done = accepted,
		.accept_again.fn = accept_again,
	};
	int ret;

	manager_begin(&keeper.manager);
	start_begin();
	raise_limits();
	ret = begin(&keeper, err);
	start_verdict(&keeper.manager, ret, err->text, keeper.place.log);
	if (!ret) {
		keep_log("pid %d holds %s: %u VFs, %u admin queues to lend%s", getpid(),
			 keeper.address, keeper.loans.num_vfs,
			 keeper.loans.count - keeper.loans.first,
			 keeper.resumed ? "; it goes on where the last keeper stopped" : "");
		if (vf_bus_token(vf_pf_bus(keeper.pf)))
			keep_log("VFs bound to vfio-pci are opened with the VF token %s",
				 vf_bus_token(vf_pf_bus(keeper.pf)));
		arm_accept(&keeper);
		while (!keeper.ended && ret >= 0) {
			ret = vf_ring_turn(keeper.ring, UINT64_MAX);
			if (ret == -EINTR)
				ret = 0;
			sessions_sweep(&keeper);
		}
		if (ret < 0)
			vferry_fail(err, ret, "io_uring: %s", strerror(-ret));
		else if (keeper.owner_gone)
			ret = vferry_fail(err, -ENODEV, "%s", keeper.loans.trouble);
		else
			ret = 0;
		keep_log("%s: given up%s%s", keeper.address, ret ? ": " : "", ret ? err->text : "");
	}
	end(&keeper);
	return ret;
}

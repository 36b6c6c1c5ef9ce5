// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "keep/keeper.h"
#include "keep/peer.h"
#include "virtio/pf.h"

#define SESSIONS_MAX  256	     /* without a loan */
#define IDLE_NS	      10000000000ULL /* nothing asked, nothing borrowed */
#define LINGER_NS     2000000000ULL  /* socket closed, process alive */
#define RESET_NS      2000000000ULL
#define DEAF_MESSAGES 64

static struct session *of_want(struct want *want)
{
	return (struct session *)((char *)want - offsetof(struct session, want));
}

static bool process_ended(const struct session *session)
{
	struct pollfd poll_fd = { .fd = session->pidfd, .events = POLLIN };

	return session->pidfd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static void send_bytes(struct session *session, const void *bytes, size_t count, const int *fds,
		       unsigned int fd_count)
{
	union {
		char room[CMSG_SPACE(VF_KEEPER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = count };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (session->closing || session->hung_up)
		return;
	if (fd_count) {
		message.msg_control = control.room;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	/* A caller that does not read its answers has hundreds of KiB of room before it is dropped. */
	if (sendmsg(session->sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET) {
		keep_log("pid %u (%s): cannot answer: %s", session->want.pid, session->want.comm,
			 strerror(errno));
		shutdown(session->sock, SHUT_RDWR);
	}
}

static void send_result(struct session *session, enum vf_keeper_op op, int code, const char *words)
{
	struct vf_keeper_result message;

	vf_keeper_put_result(&message, op, code, words);
	send_bytes(session, &message, sizeof(message), NULL, 0);
}

/* --- what it has --- */

static void release(struct session *session)
{
	struct loans *loans = &session->keeper->loans;

	if (session->want.waiting || session->want.loan)
		loans_withdraw(loans, &session->want);
}

static void lent(struct want *want, struct loan *loan)
{
	struct session *session = of_want(want);
	struct vf_keeper_lent message;
	int fds[VF_KEEPER_FDS];
	unsigned int fd_count = vf_keeper_put_lent(&message, fds, &loan->lease);

	vf_timer_stop(session->keeper->ring, &session->patience);
	successor_lent(session->keeper, loan);
	send_bytes(session, &message, sizeof(message), fds, fd_count);
}

static void set_patience(struct session *session, uint64_t ns)
{
	vf_timer_set(session->keeper->ring, &session->patience, vf_now_ns() + ns);
}

static void refused(struct want *want, const struct vferry_error *err)
{
	struct session *session = of_want(want);

	send_result(session, VF_KEEPER_RESULT, err->code, err->text);
	set_patience(session, IDLE_NS);
}

/*
 * The last words to a caller. Closed with its messages unread, the socket would tell it ECONNRESET instead of them, so what
 * it still says is read and ignored until it hangs up, or for a moment.
 */
static void say_goodbye(struct session *session, int code, const char *words)
{
	send_result(session, VF_KEEPER_RESULT, code, words);
	session->deaf = DEAF_MESSAGES;
	set_patience(session, LINGER_NS);
}

static bool dead(struct want *want)
{
	struct session *session = of_want(want);

	if (!process_ended(session))
		return false;
	session_close(session);
	return true;
}

/* --- what it asks --- */

static void borrow(struct session *session, const struct vf_keeper_request *request)
{
	struct want *want = &session->want;

	if (want->loan || want->waiting || session->returning) {
		send_result(session, VF_KEEPER_RESULT, -EALREADY,
			    "one loan a connection: this one has or awaits its own");
		return;
	}
	epoch_check(session->keeper);
	want->vfs = request->vfs;
	want->arena_bytes = request->arena_bytes;
	want->wait = request->flags & VF_KEEPER_F_WAIT;
	want->alone = request->flags & VF_KEEPER_F_ALONE;
	want->granted = lent;
	want->refused = refused;
	want->dead = dead;
	vf_timer_stop(session->keeper->ring, &session->patience);
	loans_ask(&session->keeper->loans, want);
}

static void give_back(struct session *session)
{
	if (!session->want.loan) {
		send_result(session, VF_KEEPER_RESULT, -ENOENT, "nothing is on loan to you");
		return;
	}
	session->returning = session->want.loan;
	release(session);
}

static void reset(struct session *session, uint64_t ns)
{
	struct loan *loan = session->want.loan;
	struct vferry_error err = { 0 };
	int ret;

	if (!loan) {
		send_result(session, VF_KEEPER_RESULT, -ENOENT, "nothing is on loan to you");
		return;
	}
	if (ns > RESET_NS)
		ns = RESET_NS;
	ret = loan->loans->ops->reset(loan->loans->device, loan->queue, vf_now_ns() + ns, &err);
	send_result(session, VF_KEEPER_RESULT, ret, err.text);
}

/* Of a VF that it has on loan: what is deposited belongs to whoever settles the VF's journal. */
static void kept(struct session *session, const struct vf_keeper_request *request, int fd)
{
	struct keeper *keeper = session->keeper;
	struct vf_keeper_kept message;
	int ret = 0;

	if (!session->want.loan || !vf_vfset_has(&session->want.loan->vfs, request->vf)) {
		if (fd >= 0)
			close(fd);
		send_result(session, VF_KEEPER_RESULT, -EPERM, "this VF is not on loan to you");
		return;
	}
	if (request->op == VF_KEEPER_DEPOSIT) {
		ret = deposits_put(keeper, request->vf, request->id, fd);
		send_result(session, VF_KEEPER_RESULT, ret,
			    ret == -EINVAL ? "what is deposited has to be a file"
			    : ret	   ? "the keeper cannot hold it"
					   : NULL);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (request->op == VF_KEEPER_FORGET) {
		deposits_drop(keeper, request->vf, request->id);
		send_result(session, VF_KEEPER_RESULT, 0, NULL);
		return;
	}
	fd = deposits_get(keeper, request->vf, request->id);
	if (fd < 0) {
		send_result(session, VF_KEEPER_RESULT, fd, "nothing was deposited for it");
		return;
	}
	vf_keeper_encode(request, &message);
	message.hdr.op = htole16(VF_KEEPER_KEPT);
	send_bytes(session, &message, sizeof(message), &fd, 1);
}

static void take(struct session *session, size_t count, int fd)
{
	struct vf_keeper_request request;
	struct vferry_error err;
	int ret = vf_keeper_decode(session->bytes, count, &request, &err);

	if (!ret && request.op >= VF_KEEPER_DEPOSIT && request.op <= VF_KEEPER_FORGET) {
		kept(session, &request, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (ret) {
		release(session);
		say_goodbye(session, ret, err.text);
		return;
	}
	switch (request.op) {
	case VF_KEEPER_BORROW:
		borrow(session, &request);
		break;
	case VF_KEEPER_RETURN:
		give_back(session);
		break;
	case VF_KEEPER_KICK:
		if (session->want.loan)
			session->keeper->loans.ops->kick(session->keeper->loans.device,
							 &session->want.loan->lease);
		break;
	case VF_KEEPER_RESET:
		reset(session, request.ns);
		break;
	case VF_KEEPER_STATUS:
		session->asking = 1 + request.flags;
		own_ask(session->keeper, request.flags);
		break;
	case VF_KEEPER_STOP:
		keep_log("pid %u (%s) ends this keeper", session->want.pid, session->want.comm);
		send_result(session, VF_KEEPER_RESULT, 0, NULL);
		vf_timer_stop(session->keeper->ring, &session->patience);
		keeper_end(session->keeper, request.ns);
		break;
	default:
		break;
	}
}

/* --- the connection --- */

static void arm(struct session *session)
{
	session->iov = (struct iovec){ session->bytes, sizeof(session->bytes) };
	session->message = (struct msghdr){
		.msg_iov = &session->iov,
		.msg_iovlen = 1,
		.msg_control = session->control,
		.msg_controllen = sizeof(session->control),
	};
	io_uring_prep_recvmsg(vf_ring_sqe(session->keeper->ring, &session->receive), session->sock,
			      &session->message, MSG_CMSG_CLOEXEC);
}

/* The descriptor that came beside the message; -1: none. More than one is nobody's. */
static int luggage(struct session *session, int32_t res)
{
	struct cmsghdr *cmsg = res >= 0 ? CMSG_FIRSTHDR(&session->message) : NULL;
	size_t count;
	int fd = -1;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	/* Alignment leaves room for a second one. */
	count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
	for (size_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		if (count > 1)
			close(fd);
	}
	return count == 1 ? fd : -1;
}

static void received(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct session *session =
		(struct session *)((char *)op - offsetof(struct session, receive));
	int fd = luggage(session, res);

	if (fd >= 0 && (session->closing || session->deaf || res <= 0)) {
		close(fd);
		fd = -1;
	}
	if (session->closing)
		return;
	if (res > 0 && session->deaf) {
		if (--session->deaf)
			arm(session);
		else
			session_close(session);
		return;
	}
	if (res > 0) {
		take(session, (size_t)res, fd);
		if (!session->closing)
			arm(session);
		return;
	}
	if (res == -EINTR || res == -EAGAIN) {
		arm(session);
		return;
	}
	/*
	 * Hung up without RETURN. An engine that dies closes its socket a moment before its pidfd says so; one that lives may
	 * still have the memory mapped, so it gets that moment.
	 */
	if (session->want.loan && session->pidfd >= 0 && !process_ended(session)) {
		session->hung_up = true;
		set_patience(session, LINGER_NS);
		return;
	}
	session_close(session);
}

static void died(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct session *session = (struct session *)((char *)op - offsetof(struct session, death));

	if (session->closing)
		return;
	if (res < 0 && res != -ECANCELED)
		keep_log("pid %u (%s): its end cannot be watched: %s", session->want.pid,
			 session->want.comm, strerror(-res));
	else
		session_close(session);
}

static void out_of_patience(struct vf_timer *timer)
{
	struct session *session =
		(struct session *)((char *)timer - offsetof(struct session, patience));

	if (session->want.loan)
		keep_log("pid %u (%s) hung up without giving its loan back, and lives",
			 session->want.pid, session->want.comm);
	session_close(session);
}

static bool idle(const struct session *session)
{
	return !session->closing && !session->want.loan && !session->want.waiting &&
	       !session->returning && !session->asking;
}

/* Connections that say nothing make room for the next caller, the oldest first. */
static void make_room(struct keeper *keeper)
{
	struct session *oldest = NULL;

	if (keeper->session_count < SESSIONS_MAX)
		return;
	for (struct session *s = keeper->sessions; s; s = s->next) {
		if (idle(s))
			oldest = s; /* the newest stands first */
	}
	if (oldest)
		session_close(oldest);
}

void session_new(struct keeper *keeper, int sock)
{
	struct session *session = calloc(1, sizeof(*session));
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	char words[400];

	if (!session || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length)) {
		free(session);
		close(sock);
		return;
	}
	make_room(keeper);
	session->keeper = keeper;
	session->sock = sock;
	session->pidfd = -1;
	session->since_ns = vf_now_ns();
	session->receive.done = received;
	session->death.done = died;
	session->patience.fn = out_of_patience;
	session->next = keeper->sessions;
	keeper->sessions = session;
	keeper->session_count++;
	peer_name(peer.pid, session->want.comm, sizeof(session->want.comm));
	session->want.pid = (uint32_t)peer.pid;
	if (!peer_may_borrow(sock, &peer)) {
		snprintf(words, sizeof(words),
			 "the keeper of %s lets in root, user %u and group vferry; you are user %u",
			 keeper->address, geteuid(), peer.uid);
		keep_log("pid %u (%s), user %u: not let in", session->want.pid, session->want.comm,
			 peer.uid);
		say_goodbye(session, -EACCES, words);
		arm(session);
		return;
	}
	session->pidfd = peer_pidfd(sock, peer.pid);
	if (session->pidfd >= 0)
		io_uring_prep_poll_add(vf_ring_sqe(keeper->ring, &session->death), session->pidfd,
				       POLLIN);
	set_patience(session, IDLE_NS);
	arm(session);
}

/* Its last keeper has died. By now it knows; one that does not end is stopped, or does not look. */
static void orphan_stays(struct vf_timer *timer)
{
	struct session *session =
		(struct session *)((char *)timer - offsetof(struct session, patience));

	for (struct session *s = session->keeper->sessions; s; s = s->next) {
		/* It has come back for another loan: it knows. */
		if (s != session && !s->closing && s->want.pid == session->want.pid) {
			session_close(session);
			return;
		}
	}
	session_kill(session);
}

void session_orphan(struct keeper *keeper, struct loan *loan, uint64_t started)
{
	struct session *session = calloc(1, sizeof(*session));
	struct want *want;

	if (!session) {
		rest_begin(loan);
		return;
	}
	session->keeper = keeper;
	session->sock = -1;
	session->hung_up = true;
	session->since_ns = vf_now_ns();
	session->receive.done = received;
	session->death.done = died;
	session->patience.fn = orphan_stays;
	session->next = keeper->sessions;
	keeper->sessions = session;
	keeper->session_count++;
	want = &session->want;
	want->vfs = loan->vfs;
	want->alone = loan->alone;
	want->pid = loan->pid;
	memcpy(want->comm, loan->comm, sizeof(want->comm));
	want->dead = dead;
	want->loan = loan;
	loan->holder = want;
	session->pidfd = peer_pidfd(-1, (pid_t)loan->pid);
	if (session->pidfd < 0 || peer_started((pid_t)loan->pid) != started) {
		session_close(session);
		return;
	}
	io_uring_prep_poll_add(vf_ring_sqe(keeper->ring, &session->death), session->pidfd, POLLIN);
	set_patience(session, 2 * keeper->loans.rest_ns);
}

void session_close(struct session *session)
{
	struct keeper *keeper = session->keeper;

	if (session->closing)
		return;
	session->closing = true;
	session->asking = 0;
	session->returning = NULL;
	vf_timer_stop(keeper->ring, &session->patience);
	release(session);
	/* Gentler than a cancel: what was sent before is still read by the other side. */
	shutdown(session->sock, SHUT_RDWR);
	vf_ring_cancel(keeper->ring, &session->receive);
	vf_ring_cancel(keeper->ring, &session->death);
}

void session_leave(struct session *session)
{
	session->closing = true;
	vf_timer_stop(session->keeper->ring, &session->patience);
	vf_ring_cancel(session->keeper->ring, &session->receive);
	vf_ring_cancel(session->keeper->ring, &session->death);
}

void session_recall(struct session *session, uint64_t grace_ns)
{
	struct vf_keeper_request request = { .op = VF_KEEPER_STOP, .ns = grace_ns };
	struct vf_keeper_time message;

	vf_keeper_encode(&request, &message);
	message.hdr.op = htole16(VF_KEEPER_RECALL);
	send_bytes(session, &message, sizeof(message), NULL, 0);
}

void session_kill(struct session *session)
{
	if (session->pidfd < 0) {
		session_close(session);
		return;
	}
	keep_log("pid %u (%s) has not given back what it borrowed in time: killed",
		 session->want.pid, session->want.comm);
	syscall(SYS_pidfd_send_signal, session->pidfd, SIGKILL, NULL, 0);
}

void session_gone(struct session *session, int code, const char *words)
{
	send_result(session, VF_KEEPER_GONE, code, words);
}

void sessions_ended(struct keeper *keeper, struct loan *loan)
{
	for (struct session *s = keeper->sessions; s; s = s->next) {
		if (s->returning != loan)
			continue;
		s->returning = NULL;
		if (loan->state)
			send_result(s, VF_KEEPER_RESULT, -EBUSY, keeper->loans.trouble);
		else
			send_result(s, VF_KEEPER_RESULT, 0, NULL);
		set_patience(s, IDLE_NS);
	}
}

void sessions_report(struct keeper *keeper, uint32_t ask)
{
	for (struct session *s = keeper->sessions; s; s = s->next) {
		size_t count;
		void *bytes;

		if (!s->asking || (s->asking - 1) & ~ask)
			continue;
		bytes = report_make(keeper, s->asking - 1, &count);
		s->asking = 0;
		if (bytes)
			send_bytes(s, bytes, count, NULL, 0);
		else
			send_result(s, VF_KEEPER_RESULT, -ENOMEM,
				    "the keeper has no memory for a report");
		free(bytes);
	}
}

void sessions_sweep(struct keeper *keeper)
{
	struct session **at = &keeper->sessions;

	while (*at) {
		struct session *session = *at;

		if (!session->closing || session->receive.busy || session->death.busy) {
			at = &session->next;
			continue;
		}
		*at = session->next;
		keeper->session_count--;
		if (session->sock >= 0)
			close(session->sock);
		if (session->pidfd >= 0)
			close(session->pidfd);
		free(session);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's life: bring-up, interrupts, the move, and the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "ring/ring.h"
#include "tools/standin/guest.h"

/* What an epoll event stands for: a side in the high half, a vector in the low one. */
#define SIDE_SOURCE	 1u
#define SIDE_DESTINATION 2u
#define SIDE_BELL	 3u
#define EVENT(side, n)	 ((uint64_t)(side) << 32 | (n))

#define LOOK_EVERY_NS  250000000ull /* for requests that are late */
#define EVENTS_AT_ONCE 16

const char *guest_state_name(enum guest_state state)
{
	switch (state) {
#define X(name, text)      \
	case GUEST_##name: \
		return text;
		GUEST_STATES(X)
#undef X
	}
	return "unknown";
}

uint64_t guest_errors(const struct tally *tally)
{
	return tally->failed + tally->ring_errors + tally->wrong_lengths + tally->lost_completions +
	       tally->lost_interrupts + tally->stray_interrupts + tally->stale_reads +
	       tally->corrupt_reads;
}

bool guest_verified(const struct guest *guest)
{
	const struct tally *tally = &guest->tally;

	return guest->state == GUEST_DONE && !guest_errors(tally) && !tally->lost_blocks &&
	       !tally->corrupt_blocks && tally->read_back == guest->blocks.count;
}

__attribute__((format(printf, 2, 3))) static void say(const struct guest *guest, const char *format,
						      ...)
{
	char text[sizeof(guest->error.text) + 16];
	va_list args;

	if (!guest->opts.verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "VF %u: %s\n", guest->opts.vf, text);
}

/* --- bring-up --- */
static int watch(struct guest *guest, int fd, uint64_t what, struct vferry_error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = what };

	if (epoll_ctl(guest->epoll, EPOLL_CTL_ADD, fd, &event))
		return vferry_fail(err, -errno, "epoll: %s", strerror(errno));
	return 0;
}

static int watch_port(struct guest *guest, const struct port *port, uint32_t side,
		      struct vferry_error *err)
{
	int error = 0;

	for (unsigned int i = 0; !error && i < port->vectors; i++)
		error = watch(guest, port->irq[i], EVENT(side, i), err);
	return error;
}

/* What a VMM does with the destination's VF before the guest goes on there; no virtio register is written. */
static int open_destination(struct guest *guest, struct vferry_error *err)
{
	struct port *port = &guest->destination;
	int error = port_open(port, guest->opts.destination, guest->opts.timeout_ns, err);

	if (error)
		return error;
	error = port_wire(port, &guest->memory, guest->queue_count, err);
	if (!error)
		error = port_follow(port, &guest->source, guest->queue_count, err);
	if (!error)
		error = watch_port(guest, port, SIDE_DESTINATION, err);
	if (error)
		port_close(port);
	guest->destination_open = !error;
	return error;
}

static int bring_up(struct guest *guest)
{
	struct vferry_error *err = &guest->error;
	struct port *port = &guest->source;
	int error = port_open(port, guest->opts.source, guest->opts.timeout_ns, err);

	guest->driver = (struct port_driver){
		.want_queues = guest->opts.queues,
		.want_size = guest->opts.queue_size,
		.want_event_idx = guest->opts.event_idx,
		.want_indirect = guest->opts.indirect,
	};
	if (!error)
		error = port_negotiate(port, &guest->driver, vf_now_ns() + guest->opts.timeout_ns,
				       err);
	if (!error)
		error = load_new(guest, err);
	if (!error)
		error = port_wire(port, &guest->memory, guest->queue_count, err);
	for (uint16_t i = 0; !error && i < guest->queue_count; i++) {
		const struct vf_vq_layout layout = vf_vq_layout(guest->driver.size);
		uint64_t iova = guest->ring_iova[i];

		error = port_queue(port, &guest->driver, i, iova + layout.desc, iova + layout.avail,
				   iova + layout.used, err);
	}
	if (!error)
		error = port_start(port, err);
	if (!error)
		error = watch_port(guest, port, SIDE_SOURCE, err);
	if (!error && guest->opts.destination[0] && guest->opts.how == SWITCH_BOTH_DOORBELLS)
		error = open_destination(guest, err);
	return error;
}

/* --- doorbells and interrupts --- */
/* With both doorbells the source hears of every request for ever: were it live beside the destination, it would show. */
void guest_ring(struct guest *guest, unsigned int queue)
{
	bool both = guest->destination_open && guest->opts.how == SWITCH_BOTH_DOORBELLS;

	if (both || !guest->switched)
		port_ring(&guest->source, queue);
	if (both || guest->switched)
		port_ring(&guest->destination, queue);
}

/* Interrupts that the source raised before it stopped may lie here still; later ones must not come. */
static void forget_source(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->source.vectors; i++)
		guest->tally.source_interrupts += port_drain(&guest->source, i);
}

/* The first completion that the destination's interrupt announces. */
static int arrived(struct guest *guest, uint64_t now_ns)
{
	int got = 0;

	guest->switched = true;
	guest->phase = PHASE_AFTER;
	guest->tally.switch_ns = now_ns;
	guest->tally.ring_at_switch = guest->inflight;
	guest->tally.switch_gap_ns = guest->waiting_since_ns ? now_ns - guest->waiting_since_ns : 0;
	say(guest, "first completion from the destination, %u requests in the rings",
	    guest->inflight);
	forget_source(guest);
	for (unsigned int i = 0; got >= 0 && i < guest->queue_count; i++)
		got = load_reap(guest, i, now_ns);
	return got < 0 ? got : 0;
}

static int interrupt(struct guest *guest, uint32_t side, unsigned int vector, uint64_t now_ns)
{
	bool destination = side == SIDE_DESTINATION;
	uint64_t signals = port_drain(destination ? &guest->destination : &guest->source, vector);
	int got;

	if (!signals)
		return 0;
	if (destination)
		guest->tally.destination_interrupts += signals;
	else
		guest->tally.source_interrupts += signals;
	if (!destination && guest->tally.switch_ns)
		guest->tally.stray_interrupts += signals;
	if (!vector)
		return 0;
	if (destination && !guest->tally.switch_ns && load_has_used(guest, vector - 1))
		return arrived(guest, now_ns);
	got = load_reap(guest, vector - 1, now_ns);
	return got < 0 ? got : 0;
}

/* --- states --- */
static void enter(struct guest *guest, enum guest_state state, uint64_t now_ns)
{
	guest->state = state;
	say(guest, "%s", guest_state_name(state));
	guest->cursor = 0;
	guest->pace_ns = now_ns;
	guest->pace_sent = 0;
	if (guest->inflight)
		guest->waiting_since_ns = now_ns;
}

/* Behind the device's back, to see that the check sees it. */
static int corrupt_one(struct guest *guest)
{
	uint8_t garbage[BLOCK_BYTES];
	uint64_t number;
	int fd, error = 0;

	if (getrandom(garbage, sizeof(garbage), 0) != sizeof(garbage) ||
	    getrandom(&number, sizeof(number), 0) != sizeof(number))
		return vferry_fail(&guest->error, -EIO, "getrandom: %s", strerror(errno));
	fd = open(guest->opts.corrupt, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return vferry_fail(&guest->error, -errno, "%s: %s", guest->opts.corrupt,
				   strerror(errno));
	number %= guest->blocks.count;
	if (pwrite(fd, garbage, sizeof(garbage), (off_t)number * BLOCK_BYTES) != sizeof(garbage))
		error = vferry_fail(&guest->error, -EIO, "%s: cannot write block %llu",
				    guest->opts.corrupt, (unsigned long long)number);
	close(fd);
	return error;
}

/* A state that has nothing left to do gives way to the next. */
static int advance(struct guest *guest, uint64_t now_ns)
{
	bool all = guest->cursor == guest->blocks.count;
	int error = 0;

	if (guest->inflight)
		return 0;
	if (guest->state == GUEST_FILLING && all) {
		enter(guest, guest->stop_asked ? GUEST_DRAINING : GUEST_RUNNING, now_ns);
	} else if (guest->state == GUEST_DRAINING) {
		if (guest->opts.corrupt[0])
			error = corrupt_one(guest);
		enter(guest, GUEST_READBACK, now_ns);
	} else if (guest->state == GUEST_READBACK && all) {
		enter(guest, GUEST_DONE, now_ns);
	}
	return error;
}

/* Bounded waiting: a request that takes too long is lost, and the guest says what it sees. */
static int look_for_late(struct guest *guest, uint64_t now_ns)
{
	const struct request *late;
	unsigned int with_used = 0;

	if (now_ns < guest->looked_ns + LOOK_EVERY_NS || guest->state == GUEST_PAUSED)
		return 0;
	guest->looked_ns = now_ns;
	if (now_ns < guest->patience_ns || now_ns < guest->opts.timeout_ns)
		return 0;
	late = load_late(guest, now_ns - guest->opts.timeout_ns);
	if (!late)
		return 0;
	for (unsigned int i = 0; i < guest->queue_count; i++)
		with_used += load_has_used(guest, i);
	if (with_used)
		guest->tally.lost_interrupts++;
	else
		guest->tally.lost_completions++;
	return vferry_fail(
		&guest->error, -ETIMEDOUT,
		"queue %u: %s after %llu ms; %u requests are in the rings", late->queue,
		with_used ? "used entries, but no interrupt" : "a request is not completed",
		(unsigned long long)(now_ns - late->submit_ns) / 1000000, guest->inflight);
}

/* --- the mailbox --- */
static int obey(struct guest *guest, enum guest_command command, int argument, uint64_t now_ns,
		struct vferry_error *err)
{
	switch (command) {
	case GUEST_PAUSE:
		if (guest->state == GUEST_PAUSED)
			return 0;
		guest->resume_to = guest->state;
		guest->state = GUEST_PAUSED;
		return 0;
	case GUEST_RESUME:
		if (guest->state != GUEST_PAUSED)
			return 0;
		guest->state = guest->resume_to;
		guest->patience_ns = now_ns + guest->opts.timeout_ns;
		return 0;
	case GUEST_ATTACH:
		if (!guest->opts.destination[0])
			return vferry_fail(
				err, -EINVAL,
				"VF %u has no destination: give one with --vf %u=%s,DESTINATION",
				guest->opts.vf, guest->opts.vf, guest->opts.source);
		if (!guest->destination_open) {
			int error = open_destination(guest, err);

			if (error)
				return error;
		}
		if (argument)
			guest->switched = true;
		return 0;
	case GUEST_STOP:
		guest->stop_asked = true; /* a disk that is being filled is filled first */
		if (guest->state == GUEST_PAUSED && guest->resume_to == GUEST_RUNNING)
			guest->resume_to = GUEST_DRAINING;
		else if (guest->state == GUEST_RUNNING)
			enter(guest, GUEST_DRAINING, now_ns);
		return 0;
	case GUEST_MARK:
		guest->phase = (enum guest_phase)argument;
		return 0;
	case GUEST_LOOK:
		return 0;
	}
	return -EINVAL;
}

static void open_mail(struct guest *guest, uint64_t now_ns)
{
	uint64_t count;

	(void)!read(guest->bell, &count, sizeof(count));
	pthread_mutex_lock(&guest->lock);
	if (guest->waiting) {
		guest->answer_code =
			obey(guest, guest->command, guest->argument, now_ns, guest->answer);
		guest->seen = guest->tally;
		guest->seen_state = guest->state;
		guest->waiting = false;
		pthread_cond_signal(&guest->answered);
	}
	pthread_mutex_unlock(&guest->lock);
}

int guest_tell(struct guest *guest, enum guest_command command, int argument,
	       struct vferry_error *err)
{
	const uint64_t one = 1;
	int error = 0;

	pthread_mutex_lock(&guest->lock);
	if (!guest->ended) {
		guest->command = command;
		guest->argument = argument;
		guest->answer = err;
		guest->waiting = true;
		(void)!write(guest->bell, &one, sizeof(one));
		while (guest->waiting && !guest->ended)
			pthread_cond_wait(&guest->answered, &guest->lock);
		error = guest->answer_code;
	}
	if (guest->ended) {
		guest->waiting = false;
		guest->seen = guest->tally;
		guest->seen_state = guest->state;
		error = command == GUEST_LOOK || command == GUEST_STOP
				? 0
				: vferry_fail(err, -ESRCH, "VF %u: its guest has ended (%s)",
					      guest->opts.vf, guest_state_name(guest->state));
	}
	pthread_mutex_unlock(&guest->lock);
	return error;
}

/* --- the thread --- */
static int wait_for_events(struct guest *guest, uint64_t next_ns)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t now_ns = vf_now_ns(), left = LOOK_EVERY_NS;
	struct timespec limit;
	int count, error = 0;

	if (next_ns < now_ns + left)
		left = next_ns > now_ns ? next_ns - now_ns : 0;
	limit.tv_sec = (time_t)(left / 1000000000);
	limit.tv_nsec = (long)(left % 1000000000);
	count = epoll_pwait2(guest->epoll, events, EVENTS_AT_ONCE, &limit, NULL);
	if (count < 0)
		return errno == EINTR
			       ? 0
			       : vferry_fail(&guest->error, -errno, "epoll: %s", strerror(errno));
	now_ns = vf_now_ns();
	for (int i = 0; !error && i < count; i++) {
		uint32_t side = (uint32_t)(events[i].data.u64 >> 32);

		if (side == SIDE_BELL)
			open_mail(guest, now_ns);
		else if (guest->state != GUEST_PAUSED)
			error = interrupt(guest, side, (uint32_t)events[i].data.u64, now_ns);
	}
	return error;
}

/* A guest that stands still leaves its interrupts pending: only the mailbox wakes it. */
static int stand_still(struct guest *guest)
{
	struct pollfd bell = { .fd = guest->bell, .events = POLLIN };

	if (poll(&bell, 1, LOOK_EVERY_NS / 1000000) > 0)
		open_mail(guest, vf_now_ns());
	return 0;
}

static void *life(void *argument)
{
	struct guest *guest = argument;
	const uint64_t one = 1;
	int error = bring_up(guest);

	if (!error)
		enter(guest, GUEST_FILLING, vf_now_ns());
	while (!error && guest->state != GUEST_DONE) {
		uint64_t next;

		if (guest->state == GUEST_PAUSED) {
			error = stand_still(guest);
			continue;
		}
		next = load_submit(guest, vf_now_ns());
		error = wait_for_events(guest, next);
		if (!error)
			error = look_for_late(guest, vf_now_ns());
		if (!error)
			error = advance(guest, vf_now_ns());
	}
	pthread_mutex_lock(&guest->lock);
	if (error) {
		guest->state = GUEST_FAILED;
		say(guest, "failed: %s", guest->error.text);
	}
	guest->ended = true;
	pthread_cond_signal(&guest->answered);
	pthread_mutex_unlock(&guest->lock);
	(void)!write(guest->over, &one, sizeof(one));
	return NULL;
}

int guest_new(struct guest **out, const struct guest_opts *opts, int over, struct vferry_error *err)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return vferry_fail(err, -ENOMEM, "out of memory");
	guest->opts = *opts;
	guest->over = over;
	guest->memory.fd = -1;
	guest->random = opts->seed * 0x9e3779b97f4a7c15ULL + opts->vf + 1;
	pthread_mutex_init(&guest->lock, NULL);
	pthread_cond_init(&guest->answered, NULL);
	port_blank(&guest->source);
	port_blank(&guest->destination);
	guest->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (guest->bell < 0 || guest->epoll < 0 ||
	    watch(guest, guest->bell, EVENT(SIDE_BELL, 0), NULL)) {
		int error = -errno;

		guest_free(guest);
		return vferry_fail(err, error, "eventfd, epoll: %s", strerror(-error));
	}
	*out = guest;
	return 0;
}

int guest_start(struct guest *guest, struct vferry_error *err)
{
	int error = pthread_create(&guest->thread, NULL, life, guest);

	if (error)
		return vferry_fail(err, -error, "a thread: %s", strerror(error));
	guest->started = true;
	return 0;
}

void guest_free(struct guest *guest)
{
	if (!guest)
		return;
	if (guest->started)
		pthread_join(guest->thread, NULL);
	port_close(&guest->destination);
	port_close(&guest->source);
	load_free(guest);
	if (guest->epoll >= 0)
		close(guest->epoll);
	if (guest->bell >= 0)
		close(guest->bell);
	pthread_cond_destroy(&guest->answered);
	pthread_mutex_destroy(&guest->lock);
	free(guest);
}

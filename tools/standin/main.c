// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry-standin: stands in for a VMM and its guests while VFs move. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "ring/ring.h"
#include "tools/standin/control.h"
#include "tools/standin/options.h"
#include "tools/standin/report.h"

struct standin {
	struct options options;
	struct guest **guests;
	unsigned int count;
	int over, signals, control;
	uint64_t stop_ns;
	bool stopping;
};

static void stop_all(struct standin *standin)
{
	standin->stopping = true;
	for (unsigned int i = 0; i < standin->count; i++) {
		(void)guest_tell(standin->guests[i], GUEST_STOP, 0, NULL);
		(void)guest_tell(standin->guests[i], GUEST_RESUME, 0, NULL);
	}
}

static bool all_ended(struct standin *standin)
{
	for (unsigned int i = 0; i < standin->count; i++) {
		struct guest *guest = standin->guests[i];

		(void)guest_tell(guest, GUEST_LOOK, 0, NULL);
		if (guest->seen_state != GUEST_DONE && guest->seen_state != GUEST_FAILED)
			return false;
	}
	return true;
}

/* Until every guest has ended. The first signal asks for the end as --seconds does, the second takes the quick way out. */
static int watch(struct standin *standin)
{
	while (!all_ended(standin)) {
		struct pollfd fds[] = {
			{ .fd = standin->over, .events = POLLIN },
			{ .fd = standin->signals, .events = POLLIN },
			{ .fd = standin->control, .events = POLLIN },
		};
		uint64_t now = vf_now_ns(), count;
		int wait = -1;

		if (standin->stop_ns && !standin->stopping)
			wait = standin->stop_ns > now
				       ? (int)((standin->stop_ns - now) / 1000000) + 1
				       : 0;
		if (poll(fds, 3, wait) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			(void)!read(standin->over, &count, sizeof(count));
		if (fds[1].revents) {
			struct signalfd_siginfo info;

			if (standin->stopping)
				return -EINTR;
			(void)!read(standin->signals, &info, sizeof(info));
			stop_all(standin);
		}
		if (fds[2].revents)
			control_serve(standin->control, standin->guests, standin->count);
		if (standin->stop_ns && !standin->stopping && vf_now_ns() >= standin->stop_ns)
			stop_all(standin);
	}
	return 0;
}

static int start(struct standin *standin, struct vferry_error *err)
{
	sigset_t set;
	int error = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* Before the threads: they inherit the mask, and none is interrupted. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	standin->signals = signalfd(-1, &set, SFD_CLOEXEC);
	standin->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	standin->guests = calloc(standin->options.count, sizeof(*standin->guests));
	if (standin->signals < 0 || standin->over < 0 || !standin->guests)
		return vferry_fail(err, -ENOMEM, "signalfd, eventfd, memory: %s", strerror(errno));
	if (standin->options.control) {
		standin->control = control_listen(standin->options.control, err);
		if (standin->control < 0)
			return standin->control;
	}
	for (unsigned int i = 0; !error && i < standin->options.count; i++) {
		error = guest_new(&standin->guests[i], &standin->options.guests[i], standin->over,
				  err);
		if (!error) {
			standin->count++;
			error = guest_start(standin->guests[i], err);
		}
	}
	return error;
}

int main(int argc, char **argv)
{
	struct standin standin = { .over = -1, .signals = -1, .control = -1 };
	struct vferry_error err = { 0 };
	struct json_object *report;
	bool verified = true;
	int error;

	if (argc > 1 && !strcmp(argv[1], "ctl"))
		return control_client(argc - 1, argv + 1);
	error = options_parse(&standin.options, argc, argv);
	if (error) {
		options_free(&standin.options);
		return error > 0 ? 0 : 2;
	}
	error = start(&standin, &err);
	if (error) {
		fprintf(stderr, "vferry-standin: %s\n", err.text);
		/* Guests may run already; the process ends, and with it their connections. */
		_exit(1);
	}
	if (standin.options.run_ns)
		standin.stop_ns = vf_now_ns() + standin.options.run_ns;
	error = watch(&standin);
	if (standin.options.control)
		(void)unlink(standin.options.control);
	if (error) {
		fprintf(stderr, "vferry-standin: ended before the blocks were read back: %s\n",
			strerror(-error));
		_exit(error == -EINTR ? 130 : 1);
	}
	report = report_json(standin.guests, standin.count);
	for (unsigned int i = 0; i < standin.count; i++)
		verified = verified && guest_verified(standin.guests[i]);
	if (standin.options.json)
		puts(json_object_to_json_string_ext(
			report, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		report_text(report);
	json_object_put(report);
	for (unsigned int i = 0; i < standin.count; i++)
		guest_free(standin.guests[i]);
	free(standin.guests);
	if (standin.control >= 0)
		close(standin.control);
	close(standin.over);
	close(standin.signals);
	options_free(&standin.options);
	return verified ? 0 : 1;
}

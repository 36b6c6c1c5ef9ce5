// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "tools/standin/control.h"
#include "tools/standin/report.h"

#define LINE_MAX_BYTES	256
#define SILENCE_SECONDS 2 /* a client that says nothing is left */

static int socket_address(struct sockaddr_un *address, const char *path, struct vferry_error *err)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return vferry_fail(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes",
				   path, sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

int control_listen(const char *path, struct vferry_error *err)
{
	struct sockaddr_un address;
	int fd, error = socket_address(&address, path, err);

	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vferry_fail(err, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0600) ||
	    listen(fd, 16)) {
		error = vferry_fail(err, -errno, "%s: %s", path, strerror(errno));
		close(fd);
		return error;
	}
	return fd;
}

static void answer(int fd, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
	(void)!send(fd, "\n", 1, MSG_NOSIGNAL);
}

static int tell(struct guest *const *guests, unsigned int count, long only,
		enum guest_command command, int argument, struct vferry_error *err)
{
	unsigned int told = 0;
	int error = 0;

	for (unsigned int i = 0; i < count; i++) {
		int one;

		if (only && guests[i]->opts.vf != (unsigned long)only)
			continue;
		told++;
		one = guest_tell(guests[i], command, argument, err);
		error = error ? error : one;
	}
	return told ? error : vferry_fail(err, -ENOENT, "no guest has VF %ld", only);
}

static int obey(struct guest *const *guests, unsigned int count, char *line,
		struct json_object **object, struct vferry_error *err)
{
	char *save = NULL, *word = strtok_r(line, " \t\r\n", &save),
	     *argument = strtok_r(NULL, " \t\r\n", &save), *end = NULL;
	long only = argument ? strtol(argument, &end, 10) : 0;
	bool numeric = !argument || (end != argument && !*end && only > 0);

	if (word && (!strcmp(word, "status") || !strcmp(word, "report"))) {
		(void)tell(guests, count, 0, GUEST_LOOK, 0, NULL);
		*object = !strcmp(word, "status") ? report_status(guests, count)
						  : report_json(guests, count);
		return 0;
	}
	if (word && !strcmp(word, "mark")) {
		static const char *const phases[PHASES] = { "before", "during", "after" };

		for (int i = 0; argument && i < PHASES; i++)
			if (!strcmp(argument, phases[i]))
				return tell(guests, count, 0, GUEST_MARK, i, err);
		return vferry_fail(err, -EINVAL, "mark: before, during or after");
	}
	if (word && !numeric)
		return vferry_fail(err, -EINVAL, "%s %s: a VF number is wanted, or nothing: all",
				   word, argument);
	if (word && !strcmp(word, "pause"))
		return tell(guests, count, only, GUEST_PAUSE, 0, err);
	if (word && !strcmp(word, "resume"))
		return tell(guests, count, only, GUEST_RESUME, 0, err);
	if (word && !strcmp(word, "attach"))
		return tell(guests, count, only, GUEST_ATTACH, 1, err);
	if (word && !strcmp(word, "stop"))
		return tell(guests, count, only, GUEST_STOP, 0, err);
	return vferry_fail(
		err, -EINVAL,
		"%s: not a command; they are status, report, pause, resume, attach, stop "
		"(each but the first two with an optional VF number), mark PHASE",
		word ? word : "(nothing)");
}

void control_serve(int listening, struct guest *const *guests, unsigned int count)
{
	const struct timeval silence = { .tv_sec = SILENCE_SECONDS };
	struct vferry_error err = { 0 };
	struct json_object *object = NULL;
	char line[LINE_MAX_BYTES] = "";
	size_t got = 0;
	int error, fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
	while (got < sizeof(line) - 1 && !memchr(line, '\n', got)) {
		ssize_t n = recv(fd, line + got, sizeof(line) - 1 - got, 0);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	line[got] = '\0';
	error = obey(guests, count, line, &object, &err);
	if (!object) {
		object = json_object_new_object();
		json_object_object_add(object, "ok", json_object_new_boolean(!error));
		if (error)
			json_object_object_add(object, "error", json_object_new_string(err.text));
	}
	answer(fd, object);
	json_object_put(object);
	close(fd);
}

int control_client(int argc, char **argv)
{
	struct sockaddr_un address;
	struct vferry_error err;
	char buffer[4096];
	bool good = true, first = true;
	ssize_t n;
	int fd;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: vferry-standin ctl SOCKET COMMAND [ARGUMENT]\n");
		return 2;
	}
	if (socket_address(&address, argv[1], &err)) {
		fprintf(stderr, "vferry-standin: %s\n", err.text);
		return 2;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		fprintf(stderr, "vferry-standin: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	n = snprintf(buffer, sizeof(buffer), "%s %s\n", argv[2], argc > 3 ? argv[3] : "");
	if (n >= (ssize_t)sizeof(buffer) || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n) {
		fprintf(stderr, "vferry-standin: %s: cannot send\n", argv[1]);
		close(fd);
		return 1;
	}
	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		static const char bad[] = "{\"ok\":false";

		if (first && (size_t)n >= sizeof(bad) - 1 && !memcmp(buffer, bad, sizeof(bad) - 1))
			good = false;
		first = false;
		fwrite(buffer, 1, (size_t)n, good ? stdout : stderr);
	}
	close(fd);
	return good && !first ? 0 : 1;
}

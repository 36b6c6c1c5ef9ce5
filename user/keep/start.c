// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Telling whoever started the keeper how it went: a starter's pipe (lent_start.c), systemd. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "keep/keeper.h"

void keep_log(const char *format, ...)
{
	char words[700], when[32] = "";
	struct timespec now;
	struct tm tm;
	va_list args;

	/* journald has its own clock. */
	if (!getenv("JOURNAL_STREAM") && !clock_gettime(CLOCK_REALTIME, &now) &&
	    localtime_r(&now.tv_sec, &tm))
		strftime(when, sizeof(when), "%F %T ", &tm);
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	fprintf(stderr, "%svferry keep: %s\n", when, words);
}

static int starter(void)
{
	const char *number = getenv(VF_KEEPER_READY_ENV);
	char *end;
	long fd;

	if (!number)
		return -1;
	fd = strtol(number, &end, 10);
	return *end || fd < 3 || fd > 1 << 20 ? -1 : (int)fd;
}

void start_begin(void)
{
	int fd = starter();

	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC))
		unsetenv(VF_KEEPER_READY_ENV);
}

static void keep_a_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return;
	dup2(fd, 2);
	close(fd);
}

void start_verdict(const struct manager *manager, int code, const char *words, const char *log)
{
	int fd = starter(), ret;

	if (fd >= 0) {
		if (!code)
			keep_a_log(log);
		dprintf(fd, "%d %s\n", -code, words ? words : "");
		close(fd);
		unsetenv(VF_KEEPER_READY_ENV);
	}
	ret = code ? 0 : manager_tell(manager, "READY=1", -1);
	if (ret && ret != -ENOTCONN)
		keep_log("cannot tell the service manager: %s", strerror(-ret));
}

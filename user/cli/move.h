/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What vferry send, recv and recover have in common: VFs, interrupts, progress, the report. */
#ifndef VF_CLI_MOVE_H
#define VF_CLI_MOVE_H

#include <time.h>
#include <vferry/migrate.h>
#include "cli/cli.h"

/** struct move_cli - a run seen from the command line */
struct move_cli {
	struct cli *cli;
	struct cli_vfs vfs;
	int signal_fd;
	int signal; /* that came first, 0: none */
	bool terminal;
	bool shown;
	time_t line_at; /* of the last plain line of progress */
	struct vferry_move_opts opts;
	struct vferry_move move;
};

/** move_peer() - CLI_USAGE, after words, when @option is no peer's address. */
int move_peer(struct cli *cli, const char *option);
/** move_begin() - VF numbers, signals into a descriptor, progress. 0, or an exit status (and it has been said why). */
int move_begin(struct move_cli *run, struct cli *cli);
/** move_end() - the report and the exit status for what vferry_send() or vferry_recv() returned. */
int move_end(struct move_cli *run, const char *schema, int ret, const struct vferry_error *err);

/** move_signals() - SIGINT and SIGTERM into a descriptor; SIGPIPE is ignored. */
int move_signals(void);
/** move_signal() - the signal that came, 0: none. Closes the descriptor. */
int move_signal(int fd);
int move_exit_status(int ret, int signal);

#endif

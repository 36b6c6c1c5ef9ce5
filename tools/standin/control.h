/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The control socket: one command a connection, one line each way; the answer is JSON. It is what a VMM's own control
 * plane would be: the hooks of `vferry send` and `vferry recv` call it through `vferry-standin ctl`.
 */
#ifndef STANDIN_CONTROL_H
#define STANDIN_CONTROL_H

#include "tools/standin/guest.h"

/** control_listen() - a listening descriptor, or -errno. */
int control_listen(const char *path, struct vferry_error *err);
/** control_serve() - accept one connection and obey it. @how: of the guests' switch. */
void control_serve(int listening, struct guest *const *guests, unsigned int count);
/** control_client() - the "ctl" command line. Its exit status. */
int control_client(int argc, char **argv);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef STANDIN_OPTIONS_H
#define STANDIN_OPTIONS_H

#include "tools/standin/guest.h"

struct options {
	struct guest_opts *guests;
	unsigned int count;
	uint64_t run_ns;     /* 0: until "stop" or a signal */
	const char *control; /* path of the control socket, NULL without */
	bool json;
};

/** options_parse() - 0: go on; 1: done (help was shown); -EINVAL: wrong, said on standard error. */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An error with its words: what is wrong, where, with which value, and what to do about it. */
#ifndef VFERRY_ERROR_H
#define VFERRY_ERROR_H

#include <stdarg.h>
#include <stdio.h>

/**
 * struct vferry_error - the words for a negative return value
 * @code: the negative errno that the function returned, 0 when none did
 * @text: one sentence or two, no newline: what, where, the offending value, the way out
 */
struct vferry_error {
	int code;
	char text[512];
};

/**
 * vferry_fail() - fill in an error
 * @err: may be NULL
 * @code: negative errno
 * @format: printf format of the words
 *
 * Return: @code, so that a function ends with "return vferry_fail(err, -EINVAL, ...)".
 */
__attribute__((format(printf, 3, 4))) static inline int
vferry_fail(struct vferry_error *err, int code, const char *format, ...)
{
	if (err) {
		va_list args;

		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
		err->code = code;
	}
	return code;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names for text and JSON out of a table of X(NAME, number, "name"). */
#ifndef VFERRY_NAMES_H
#define VFERRY_NAMES_H

#define VFERRY_NAME_CASE(name, number, text) \
	case number:                         \
		return text;

/**
 * VFERRY_NAMES() - defines a function from numbers to names
 * @function: its name; it takes an unsigned int and returns a text that is never freed
 * @table: the table, a macro that takes another one
 * @otherwise: the name of a number that is not in it
 */
#define VFERRY_NAMES(function, table, otherwise)                \
	static inline const char *function(unsigned int number) \
	{                                                       \
		switch (number) {                               \
			table(VFERRY_NAME_CASE)                 \
		}                                               \
		return otherwise;                               \
	}

#endif

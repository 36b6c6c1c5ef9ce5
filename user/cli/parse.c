// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "cli/parse.h"

#define VF_MAX 65535u

static int digits(const char **text, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;

	if (!isdigit((unsigned char)*at))
		return -EINVAL;
	for (; isdigit((unsigned char)*at); at++) {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
			return -ERANGE;
	}
	*text = at;
	*value = sum;
	return 0;
}

int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
		     struct vferry_error *err)
{
	const char *at = text;
	uint64_t number = 0;
	int rc;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
	    isxdigit((unsigned char)text[2])) {
		char *end;

		errno = 0;
		number = strtoull(text + 2, &end, 16);
		rc = errno ? -ERANGE : 0;
		at = end;
	} else {
		rc = digits(&at, &number);
	}
	if (rc == -EINVAL || (!rc && *at))
		return vferry_fail(err, -EINVAL, "'%s' is not a number", text);
	if (rc || number < min || (max && number > max)) {
		if (max)
			return vferry_fail(err, -ERANGE, "'%s' is not between %llu and %llu", text,
					   (unsigned long long)min, (unsigned long long)max);
		return vferry_fail(err, -ERANGE, "'%s' is %s", text,
				   rc ? "too large" : "too small");
	}
	*value = number;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A number with an optional fraction, times a unit. The fraction may not go below one. */
static int scaled(const char *text, const struct unit *units, uint64_t *value)
{
	const char *at = text;
	uint64_t whole, part = 0, scale = 1;
	int rc = digits(&at, &whole);

	if (rc)
		return rc;
	if (*at == '.') {
		at++;
		if (!isdigit((unsigned char)*at))
			return -EINVAL;
		for (; isdigit((unsigned char)*at); at++) {
			if (scale >= 1000000000)
				return -EINVAL;
			part = part * 10 + (uint64_t)(*at - '0');
			scale *= 10;
		}
	}
	for (; units->name; units++) {
		if (!strcmp(at, units->name))
			break;
	}
	if (!units->name || (part && units->factor == 1))
		return -EINVAL;
	if (__builtin_mul_overflow(whole, units->factor, &whole) ||
	    __builtin_add_overflow(
		    whole, (uint64_t)((unsigned __int128)part * units->factor / scale), value))
		return -ERANGE;
	return 0;
}

int cli_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes,
		   struct vferry_error *err)
{
	static const struct unit units[] = {
		{ "", 1 },	     { "K", 1ULL << 10 }, { "KiB", 1ULL << 10 },
		{ "k", 1ULL << 10 }, { "M", 1ULL << 20 }, { "MiB", 1ULL << 20 },
		{ "m", 1ULL << 20 }, { "G", 1ULL << 30 }, { "GiB", 1ULL << 30 },
		{ "g", 1ULL << 30 }, { "T", 1ULL << 40 }, { "TiB", 1ULL << 40 },
		{ NULL, 0 },
	};
	uint64_t size;
	int rc = scaled(text, units, &size);

	if (rc == -EINVAL)
		return vferry_fail(
			err, -EINVAL,
			"'%s' is not a size: write bytes, or 64K, 256M, 1G (powers of 1024)", text);
	if (rc || size < min || (max && size > max)) {
		if (max)
			return vferry_fail(err, -ERANGE, "'%s' is not between %llu and %llu bytes",
					   text, (unsigned long long)min, (unsigned long long)max);
		return vferry_fail(err, -ERANGE, "'%s' is %s", text,
				   rc ? "too large" : "too small");
	}
	*bytes = size;
	return 0;
}

int cli_parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *ns,
		       struct vferry_error *err)
{
	static const struct unit units[] = {
		{ "ns", 1 },	   { "us", 1000 },	{ "\302\265s", 1000 },
		{ "ms", 1000000 }, { "s", 1000000000 }, { "min", 60000000000 },
		{ NULL, 0 },
	};
	uint64_t time;
	int rc = strcmp(text, "0") ? scaled(text, units, &time) : (time = 0, 0);

	if (rc == -EINVAL)
		return vferry_fail(
			err, -EINVAL,
			"'%s' is not a time: write a number and its unit, as in 100us, 50ms, 1.5s",
			text);
	if (rc || time < min || (max && time > max)) {
		if (max)
			return vferry_fail(err, -ERANGE, "'%s' is not between %lluns and %lluns",
					   text, (unsigned long long)min, (unsigned long long)max);
		return vferry_fail(err, -ERANGE, "'%s' is %s", text, rc ? "too long" : "too short");
	}
	*ns = time;
	return 0;
}

int cli_parse_mode(const char *text, uint64_t *mode, struct vferry_error *err)
{
#define X(name, number, word)      \
	if (!strcmp(text, word)) { \
		*mode = number;    \
		return 0;          \
	}
	VFERRY_MODES(X)
#undef X
	return vferry_fail(err, -EINVAL, "'%s' is not a mode: active, stop or freeze", text);
}

static bool is_bdf(const char *text)
{
	static const char form[] = "hhhh:hh:hh.o";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++) {
		char c = text[i];

		if (form[i] == 'h'   ? !isxdigit((unsigned char)c)
		    : form[i] == 'o' ? (c < '0' || c > '7')
				     : c != form[i])
			return false;
	}
	return true;
}

int cli_parse_owner(const char *text, struct vferry_error *err)
{
	if (!strncmp(text, "vfio:", 5)) {
		if (is_bdf(text + 5))
			return 0;
		return vferry_fail(
			err, -EINVAL,
			"'%s': after vfio: stands a PCI address with its domain, as in vfio:0000:65:00.0",
			text);
	}
	if (!strncmp(text, "vfio-user:", 10) || !strncmp(text, "uring-cmd:", 10)) {
		if (text[10])
			return 0;
		return vferry_fail(err, -EINVAL, "'%s': a path is missing after the colon", text);
	}
	/* Without a prefix: a PCI address or a path, of which the best way is taken. */
	if (is_bdf(text) || strchr(text, '/'))
		return 0;
	return vferry_fail(
		err, -EINVAL,
		"'%s' is not an owner's address: vfio:BDF, vfio-user:PATH, "
		"uring-cmd:PATH, or without a prefix a PCI address with its domain, or a path",
		text);
}

int cli_parse_choice(const char *text, const char *choices, struct vferry_error *err)
{
	size_t length = strcspn(text, "|");

	for (const char *at = text[length] ? NULL : choices; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (length && !strncmp(at, text, length) && (!at[length] || at[length] == '|'))
			return 0;
	}
	return vferry_fail(err, -EINVAL, "'%s' is not one of %s", text, choices);
}

static int vf_add(struct cli_vfs *vfs, uint64_t *seen, uint64_t vf, const char *text,
		  struct vferry_error *err)
{
	if (seen[vf / 64] >> (vf % 64) & 1)
		return vferry_fail(err, -EINVAL, "'%s' names VF %u twice", text, (unsigned int)vf);
	seen[vf / 64] |= 1ULL << (vf % 64);
	vfs->vf[vfs->count++] = (uint16_t)vf;
	return 0;
}

static int vf_list(const char *text, struct cli_vfs *vfs, uint64_t *seen, struct vferry_error *err)
{
	const char *at = text;

	for (;;) {
		uint64_t first, last;
		int rc = digits(&at, &first);

		last = first;
		if (!rc && *at == '-') {
			at++;
			rc = digits(&at, &last);
		}
		if (rc == -EINVAL || (!rc && *at && *at != ','))
			return vferry_fail(err, -EINVAL,
					   "'%s' is not a list of VFs: write 1, 1-4,7 or all",
					   text);
		if (rc || !first || last > VF_MAX)
			return vferry_fail(err, -ERANGE, "'%s': VF numbers go from 1 to %u", text,
					   VF_MAX);
		if (first > last)
			return vferry_fail(err, -EINVAL,
					   "'%s': a range goes from the lower VF to the higher",
					   text);
		for (; first <= last; first++) {
			rc = vf_add(vfs, seen, first, text, err);
			if (rc)
				return rc;
		}
		if (!*at)
			return 0;
		at++;
	}
}

int cli_parse_vfs(const char *text, struct cli_vfs *vfs, struct vferry_error *err)
{
	uint64_t *seen;
	uint16_t *fitting;
	int rc;

	memset(vfs, 0, sizeof(*vfs));
	if (!strcmp(text, "all")) {
		vfs->all = true;
		return 0;
	}
	seen = calloc(VF_MAX / 64 + 1, sizeof(*seen));
	vfs->vf = calloc(VF_MAX, sizeof(*vfs->vf));
	if (!seen || !vfs->vf)
		rc = vferry_fail(err, -ENOMEM, "no memory for a list of VFs");
	else
		rc = vf_list(text, vfs, seen, err);
	free(seen);
	if (rc) {
		free(vfs->vf);
		memset(vfs, 0, sizeof(*vfs));
		return rc;
	}
	fitting = realloc(vfs->vf, vfs->count * sizeof(*vfs->vf));
	if (fitting)
		vfs->vf = fitting;
	return 0;
}

int cli_vfs_all(struct cli_vfs *vfs, uint16_t num_vfs, struct vferry_error *err)
{
	if (!vfs->all) {
		for (unsigned int i = 0; i < vfs->count; i++) {
			if (vfs->vf[i] > num_vfs)
				return vferry_fail(err, -ENXIO,
						   "there is no VF %u: the owner has %u enabled",
						   vfs->vf[i], num_vfs);
		}
		return 0;
	}
	if (!num_vfs)
		return vferry_fail(err, -ENXIO, "'all': the owner has no VF enabled");
	vfs->vf = calloc(num_vfs, sizeof(*vfs->vf));
	if (!vfs->vf)
		return vferry_fail(err, -ENOMEM, "no memory for %u VFs", num_vfs);
	for (unsigned int i = 0; i < num_vfs; i++)
		vfs->vf[i] = (uint16_t)(i + 1);
	vfs->count = num_vfs;
	vfs->all = false;
	return 0;
}

/* One "7", "7-13" or "dev_mode_get" of @length characters. */
static int opcode_range(const char *text, size_t length, uint64_t *first, uint64_t *last)
{
	char word[40];
	const char *at = word;

	if (!length || length >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, length);
	word[length] = 0;
#define X(name, number, words)           \
	if (!strcmp(word, words)) {      \
		*first = *last = number; \
		return 0;                \
	}
	VFERRY_ADMIN_OPCODES(X)
#undef X
	if (digits(&at, first))
		return -EINVAL;
	*last = *first;
	if (*at == '-') {
		at++;
		if (digits(&at, last))
			return -EINVAL;
	}
	return *at || *first > *last ? -EINVAL : 0;
}

int cli_parse_opcodes(const char *text, uint8_t bytes[CLI_OPCODES_BYTES], size_t *length,
		      struct vferry_error *err)
{
	uint64_t highest = 0;

	memset(bytes, 0, CLI_OPCODES_BYTES);
	*length = 8;
	if (!strcmp(text, "none"))
		return 0;
	for (const char *at = text;; at++) {
		size_t word = strcspn(at, ",");
		uint64_t first, last;

		if (opcode_range(at, word, &first, &last))
			return vferry_fail(
				err, -EINVAL,
				"'%.*s' is no opcode: write 0,1,7-13 or names like dev_mode_get",
				(int)word, at);
		if (last >= CLI_OPCODES_BYTES * 8)
			return vferry_fail(err, -ERANGE, "opcode %llu is beyond %u",
					   (unsigned long long)last, CLI_OPCODES_BYTES * 8 - 1);
		for (; first <= last; first++)
			bytes[first / 8] |= (uint8_t)(1u << (first % 8));
		highest = last > highest ? last : highest;
		at += word;
		if (!*at)
			break;
	}
	*length = (highest / 64 + 1) * 8;
	return 0;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int cli_parse_hex(const char *text, uint8_t **bytes, size_t *count, struct vferry_error *err)
{
	uint8_t *out = malloc(strlen(text) / 2 + 1);
	size_t n = 0;

	if (!out)
		return vferry_fail(err, -ENOMEM, "no memory for hex digits");
	for (const char *at = text; *at;) {
		int high, low;

		if (isspace((unsigned char)*at) || *at == ':') {
			at++;
			continue;
		}
		high = nibble(at[0]);
		low = high < 0 ? -1 : nibble(at[1]);
		if (low < 0) {
			free(out);
			return vferry_fail(
				err, -EINVAL,
				"'%s': hex digits come in pairs, as in 0a00 or 0a:00; at '%s' they do not",
				text, at);
		}
		out[n++] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	*bytes = out;
	*count = n;
	return 0;
}

#define WORD_MAX 32

/* Damerau-Levenshtein distance (neighbours swapped count once). */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[3][WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned int *now = row[i % 3], *before = row[(i + 2) % 3],
			     *earlier = row[(i + 1) % 3];

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned int best = before[j - 1] + (a[i - 1] != b[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    earlier[j - 2] + 1 < best)
				best = earlier[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *cli_suggest(const char *text, const char *const *words)
{
	const char *best = NULL;
	unsigned int least = WORD_MAX;
	size_t length = strlen(text);

	if (length < 2)
		return NULL;
	for (; *words; words++) {
		unsigned int apart = distance(text, *words);

		/* The beginning of a word is a likely abbreviation of it. */
		if (length >= 3 && !strncmp(text, *words, length) && apart > 1)
			apart = 1;
		if (apart < least) {
			least = apart;
			best = *words;
		}
	}
	return least <= (length < 5 ? 1 : length < 9 ? 2 : 3) ? best : NULL;
}

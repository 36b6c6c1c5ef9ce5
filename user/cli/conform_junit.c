// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Results of vferry conform as JUnit XML. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/conform.h"

int junit_begin(struct junit *junit, const char *path, struct vferry_error *err)
{
	*junit = (struct junit){ .path = path };
	if (!path)
		return 0;
	junit->stream = open_memstream(&junit->cases, &junit->bytes);
	return junit->stream ? 0 : vferry_fail(err, -ENOMEM, "no memory");
}

static void escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (strchr("<>&\"", byte))
			fprintf(to, "&#%u;", byte);
		else
			fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, to);
	}
}

static void hex(FILE *to, const char *what, const uint8_t *bytes, uint32_t count)
{
	uint32_t n = count < RECORD_BYTES ? count : RECORD_BYTES;

	fprintf(to, "%s %u:", what, count);
	for (uint32_t i = 0; i < n; i++)
		fprintf(to, " %02x", bytes[i]);
	fputs(n < count ? " ...\n" : "\n", to);
}

static void exchanges(FILE *to, const struct conform *c)
{
	unsigned int from = c->record_count > RECORDS ? c->record_count - RECORDS : 0;

	for (unsigned int i = from; i < c->record_count; i++) {
		const struct record *record = &c->records[i % RECORDS];

		hex(to, "sent", record->sent, record->sent_bytes);
		if (record->error) {
			fputs("no answer\n", to);
			continue;
		}
		fprintf(to, "used %u, ", record->used);
		hex(to, "received", record->answer, record->room_bytes);
	}
}

void junit_add(struct junit *junit, const struct conform *c, const struct check *check)
{
	FILE *to = junit->stream;
	int subject = (int)strcspn(check->name, ".");

	if (!to)
		return;
	fprintf(to, "  <testcase classname=\"conform.%.*s\" name=\"%s\">", subject, check->name,
		check->name);
	junit->totals.passed += c->verdict == CHECK_PASSED;
	if (c->verdict == CHECK_FAILED) {
		junit->totals.failed++;
		fputs("<failure message=\"expected: ", to);
		escaped(to, c->words);
		fputs("\">", to);
		escaped(to, check->title);
		fputs("\nsource: ", to);
		escaped(to, check->source);
		fputc('\n', to);
		exchanges(to, c);
		fputs("</failure>", to);
	} else if (c->verdict == CHECK_NOT_APPLICABLE) {
		junit->totals.not_applicable++;
		fputs("<skipped message=\"", to);
		escaped(to, c->words);
		fputs("\"/>", to);
	}
	fputs("</testcase>\n", to);
}

static int write_out(struct junit *junit, const char *path)
{
	const struct conform_totals *totals = &junit->totals;
	FILE *to = fopen(path, "we");
	int ret;

	if (!to)
		return -errno;
	fprintf(to,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vferry conform\" tests=\"%u\" "
		"failures=\"%u\" skipped=\"%u\">\n",
		totals->passed + totals->failed + totals->not_applicable, totals->failed,
		totals->not_applicable);
	fwrite(junit->cases, 1, junit->bytes, to);
	fputs("</testsuite>\n", to);
	ret = ferror(to) ? -EIO : 0;
	if (fclose(to) && !ret)
		ret = -errno;
	return ret;
}

int junit_end(struct junit *junit, struct vferry_error *err)
{
	char temporary[4096];
	int ret;

	if (!junit->stream)
		return 0;
	fclose(junit->stream);
	junit->stream = NULL;
	snprintf(temporary, sizeof(temporary), "%.4080s.new", junit->path);
	ret = write_out(junit, temporary);
	if (!ret && rename(temporary, junit->path))
		ret = -errno;
	if (ret)
		unlink(temporary);
	free(junit->cases);
	return ret ? vferry_fail(err, ret, "--junit %s: %s", junit->path, strerror(-ret)) : 0;
}

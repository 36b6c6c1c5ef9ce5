// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files of profiles: pairs, cut off, of other versions, of nothing; and what a comparison says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "profile/profile.h"

static const char *const names[] = {
	"source_stop",	     "source_stopped",	       "source_freeze",	      "source_frozen",
	"source_final_read", "destination_final_last", "destination_loaded",  "source_loaded",
	"source_release",    "destination_release",    "destination_granted", "destination_active"
};

/* One side of a migration in which each phase takes @step ns. */
static struct json_object *side(const char *role, const char *id, unsigned int vf, int64_t step)
{
	struct json_object *json = json_object_new_object(), *vfs = json_object_new_array(),
			   *one = json_object_new_object(), *marks = json_object_new_array();

	json_object_object_add(json, "role", json_object_new_string(role));
	json_object_object_add(json, "origin", json_object_new_string("engine"));
	json_object_object_add(json, "boot_id", json_object_new_string("b"));
	json_object_object_add(json, "pid", json_object_new_int(42));
	json_object_object_add(one, "vf", json_object_new_int((int)vf));
	json_object_object_add(one, "id", json_object_new_string(id));
	json_object_object_add(one, "outcome", json_object_new_string("moved"));
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct json_object *mark = json_object_new_object();

		if (strncmp(names[i], role, strlen(role))) {
			json_object_put(mark);
			continue;
		}
		json_object_object_add(mark, "phase", json_object_new_string(names[i]));
		json_object_object_add(mark, "at_ns",
				       json_object_new_int64(1000000 + (int64_t)i * step));
		json_object_array_add(marks, mark);
	}
	json_object_object_add(one, "marks", marks);
	json_object_array_add(vfs, one);
	json_object_object_add(json, "vfs", vfs);
	return json;
}

static struct json_object *profile(void)
{
	struct json_object *doc = json_object_new_object();

	json_object_object_add(doc, "schema", json_object_new_string(PROF_SCHEMA));
	json_object_object_add(doc, "schema_version", json_object_new_int(PROF_SCHEMA_NUMBER));
	json_object_object_add(doc, "sides", json_object_new_array());
	return doc;
}

static void add_side(struct json_object *doc, struct json_object *one)
{
	json_object_array_add(json_object_object_get(doc, "sides"), one);
}

#define ID_A "00112233445566778899aabbccddeeff"
#define ID_B "ffeeddccbbaa99887766554433221100"

static struct json_object *report_of(struct prof_set *set, struct json_object *doc)
{
	struct json_object *report;

	prof_set_init(set);
	prof_read_json(set, doc, "test.json");
	report = prof_report(set);
	assert_non_null(report);
	return report;
}

static bool says(struct json_object *report, const char *key, const char *words)
{
	struct json_object *list = prof_get_array(report, key);

	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (strstr(json_object_get_string(json_object_array_get_idx(list, i)), words))
			return true;
	return false;
}

static void sides_of_one_migration_meet(void **state)
{
	struct json_object *doc = profile(), *report, *vf;
	struct prof_set set;

	add_side(doc, side("destination", ID_A, 5, 1000));
	add_side(doc, side("source", ID_A, 1, 1000));
	report = report_of(&set, doc);
	assert_int_equal(json_object_array_length(prof_get_array(report, "vfs")), 1);
	vf = json_object_array_get_idx(prof_get_array(report, "vfs"), 0);
	assert_int_equal(prof_get(vf, "downtime_ns"), 11000);
	assert_int_equal(prof_get(vf, "vf"), 1);
	assert_int_equal(json_object_array_length(prof_get_array(vf, "phases")), 11);
	assert_string_equal(prof_get_text(vf, "basis"), "stop_to_active");
	json_object_put(report);
	prof_set_free(&set);
	json_object_put(doc);
}

static void sides_of_different_migrations_are_told_apart(void **state)
{
	struct json_object *doc = profile(), *report;
	struct prof_set set;

	add_side(doc, side("destination", ID_A, 5, 1000));
	add_side(doc, side("source", ID_B, 1, 1000));
	report = report_of(&set, doc);
	assert_int_equal(json_object_array_length(prof_get_array(report, "vfs")), 2);
	assert_true(says(report, "problems", "different migrations"));
	json_object_put(report);
	prof_set_free(&set);
	json_object_put(doc);
}

static void the_same_side_twice_counts_once(void **state)
{
	struct json_object *doc = profile(), *report;
	struct prof_set set;

	add_side(doc, side("source", ID_A, 1, 1000));
	add_side(doc, side("source", ID_A, 1, 9000));
	add_side(doc, side("destination", ID_A, 1, 1000));
	report = report_of(&set, doc);
	assert_int_equal(json_object_array_length(prof_get_array(report, "vfs")), 1);
	assert_true(says(report, "problems", "as well"));
	assert_int_equal(prof_get(json_object_array_get_idx(prof_get_array(report, "vfs"), 0),
				  "downtime_ns"),
			 11000);
	json_object_put(report);
	prof_set_free(&set);
	json_object_put(doc);
}

static void other_versions_and_other_files_are_named(void **state)
{
	struct json_object *doc = profile(), *report;
	struct prof_set set;

	json_object_object_add(doc, "schema_version", json_object_new_int(99));
	add_side(doc, side("source", ID_A, 1, 1000));
	report = report_of(&set, doc);
	assert_true(says(report, "problems", "another version"));
	assert_int_equal(json_object_array_length(prof_get_array(report, "vfs")), 1);
	json_object_put(report);
	prof_set_free(&set);
	json_object_object_add(doc, "schema", json_object_new_string("something"));
	report = report_of(&set, doc);
	assert_true(says(report, "problems", "not a profile"));
	assert_int_equal(json_object_array_length(prof_get_array(report, "vfs")), 0);
	json_object_put(report);
	prof_set_free(&set);
	json_object_put(doc);
}

/* Cut at every byte: never a crash, and what stands before the cut is found again. */
static void what_is_cut_off_gives_what_it_can(void **state)
{
	struct json_object *doc = profile(), *report;
	char path[] = "/tmp/vferry-profile-test-XXXXXX";
	int fd = mkstemp(path);
	const char *text;
	size_t length, found = 0;

	add_side(doc, side("source", ID_A, 1, 1000));
	add_side(doc, side("destination", ID_A, 1, 1000));
	text = json_object_to_json_string(doc);
	length = strlen(text);
	assert_true(fd >= 0);
	for (size_t cut = 0; cut < length; cut++) {
		struct vferry_error err = { 0 };
		struct prof_set set;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, cut, 0), (ssize_t)cut);
		prof_set_init(&set);
		assert_int_equal(prof_read_file(&set, path, &err), 0);
		report = prof_report(&set);
		assert_non_null(report);
		assert_true(says(report, "problems", cut ? "" : "empty"));
		found = json_object_array_length(prof_get_array(report, "vfs"));
		json_object_put(report);
		prof_set_free(&set);
	}
	assert_int_equal(found, 1);
	close(fd);
	unlink(path);
	json_object_put(doc);
}

/* Bytes turned over: whatever it says then, it says it without reading where it may not. */
static void noise_does_no_harm(void **state)
{
	struct json_object *doc = profile();
	char *copy;
	size_t length;

	add_side(doc, side("source", ID_A, 1, 1000));
	add_side(doc, side("destination", ID_A, 1, 1000));
	length = strlen(json_object_to_json_string(doc));
	copy = strdup(json_object_to_json_string(doc));
	srand(23);
	for (unsigned int round = 0; round < 3000; round++) {
		struct json_object *damaged, *report;
		struct prof_set set;
		size_t where = (size_t)rand() % length;
		char was = copy[where];

		copy[where] = (char)(" 0\"{}[]9-,:x\\"[rand() % 13]);
		damaged = json_tokener_parse(copy);
		if (!damaged)
			damaged = prof_salvage(copy, length);
		if (damaged) {
			report = report_of(&set, damaged);
			json_object_put(report);
			prof_set_free(&set);
		}
		json_object_put(damaged);
		copy[where] = was;
	}
	free(copy);
	json_object_put(doc);
}

static struct json_object *many(unsigned int count, int64_t step)
{
	struct json_object *doc = profile();

	srand(29);
	for (unsigned int i = 0; i < count; i++) {
		int64_t each = step + rand() % (step / 50);
		char id[33];

		snprintf(id, sizeof(id), "%016x%016x", i + 1, i + 1);
		add_side(doc, side("source", id, i + 1, each));
		add_side(doc, side("destination", id, i + 1, each));
	}
	return doc;
}

static bool worse(unsigned int old_count, int64_t before, unsigned int new_count, int64_t now,
		  unsigned int threshold)
{
	struct json_object *one = many(old_count, before), *two = many(new_count, now);
	struct prof_set first, second;
	struct json_object *old_report = report_of(&first, one), *report = report_of(&second, two);
	struct json_object *compared = prof_compare(old_report, report, threshold);
	bool result = json_object_get_boolean(json_object_object_get(compared, "worse"));

	json_object_put(compared);
	json_object_put(old_report);
	json_object_put(report);
	prof_set_free(&first);
	prof_set_free(&second);
	json_object_put(one);
	json_object_put(two);
	return result;
}

static void a_comparison_sees_past_noise(void **state)
{
	assert_false(worse(20, 1000000, 20, 1000000, 0));
	assert_true(worse(20, 1000000, 20, 1500000, 10));
	assert_false(worse(20, 1500000, 20, 1000000, 10));
	assert_false(worse(20, 1000000, 20, 1200000, 30));
	/* One each: five percent are noise, fifty are not. */
	assert_false(worse(1, 1000000, 1, 1050000, 0));
	assert_true(worse(1, 1000000, 1, 1500000, 10));
	/* Nothing to compare is no success. */
	assert_true(worse(0, 1000000, 1, 1000000, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sides_of_one_migration_meet),
		cmocka_unit_test(sides_of_different_migrations_are_told_apart),
		cmocka_unit_test(the_same_side_twice_counts_once),
		cmocka_unit_test(other_versions_and_other_files_are_named),
		cmocka_unit_test(what_is_cut_off_gives_what_it_can),
		cmocka_unit_test(noise_does_no_harm),
		cmocka_unit_test(a_comparison_sees_past_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vferry/admin.h>
#include "bus/lent.h"
#include "migrate/flight.h"

static void add(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_int(struct json_object *to, const char *key, int64_t value)
{
	json_object_object_add(to, key, json_object_new_int64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

VFERRY_NAMES(kind_name, VF_RECORDS, "unknown")

static struct json_object *event(const struct vf_record *record)
{
	struct json_object *json = json_object_new_object();

	add_text(json, "kind", kind_name(record->kind));
	switch (record->kind) {
	case VF_RECORD_COMMAND:
		add(json, "opcode", record->what);
		add_text(json, "name", vferry_opcode_name(record->what));
		add(json, "submit_ns", record->a);
		add(json, "issue_ns", record->b);
		add(json, "wake_ns", record->c);
		add(json, "bytes", record->bytes);
		if (record->error)
			add_int(json, "error", record->error);
		if (record->status) {
			add(json, "status", record->status);
			add(json, "qualifier", record->qualifier);
		}
		break;
	case VF_RECORD_TCP:
		add_text(json, "phase", vferry_phase_name(record->what));
		add(json, "rtt_us", record->a);
		add(json, "retransmits", record->b);
		add(json, "unsent_bytes", record->c);
		add(json, "unacknowledged_segments", record->bytes);
		break;
	case VF_RECORD_JOURNAL:
		add_text(json, "state", vferry_state_name(record->what));
		add(json, "begin_ns", record->a);
		break;
	default:
		add(json, "begin_ns", record->a);
		if (record->bytes)
			add(json, "bytes", record->bytes);
	}
	add(json, "at_ns", record->at);
	return json;
}

static int by_time(const void *a, const void *b)
{
	const struct vf_record *one = *(struct vf_record *const *)a;
	const struct vf_record *two = *(struct vf_record *const *)b;

	return one->at < two->at ? -1 : one->at > two->at;
}

/* The ring and what it does not overwrite, in the order of time. */
static void add_events(struct json_object *vf, const struct vf_recorder *recorder, uint64_t first)
{
	size_t count = (size_t)(recorder->next - first) + recorder->rare_count, used = 0;
	const struct vf_record **all = calloc(count ? count : 1, sizeof(*all));
	struct json_object *events = json_object_new_array();

	for (uint64_t i = first; all && recorder->ring && i < recorder->next; i++)
		all[used++] = &recorder->ring[i & recorder->mask];
	for (uint32_t i = 0; all && i < recorder->rare_count; i++)
		all[used++] = &recorder->rare[i];
	if (all)
		qsort(all, used, sizeof(*all), by_time);
	for (size_t i = 0; i < used; i++)
		json_object_array_add(events, event(all[i]));
	json_object_object_add(vf, "events", events);
	free(all);
}

static void add_recorder(struct json_object *vf, const struct vf_recorder *recorder)
{
	struct json_object *marks = json_object_new_array();
	uint64_t size = (uint64_t)recorder->mask + 1;
	uint64_t first = recorder->next > size ? recorder->next - size : 0;

	for (uint32_t i = 0; i < recorder->mark_count; i++) {
		const struct vf_mark *mark = &recorder->marks[i];
		struct json_object *json = json_object_new_object();

		if (mark->phase)
			add_text(json, "phase", vferry_phase_name(mark->phase));
		else
			add_int(json, "failed", mark->code);
		add(json, "at_ns", mark->at);
		json_object_array_add(marks, json);
	}
	json_object_object_add(vf, "marks", marks);
	add(vf, "marks_lost", recorder->marks_lost);
	add(vf, "events_lost", first);
	if (first)
		add(vf, "events_lost_until_ns", recorder->ring[first & recorder->mask].at);
	add_events(vf, recorder, first);
	if (recorder->local_port) {
		add(vf, "local_port", recorder->local_port);
		add(vf, "peer_port", recorder->peer_port);
	}
}

static struct json_object *one_vf(const struct vf_lane *lane)
{
	const struct vferry_vf_result *result = lane->result;
	struct json_object *vf = json_object_new_object(), *passes = json_object_new_array();

	add(vf, "vf", result->vf);
	add_text(vf, "id", result->id);
	add_text(vf, "outcome", vferry_outcome_name(result->outcome));
	add_text(vf, "state", vferry_state_name(result->state));
	if (result->error)
		add_text(vf, "error", result->why.text);
	add(vf, "context_bytes", result->context_bytes);
	add(vf, "final_bytes", result->final_bytes);
	for (uint32_t i = 0; i < result->passes && i < VFERRY_PASSES_SHOWN; i++) {
		struct json_object *pass = json_object_new_object();

		add(pass, "bytes", result->pass_bytes[i]);
		add(pass, "duration_ns", result->pass_ns[i]);
		json_object_array_add(passes, pass);
	}
	json_object_object_add(vf, "passes", passes);
	if (lane->clock.exchanges) {
		struct json_object *clock = json_object_new_object();

		add_int(clock, "offset_ns", lane->clock.offset_ns);
		add(clock, "error_ns", lane->clock.error_ns);
		add(clock, "at_ns", lane->clock.at_ns);
		add(clock, "exchanges", lane->clock.exchanges);
		json_object_object_add(vf, "clock", clock);
	}
	add_recorder(vf, &lane->recorder);
	return vf;
}

/* What tells two clocks apart: the boot, and what a time namespace adds to it. */
static void add_host(struct json_object *side)
{
	char text[256] = "";
	long long seconds = 0, rest = 0;
	struct timespec real;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (file && fgets(text, sizeof(text), file))
		text[strcspn(text, "\n")] = 0;
	if (file)
		fclose(file);
	add_text(side, "boot_id", text);
	file = fopen("/proc/self/timens_offsets", "re");
	while (file && fgets(text, sizeof(text), file))
		if (sscanf(text, "monotonic %lld %lld", &seconds, &rest) == 2)
			break;
	if (file)
		fclose(file);
	add_int(side, "clock_namespace_ns", seconds * 1000000000LL + rest);
	if (gethostname(text, sizeof(text) - 1))
		text[0] = 0;
	add_text(side, "host", text);
	clock_gettime(CLOCK_REALTIME, &real);
	add(side, "written_real_ns",
	    (uint64_t)real.tv_sec * 1000000000ULL + (uint64_t)real.tv_nsec);
	add(side, "written_ns", vf_now_ns());
}

static struct json_object *document(const struct vf_move *move, const char *why)
{
	struct json_object *doc = json_object_new_object(), *sides = json_object_new_array(),
			   *side = json_object_new_object(), *vfs = json_object_new_array();

	add_text(doc, "schema", "vferry.profile");
	add(doc, "schema_version", 1);
	add_text(doc, "vferry_version", VFERRY_VERSION);
	add_text(side, "role", vf_role_name(move->lanes[0]->side->role));
	add_text(side, "origin", "engine");
	add_text(side, "why", why);
	add(side, "pid", (uint64_t)getpid());
	add_text(side, "owner", move->address);
	add_text(side, "peer", move->opts->peer);
	add_host(side);
	for (uint32_t i = 0; i < move->count; i++)
		json_object_array_add(vfs, one_vf(move->lanes[i]));
	json_object_object_add(side, "vfs", vfs);
	json_object_array_add(sides, side);
	json_object_object_add(doc, "sides", sides);
	return doc;
}

/* The oldest files go, so that a host with a bad day does not fill /run. */
static void tidy(const char *dir)
{
	for (unsigned int rounds = 0; rounds < VF_FLIGHTS_KEPT; rounds++) {
		char oldest[256] = "";
		struct timespec oldest_time = { 0 };
		unsigned int count = 0;
		DIR *folder = opendir(dir);
		struct dirent *entry;

		while (folder && (entry = readdir(folder))) {
			size_t length = strlen(entry->d_name);
			struct stat status;

			if (length < 6 || strcmp(entry->d_name + length - 5, ".json") ||
			    fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
				continue;
			count++;
			if (oldest[0] && (status.st_mtim.tv_sec > oldest_time.tv_sec ||
					  (status.st_mtim.tv_sec == oldest_time.tv_sec &&
					   status.st_mtim.tv_nsec >= oldest_time.tv_nsec)))
				continue;
			snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
			oldest_time = status.st_mtim;
		}
		if (folder && count > VF_FLIGHTS_KEPT)
			unlinkat(dirfd(folder), oldest, 0);
		if (folder)
			closedir(folder);
		if (count <= VF_FLIGHTS_KEPT + 1)
			return;
	}
}

static int put(const char *path, struct json_object *doc, struct vferry_error *err)
{
	char temporary[600];
	int fd, ret = 0;

	snprintf(temporary, sizeof(temporary), "%s.%d.new", path, getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return vferry_fail(err, -errno, "cannot write %s: %s", temporary, strerror(errno));
	if (json_object_to_fd(fd, doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE))
		ret = errno ? -errno : -EIO;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && rename(temporary, path))
		ret = -errno;
	if (!ret)
		return 0;
	unlink(temporary);
	return vferry_fail(err, ret, "cannot write %s: %s", path, strerror(-ret));
}

/*
 * vferry profile --pid asks an engine that runs already by a folder in the run folder: looked for once, when all is over. It must be
 * ours, so that nobody else is told.
 */
static const char *asked_for(const struct vf_move *move, char *dir, size_t room)
{
	char run[256];
	struct stat status;

	if (move->opts->record_dir)
		return move->opts->record_dir;
	if (vf_run_dir(run, sizeof(run), NULL))
		return NULL;
	snprintf(dir, room, "%s/profile-%d", run, getpid());
	if (lstat(dir, &status) || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
	    status.st_mode & 077)
		return NULL;
	return dir;
}

static const char *reason(const struct vf_move *move, bool asked)
{
	const char *why = asked ? "asked" : NULL;

	for (uint32_t i = 0; i < move->count; i++) {
		const struct vferry_vf_result *result = move->lanes[i]->result;

		if (result->error)
			return "failed";
		if (move->opts->slow_ns && result->downtime_ns > move->opts->slow_ns)
			why = "slow";
	}
	return why;
}

void vf_flight_write(struct vf_move *move)
{
	struct vferry_move *result = move->result;
	char run[256], dir[300], asked_dir[300], path[512];
	const char *asked = asked_for(move, asked_dir, sizeof(asked_dir));
	const char *why = move->count ? reason(move, asked) : NULL;
	struct json_object *doc;

	/* A VF that nobody has spoken of yet has nothing to tell. */
	if (!why || !move->lanes[0]->recorder.mark_count)
		return;
	if (asked) {
		snprintf(dir, sizeof(dir), "%s", asked);
	} else {
		if (vf_run_dir(run, sizeof(run), &result->recording_why))
			return;
		snprintf(dir, sizeof(dir), "%s/flight", run);
		if (mkdir(dir, 0700) && errno != EEXIST) {
			vferry_fail(&result->recording_why, -errno, "cannot make %s: %s", dir,
				    strerror(errno));
			return;
		}
	}
	snprintf(path, sizeof(path), "%s/%s-%s.json", dir, vf_role_name(move->lanes[0]->side->role),
		 move->lanes[0]->result->id[0] ? move->lanes[0]->result->id : "without-id");
	doc = document(move, why);
	/* What was asked for from outside is taken away by who asked. */
	if (!put(path, doc, &result->recording_why) && asked != asked_dir)
		snprintf(result->recording, sizeof(result->recording), "%s", path);
	json_object_put(doc);
	if (!asked)
		tidy(dir);
}

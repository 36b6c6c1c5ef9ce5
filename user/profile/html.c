// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "profile/profile.h"

int prof_html(const char *path, struct json_object *report, struct vferry_error *err)
{
	const char *text = json_object_to_json_string(report);

	return prof_put_file(path, text, 0, err);
}

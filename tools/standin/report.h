/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef STANDIN_REPORT_H
#define STANDIN_REPORT_H

#include <json-c/json.h>
#include "tools/standin/guest.h"

/** report_json() - what the guests saw, after guest_tell(GUEST_LOOK); the caller's to put. NULL without memory. */
struct json_object *report_json(struct guest *const *guests, unsigned int count);
/** report_text() - the same for people, on standard output. */
void report_text(struct json_object *report);
/** report_status() - each guest's state in one object. */
struct json_object *report_status(struct guest *const *guests, unsigned int count);

#endif

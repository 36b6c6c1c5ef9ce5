/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the flight recorders hold, as a file (schema vferry.profile): after a failure, when it was slow, when asked. */
#ifndef VF_FLIGHT_H
#define VF_FLIGHT_H

#include "migrate/lane.h"

#define VF_FLIGHTS_KEPT 32 /* files in the run folder; the oldest go */

/** vf_flight_write() - the run is over; move->result says where it was written, or why it was not. */
void vf_flight_write(struct vf_move *move);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who answers: a random number that lives as long as the run folder, and with it the journals. A source keeps the one
 * that its destination gave in ACCEPT: another host, asked by mistake, knows nothing of the migration, and that must
 * not be taken for "refused".
 */
#ifndef VF_HOST_ID_H
#define VF_HOST_ID_H

#include "migrate/messages.h"

/** vf_host_id() - of <run dir>/host-id, drawn when there is none. */
int vf_host_id(uint8_t id[VF_ID_BYTES], struct vferry_error *err);
/** vf_host_id_none() - true for an id that names nobody. */
bool vf_host_id_none(const uint8_t id[VF_ID_BYTES]);

#endif

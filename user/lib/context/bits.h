/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of bits in values, and values as structures. */
#ifndef VF_CONTEXT_BITS_H
#define VF_CONTEXT_BITS_H

#include <stddef.h>
#include <vferry/context_check.h>

#define VF_STATUS_KNOWN 0xcf /* bits of device_status that virtio defines */

/** vf_status_bits() - "acknowledge,driver,..." into @text. */
void vf_status_bits(char *text, size_t room, uint64_t status);
/** vf_feature_bits() - names of those that are the same for all devices; others by their number. @first: number of bit 0. */
void vf_feature_bits(char *text, size_t room, uint64_t features, unsigned int first);
/** vf_fixed_length() - of a known type's value, 0 when it varies or the type is unknown. */
uint64_t vf_fixed_length(uint16_t type);
/** vf_le64_at() - the @n-th le64 of a kept value; 0 beyond its end. */
uint64_t vf_le64_at(const struct vferry_ctx_entry *entry, unsigned int n);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Named points at which the fault campaign (tests/faults) kills, stops, stalls, disconnects, or makes the next step
 * fail. They stand at each border between "written down" and "done". Without VFERRY_FAULTS=1 they are nothing.
 *
 * VFERRY_FAULT=NAME:KIND[:N] in the environment: at the N-th (first) passage of NAME,
 *   kill        SIGKILL
 *   stop        SIGSTOP, until somebody continues the process
 *   stall       nothing happens for a while (VFERRY_FAULT_MS, 300)
 *   err         the next write of a journal fails as on a full disk
 *   refuse      the next command to the device is one that no device has
 *   disconnect  all TCP connections are shut down
 * VFERRY_FAULT=list prints the names: the linker has collected them. VFERRY_FAULT_MARK names a file that is made when
 * the point is met.
 */
#ifndef VF_FAULT_POINT_H
#define VF_FAULT_POINT_H

#include <stdbool.h>

#if defined(VFERRY_FAULTS) && VFERRY_FAULTS
void vf_fault_point(const char *name);
bool vf_fault_err(void);
bool vf_fault_refuse(void);
#define VF_FAULT_POINT(name)                                                      \
	do {                                                                      \
		static const char *const vf_point                                 \
			__attribute__((used, section("vf_fault_points"))) = name; \
		vf_fault_point(vf_point);                                         \
	} while (0)
#else
#define VF_FAULT_POINT(name) ((void)0)
static inline bool vf_fault_err(void)
{
	return false;
}
static inline bool vf_fault_refuse(void)
{
	return false;
}
#endif

#endif

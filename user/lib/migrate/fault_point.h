/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Named points at which the fault campaign kills, stops, stalls or disconnects. They stand at each border between
 * "written down" and "done". Without VFERRY_FAULTS=1 they are nothing.
 */
#ifndef VF_FAULT_POINT_H
#define VF_FAULT_POINT_H

#if defined(VFERRY_FAULTS) && VFERRY_FAULTS
void vf_fault_point(const char *name);
#define VF_FAULT_POINT(name) vf_fault_point(name)
#else
#define VF_FAULT_POINT(name) ((void)0)
#endif

#endif

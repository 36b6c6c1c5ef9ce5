# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The checks of vferry conform against the PF on vfio-pci, on one kernel: the device is the same on all.
. /t/lib.sh

case $(uname -r) in
6.12.*)
	owner=vfio:$pf
	modprobe vfio-pci
	modprobe vfio_iommu_type1
	[ "$(driver_of "$pf")" = vfio-pci ] || bind "$pf" vfio-pci
	vferry conform "$owner" --vf 1 --spare-vf 2 --direct --destructive >/tmp/conform.txt 2>&1
	status=$?
	note "$(tail -n 1 /tmp/conform.txt)"
	ok "vferry conform finds nothing wrong" test $status = 0
	[ $status = 0 ] || grep -v "^pass\|^n/a" /tmp/conform.txt | tail -n 20 | sed 's/^/#   /'
	;;
esac

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Sourced after lib.sh: the kernel module, and the pages that it pins.

# shellcheck shell=sh
module=/t/vferry_vfio_pci.ko
node=/dev/vferry/$pf
owner=uring-cmd:$node

pinned() { grep "nr_foll_pin_$1" /proc/vmstat | cut -d' ' -f2; }

# The kernel's counters are of each CPU until they are asked for.
all_unpinned()
{
	echo 1 >/proc/sys/vm/stat_refresh
	[ "$(pinned acquired)" = "$(pinned released)" ]
}

begin_module()
{
	if [ ! -f $module ]; then
		skip "the kernel module: ${0##*/}" "not built for this kernel"
		exit 0
	fi
	modprobe vfio-pci
	modprobe vfio_iommu_type1
	ok "the module loads" insmod $module
}

end_module()
{
	ok "rmmod" until_true 60 rmmod vferry_vfio_pci
	note "pages, before the CPUs are asked for their counters: $(pinned acquired) acquired, $(pinned released) released"
	if ! until_true 60 all_unpinned; then
		echo "not ok - no page stays pinned: $(pinned acquired) acquired, $(pinned released) released"
	else
		echo "ok - no page stays pinned"
		note "pages pinned and let go of so far: $(pinned acquired)"
	fi
}

# hold WORD: vfio_kmod in the background, with commands under way, in $holder
hold()
{
	rm -f /tmp/held
	vfio_kmod "$node" "$1" >/tmp/held 2>&1 &
	holder=$!
	until_true 60 grep -q holding /tmp/held
}

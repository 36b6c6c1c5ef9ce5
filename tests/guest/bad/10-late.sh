# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel module on a device that leaves commands without an answer.
. /t/lib.sh

# The kernel's counters are of each CPU until they are asked for.
all_unpinned()
{
	echo 1 >/proc/sys/vm/stat_refresh
	[ "$(grep nr_foll_pin_acquired /proc/vmstat | cut -d' ' -f2)" = "$(grep nr_foll_pin_released /proc/vmstat | cut -d' ' -f2)" ]
}

module=/t/vferry_vfio_pci.ko
if [ ! -f $module ]; then
	skip "the kernel module on a bad device" "not built for this kernel: no headers"
	exit 0
fi
modprobe vfio-pci
node=/dev/vferry/$pf
ok "the module loads" insmod $module
ok "it binds" bind "$pf" vferry-vfio-pci
vfio_kmod "$node" late || true
ok "the log says so" sh -c "dmesg | grep vferry | tee /dev/stderr | grep -q 'did not answer: reset'"
ok "a deadline in user space" fails 6 "" vferry admin --timeout 1s "uring-cmd:$node" size --vf 1
ok "after which the owner comes up again" until_true 20 vferry admin "uring-cmd:$node" mode get --vf 1
ok "rmmod" until_true 20 rmmod vferry_vfio_pci
ok "no page stays pinned" until_true 20 all_unpinned

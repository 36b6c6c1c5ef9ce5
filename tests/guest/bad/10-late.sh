# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel module on devices that leave commands without an answer.
. /t/lib.sh
. /t/module.sh

begin_module
ok "it binds" bind "$pf" vferry-vfio-pci
ok "and to the other, which cannot reset a queue" bind "$pf_b" vferry-vfio-pci
vfio_kmod "$node" late || echo "not ok - a device that answers late"
ok "the log says so" sh -c "dmesg | grep vferry | tee /dev/stderr | grep -q 'did not answer: reset'"
ok "a deadline in user space" fails 6 "" vferry admin --timeout 1s "uring-cmd:$node" size --vf 1
ok "after which the owner comes up again" until_true 60 vferry admin "uring-cmd:$node" mode get --vf 1

vfio_kmod "/dev/vferry/$pf_b" parked || echo "not ok - a parked queue"
ok "the log says so" sh -c "dmesg | grep vferry | tee /dev/stderr | grep -q 'cannot be reset (-95): parked'"
ok "closed by all, the owner comes up again" until_true 60 vferry admin "uring-cmd:/dev/vferry/$pf_b" mode get --vf 1
end_module

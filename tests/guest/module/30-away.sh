# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The owner is reset, suspended, unbound or removed while commands are under way. Each command ends, nobody has to be killed, and the
# owner works for who comes later.
. /t/lib.sh
. /t/module.sh

begin_module
bind "$pf" vferry-vfio-pci

# over TEXT COMMAND...: does that under commands; they end, and the engine can close
over()
{
	local text=$1 status=0
	shift
	hold away || cat /tmp/held
	"$@" || echo "not ok - $text: $* ended with $?"
	until_true 60 grep -q "no new one" /tmp/held || echo "not ok - $text: commands do not end"
	kill -TERM $holder
	wait $holder || status=$?
	sed -n "s/^\(not \)\{0,1\}ok - /&$text: /p; s/^#/&/p" /tmp/held | grep -v '^# *$'
	[ $status = 0 ] || echo "not ok - $text: the engine ended with $status"
}
write() { echo "$1" >"$2"; }

over "reset of the function" write 1 "$(device "$pf")/reset"
ok "it comes up again" until_true 60 vferry admin "$owner" mode get --vf 1
over "unbind" write "$pf" "$(device "$pf")/driver/unbind"
ok "the node is gone" test ! -e "$node"
ok "bound again" bind "$pf" vferry-vfio-pci
ok "it comes up again" until_true 60 vferry admin "$owner" mode get --vf 1

if [ -e /sys/power/pm_test ] && grep -qw devices /sys/power/pm_test; then
	# The kernel's wait between both is a loop that a busy host makes long.
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	echo devices >/sys/power/pm_test
	over "suspend and resume" write freeze /sys/power/state
	echo none >/sys/power/pm_test
	ok "it comes up again" until_true 60 vferry admin "$owner" mode get --vf 1
	echo devices >/sys/power/pm_test
	echo freeze >/sys/power/state
	echo none >/sys/power/pm_test
	ok "and again, after a suspend without commands" until_true 60 vferry admin "$owner" mode get --vf 1
else
	skip "suspend and resume" "no /sys/power/pm_test"
fi

# A device that the bus no longer has: as somebody pulls it.
over "surprise removal" write 1 "$(device "$pf")/remove"
ok "the node is gone" test ! -e "$node"
echo 1 >/sys/bus/pci/rescan
ok "found again" until_true 20 test -e "$(device "$pf")"
ok "bound again" bind "$pf" vferry-vfio-pci
ok "it comes up again" until_true 60 vferry admin "$owner" mode get --vf 1

# VFs, on a device that the kernel sees with SR-IOV. It is no virtio owner: of the module this is the VFIO part.
folder=$(device "$igb")
ok "the module takes another PF" bind "$igb" vferry-vfio-pci
ok "which the companion cannot use, and says so" fails 1 "" vferry admin "uring-cmd:/dev/vferry/$igb" mode get --vf 1
echo 2 >"$folder/sriov_numvfs"
ok "two VFs" test "$(cat "$folder/sriov_numvfs")" = 2
vf=$(basename "$(readlink "$folder/virtfn0")")
ok "they are VFIO devices of this driver" test "$(driver_of "$vf")" = vferry-vfio-pci
ok "without a companion" test ! -e "/dev/vferry/$vf"
ok "rmmod: VFs are enabled" fails 1 "" rmmod vferry_vfio_pci
echo 0 >"$folder/sriov_numvfs"
ok "no VFs" test "$(cat "$folder/sriov_numvfs")" = 0
echo 2 >"$folder/sriov_numvfs"
echo 1 >"$folder/remove"
ok "removed with its VFs" test ! -e "$folder"
end_module

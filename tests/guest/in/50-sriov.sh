# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# SR-IOV and VF tokens on QEMU's igb, which the kernel sees with its VFs: the bus alone, for igb is no virtio owner.
. /t/lib.sh

modprobe vfio-pci
modprobe vfio_iommu_type1
token=14d63f20-8445-11ea-8900-1f9ce7d5650d
other=24d63f20-8445-11ea-8900-1f9ce7d5650d
address=vfio:$igb
folder=$(device "$igb")
numvfs() { cat "$folder/sriov_numvfs"; }

ok "the PF is bound to vfio-pci" sh -c ". /t/lib.sh; bind $igb vfio-pci"
ok "regions and interrupts" vfio_bus "$address" info ids
sed 's/^/# /' /tmp/ok.out
ok "a mapped register reads as one that is read" vfio_bus "$address" map
ok "memory is mapped for the device" vfio_bus "$address" dma=0x400000
ok "interrupts are installed, more of them, and taken away" vfio_bus "$address" irqs=2 irqs=5 irqs=0
ok "more interrupts than it has" fails 1 "the device has" vfio_bus "$address" irqs=60
ok "what a register read costs" vfio_bus "$address" measure
sed 's/^/# table register of igb, /' /tmp/ok.out
ok "reset" vfio_bus "$address" reset ids
ok "vfio-pci has to be told that it may enable VFs" fails 1 "enable_sriov" vfio_bus "$address" vfs=2
echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
ok "no VFs are left over" test "$(numvfs)" = 0
ok "more VFs than there are" fails 1 "VFs cannot be enabled" vfio_bus "$address" vfs=200
ok "no UUID" fails 1 "not a UUID" vfio_bus "$address" token=abc ids

# hold WORD...: vfio_bus in the background, until let_go
hold()
{
	rm -f /tmp/in /tmp/held
	mkfifo /tmp/in
	vfio_bus "$@" hold </tmp/in >/tmp/held 2>&1 &
	holder=$!
	exec 9>/tmp/in
	until_true 30 grep -q held /tmp/held || { cat /tmp/held; return 1; }
}

let_go()
{
	exec 9>&-
	wait $holder
}

hold "$address" token=$token vfs=2
ok "two VFs are enabled while the PF is held" test "$(numvfs)" = 2
vf=$(basename "$(readlink "$folder/virtfn0")")
ok "they are vfio-pci's" test "$(driver_of "$vf")" = vfio-pci
ok "the PF's other holder is named" fails 1 "vfio_bus" vfio_bus "$address" ids
ok "a VF without the token" fails 1 "needs a VF token" vfio_bus "vfio:$vf" ids
ok "a VF with another token" fails 1 "is not the PF's" vfio_bus "vfio:$vf" token=$other ids
ok "a VF with the token" vfio_bus "vfio:$vf" token=$token info ids
let_go
hold "$address" info vfs=1
made=$(sed -n 's/^token: //p' /tmp/held)
ok "without a token given one is made and shown" vfio_bus "vfio:$vf" "token=$made" ids
let_go
ok "the number of VFs is what it was before" test "$(numvfs)" = 0

hold "$address"
echo "$igb" >"$folder/driver/unbind" &
unbinder=$!
ok "a driver's unbinding asks for the device back" until_true 30 grep -q "wanted back" /tmp/held
let_go
wait $unbinder
ok "and then it has no driver" fails 1 "bound to no driver" vfio_bus "$address" ids

ok "VFs that another driver enabled stand in the way of binding, and the words say so" sh -c ". /t/lib.sh
	echo igb >$folder/driver_override; modprobe igb; echo $igb >/sys/bus/pci/drivers_probe
	echo 1 >$folder/sriov_numvfs
	fails 1 'echo 0 >sriov_numvfs' vfio_bus $address ids"
echo 0 >"$folder/sriov_numvfs"

bind "$pf" vfio-pci
ok "what a register read costs that the software owner answers" vfio_bus "vfio:$pf" measure
sed 's/^/# table register of vferry-owner, /' /tmp/ok.out

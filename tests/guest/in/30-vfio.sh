# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The PF on vfio-pci: what is in the way, the keeper, every command by hand.
. /t/lib.sh

owner=vfio:$pf
ok "VFIO is not there: the module is named" fails 1 "modprobe vfio-pci" vferry keep "$owner"
modprobe vfio-pci
modprobe vfio_iommu_type1
ok "no such device" fails 1 "no such PCI device" vferry keep vfio:0000:7f:1f.7
ok "the driver of the host is named, and what to type" fails 1 "bound to the driver virtio-pci" vferry keep "$owner"
ok "what it says to type does it" sh -c "eval \"\$(vferry keep $owner 2>&1 | sed 's/.*bound to vfio-pci: //')\""
ok "the PF is bound to vfio-pci" test "$(driver_of "$pf")" = vfio-pci
vferry doctor 2>&1 | grep -A4 -i vfio | sed 's/^/# /'

begin=$(cut -d' ' -f1 /proc/uptime)
ok "a keeper holds it" vferry keep "$owner"
note "keeper from $begin to $(cut -d' ' -f1 /proc/uptime)"
ok "list shows it" sh -c "vferry list | tee /dev/stderr | grep -q $owner"
cat /tmp/ok.out | head -n 8 | sed 's/^/# /'
ok "list-query" vferry admin "$owner" list-query
ok "list-use" vferry admin "$owner" list-use 0,1,7-13
ok "mode get" vferry admin "$owner" mode get --vf 1-2
ok "mode set stop" vferry admin "$owner" mode set stop --vf 1
ok "mode set freeze" vferry admin "$owner" mode set freeze --vf 1
ok "size" vferry admin "$owner" size --vf 1
ok "fields" vferry admin "$owner" fields --vf 1
ok "read" vferry admin "$owner" read --vf 1 --out /tmp/vf1.ctx
ok "what was read is a whole context" vferry ctx check /tmp/vf1.ctx
ok "discard" vferry admin "$owner" discard --vf 1
ok "after discard the same context" sh -c "vferry admin $owner read --vf 1 --out - | cmp - /tmp/vf1.ctx"
ok "mode set freeze of another VF" vferry admin "$owner" mode set freeze --vf 2
ok "write" vferry admin "$owner" write --vf 2 --in /tmp/vf1.ctx
ok "leaving Freeze commits it" vferry admin "$owner" mode set active --vf 2
vferry admin "$owner" discard --vf 1 >/dev/null 2>&1
ok "back to active" vferry admin "$owner" mode set active --vf 1
ok "a VF that there is not: the device's answer" fails 3 "" vferry admin "$owner" mode get --vf 9
ok "another holder is named" fails 1 "vferry" vferry admin "$owner" --direct mode get --vf 1
ok "the keeper ends" vferry keep "$owner" --stop
ok "and the PF can be held again" vferry keep "$owner"
echo "$pf" >"$(device "$pf")/driver/unbind" &
unbinder=$!
ok "a driver's unbinding is granted: the keeper ends" until_true 60 sh -c "! [ -e $(device "$pf")/driver ]"
wait $unbinder
ok "and says so to who asks" fails 1 "bound to no driver" vferry keep "$owner"

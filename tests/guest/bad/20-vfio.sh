# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The same devices on vfio-pci: what does not answer, lies or disappears is named, and nothing of it stays behind.
. /t/lib.sh
. /t/module.sh

modprobe vfio-pci
modprobe vfio_iommu_type1
owner=vfio:$pf owner_b=vfio:$pf_b
ok "both PFs are on vfio-pci" sh -c ". /t/lib.sh; bind $pf vfio-pci && bind $pf_b vfio-pci"
ok "keepers hold them" sh -c "vferry keep $owner --timeout 1s && vferry keep $owner_b --timeout 1s"
ok "garbage is called so" fails 1 "the used length is beyond the writable part" vferry admin "$owner" fields --vf 1
ok "and the owner still answers" vferry admin "$owner" mode get --vf 1
ok "what does not answer is waited for as long as asked" fails 6 "no answer before the deadline" vferry admin --timeout 1s "$owner" size --vf 1
ok "its queue is reset, and lent anew" until_true 60 vferry admin "$owner" mode get --vf 1
ok "without a reset of queues" fails 6 "no answer before the deadline" vferry admin --timeout 1s "$owner_b" size --vf 1
ok "the owner is wedged, and list says so" until_true 60 sh -c "vferry list $owner_b | grep -q 'keeper [0-9]* wedged'"
ok "nobody gets it" fails 1 "this owner is wedged" vferry admin "$owner_b" mode get --vf 1
ok "until it is given up" vferry keep "$owner_b" --stop
ok "and held again" sh -c "vferry keep $owner_b && vferry admin $owner_b mode get --vf 1 && vferry keep $owner_b --stop"

echo 1 >"$(device "$pf")/remove" &
remover=$!
ok "a device that disappears: its keeper lets go" until_true 60 sh -c "! [ -e $(device "$pf") ]"
wait $remover
ok "and then it is not there" fails 1 "no such PCI device" vferry keep "$owner"
echo 1 >/sys/bus/pci/rescan
ok "it comes back" until_true 60 test -e "$(device "$pf")"
ok "and is held again" sh -c ". /t/lib.sh; bind $pf vfio-pci && vferry keep $owner && vferry admin $owner mode get --vf 1 && vferry keep $owner --stop"
if ! until_true 60 all_unpinned; then
	echo "not ok - no page stays pinned: $(pinned acquired) acquired, $(pinned released) released"
else
	echo "ok - no page stays pinned"
	note "pages pinned and let go of so far: $(pinned acquired)"
fi

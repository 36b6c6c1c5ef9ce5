# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel module: admin commands as SQEs on /dev/vferry/BDF, beside a PF that stays a VFIO device.
. /t/lib.sh
. /t/module.sh

[ ! -f $module ] || ok "no module: it is named" fails 1 "vferry_vfio_pci" vferry admin "$owner" list-query
begin_module
ok "it binds by driver_override" bind "$pf" vferry-vfio-pci
ok "the node is there" test -c "$node"
vfio_kmod "$node" || echo "not ok - SQEs by hand"

# Every command by hand, as in 30-vfio.sh.
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
ok "doctor knows the way" sh -c "vferry doctor | tee /dev/stderr | grep -q 'owner.* in /dev/vferry: io_uring passthrough'"

ok "without a prefix the best way is taken, and named" sh -c "vferry admin $pf mode get --vf 1 2>&1 | tee /dev/stderr | grep -q 'taken as $owner'"

# Whoever has it keeps the others out.
ok "an engine holds VF 1" hold hold
ok "another one does not get it" fails 1 "another program has it" vferry admin "$owner" mode get --vf 1
ok "but gets VF 2" vferry admin "$owner" mode get --vf 2
ok "VFIO does not get the owner" fails 4 "not viable" vferry admin --direct "vfio:$pf" mode get --vf 2
ok "rmmod: in use" fails 1 "" rmmod vferry_vfio_pci
kill -9 $holder
wait $holder 2>/dev/null
ok "killed with commands under way, VF 1 is free" until_true 60 vferry admin "$owner" mode get --vf 1
ok "and VFIO gets the owner" until_true 60 vferry keep "vfio:$pf"
ok "then the module says so" fails 1 "VFIO container holds" vferry admin "$owner" mode get --vf 1
ok "until VFIO lets go" vferry keep "vfio:$pf" --stop
ok "the module has it again" until_true 60 vferry admin "$owner" mode get --vf 1

# At random moments: whatever is under way, the next engine finds the VF and an owner that answers.
begin=$(date +%s)
vfio_kmod "$node" kills 1 "${kills:-100}" || echo "not ok - kills"
note "${kills:-100} kills in $(($(date +%s) - begin)) s"
ok "after ${kills:-100} kills it answers" until_true 60 vferry admin "$owner" mode get --vf 1-2

begin=$(date +%s)
for seed in 1 2; do
	vfio_kmod "$node" fuzz $seed "${batches:-1000}" "${seconds:-15}" || echo "not ok - random SQEs with seed $seed"
done
note "fuzz: $(($(date +%s) - begin)) s"
ok "after that it still answers" until_true 60 vferry admin "$owner" mode get --vf 1-2
end_module
ok "the node is gone" test ! -e "$node"
ok "insmod again" insmod $module
echo "$pf" >/sys/bus/pci/drivers_probe
ok "and it answers" vferry admin "$owner" mode get --vf 1
end_module

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A keeper of a PF on vfio-pci is killed and comes back with the descriptors that the service manager kept: no reset, nobody notices.
. /t/lib.sh

modprobe virtio_pci
modprobe vfio-pci
modprobe vfio_iommu_type1
modprobe virtio_blk
owner=vfio:$pf
ok "the PF is on vfio-pci" bind "$pf" vfio-pci
ok "a function without VFs takes no VF token" \
	fails 1 "takes no VF token" vferry keep "$owner" --vf-token 14d63f20-8445-11ea-8900-1f9ce7d5650d
rm -f /tmp/store
fd_store vferry keep "$owner" --foreground >/tmp/store 2>/tmp/keeper.log &
store=$!
epoch() { vferry list "$owner" -o json | sed -n 's/.*"epoch": *"\([0-9a-f]*\)".*/\1/p'; }
keeper() { sed -n 's/^started \([0-9]*\) .*/\1/p' /tmp/store | tail -n 1; }
mode_is() { vferry admin "$owner" mode get --vf "$1" -o json | tee /dev/stderr | grep -q "\"mode\": *\"$2\""; }

# die: kill -9, until the next one serves
die()
{
	local before
	before=$(grep -c ^ready /tmp/store)
	kill -9 "$(keeper)"
	until_true 60 sh -c "[ \$(grep -c ^ready /tmp/store) -gt $before ]"
}

ok "a keeper serves" until_true 60 grep -q ^ready /tmp/store
note "$(grep ^ready /tmp/store) descriptors stored"
# virtio_disk: with the virtio bus's own probing on or off
virtio_disk()
{
	bind "$vf1" virtio-pci || return 1
	ls -d "$(device "$vf1")"/virtio*/block/* 2>/dev/null || echo "$(virtio_of "$vf1")" >/sys/bus/virtio/drivers/virtio_blk/bind
	until_true 5 sh -c "ls -d $(device "$vf1")/virtio*/block/*"
}
ok "VF 1 is a disk" virtio_disk
disk=/dev/$(basename "$(ls -d "$(device "$vf1")"/virtio*/block/* | head -n 1)")
ok "VF 2 is stopped" vferry admin "$owner" mode set stop --vf 2
first=$(epoch)
ok "it is known for a software owner" sh -c "vferry list $owner -o json | tee /dev/stderr | grep -q '\"software\": *true'"
guest_io "$disk" 4 >/tmp/io.json 2>/tmp/io.err &
io=$!
sleep 1
for n in 1 2 3; do
	ok "kill $n: the next one serves" die
done
ok "it goes on where the last one stopped" sh -c "cat /tmp/keeper.log; test $(grep -c 'goes on where' /tmp/keeper.log) = 3"
ok "the epoch is the same" test "$first" -a "$(epoch)" = "$first"
ok "VF 2 is still stopped" mode_is 2 stop
ok "the queues answer" vferry admin "$owner" size --vf 1
kill -TERM $io
status=0
wait $io || status=$?
ok "the I/O on VF 1 has seen nothing of it" sh -c "cat /tmp/io.json /tmp/io.err; test $status = 0"
ok "VF 2 is active again" vferry admin "$owner" mode set active --vf 2
bind "$vf1" none
ok "told to end, it ends, and with it the store's part" sh -c "vferry keep $owner --stop && . /t/lib.sh && until_true 20 grep -q '^ended 0' /tmp/store"
wait $store
ok "the owner can be held again" vferry keep "$owner"
vferry keep "$owner" --stop >/dev/null 2>&1

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A VF that this guest's kernel has I/O on goes to another owner and back, by io_uring passthrough on both sides. Its connection is
# handed over by the host, which the receiver's hook asks on the second serial line.
. /t/lib.sh
. /t/module.sh

if [ ! -d /sys/bus/virtio/drivers/virtio_blk ] && ! modprobe virtio_blk; then
	skip "moves of a VF with the kernel's I/O" "this kernel has no virtio_blk"
	exit 0
fi
begin_module
number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$2" | head -n 1; }

cat >/bin/hand-over <<'S'
#!/bin/sh
[ "$VFERRY_EVENT" = destination-before-active ] || exit 0
exec 8<>/dev/ttyS1
echo "hand-over $(cat /tmp/direction)" >&8
read -r answer <&8
[ "$answer" = ok ] || { echo "$answer" >&2; exit 1; }
S
chmod +x /bin/hand-over
stty -F /dev/ttyS1 raw -echo

# move FROM TO NAMES
move()
{
	local receiver status=0

	echo "$3" >/tmp/direction
	vferry recv "uring-cmd:/dev/vferry/$2" --vf 1 --from tcp:127.0.0.1:7472 --hook /bin/hand-over >/tmp/recv.out 2>&1 &
	receiver=$!
	until_true 60 sh -c 'grep -qi ":1D30 " /proc/net/tcp' || { cat /tmp/recv.out; return 1; }
	vferry send "uring-cmd:/dev/vferry/$1" --vf 1 --to tcp:127.0.0.1:7472 -o json >/tmp/send.json 2>/tmp/send.err || status=$?
	wait $receiver || status=$?
	if [ $status != 0 ]; then
		cat /tmp/send.json /tmp/send.err /tmp/recv.out
		return $status
	fi
	echo "$(number context_bytes /tmp/send.json) $(number downtime_ns /tmp/send.json) $(number user_copied_bytes /tmp/send.json)" >>/tmp/moves
}
mode_is() { vferry admin "uring-cmd:/dev/vferry/$1" mode get --vf 1 -o json | tee /dev/stderr | grep -q "\"mode\": *\"$2\""; }

ip link set lo up 2>/dev/null || ifconfig lo 127.0.0.1 up
modprobe virtio_pci
modprobe virtio_blk
ok "both PFs are bound" sh -c ". /t/lib.sh; bind $pf vferry-vfio-pci && bind $pf_b vferry-vfio-pci"
ok "the VF's driver is the kernel's" bind "$vf1" virtio-pci
until_true 10 sh -c "ls -d $(device "$vf1")/virtio*/block/*"
disk=/dev/$(basename "$(ls -d "$(device "$vf1")"/virtio*/block/* | head -n 1)")
guest_io "$disk" 2 >/tmp/io.json 2>/tmp/io.err &
io=$!
sleep 1
for n in 1 2; do
	ok "move $n: there" move "$pf" "$pf_b" "a b"
	ok "move $n: and back" move "$pf_b" "$pf" "b a"
done
sleep 1
kill -TERM $io
status=0
wait $io || status=$?
ok "no I/O error, no lost or stale block" sh -c "cat /tmp/io.json /tmp/io.err; test $status = 0"
ok "where it is, it is active" mode_is "$pf" active
ok "where it was, it is not" sh -c "! vferry admin uring-cmd:/dev/vferry/$pf_b mode get --vf 1 -o json | grep -q '\"mode\": *\"active\"'"
echo "# table moves by uring-cmd on both sides, bytes of context, ns down, bytes copied by vferry: $(tr '\n' ';' </tmp/moves)"
echo "# table $(number requests /tmp/io.json) requests of the guest meanwhile"
# The VF's driver goes before anybody resets its PF.
echo "$vf1" >"$(device "$vf1")/driver/unbind"
end_module

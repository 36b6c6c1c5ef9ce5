# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A whole migration between two PFs on vfio-pci, with a keeper each.
. /t/lib.sh

modprobe vfio-pci
modprobe vfio_iommu_type1
from=vfio:$pf to=vfio:$pf_b
ok "both PFs are on vfio-pci" sh -c ". /t/lib.sh; bind $pf vfio-pci && bind $pf_b vfio-pci"
ok "keepers hold both" sh -c "vferry keep $from && vferry keep $to"

move()
{
	local receiver status=0

	vferry recv "$2" --vf 1 --from tcp:127.0.0.1:7471 -o json >/tmp/recv.json 2>/tmp/recv.err &
	receiver=$!
	until_true 30 sh -c 'grep -qi ":1D2F " /proc/net/tcp' || { cat /tmp/recv.err; return 1; }
	vferry send "$1" --vf 1 --to tcp:127.0.0.1:7471 -o json >/tmp/send.json 2>/tmp/send.err || status=$?
	wait $receiver || status=$?
	[ $status = 0 ] || cat /tmp/send.json /tmp/send.err /tmp/recv.json /tmp/recv.err
	return $status
}

mode_is() { vferry admin "$1" mode get --vf 1 -o json | tee /dev/stderr | grep -q "\"mode\": *\"$2\""; }

ip link set lo up 2>/dev/null || ifconfig lo 127.0.0.1 up
ok "a VF moves to the other owner" move "$from" "$to"
ok "the source is frozen" mode_is "$from" freeze
ok "the destination is active" mode_is "$to" active
number() { sed -n "s/.*\"$1\": \([0-9]*\),*/\1/p" /tmp/send.json | head -n 1; }

echo "# table move of $(number context_bytes) bytes in $(number total_ns) ns, down for $(number downtime_ns) ns"
ok "keepers end" sh -c "vferry keep $from --stop && vferry keep $to --stop"

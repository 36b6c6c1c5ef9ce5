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
	local receiver status=0 around_send="" around_recv=""

	if [ "${3-}" = profiled ]; then
		around_send="vferry profile -q --out /tmp/send.prof --"
		around_recv="vferry profile -q --out /tmp/recv.prof --"
	fi
	# shellcheck disable=SC2086
	$around_recv vferry recv "$2" --vf 1 --from tcp:127.0.0.1:7471 -o json >/tmp/recv.json 2>/tmp/recv.err &
	receiver=$!
	until_true 30 sh -c 'grep -qi ":1D2F " /proc/net/tcp' || { cat /tmp/recv.err; return 1; }
	# shellcheck disable=SC2086
	$around_send vferry send "$1" --vf 1 --to tcp:127.0.0.1:7471 -o json >/tmp/send.json 2>/tmp/send.err || status=$?
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

# A network that is slow on purpose, for the profile: 60 ms each way. One kernel is enough.
blamed() # PHASE CAUSE LEAST_NS
{
	vferry profile /tmp/send.prof /tmp/recv.prof -o json >/tmp/profile.json || return 1
	cat /tmp/profile.json
	awk -v phase="$1" -v cause="$2" -v least="$3" '
		{ gsub(/[",]/, "") }
		$1 == "name:" { name = $2 }
		$1 == "begin_ns:" { within = name }
		$1 == "duration_ns:" && within == phase && name == cause && $2 >= least { found = 1 }
		END { exit !found }' /tmp/profile.json
}

case $(uname -r) in
6.12.*)
	if modprobe sch_netem && /bin/tc qdisc add dev lo root netem delay 60ms; then
		ok "a VF moves back over a slow network" move "$to" "$from" profiled
		ok "netem's delay is the network's, in loaded_word" blamed loaded_word network 50000000
		ok "and in release_word" blamed release_word network 50000000
		/bin/tc qdisc del dev lo root
	else
		skip "netem's delay is the network's" "no sch_netem or no tc in this guest"
	fi
	;;
*)
	ok "and back" move "$to" "$from"
	;;
esac
ok "keepers end" sh -c "vferry keep $from --stop && vferry keep $to --stop"

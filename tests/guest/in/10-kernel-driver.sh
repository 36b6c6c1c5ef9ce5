# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Someone else's driver on our owner, alone: virtio_pci and virtio_blk on the PF; and the kernel half of the tracer sees what they do.
. /t/lib.sh

modprobe virtio_pci
echo 0 >/sys/bus/virtio/drivers_autoprobe
modprobe virtio_blk
until_true 5 test -e "$(device "$pf")/driver"
pf_virtio=$(virtio_of "$pf")
ok "virtio_pci binds the PF" test "$(driver_of "$pf")" = virtio-pci

# trace NAME: what the tracer says while virtio_blk binds the PF, in /tmp/NAME.json
trace()
{
	local tracer

	vferry trace -o json --see kernel >"/tmp/$1.json" 2>"/tmp/$1.err" &
	tracer=$!
	until_true 30 grep -q '"type":"start"' "/tmp/$1.json" || return 1
	echo "$pf_virtio" >/sys/bus/virtio/drivers/virtio_blk/bind || return 1
	kill -INT $tracer
	wait $tracer
}

# seen NAME: command, count, errors, a line each, sorted
seen()
{
	grep '"type":"summary"' "/tmp/$1.json" | sed 's/{"source":"kernel"/\n&/g' |
		sed -n 's/^{"source":"kernel".*"name":"\([a-z_]*\)"},"count":\([0-9]*\),.*"errors":\([0-9]*\),.*/\1 \2 \3/p' | sort | tr '\n' ','
}

if at_least 6 13; then
	expected="cap_id_list_query 1 1,list_query 1 0,list_use 1 0,"
elif at_least 6 8; then
	expected="list_query 1 0,list_use 1 0,"
else
	expected=
fi

ok "virtio_blk binds the PF" trace fentry
features=$(cat "/sys/bus/virtio/devices/$pf_virtio/features")
if at_least 6 8; then
	ok "VIRTIO_F_ADMIN_VQ is negotiated" test "$(echo "$features" | cut -c42)" = 1
	ok "by fentry: exactly the commands of the kernel ($expected)" test "$(seen fentry)" = "$expected"
	ok "virtio_blk lets the PF go" sh -c "echo $pf_virtio >/sys/bus/virtio/drivers/virtio_blk/unbind"
	export VFERRY_NO_FENTRY=1
	ok "and binds it again" trace kprobe
	ok "by kprobe: exactly the same" test "$(seen kprobe)" = "$expected"
	ok "nothing is lost" sh -c 'grep -h "\"type\":\"summary\"" /tmp/fentry.json /tmp/kprobe.json | grep -c "\"lost\":{\"events\":0,\"rows\":0,\"arguments\":0,\"pairs\":0,\"modes\":0}" | grep -qx 2'
else
	ok "VIRTIO_F_ADMIN_VQ is not negotiated by a kernel without it" test "$(echo "$features" | cut -c42)" = 0
	ok "the tracer says why there is nothing to see" grep -q "no virtio_pci admin queue" /tmp/fentry.json
fi
grep -h '"type":"start"' /tmp/fentry.json /tmp/kprobe.json 2>/dev/null | sed 's/{"name"/\n&/g' |
	sed -n 's/^{"name":"\([^"]*\)","state":"\([^"]*\)"\(,"why":"\([^"]*\)"\)*.*/# table \1: \2 \4/p' | sort -u

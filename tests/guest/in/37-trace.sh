# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The PF on vfio-pci: the tracer's counts of a known run match to the last one, and latency is split at VFIO's interrupt, by fentry and by kprobe.
. /t/lib.sh

modprobe vfio-pci
modprobe vfio_iommu_type1
owner=vfio:$pf_b
[ "$(driver_of "$pf_b")" = vfio-pci ] || bind "$pf_b" vfio-pci
ok "a keeper holds the PF" vferry keep "$owner"

# The kernel's own counter of the same function is the witness.
events=/sys/kernel/tracing/events/kprobes/vferry_irq/enable
echo "p:vferry_irq vfio_msihandler" >/sys/kernel/tracing/kprobe_events
echo 1 >$events
interrupts() { sed -n 's/^ *vferry_irq *\([0-9]*\) .*/\1/p' /sys/kernel/tracing/kprobe_profile; }

# trace NAME SEED COUNT LANES: what the tracer says of that run in /tmp/NAME.json, the run of itself in /tmp/NAME.did. An interrupt may come
# when the tracer is there and the run is not: .irqs has those of the run, .most those while there was a tracer.
trace()
{
	local tracer before first held status=0

	# So that the tracer knows the file before the run begins.
	commands hold &
	held=$!
	until_true 30 sh -c "readlink /proc/$held/exe | grep -q /commands"
	first=$(interrupts)
	vferry trace -o json --by vf --see engine >"/tmp/$1.json" 2>"/tmp/$1.err" &
	tracer=$!
	until_true 60 grep -q '"type":"start"' "/tmp/$1.json" || { cat "/tmp/$1.err"; return 1; }
	before=$(interrupts)
	kill $held
	commands "$owner" "$2" "$3" 2 "$4" >"/tmp/$1.did" || status=1
	echo $(($(interrupts) - before)) >"/tmp/$1.irqs"
	kill -INT $tracer
	wait $tracer || status=1
	echo $(($(interrupts) - first)) >"/tmp/$1.most"
	return $status
}

summary() { grep '"type":"summary"' "/tmp/$1.json"; }
rows() { summary "$1" | sed 's/{"source":"engine"/\n&/g' | grep '"process":"commands"'; }
# command, VF, count, errors, a line each
seen() { rows "$1" | sed -n 's/.*"vf":\([0-9]*\),"opcode":{[^}]*"name":"\([a-z_]*\)"},"count":\([0-9]*\),.*"errors":\([0-9]*\),.*/\2 \1 \3 \4/p' | sort; }
did() { sed 's/{"name"/\n&/g' "/tmp/$1.did" | sed -n 's/^{"name":"\([a-z_]*\)","vf":\([0-9]*\),"count":\([0-9]*\),"errors":\([0-9]*\)}.*/\1 \2 \3 \4/p' | sort; }
same() { did "$1" >/tmp/did; seen "$1" >/tmp/seen; [ -s /tmp/did ] && diff /tmp/did /tmp/seen; }
# sum NAME KEY: over the rows
sum() { rows "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" | awk '{ n += $1 } END { printf "%.0f\n", n }'; }
told_interrupts() { summary "$1" | sed -n 's/.*"vfio_interrupts":\([0-9]*\).*/\1/p'; }

# One at a time, each answer has an interrupt; a few may have been found before it came.
for way in fentry kprobe; do
	[ $way = fentry ] || export VFERRY_NO_FENTRY=1
	ok "by $way: a run of 397 commands" trace $way 1 397 1
	ok "by $way: the interrupts' rung works" grep -q "\"VFIO interrupts by $way\",\"state\":\"ok\"" /tmp/$way.json
	ok "by $way: counts and errors match to the last one" same $way
	ok "by $way: as many interrupts as the kernel counts" \
		test "$(told_interrupts $way)" -ge "$(cat /tmp/$way.irqs)" -a "$(told_interrupts $way)" -le "$(cat /tmp/$way.most)"
	split=$(sum $way interrupt_count)
	ok "by $way: latency is split at the interrupt" test "$split" -gt 0 -a "$split" -le "$(cat /tmp/$way.most)"
	echo "# table VFIO interrupts by $way: 397 commands, $(cat /tmp/$way.irqs) interrupts, $split commands split at theirs:" \
		"mean to it $(($(sum $way device_to_interrupt_sum_ns) / (split + !split))) ns, to wake-up $(($(sum $way interrupt_to_wake_sum_ns) / (split + !split))) ns"
done
ok "several under way: a run of 997 commands" trace many 2 997 8
ok "several under way: to the last one" same many
ok "nothing is lost" sh -c '! grep -h "\"type\":\"summary\"" /tmp/fentry.json /tmp/kprobe.json /tmp/many.json | grep -v "\"lost\":{\"events\":0,\"rows\":0,\"arguments\":0,\"pairs\":0,\"modes\":0}"'
echo 0 >$events
echo >/sys/kernel/tracing/kprobe_events
ok "the keeper ends" vferry keep "$owner" --stop

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The tracer's view of IORING_OP_URING_CMD on /dev/vferry, from the kernel's tracepoints alone: each admin command by opcode and VF, of any program.
. /t/lib.sh
. /t/module.sh

begin_module
bind "$pf" vferry-vfio-pci

# start NAME, finish NAME: the tracer, in /tmp/NAME.json
start()
{
	vferry trace -o json --by vf --see uring-cmd >"/tmp/$1.json" 2>"/tmp/$1.err" &
	tracer=$!
	until_true 60 grep -q '"type":"start"' "/tmp/$1.json" || { cat "/tmp/$1.err"; return 1; }
}
finish() { kill -INT $tracer; wait $tracer; }
summary() { grep '"type":"summary"' "/tmp/$1.json"; }
rows() { summary "$1" | sed 's/{"source":"uring-cmd"/\n&/g' | grep "^{\"source\":\"uring-cmd\",\"pid\":$2,"; }

start known
ok "a run of 397 commands" sh -c "commands $owner 1 397 2 8 >/tmp/known.did"
finish
pid=$(sed 's/{"pid":\([0-9]*\).*/\1/' /tmp/known.did)
sed 's/{"name"/\n&/g' /tmp/known.did | sed -n 's/^{"name":"\([a-z_]*\)","vf":\([0-9]*\),"count":\([0-9]*\),"errors":\([0-9]*\)}.*/\1 \2 \3 \4/p' | sort >/tmp/did
rows known "$pid" | sed -n 's/.*"vf":\([0-9]*\),"opcode":{[^}]*"name":"\(dev_[a-z_]*\)"},"count":\([0-9]*\),.*"errors":\([0-9]*\),.*/\2 \1 \3 \4/p' | sort >/tmp/seen
ok "counts and errors by command and VF match to the last one" sh -c "[ -s /tmp/did ] && diff /tmp/did /tmp/seen"
ok "what registers its memory and claims its VFs is there by name" sh -c "grep -q '\"name\":\"register\"' /tmp/known.json && grep -q '\"name\":\"claim\"' /tmp/known.json"
ok "nothing is lost" sh -c '! grep "\"type\":\"summary\"" /tmp/known.json | grep -v "\"lost\":{\"events\":0,\"rows\":0,\"arguments\":0,\"pairs\":0,\"modes\":0}"'
start other
vfio_kmod "$node" >/tmp/kmod.out &
pid=$!
wait $pid
finish
ok "another program's, which has no probe" sh -c "[ $(rows other $pid | wc -l) -gt 3 ]"
echo "# table URING_CMD by tracepoints: $(rows known "$(sed 's/{"pid":\([0-9]*\).*/\1/' /tmp/known.did)" | wc -l) rows of a run of 397 commands, $(rows other $pid | wc -l) of a program without probes"
end_module

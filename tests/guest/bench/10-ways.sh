# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Commands a second and context bytes a second over each way to the same owner, in turn: what else the host does hits all of them.
. /t/lib.sh
. /t/module.sh

begin_module
bind "$pf" vferry-vfio-pci

# run WAY COMMAND...: each JSON line that it prints, with the way's name before it
run()
{
	local way=$1
	shift
	"$@" >/tmp/bench.out 2>/tmp/bench.err || { echo "not ok - $way: $(tail -n 1 /tmp/bench.err)"; return; }
	sed "s/^{/-- bench $way {/" /tmp/bench.out
}
vferry admin "$owner" mode get --vf 1 >/dev/null
for round in $(seq "${rounds:-5}"); do
	for n in 1 8 64; do
		run "uring-cmd-$n" vferry-bench commands --owner "$owner" --in-flight $n --pairs 1 --pause "${ms:-700}"
		run "vfio-interrupts-$n" vferry-bench commands --owner "vfio:$pf" --in-flight $n --pairs 1 --pause "${ms:-700}"
		run "vfio-polling-$n" vferry-bench commands --owner "vfio:$pf" --in-flight $n --pairs 1 --pause "${ms:-700}" --poll
		[ $n != 8 ] || run synchronous vfio_kmod "$node" sync "${ms:-700}"
	done
	run uring-cmd-context vferry-bench many --owner "$owner" --vf 1 --vfs 1 --pairs 1 --hidden
	run vfio-context vferry-bench many --owner "vfio:$pf" --vf 1 --vfs 1 --pairs 1 --hidden
done
end_module

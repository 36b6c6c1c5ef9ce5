# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The tracer under a kernel that is locked down, which lasts until the end: the last script.
. /t/lib.sh

mount -t securityfs securityfs /sys/kernel/security
lockdown=/sys/kernel/security/lockdown
if [ ! -e $lockdown ]; then
	skip "lockdown" "not in this kernel"
	exit 0
fi
ok "not locked down: the tracer attaches" vferry trace 0.1 1
echo integrity >$lockdown
ok "integrity: the tracer attaches" vferry trace 0.1 1
ok "doctor names it" sh -c "vferry doctor | grep -q 'integrity: '"
echo confidentiality >$lockdown
ok "confidentiality: named, with the way out" fails 4 "confidentiality.*boot it without" vferry trace 0.1 1
ok "with one source alone too" fails 4 "confidentiality.*boot it without" vferry trace --see engine 0.1 1
ok "doctor names it, and the fix" sh -c "vferry doctor | tee /dev/stderr | grep -q 'boot without lockdown=confidentiality'"

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Sourced by each script: test lines, and PCI functions by hand. The names of the functions come from the kernel's command line.

# shellcheck shell=sh
for word in $(cat /proc/cmdline); do
	case $word in vferry.*) name=${word#vferry.}; eval "${name%%=*}='${name#*=}'" ;; esac
done

# ok TEXT COMMAND...: a test; its output is shown when it fails
ok()
{
	local text=$1
	shift
	if "$@" >/tmp/ok.out 2>&1; then
		echo "ok - $text"
	else
		echo "not ok - $text"
		sed 's/^/#   /' /tmp/ok.out | tail -n 20
	fi
}

skip() { echo "ok - $1 # SKIP $2"; }
note() { echo "# $*"; }

# until SECONDS COMMAND...: wait for it
until_true()
{
	local left=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 100000
	done
}

device() { echo "/sys/bus/pci/devices/$1"; }
driver_of() { basename "$(readlink "$(device "$1")/driver" || echo none)"; }

# bind BDF DRIVER
bind()
{
	local folder
	folder=$(device "$1")
	echo "$2" >"$folder/driver_override"
	[ ! -e "$folder/driver" ] || echo "$1" >"$folder/driver/unbind"
	[ "$2" = none ] || echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = "$2" ]
}

# virtio_of BDF: the name of its virtio device, as virtio3
virtio_of() { basename "$(ls -d "$(device "$1")"/virtio* 2>/dev/null | head -n 1)"; }

# fails STATUS WORDS COMMAND...: ends with that status and says these words
fails()
{
	local status=$1 words=$2 got=0
	shift 2
	"$@" >/tmp/fails.out 2>&1 || got=$?
	cat /tmp/fails.out
	[ $got = "$status" ] || { echo "ended with $got instead of $status"; return 1; }
	grep -q "$words" /tmp/fails.out || { echo "does not say '$words'"; return 1; }
}

# at_least MAJOR MINOR: of the kernel
at_least()
{
	local major minor
	major=$(uname -r | cut -d. -f1)
	minor=$(uname -r | cut -d. -f2)
	[ "$major" -gt "$1" ] || { [ "$major" = "$1" ] && [ "$minor" -ge "$2" ]; }
}

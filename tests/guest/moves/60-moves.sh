# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host moves this guest's VF from one owner process to another and back, until it says "stop"; the guest must not notice.
. /t/lib.sh

modprobe virtio_pci
modprobe virtio_blk
until_true 5 sh -c "ls -d $(device "$vf1")/virtio*/block/*"
disk=/dev/$(basename "$(ls -d "$(device "$vf1")"/virtio*/block/* | head -n 1)")
guest_io "$disk" 4 >/tmp/io.json 2>/tmp/io.err &
io=$!
sleep 1
echo "-- io begins"
read -r word
kill -TERM $io
status=0
wait $io || status=$?
echo "-- io $(cat /tmp/io.json)"
ok "no I/O error, no lost or stale block" sh -c "cat /tmp/io.json /tmp/io.err; test $status = 0"

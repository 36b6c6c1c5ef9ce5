# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# virtio_blk drives a VF of ours: a file system is made on it, files are written, and read back from the device.
. /t/lib.sh

modprobe virtio_blk
# busybox does not follow soft dependencies.
for sums in crc32c_generic crc32c-intel crc32c-cryptoapi ext4; do modprobe $sums 2>/dev/null; done
vf=$(virtio_of "$vf1")
ok "virtio_blk binds a VF" sh -c "echo $vf >/sys/bus/virtio/drivers/virtio_blk/bind"
disk=$(basename "$(ls -d "$(device "$vf1")/$vf"/block/* | head -n 1)")
ok "its disk is there" test -b "/dev/$disk"
ok "a file system is made" mke2fs -F "/dev/$disk"
mkdir -p /mnt
ok "it is mounted" mount -t ext4 "/dev/$disk" /mnt

fill()
{
	for n in 1 2 3 4; do
		dd if=/dev/urandom of=/tmp/file.$n bs=64k count=$((n * 8)) 2>/dev/null || return 1
		cp /tmp/file.$n /mnt/ || return 1
	done
	sync
	(cd /tmp && sha256sum file.*) >/tmp/sums
}

ok "files are written" fill
ok "and unmounted" umount /mnt
echo 3 >/proc/sys/vm/drop_caches
ok "and mounted again" mount -t ext4 -o ro "/dev/$disk" /mnt
ok "what was written is read" sh -c "cd /mnt && sha256sum -c /tmp/sums"
umount /mnt
ok "the VF is let go" sh -c "echo $vf >/sys/bus/virtio/drivers/virtio_blk/unbind"
ok "the PF is let go" sh -c "echo $(virtio_of "$pf") >/sys/bus/virtio/drivers/virtio_blk/unbind"

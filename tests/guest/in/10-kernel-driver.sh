# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Someone else's driver on our owner, alone: virtio_pci and virtio_blk on the PF.
. /t/lib.sh

modprobe virtio_pci
echo 0 >/sys/bus/virtio/drivers_autoprobe
modprobe virtio_blk
until_true 5 test -e "$(device "$pf")/driver"
pf_virtio=$(virtio_of "$pf")
ok "virtio_pci binds the PF" test "$(driver_of "$pf")" = virtio-pci
ok "virtio_blk binds the PF" sh -c "echo $pf_virtio >/sys/bus/virtio/drivers/virtio_blk/bind"
features=$(cat "/sys/bus/virtio/devices/$pf_virtio/features")
if at_least 6 8; then
	ok "VIRTIO_F_ADMIN_VQ is negotiated" test "$(echo "$features" | cut -c42)" = 1
else
	ok "VIRTIO_F_ADMIN_VQ is not negotiated by a kernel without it" test "$(echo "$features" | cut -c42)" = 0
fi
note "features $features"

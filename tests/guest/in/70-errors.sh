# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is in the way, on a real kernel: other members of the group, other devices, a user's rights and limits.
. /t/lib.sh

modprobe virtio_pci
modprobe vfio-pci
modprobe vfio_iommu_type1
group_of() { basename "$(readlink "$(device "$1")/iommu_group")"; }

ok "two devices share a group" test "$(group_of "$edu")" = "$(group_of "$rng")"
ok "one of them is the host's" bind "$rng" virtio-pci
ok "the other is bound to vfio-pci" bind "$edu" vfio-pci
ok "the group is not viable, and the words name the member and its driver" fails 1 "not viable.*$rng (virtio-pci)" vfio_bus "vfio:$edu" ids
ok "when it is bound too, the group is" sh -c ". /t/lib.sh; bind $rng vfio-pci && vfio_bus vfio:$edu ids"
ok "a device that is not virtio" fails 5 "1234:11e8 is not a virtio device" vferry keep "vfio:$edu"
ok "a virtio device without admin queue" fails 5 "VIRTIO_F_ADMIN_VQ" vferry keep "vfio:$rng"

ok "the PF is bound to vfio-pci" bind "$pf" vfio-pci
node=/dev/vfio/$(group_of "$pf")
as_nobody() { su -s /bin/sh nobody -c "$*"; }
ok "a user who may not" fails 1 "may not open $node" as_nobody vfio_bus "vfio:$pf" ids
chmod 666 "$node" /dev/vfio/vfio
ok "a user who may" as_nobody vfio_bus "vfio:$pf" ids
ok "little memory for the device" as_nobody "ulimit -l 8192; vfio_bus vfio:$pf dma=0x400000"
ok "too much: the limit is named, and what it has to be" fails 1 "RLIMIT_MEMLOCK allows 8192 KiB: ulimit -l 16384" \
	as_nobody "ulimit -l 8192; vfio_bus vfio:$pf dma=0x1000000"
chmod 600 "$node"

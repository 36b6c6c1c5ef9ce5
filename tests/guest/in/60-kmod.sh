# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The kernel module: admin commands as SQEs on /dev/vferry/BDF.
. /t/lib.sh

module=/t/vferry_vfio_pci.ko
if [ ! -f $module ]; then
	skip "the kernel module" "not built for this kernel: no headers"
	exit 0
fi
modprobe vfio-pci
modprobe vfio_iommu_type1
node=/dev/vferry/$pf
ok "the module loads" insmod $module
ok "it binds by driver_override" bind "$pf" vferry-vfio-pci
ok "the node is there" test -c "$node"
vfio_kmod "$node"

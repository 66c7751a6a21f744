#!/bin/busybox sh
# Process 1 of the initial RAM disk: the modules that the kernel lacks for its disk and for overlays, then the disk.
/bin/busybox mkdir -p /proc /dev /disk
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t ext4 -o rw /dev/vda /disk
exec /bin/busybox switch_root /disk /bin/sh /opt/kernels/scripts/kernels/arm64/guest.sh

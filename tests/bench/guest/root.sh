#!/usr/bin/env bash
# Makes the Debian 12 i386 system that the benchmark and the disk's boot test run: once, under build/guests/debian12.
#   root/        the system (debootstrap; sysvinit, since no guest needs systemd to be measured)
#   vmlinuz, initrd  Debian's 686 kernel, and an initramfs that mounts the disk and starts its init
# Exit code 77 says that packages cannot be had here, or that it takes root.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. roms/guests.sh
home=$guests/debian12
mkdir -p "$home"
exec 9> "$home/lock"
flock 9

packages=gcc,libc6-dev,python3-minimal,sqlite3,perl,xz-utils,bzip2,openssl
packages=$packages,sysvinit-core,sysv-rc,initscripts,util-linux,login,passwd,e2fsprogs,kmod

# The mirror that the host itself uses.
mirror() {
  apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)|$(REPO_URI)' 2>/dev/null |
    awk -F'|' '$2 == "bookworm" && $3 == "main" && $4 == "Packages" { print $5; exit }'
}

if [ ! -e "$home/root/.complete" ]; then
  [ "$(id -u)" = 0 ] || { echo "a Debian root takes root to make (debootstrap, chroot)" >&2; exit 77; }
  command -v debootstrap >/dev/null || { echo "debootstrap is not installed" >&2; exit 77; }
  site=$(mirror)
  [ -n "$site" ] || { echo "apt knows no source of Debian 12 (bookworm main)" >&2; exit 77; }
  rm -rf "$home/root"
  echo "making a Debian 12 i386 root (some minutes, once)" >&2
  debootstrap --arch=i386 --variant=minbase --include="$packages" bookworm "$home/root" "$site" > "$home/debootstrap.log" 2>&1 || {
    echo "debootstrap failed: see $home/debootstrap.log" >&2
    exit 77
  }
  rm -rf "$home/root"/var/cache/apt/archives/*.deb "$home/root"/usr/share/{doc,man,locale,info}/*
  touch "$home/root/.complete"
fi

# Our own programs, compiled by the guest's compiler; again when their source has changed.
sources=$(cat tests/bench/guest/* roms/guests.sh | cksum)
if [ "$(cat "$home/.sources" 2>/dev/null)" != "$sources" ] || [ ! -e "$home/disk.img" ]; then
  rm -f "$home/.sources"
  mkdir -p "$home/root/bench"
  cp tests/bench/guest/*.[ch] tests/bench/guest/work.* "$home/root/bench/"
  chroot "$home/root" /bin/sh -e <<'IN_ROOT'
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
cd /bench
flags="-O2 -static -march=pentium4 -mtune=generic -fno-optimize-sibling-calls -ffp-contract=off"
gcc $flags -DUNIT=x87 -mfpmath=387 -c -o x87.o floats.c
gcc $flags -DUNIT=sse2 -mfpmath=sse -c -o sse2.o floats.c
gcc $flags -o bench bench.c kernels.c system.c x87.o sse2.o -lm
./bench --corpus 17000000 > corpus
[ -e key.pem ] || openssl genrsa -out key.pem 4096 2>/dev/null
rm -f *.o
# A login without a password on the serial line, for the disk's boot test.
passwd -d root >/dev/null
echo umbra > /etc/hostname
echo "/dev/sda / ext4 errors=remount-ro 0 1" > /etc/fstab
sed -i '/ttyS0/d; s/^[1-6]:/#&/' /etc/inittab
echo "S0:2345:respawn:/sbin/agetty -L ttyS0 115200 vt100" >> /etc/inittab
IN_ROOT
  used=$(du -sm "$home/root" | cut -f1)
  rm -f "$home/disk.img"
  truncate -s $((used + used / 8 + 256))M "$home/disk.img"
  mke2fs -q -F -t ext4 -O ^64bit,^metadata_csum -L debian -d "$home/root" "$home/disk.img"

  cat > "$home/script" <<'SCRIPT'
init=$(sed -n 's/.*umbra.init=\([^ ]*\).*/\1/p' /proc/cmdline)
for i in 1 2 3 4 5 6 7 8 9 10 20; do  # the disks are probed in the background
  [ -b /dev/sda ] && break
  sleep 0.$i
done
mount -t ext4 /dev/sda /mnt || exec sh
for d in dev proc sys; do mount --move /$d /mnt/$d; done
exec switch_root /mnt ${init:-/sbin/init}
SCRIPT
  guest_initramfs 686 "$home/initrd.new" "$home/script" || exit 77
  mv "$home/initrd.new" "$home/initrd"
  cp "$guests/vmlinuz-686" "$home/vmlinuz"
  echo "$sources" > "$home/.sources"
fi

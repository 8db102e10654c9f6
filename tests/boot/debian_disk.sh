#!/usr/bin/env bash
# debian_disk.sh UMBRA [OPTION...]: boots Debian 12 i386 (debootstrap, sysvinit, agetty on ttyS0) from an IDE disk, by the
# GRUB in its first sectors, to its login prompt, writes a file, shuts down cleanly; boots again, finds the file; the file
# system is clean after each. Exit code 77 says that the guest cannot be made here.
set -euo pipefail
cd "$(dirname "$0")/../.."
umbra=$1
shift
. roms/guests.sh
. tests/boot/media.sh
needs e2fsck debugfs grub-mkimage && guest_package grub-pc-bin || exit 77
status=0
bash tests/bench/guest/root.sh || status=$?
[ $status = 0 ] || { echo "the Debian guest cannot be made here"; exit $status; }

home=build/guests/debian12
work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
mkfifo "$work/keys"

# The file system in a partition at 1 MiB, with kernel and menu in it; before it GRUB, whose first sector looks for the
# rest in the sectors behind it.
offset=$((1 << 20))
make_disk() {
  local grub=$guests/grub-pc-bin/usr/lib/grub/i386-pc part=$work/part.img sectors
  cp --sparse=always $home/disk.img "$part"
  sed 's,/dev/sda,/dev/sda1,g' $home/script > "$work/script"
  guest_initramfs 686 "$work/initrd" "$work/script" || exit 77
  echo "/dev/sda1 / ext4 errors=remount-ro 0 1" > "$work/fstab"
  cat > "$work/grub.cfg" <<'CFG'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=2
menuentry "Debian from its disk" { linux /boot/vmlinuz console=ttyS0; initrd /boot/initrd; }
CFG
  debugfs -w -f - "$part" >"$work/debugfs.log" 2>&1 <<WRITE
rm /etc/fstab
write $work/fstab /etc/fstab
write $home/vmlinuz /boot/vmlinuz
write $work/initrd /boot/initrd
mkdir /boot/grub
write $work/grub.cfg /boot/grub/grub.cfg
WRITE
  grub-mkimage -d "$grub" -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$work/core.img" \
    biosdisk part_msdos ext2 normal linux configfile serial terminal
  sectors=$(($(stat -c %s "$part") / 512))
  head -c 440 "$grub/boot.img" > "$work/disk.img"
  truncate -s 446 "$work/disk.img"
  # One active partition of type 83h; sector numbers in its last eight bytes.
  perl -e 'print "\x80\xfe\xff\xff\x83\xfe\xff\xff", pack("VV", @ARGV), "\0" x 48, "\x55\xaa"' $((offset / 512)) $sectors >> "$work/disk.img"
  cat "$work/core.img" >> "$work/disk.img"
  truncate -s $offset "$work/disk.img"
  dd if="$part" of="$work/disk.img" bs=1M seek=1 conv=sparse,notrunc status=none
  truncate -s $((offset + sectors * 512)) "$work/disk.img"
  rm "$part"
}
make_disk

fail() {
  echo "FAILED: $1; the last that the guest said:"
  tail -n 15 "$work/said"
  exit 1
}

# see TEXT SECONDS: waits until the guest has said it.
see() {
  local deadline=$((SECONDS + $2))
  until grep -aq -- "$1" "$work/said"; do
    kill -0 "$emulator" 2>/dev/null || fail "ended before '$1'"
    [ $SECONDS -lt $deadline ] || fail "no sign of '$1' within $2 s"
    sleep 0.2
  done
}

say() { printf '%s\r' "$1" >&3; }

boot() {
  local start=$SECONDS
  : > "$work/said"
  "$umbra" "$@" -m 256 -display none -monitor none -no-reboot -drive "file=$work/disk.img,format=raw,if=ide,index=0,media=disk" \
    -serial stdio < "$work/keys" > "$work/said" 2> "$work/log" &
  emulator=$!
  exec 3> "$work/keys"
  see "Debian from its disk" 60
  echo "the boot loader's menu after $((SECONDS - start)) s"
  see "umbra login:" 240
  echo "a login prompt after $((SECONDS - start)) s"
  say root
  see "root@umbra:" 60
}

power_off() {
  say "poweroff"
  local deadline=$((SECONDS + 120))
  while kill -0 $emulator 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || fail "it does not power off"
    sleep 0.2
  done
  wait $emulator || fail "the emulator ended with status $?"
  emulator=
  exec 3>&-
  e2fsck -fn "$work/disk.img?offset=$offset" > "$work/fsck" 2>&1 || { cat "$work/fsck"; fail "the file system is not clean"; }
}

boot "$@"
# The sum is made by the guest, so that the echo of what is typed cannot be taken for its answer.
say 'seq 20000 > /root/kept; echo sum $(md5sum < /root/kept); sync; echo written $((6 * 7))'
see "written 42" 60
power_off

boot "$@"
say 'echo sum $(md5sum < /root/kept)'
see "sum $(seq 20000 | md5sum | cut -d' ' -f1)" 60
power_off
echo "the file is there after a shutdown and a boot, and the file system is clean"

#!/usr/bin/env bash
# debian_disk.sh UMBRA [OPTION...]: boots Debian 12 i386 (debootstrap, sysvinit, agetty on ttyS0) from an IDE disk to its
# login prompt, writes a file, shuts down cleanly; boots again, finds the file; the file system is clean after each.
# Exit code 77 says that the guest cannot be made here.
set -euo pipefail
cd "$(dirname "$0")/../.."
umbra=$1
shift
command -v e2fsck >/dev/null || { echo "e2fsck is not installed"; exit 77; }
status=0
bash tests/bench/guest/root.sh || status=$?
[ $status = 0 ] || { echo "the Debian guest cannot be made here"; exit $status; }

home=build/guests/debian12
work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
cp --sparse=always $home/disk.img "$work/disk.img"
mkfifo "$work/keys"

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
  "$umbra" "$@" -m 256 -display none -monitor none -no-reboot -kernel $home/vmlinuz -initrd $home/initrd \
    -append "console=ttyS0" -drive "file=$work/disk.img,format=raw,if=ide,index=0,media=disk" \
    -serial stdio < "$work/keys" > "$work/said" 2> "$work/log" &
  emulator=$!
  exec 3> "$work/keys"
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
  e2fsck -fn "$work/disk.img" > "$work/fsck" 2>&1 || { cat "$work/fsck"; fail "the file system is not clean"; }
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

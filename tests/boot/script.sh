#!/usr/bin/env bash
# What ./boot makes of images: a copy of it beside an emulator that only says how it was called.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
mkdir -p "$dir"/{tests,roms,build,bin,folder}
cp boot "$dir"
echo 'install_packages() { :; }' > "$dir/tests/packages.sh"
: > "$dir/roms/guests.sh"
: > "$dir/build/CMakeCache.txt"
printf '#!/bin/sh\necho "ninja: no work to do."\n' > "$dir/bin/ninja"
printf '#!/bin/sh\necho "$@"\n' > "$dir/build/umbra"
chmod +x "$dir/bin/ninja" "$dir/build/umbra"
export PATH=$dir/bin:$PATH DISPLAY=:0

# calls WORDS -- IMAGES…: the emulator's words after -m 256.
calls() {
  local wanted=$1 got
  shift 2
  got=$("$dir/boot" "$@" 2>&1)
  [ "$got" = "-m 256 $wanted" ] || { echo "FAILED: $*: '$got' instead of '-m 256 $wanted'"; failed=1; }
}

truncate -s 1440K "$dir/a.img"
truncate -s 360K "$dir/b.img"
truncate -s 20M "$dir/disk,1.img" "$dir/disk2.img" "$dir/disk3.img"
truncate -s 1M "$dir/cd.iso"
printf 'CD001' | dd of="$dir/cd.iso" bs=1 seek=32769 conv=notrunc status=none
cd "$dir" || exit 1
calls "-drive if=floppy,index=0,format=raw,file=$dir/a.img -boot order=a" -- a.img
calls "-cdrom $dir/cd.iso -boot order=d" -- cd.iso
calls "-drive if=ide,index=0,format=raw,file=$dir/disk,,1.img -boot order=c" -- disk,1.img
calls "-drive if=ide,index=0,format=raw,file=fat:$dir/folder -boot order=c" -- folder
calls "-drive if=floppy,index=0,format=raw,file=$dir/a.img -drive if=floppy,index=1,format=raw,file=$dir/b.img \
-drive if=ide,index=0,format=raw,file=$dir/disk,,1.img -drive if=ide,index=1,format=raw,file=$dir/disk2.img \
-drive if=ide,index=3,format=raw,file=$dir/disk3.img -cdrom $dir/cd.iso -boot order=acd" -- a.img b.img disk,1.img disk2.img disk3.img cd.iso
calls "-cdrom $dir/cd.iso -boot order=d -snapshot -m 64" -- cd.iso -- -snapshot -m 64
[ "$(DISPLAY='' "$dir/boot" a.img)" = "-m 256 -drive if=floppy,index=0,format=raw,file=$dir/a.img -boot order=a -display curses" ] ||
  { echo "FAILED: without a display the picture must come to the terminal"; failed=1; }
[[ $("$dir/boot" nothing 2>&1) == "boot: there is no 'nothing'" ]] || { echo "FAILED: a missing image"; failed=1; }
printf '#!/bin/sh\nexit 1\n' > "$dir/bin/ninja"
"$dir/boot" a.img > out 2>&1 && { echo "FAILED: it goes on when the build fails"; failed=1; }
exit $failed

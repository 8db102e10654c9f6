#!/usr/bin/env bash
# Installs what is missing, builds, and boots a guest.
#   ./boot                 Linux and BusyBox of Debian's i386 packages, to a shell in this terminal
#   ./boot --window        the same in a window
#   ./boot IMAGE...        these images: floppies, CDs and disks are told apart; a directory is shown as a FAT disk
#   ./boot ... -- OPTIONS  more options for build/umbra
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
cd "$OLDPWD" 2>/dev/null || true

window=0 images=() extra=()
while [ $# -gt 0 ]; do
  case "$1" in
    --window) window=1 ;;
    --) shift; extra=("$@"); break ;;
    -h|--help) sed -n '2,6s/^# *//p' "$here/boot"; exit 0 ;;
    -*) echo "usage: ./boot [--window] [IMAGE...] [-- OPTIONS]" >&2; exit 2 ;;
    *) [ -e "$1" ] || { echo "boot: there is no '$1'" >&2; exit 1; }
       images+=("$(realpath "$1")") ;;
  esac
  shift
done
cd "$here"
. tests/packages.sh
. roms/guests.sh

install_packages build boot
[ -e build/CMakeCache.txt ] || cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C build umbra | { grep -v 'no work to do' || true; }  # a build that fails ends this
umbra=build/umbra

if [ ${#images[@]} -gt 0 ]; then
  options=(-m 256) disk=0 floppy=0 order=
  for image in "${images[@]}"; do
    size=$(stat -Lc %s "$image")
    if [ -d "$image" ]; then
      kind=disk; image="fat:$image"
    elif [ "$(dd if="$image" bs=1 skip=32769 count=5 status=none 2>/dev/null | tr -d '\0')" = CD001 ]; then
      kind=cdrom
    elif [ "$size" -le $((2880 * 1024)) ]; then
      kind=floppy
    else
      kind=disk
    fi
    case $kind in
      cdrom) options+=(-cdrom "$image"); order+=d ;;
      floppy) options+=(-drive "if=floppy,index=$floppy,format=raw,file=${image//,/,,}"); floppy=$((floppy + 1)); order+=a ;;
      disk) options+=(-drive "if=ide,index=$disk,format=raw,file=${image//,/,,}"); disk=$((disk == 1 ? 3 : disk + 1)); order+=c ;;
    esac
  done
  options+=(-boot "order=$(printf %s "$order" | sed 's/\(.\)\1*/\1/g')")
  if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && [ $window = 0 ]; then options+=(-display curses); fi
  exec "$umbra" "${options[@]}" "${extra[@]}"
fi

options=(-m 256 -no-reboot)
if guest_kernel 686 && { [ -e "$guests/shell.img" ] || guest_initramfs 686 "$guests/shell.img"; }; then
  if [ $window = 1 ]; then
    options+=(-kernel "$guests/vmlinuz-686" -initrd "$guests/shell.img" -append "console=tty0 quiet" -display sdl)
  else
    options+=(-kernel "$guests/vmlinuz-686" -initrd "$guests/shell.img" -append "console=ttyS0 quiet" -nographic)
    echo "Booting Linux in this terminal; Ctrl-A x ends it."
  fi
else
  echo "Debian's i386 packages cannot be had; running the demo ROM instead (Ctrl-A x ends it)."
  options+=(-bios build/roms/demo.bin -serial mon:stdio)
  [ $window = 1 ] || options+=(-display none)
fi
exec "$umbra" "${options[@]}" "${extra[@]}"

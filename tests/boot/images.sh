#!/usr/bin/env bash
# Makes the guests of Debian's packages before the boot tests run. Without packages those guests are skipped, so this
# never fails the tests.
guests=${UMBRA_GUESTS:-build/guests}
. roms/guests.sh
for flavour in 686 686-pae; do
  out=$guests/shell.img
  [ $flavour = 686 ] || out=$guests/shell-pae.img
  [ -e "$out" ] || { guest_initramfs $flavour "$out.new" && mv "$out.new" "$out"; } || echo "skipped: Linux $flavour: its packages cannot be had"
done

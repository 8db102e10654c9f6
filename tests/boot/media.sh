# Boot media for the boot tests, made of Debian's packages without privileges. Sourced after roms/guests.sh; each function
# makes its image once, under $guests/media. 77 says that something to make it with is not installed.
media=$guests/media

# host_package NAME: like guest_package, of the host's own architecture: a tool that need not be installed.
host_package() {
  local name=$1 into=$guests/host
  [ -e "$into/$name.complete" ] && return 0
  mkdir -p "$into" && rm -rf "$guests/download" && mkdir -p "$guests/download"
  ( cd "$guests/download" && apt-get -qq download "$name" ) 2>"$guests/apt-download.log" || {
    echo "the package $name cannot be downloaded: see $guests/apt-download.log" >&2
    return 1
  }
  dpkg-deb -x "$guests"/download/*.deb "$into" && touch "$into/$name.complete"
  rm -rf "$guests/download"
}

# needs TOOL...: they are on the path.
needs() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; return 77; }
  done
}

# once NAME FUNCTION [ARGUMENT...]: makes $media/NAME with FUNCTION, which writes to the file it is given first.
once() {
  local out=$media/$1
  shift
  [ -e "$out" ] && return 0
  mkdir -p "$media"
  "$1" "$out.new" "${@:2}" && mv "$out.new" "$out"
}

# linux_and_shell FLAVOUR FILE: Debian's kernel, and $guests/FILE, an initramfs that ends in a shell.
linux_and_shell() {
  guest_kernel "$1" || return
  [ -e "$guests/$2" ] || { guest_initramfs "$1" "$guests/$2.new" && mv "$guests/$2.new" "$guests/$2"; }
}

# The installer's kernel and initial RAM disk, in $guests/installer, and those of the graphical one in installer-gtk.
installer() {
  local package=debian-installer-12-netboot-i386 images
  images=$package/usr/lib/debian-installer/images/12/i386
  guest_package $package && ln -sfn $images/text/debian-installer/i386 "$guests/installer" &&
    ln -sfn $images/gtk/debian-installer/i386 "$guests/installer-gtk"
}

# A CD with SYSLINUX' graphical menu, which starts its Hardware Detection Tool.
hdt_cd() {
  local out=$1 tree=$media/hdt.$$ module
  needs xorriso && guest_package isolinux && guest_package syslinux-common || return
  mkdir -p "$tree" && cp "$guests/isolinux/usr/lib/ISOLINUX/isolinux.bin" "$tree/" || return
  for module in ldlinux libcom32 libutil libmenu libgpl vesamenu hdt; do
    cp "$guests/syslinux-common/usr/lib/syslinux/modules/bios/$module.c32" "$tree/" || return
  done
  printf 'UI vesamenu.c32\nLABEL hdt\n  MENU LABEL Hardware detection\n  KERNEL hdt.c32\n' > "$tree/isolinux.cfg"
  xorriso -as mkisofs -quiet -o "$out" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$tree" 2>"$media/hdt.log"
  rm -rf "$tree"
}

# A CD with all of SYSLINUX' modules, and a prompt on the serial port.
com32_cd() {
  local out=$1 tree=$media/com32.$$
  needs xorriso && guest_package isolinux && guest_package syslinux-common || return
  mkdir -p "$tree" && cp "$guests/isolinux/usr/lib/ISOLINUX/isolinux.bin" "$guests"/syslinux-common/usr/lib/syslinux/modules/bios/*.c32 "$tree/" || return
  printf 'serial 0 115200\nprompt 1\ntimeout 0\n' > "$tree/isolinux.cfg"
  xorriso -as mkisofs -quiet -o "$out" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$tree" 2>"$media/com32.log"
  rm -rf "$tree"
}

# GRUB's first edition, on the first sectors of a floppy without a file system.
grub_legacy_floppy() {
  guest_package grub-legacy || return
  cat "$guests"/grub-legacy/usr/lib/grub/i386-pc/stage[12] > "$1" && truncate -s 1440K "$1"
}

# GNU Mach, unpacked: -kernel takes it as it is.
gnumach() { guest_package gnumach-image-1.8-486 && zcat "$guests"/gnumach-image-1.8-486/boot/gnumach-*.gz > "$1"; }

# A CD whose GRUB menu starts Linux, or Multiboot's grub-invaders.
grub_menu_cd() {
  local out=$1 tree=$media/grub-menu.$$
  needs grub-mkrescue xorriso mformat && linux_and_shell 686 shell.img && guest_package grub-pc-bin && guest_package grub-invaders || return
  mkdir -p "$tree/boot/grub"
  cp "$guests/vmlinuz-686" "$tree/boot/vmlinuz" && cp "$guests/shell.img" "$tree/boot/initrd" && cp "$guests/grub-invaders/boot/invaders.exec" "$tree/boot/"
  cat > "$tree/boot/grub/grub.cfg" <<'CFG'
set timeout=-1
menuentry "Linux on COM1" { linux /boot/vmlinuz console=ttyS0 quiet; initrd /boot/initrd; }
menuentry "Invaders" { multiboot /boot/invaders.exec; }
CFG
  grub-mkrescue -d "$guests/grub-pc-bin/usr/lib/grub/i386-pc" -o "$out" "$tree" >"$media/grub-mkrescue.log" 2>&1 || { echo "grub-mkrescue failed: see $media/grub-mkrescue.log" >&2; rm -rf "$tree"; return 1; }
  rm -rf "$tree"
}

isolinux_cfg() {
  cat <<'CFG'
serial 0 115200
prompt 1
timeout 0
label linux
  kernel vmlinuz
  append initrd=initrd console=ttyS0 quiet
CFG
}

isolinux_cd() {
  local out=$1 tree=$media/isolinux.$$
  needs xorriso && linux_and_shell 686 shell.img && guest_package isolinux && guest_package syslinux-common || return
  mkdir -p "$tree"
  cp "$guests/vmlinuz-686" "$tree/vmlinuz" && cp "$guests/shell.img" "$tree/initrd" &&
    cp "$guests/isolinux/usr/lib/ISOLINUX/isolinux.bin" "$guests/syslinux-common/usr/lib/syslinux/modules/bios/ldlinux.c32" "$tree/" || return
  isolinux_cfg > "$tree/isolinux.cfg"
  xorriso -as mkisofs -quiet -o "$out" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$tree" 2>"$media/isolinux.log"
  rm -rf "$tree"
}

# A floppy of SYSLINUX to its prompt; a disk with a partition whose SYSLINUX starts Linux.
syslinux_floppy() {
  local out=$1
  needs mformat mcopy && host_package syslinux || return
  rm -f "$out"
  mformat -C -f 1440 -i "$out" :: && "$guests/host/usr/bin/syslinux" --install "$out" &&
    printf 'prompt 1\ntimeout 0\nsay This is SYSLINUX on a floppy\n' | mcopy -i "$out" - ::syslinux.cfg
}

syslinux_disk() {
  local out=$1 start=2048 sectors=63488  # a partition of 31 MiB after the first
  needs mformat mcopy && linux_and_shell 686 shell.img && host_package syslinux && guest_package syslinux-common || return
  rm -f "$out" && truncate -s 32M "$out"
  dd if="$guests/syslinux-common/usr/lib/syslinux/mbr/mbr.bin" of="$out" conv=notrunc status=none
  # One active FAT16 partition; its CHS fields say "beyond".
  printf '\x80\xfe\xff\xff\x0e\xfe\xff\xff\x00\x08\x00\x00\x00\xf8\x00\x00' | dd of="$out" bs=1 seek=446 conv=notrunc status=none
  printf '\x55\xaa' | dd of="$out" bs=1 seek=510 conv=notrunc status=none
  mformat -i "$out@@$((start * 512))" -T $sectors -h 16 -s 63 -H $start :: &&
    "$guests/host/usr/bin/syslinux" --install -t $((start * 512)) "$out" &&
    mcopy -i "$out@@$((start * 512))" "$guests/vmlinuz-686" ::vmlinuz && mcopy -i "$out@@$((start * 512))" "$guests/shell.img" ::initrd &&
    isolinux_cfg | mcopy -i "$out@@$((start * 512))" - ::syslinux.cfg
}

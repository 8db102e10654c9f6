# Guests made of Debian's i386 packages, for ./boot and the boot tests. Sourced; needs bash. Everything lands under
# $guests (build/guests): nothing of the host's own package system is touched, and no privileges are needed.
guests=${guests:-build/guests}

# A package world of its own for i386, fed by the host's package sources.
guest_apt() {
  local dir
  mkdir -p "$guests/apt/lists/partial" "$guests/apt/cache/archives/partial"
  dir=$(cd "$guests/apt" && pwd)
  : > "$dir/status"
  cat > "$dir/apt.conf" <<CONF
APT::Architecture "i386";
APT::Architectures { "i386"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$dir";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
CONF
  APT_CONFIG=$dir/apt.conf "$@"
}

guest_apt_update() {
  [ -e "$guests/apt/updated" ] && return 0
  # A source that fails (a mirror in the middle of an update, one without i386) leaves the others usable.
  guest_apt apt-get -qq update >"$guests/apt-update.log" 2>&1 || true
  guest_apt apt-cache show busybox-static >/dev/null 2>&1 || {
    echo "the lists of Debian's i386 packages cannot be had: see $guests/apt-update.log" >&2
    return 1
  }
  touch "$guests/apt/updated"
}

# guest_package NAME: downloads the newest and unpacks it once; its files are then in $guests/NAME/.
guest_package() {
  local name=$1
  [ -e "$guests/$name/.complete" ] && return 0
  mkdir -p "$guests"
  guest_apt_update || return 1
  rm -rf "$guests/$name" "$guests/download"
  mkdir -p "$guests/download"
  ( guests=$(cd "$guests" && pwd); cd "$guests/download" && guest_apt apt-get -qq download "$name" ) 2>"$guests/apt-download.log" || {
    echo "the package $name cannot be downloaded: see $guests/apt-download.log" >&2
    return 1
  }
  dpkg-deb -x "$guests"/download/*.deb "$guests/$name" && touch "$guests/$name/.complete"
  rm -rf "$guests/download"
}

# guest_kernel FLAVOUR (686 or 686-pae): the kernel as $guests/vmlinuz-FLAVOUR, its modules beside it.
guest_kernel() {
  local flavour=$1 package
  [ -e "$guests/vmlinuz-$flavour" ] && return 0
  mkdir -p "$guests"
  guest_apt_update || return 1
  package=$(guest_apt apt-cache depends "linux-image-$flavour" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || { echo "there is no linux-image-$flavour among the i386 packages" >&2; return 1; }
  guest_package "$package" || return 1
  ln -sfn "$package" "$guests/linux-$flavour"
  cp "$guests/$package"/boot/vmlinuz-* "$guests/vmlinuz-$flavour"
}

# The modules that find the PC's disks and their file systems, in an order in which they can be loaded.
guest_modules="scsi_common scsi_mod crct10dif_common crct10dif_generic crc-t10dif crc64 crc64_rocksoft_generic crc64-rocksoft t10-pi libata ata_piix ata_generic cdrom sd_mod sr_mod crc16 crc32c_generic crc32c libcrc32c mbcache jbd2 ext4
  nls_base nls_cp437 nls_ascii nls_utf8 fat vfat isofs floppy"

# guest_initramfs FLAVOUR OUT [SCRIPT]: BusyBox, the modules, and an /init that ends in a shell or runs SCRIPT.
guest_initramfs() {
  local flavour=$1 out=$2 script=${3:-} root=$guests/initramfs.$$ module file applet
  guest_kernel "$flavour" && guest_package busybox-static || return 1
  rm -rf "$root"
  mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,mnt,etc,root,lib/modules}
  cp "$guests/busybox-static/bin/busybox" "$root/bin/"
  : > "$root/etc/modules"
  for module in $guest_modules; do
    file=$(find "$guests/linux-$flavour/" -name "$module.ko" -print -quit)
    [ -n "$file" ] && cp "$file" "$root/lib/modules/" && echo "$module" >> "$root/etc/modules"
  done
  cat > "$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin HOME=/root TERM=${TERM:-linux}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for m in $(cat /etc/modules); do insmod /lib/modules/$m.ko 2>/dev/null; done
[ -e /script ] && exec sh /script
echo
echo "This is Linux $(uname -r) and BusyBox in Umbra, on a $(sed -n 's/^model name.*: //p' /proc/cpuinfo)."
echo "Type poweroff -f to leave."
echo
console=$(sed 's/.*console=//; s/[ ,].*//' /proc/cmdline)
[ -c "/dev/$console" ] || console=tty1
exec setsid sh -c "exec sh </dev/$console >/dev/$console 2>&1"
INIT
  chmod +x "$root/init"
  [ -n "$script" ] && cp "$script" "$root/script"
  ( cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 ) | gzip -1 > "$out"
  rm -rf "$root"
}

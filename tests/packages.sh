# Debian packages that the project needs, by purpose; sourced by ./check and ./boot.
packages_build="g++ cmake ninja-build pkg-config nasm libzydis-dev libasmjit-dev libcapstone-dev catch2 libsdl2-dev zlib1g-dev"
packages_boot="seabios cpio gzip xz-utils"
packages_test="python3 seabios cpio gzip xz-utils mtools e2fsprogs dosfstools xorriso grub-common xvfb xdotool openbox"

# install_packages PURPOSE...: installs what is missing, in one go; says what it does.
install_packages() {
  local purpose list package missing=""
  for purpose in "$@"; do
    list=packages_$purpose
    for package in ${!list}; do
      dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
  done
  [ -z "$missing" ] && return 0
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing and you are not root:$missing" >&2; return 1; }
    sudo=sudo
  fi
  echo "installing:$missing"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

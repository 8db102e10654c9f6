#!/usr/bin/env bash
# A folder includes only what stands to its left (the order of the house in CMakeLists.txt), Zydis and Capstone stay in
# their rooms, and the two translator back ends do not see each other.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0
complain() { echo "$1"; bad=1; }

# check FOLDER ALLOWED_REGEX: every include written from the root of the tree, made in FOLDER itself, matches.
check() {
  local folder=$1 allowed=$2 file path
  while IFS=: read -r file path; do
    [[ $path =~ ^($allowed)/ ]] || complain "$file includes $path, which its folder may not"
  done < <(find "$folder" -maxdepth 1 \( -name '*.h' -o -name '*.cpp' -o -name '*.def' \) -exec \
             sed -nE 's|^ *#include "((cpu\|mmu\|devices\|translator\|frontend)/[^"]+)".*|\1|p;' {} + -printf '' 2>/dev/null |
           sed "s|^|$folder:|")
}

base='cpu/base'
check cpu/base "$base"
check mmu "$base|mmu"
check cpu "$base|mmu|cpu"
check cpu/interp "$base|mmu|cpu|cpu/interp"
for d in devices/*/; do
  d=${d%/}
  [[ $d == devices/board ]] && continue
  check "$d" "$base|devices"
done
check devices "$base|devices"
check devices/board "$base|mmu|cpu|devices|roms"
check translator "$base|mmu|cpu|translator"
check translator/x64 "$base|mmu|cpu|translator"
check frontend "$base|mmu|cpu|devices|translator|frontend|roms"

only() {
  local what=$1 where=$2 hits
  hits=$(grep -rlE "#include [<\"]$what" cpu mmu devices translator frontend 2>/dev/null | grep -vE "^($where)" || true)
  [[ -z $hits ]] || complain "$what is included outside $where: $hits"
}
only Zydis 'cpu/insn|cpu/effects'
only asmjit 'translator/(x64|a64)/'
only capstone 'translator/'
grep -rlE '"translator/a64/' translator/x64 2>/dev/null | grep -q . && complain "translator/x64 includes translator/a64"
grep -rlE '"translator/x64/' translator/a64 2>/dev/null | grep -q . && complain "translator/a64 includes translator/x64"

[[ $bad == 0 ]] && echo "the include rule holds"
exit $bad

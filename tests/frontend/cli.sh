#!/usr/bin/env bash
# What the program says and how it ends: bad input is one sentence on stderr and exit code 1; ROMs speak and end.
set -u
umbra=$1 roms=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
complain() { echo "FAILED: $1"; failed=1; }

# refuses WORDS... -- OPTIONS...: exit code 1, one line on stderr that has all the words.
refuses() {
  local words=() out code
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  out=$(timeout 20 "$umbra" "$@" -display none 2>&1 >/dev/null)
  code=$?
  [ $code = 1 ] || complain "$*: exit code $code instead of 1"
  [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || complain "$*: not one line: $out"
  for word in "${words[@]}"; do [[ $out == *"$word"* ]] || complain "$*: does not say '$word': $out"; done
}

: > "$dir/empty"
truncate -s 1M "$dir/large"
head -c 1000 /dev/zero > "$dir/short"
refuses "no firmware file" "$dir/nothing" -- -bios "$dir/nothing"
refuses "$dir/empty" empty "64 to 256 KiB" -- -bios "$dir/empty"
refuses "$dir/large" "too large" "64 to 256 KiB" -- -bios "$dir/large"
refuses "$dir/short" "1000 bytes" "64 to 256 KiB" -- -bios "$dir/short"
refuses "$dir/nothing" -- -hda "$dir/nothing"
refuses "$dir" fat: -- -cdrom "$dir"
refuses "$dir/short" "neither" -- -kernel "$dir/short"
refuses "did you mean '-cdrom'" -- -cdrm x
refuses "is not a stream" -- -serial nonsense
refuses "no VNC server" -- -vnc :1

for engine in jit interp; do
  out=$(timeout 20 "$umbra" -accel $engine -bios "$roms/demo.bin" 2>/dev/null)
  [ $? = 1 ] || complain "$engine: isa-debug-exit with 0 must give exit code 1"
  [[ $out == *"primes below 200000: 17984"* ]] || complain "$engine: the demo ROM said: $out"
  out=$(timeout 20 "$umbra" -accel $engine -no-reboot -bios "$roms/triple.bin" 2>&1) || complain "$engine: a triple fault with -no-reboot must end with 0"
  [[ $out == *"triple fault"*EIP=* ]] || complain "$engine: a triple fault must show the state, not: $out"
  timeout 1 "$umbra" -accel $engine -bios "$roms/triple.bin" >/dev/null 2>&1
  [ $? = 124 ] || complain "$engine: without -no-reboot a triple fault must reset the machine"
done
trace=$(timeout 20 "$umbra" -accel interp -no-reboot -d in_asm,int,cpu,exec -bios "$roms/triple.bin" 2>&1)
for word in "v=08" "int3" "EAX=" "f000:0000fff0"; do [[ $trace == *"$word"* ]] || complain "-d in_asm,int,cpu,exec lacks $word"; done

# The monitor on the guest's terminal is silent until somebody turns to it; then it knows the interrupts.
out=$(timeout 20 "$umbra" -display none -serial mon:stdio -bios "$roms/demo.bin" </dev/null 2>/dev/null)
[[ $out != *"monitor - type"* ]] || complain "the monitor greets before it is asked for: $out"
out=$({ sleep 2; printf '\001c'; sleep 0.5; printf 'info irq\n'; sleep 0.5; printf 'quit\n'; sleep 1; } |
  timeout 20 "$umbra" -m 16 -net none -display none -serial mon:stdio 2>&1) || complain "quit must end with 0: $out"
[[ $out == *"monitor - type"*"IRQ statistics"*" 0: "* ]] || complain "the monitor on mon:stdio said: $out"

[ $failed = 0 ] && echo "the command line behaves"
exit $failed

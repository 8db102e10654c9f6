#!/usr/bin/env bash
# What the program says and how it ends: bad input is one sentence on stderr and exit code 1; ROMs speak and end.
set -u
umbra=$1 roms=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
complain() { echo "FAILED: $1"; failed=1; }
limit=60  # seconds: no run takes long, but a busy host may not come to it

# await COMMAND...: until it succeeds, however slow the host is.
await() {
  local end=$((SECONDS + limit))
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
# For who speaks in a conversation. heard TEXT: waits until it has been said. ask COMMAND TEXT: asks until it is.
heard() { await grep -aqF -- "$1" "$dir/talk"; }
ask() {
  local end=$((SECONDS + limit))
  until grep -aqF -- "$2" "$dir/talk" || [ $SECONDS -ge $end ]; do printf '%s\n' "$1"; sleep 0.3; done
}
# converse SPEAKER OPTIONS...: what SPEAKER says goes to its standard input; $out is what it said, the status is its.
converse() {
  local speaker=$1 status
  shift
  : > "$dir/talk"
  $speaker | timeout $limit "$umbra" "$@" > "$dir/talk" 2>&1
  status=$?
  out=$(< "$dir/talk")
  return $status
}

# refuses WORDS... -- OPTIONS...: exit code 1, one line on stderr that has all the words.
refuses() {
  local words=() out code
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  out=$(timeout $limit "$umbra" "$@" -display none 2>&1 >/dev/null)
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
  out=$(timeout $limit "$umbra" -accel $engine -bios "$roms/demo.bin" 2>/dev/null)
  [ $? = 1 ] || complain "$engine: isa-debug-exit with 0 must give exit code 1"
  [[ $out == *"primes below 200000: 17984"* ]] || complain "$engine: the demo ROM said: $out"
  out=$(timeout $limit "$umbra" -accel $engine -no-reboot -bios "$roms/triple.bin" 2>&1) || complain "$engine: a triple fault with -no-reboot must end with 0"
  [[ $out == *"triple fault"*EIP=* ]] || complain "$engine: a triple fault must show the state, not: $out"
  timeout 1 "$umbra" -accel $engine -bios "$roms/triple.bin" >/dev/null 2>&1
  [ $? = 124 ] || complain "$engine: without -no-reboot a triple fault must reset the machine"
done
trace=$(timeout $limit "$umbra" -accel interp -no-reboot -d in_asm,int,cpu,exec -bios "$roms/triple.bin" 2>&1)
for word in "v=08" "int3" "EAX=" "f000:0000fff0"; do [[ $trace == *"$word"* ]] || complain "-d in_asm,int,cpu,exec lacks $word"; done

# What left generated code, in the log file where there is one.
said=$(timeout $limit "$umbra" -display none -monitor none -no-reboot -d exits -D "$dir/exits" -bios "$roms/triple.bin" 2>&1)
grep -q '^translation_cycles' "$dir/exits" || complain "-d exits -D FILE left no statistics in FILE"
[[ $said != *translation_cycles* ]] || complain "-d exits -D FILE speaks on stderr, too"

# The monitor on the guest's terminal is silent until somebody turns to it; then it knows the interrupts.
out=$(timeout $limit "$umbra" -m 16 -vga none -display none -serial mon:stdio -bios "$roms/demo.bin" -device isa-debug-exit </dev/null 2>/dev/null)
[[ $out == *"primes below"* && $out != *"monitor - type"* ]] || complain "the monitor greets before it is asked for: $out"
ask_for_irqs() { printf '\001c'; heard "monitor - type"; ask "info irq" " 0: "; printf 'quit\n'; }
converse ask_for_irqs -m 16 -net none -display none -serial mon:stdio || complain "quit must end with 0, not $?: $out"
[[ $out == *"monitor - type"*"IRQ statistics"*" 0: "* ]] || complain "the monitor on mon:stdio said: $out"

# Peers that come and go leave nothing open.
timeout $limit "$umbra" -S -nodefaults -display none -monitor "unix:$dir/peers,server,nowait" & peers=$!
await test -S "$dir/peers"
left=$(python3 - "$dir/peers" "$(pgrep -P $peers)" <<'END'
import os, socket, sys
def visit(times):
    for _ in range(times):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(sys.argv[1])
            s.recv(1)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096): pass
    return len(os.listdir(f"/proc/{sys.argv[2]}/fd"))
print(visit(20) - visit(2))
END
) || complain "the monitor did not hang up on a peer that had left"
[ "$left" = 0 ] || complain "peers that left cost descriptors: $left"
kill $peers; wait $peers 2>/dev/null

# Without defaults there is not even a floppy drive, unless one was given.
truncate -s 1440K "$dir/floppy"
out=$(printf 'info block\nquit\n' | timeout $limit "$umbra" -S -nodefaults -display none -monitor stdio 2>&1)
[[ $out != *floppy* ]] || complain "-nodefaults left a floppy drive: $out"
out=$(printf 'info block\nquit\n' | timeout $limit "$umbra" -S -nodefaults -fda "$dir/floppy" -display none -monitor stdio 2>&1)
[[ $out == *floppy0* ]] || complain "-nodefaults -fda gave no floppy drive: $out"
for words in "" "-nodefaults -vga std" "-nodefaults -device VGA"; do  # 0:2.0
  out=$(printf 'info pci\nquit\n' | timeout $limit "$umbra" -S $words -display none -monitor stdio 2>&1)
  [[ $out == *1234:1111* ]] || complain "'$words' gave no VGA: $out"
done
for words in "-nodefaults" "-vga none"; do
  out=$(printf 'info pci\nquit\n' | timeout $limit "$umbra" -S $words -display none -monitor stdio 2>&1)
  [[ $out != *1234:1111* ]] || complain "'$words' gave a VGA: $out"
done

# Firmware is told to talk on COM1 by -nographic alone. It has said all when it finds nothing to boot.
no_boot() { await grep -aqsF "No bootable device" "$dir/debug"; printf 'quit\n'; }
for words in "-display none|no" "-display none -nodefaults|no" "-nographic|yes" "-machine graphics=off -display none|yes"; do
  rm -f "$dir/debug"
  converse no_boot -m 16 -net none ${words%|*} -serial "file:$dir/com1" -monitor stdio -debugcon "file:$dir/debug" \
    -global isa-debugcon.iobase=0x402 || complain "${words%|*}: quit must end with 0, not $?: $out"
  grep -q SeaBIOS "$dir/com1" && said=yes || said=no
  [ $said = "${words#*|}" ] || complain "${words%|*}: SeaBIOS talks on COM1: $said"
done

# Streams with names: a port's own, and one that a port and a monitor share.
ask_for_name() {
  heard "primes below 200000: 17984"
  printf '\001c'
  heard "monitor - type"
  ask "info name" box
  printf 'quit\n'
}
converse ask_for_name -m 16 -name box -display none -chardev stdio,id=c,mux=on -serial chardev:c -mon chardev=c,mode=readline \
  -bios "$roms/demo.bin" -device isa-debug-exit,iobase=0x777 || complain "quit on a shared stream must end with 0, not $?: $out"
[[ $out == *"primes below 200000: 17984"*"monitor - type"*"box"* ]] || complain "a stream with two ends said: $out"
out=$(printf 'info name\nquit\n' | timeout $limit "$umbra" -S -name box -display none -chardev stdio,id=c,mux=on -mon c 2>&1)
[[ $out == *"monitor - type"*"box"* ]] || complain "a monitor alone on a shared stream said: $out"
out=$(timeout $limit "$umbra" -M pc -m 16 -vga none -bios "$roms/demo.bin" -display none -monitor none -device isa-debug-exit -serial /dev/stdout 2>/dev/null)
[[ $out == *"primes below 200000: 17984"* ]] || complain "-serial /dev/stdout said: $out"
out=$(timeout $limit "$umbra" -m 16 -vga none -bios "$roms/demo.bin" -display none -device isa-debug-exit -global isa-debugcon.iobase=0x3f8 -debugcon stdio -fw_cfg name=opt/x,string=y 2>/dev/null)
[[ $out == *"primes below 200000: 17984"* ]] || complain "a debug console in COM1's place said: $out"
refuses "in use already" "mux=on" -- -chardev null,id=n -serial chardev:n -serial chardev:n
refuses "no stream called 'n'" -- -serial chardev:n
refuses "cannot write" "$dir/none/x" -- -pidfile "$dir/none/x" -monitor none
refuses "$dir/nothing" -- -fw_cfg "name=opt/x,file=$dir/nothing"

# The drive with the lowest boot index is tried first, whatever -boot says.
for image in first second; do
  truncate -s 1M "$dir/$image"
  # xor ax,ax; mov ds,ax; mov si,7c14h; next: lodsb; test al,al; jz $; out e9h,al; jmp next
  { printf '\x31\xc0\x8e\xd8\xbe\x14\x7c\xac\x84\xc0\x74\xfe\xe6\xe9\xeb\xf7\0\0\0\0%s' $image; } |
    dd of="$dir/$image" conv=notrunc status=none
  printf '\x55\xaa' | dd of="$dir/$image" bs=1 seek=510 conv=notrunc status=none
done
{ await grep -qs 'first\|second' "$dir/said"; cp "$dir/pid" "$dir/pid-was"; echo quit; } |
  timeout $limit "$umbra" -display none -monitor stdio -net none -chardev "file,id=f,path=$dir/said" -debugcon chardev:f \
  -drive "if=none,id=a,file=$dir/first,format=raw" -drive "if=none,id=b,file=$dir/second,format=raw" -pidfile "$dir/pid" \
  -device ide-hd,drive=a,bootindex=2 -device ide-hd,drive=b,bus=ide.1,unit=1,bootindex=1 >/dev/null 2>&1
[ "$(cat "$dir/said")" = second ] || complain "the boot index was not heeded: $(cat "$dir/said")"
[[ $(cat "$dir/pid-was") =~ ^[0-9]+$ && ! -e $dir/pid ]] || complain "-pidfile: no process number, or left behind"

[ $failed = 0 ] && echo "the command line behaves"
exit $failed

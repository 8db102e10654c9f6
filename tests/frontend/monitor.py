#!/usr/bin/env python3
"""monitor.py EMULATOR ROM: every command of the monitor, through a socket and through standard input and output.

ROM is tests/asm/monitor_guest.asm. What a command must say is a regular expression for its whole answer; the answers
are those of qemu-system-i386 where it has any, so this also runs as `monitor.py qemu-system-i386 ROM`, with the few
that are Umbra's alone left out."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

EMULATOR, ROM = sys.argv[1:3]
UMBRA = "qemu" not in os.path.basename(EMULATOR)
HEX8 = "[0-9a-f]{8}"
PATIENCE = 60  # seconds, for a busy host
failed = False


class Session:
    def __init__(self, options, by_socket, folder):
        words = [EMULATOR, *options, "-display", "none"]
        if by_socket:
            path = os.path.join(folder, "monitor")
            if os.path.exists(path):
                os.remove(path)
            self.process = subprocess.Popen([*words, "-monitor", f"unix:{path},server,nowait"])
            self.socket = socket.socket(socket.AF_UNIX)
            for _ in range(PATIENCE * 10):
                try:
                    self.socket.connect(path)
                    break
                except OSError:
                    time.sleep(0.1)
            self.input = self.output = self.socket.makefile("rwb", buffering=0)
        else:
            self.process = subprocess.Popen([*words, "-monitor", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.input, self.output = self.process.stdin, self.process.stdout
        self.greeting = self.answer()

    def answer(self):
        """Up to the prompt, or to the end."""
        out = b""
        while not out.endswith(b"(qemu) "):
            byte = self.output.read(1)
            if not byte:
                break
            out += byte
        return out.decode(errors="replace").replace("\r", "").removesuffix("(qemu) ")

    def command(self, line):
        self.input.write(line.encode() + b"\n")
        self.input.flush()
        return self.answer().partition("\n")[2]  # without the echo

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def check(session, line, wanted, patience=0.0):
    global failed
    end = time.monotonic() + patience
    while True:
        said = session.command(line)
        if re.fullmatch(wanted, said, re.S):
            return
        if time.monotonic() >= end:
            break
        time.sleep(0.05)
    failed = True
    print(f"FAILED: '{line}' said\n{said}and not what matches\n{wanted}")


def one_sentence(session, line):
    """Refused in one line; QEMU adds where to read more."""
    check(session, line, r'[^\n]+\n(Try "help [^\n]+\n)?')


def looking(s, folder):
    check(s, "info status", r"VM status: running\n")
    check(s, "xp/1dw 0x7004", r"0000000000007004: +1\n", PATIENCE)
    check(s, "stop", "")
    check(s, "info status", r"VM status: paused\n")
    registers = "".join(f"{n}={HEX8} " for n in ("EAX", "EBX", "ECX", "EDX"))[:-1]
    check(s, "info registers", rf"\nCPU#0\n{registers}\nESI=.*EFL={HEX8} \[.{{7}}\] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
          r"ES =0010 00000000 ffffffff 00cf9300 DPL=0 DS   \[-WA\]\nCS =0008 .* 00cf9b00 DPL=0 CS32 \[-RA\]\n.*"
          r"GDT=     000f0[0-9a-f]{3} 00000017\n.*CR0=e0000011 CR2=\w+ CR3=00001000 CR4=00000010\n.*"
          r"FCW=037f FSW=0000 \[ST=0\] FTW=00 MXCSR=00001f80\n.*XMM06=0{16} 0{16} XMM07=0{16} 0{16}\n")
    check(s, "info mem", "0000000000000000-0000000000003000 0000000000003000 -rw\n"
          "0000000000003000-0000000000004000 0000000000001000 -r-\n"
          "0000000000004000-0000000000005000 0000000000001000 urw\n"
          "0000000000005000-0000000000008000 0000000000003000 -rw\n"
          "00000000000f0000-0000000000100000 0000000000010000 -r-\n"
          "00000000c0000000-00000000c0400000 0000000000400000 -rw\n")
    check(s, "info tlb", r"0{16}: 0{16} --------W\n.*0{12}3000: 0{12}3000 ---------\n0{12}4000: 0{12}4000 -------UW\n.*"
          r"0{12}7000: 0{12}7000 ---DA---W\n.*0{8}c0000000: 0{16} --P-----W\n")
    check(s, "x/4xw 0x3000", "00003000: 0x696e6f6d 0x00726f74 0x00000001 0xfffffffe\n")
    check(s, "x/3dw 0x3008", "00003008:          1 4294967294          3\n")
    check(s, "x/10xb 0x3000", "00003000: 0x6d 0x6f 0x6e 0x69 0x74 0x6f 0x72 0x00\n00003008: 0x01 0x00\n")
    check(s, "x /2uh 0x3008", "00003008:     1     0\n")
    check(s, "x/1og 0x3010", "00003010: +03\n")
    check(s, "x/1xw 0xc0003000", "c0003000: 0x696e6f6d\n")
    check(s, "x/1xw $esp", r"00007[0-9a-f]{3}: 0x[0-9a-f]{8}\n")
    check(s, "x/1xw 0x9000", "00009000: Cannot access memory\n")
    check(s, "xp/2i 0xf0000", r"0x000f0000:  fa {23}cli *\n0x000f0001:  2e 66 0f 01 16 .*\n")
    check(s, "xp/4xh 0x3000", "0000000000003000: 0x6f6d 0x696e 0x6f74 0x0072\n")
    check(s, "xp/8cb 0x3000", r"0000000000003000: 'm' 'o' 'n' 'i' 't' 'o' 'r' '\\x00'\n")
    for text, value in (("/x 1+2*3", "0x7"), ("/d 7-9", "-2"), ("/c 65", "'A'"), ("/x $cs", "0x8"), ("/u (1+2)*3", "9"),
                        ("/o 8", "010"), ("/x $eax & 0", "0x0|0")):
        check(s, "print" + text, value + "\n")
    check(s, "p /x $eip", r"0xf0[0-9a-f]{3}\n")
    check(s, "gva2gpa 0xc0003008", "gpa: 0x3008\n")
    check(s, "gva2gpa 0x9000", "Unmapped\n")
    check(s, "sum 0x3000 8", "54895\n")
    for command in ("memsave", "pmemsave"):
        path = os.path.join(folder, command + " file")
        check(s, f'{command} 0x3000 20 "{path}"', "")
        with open(path, "rb") as saved:
            if saved.read() != b"monitor\0" + b"\1\0\0\0\xfe\xff\xff\xff\3\0\0\0":
                check(s, f"the bytes of {command}", "those of the guest")
        one_sentence(s, f'{command} 0x3000 20 "{folder}/none/x"')
        one_sentence(s, command)
    one_sentence(s, f'memsave 0x9000 20 "{folder}/x"')
    for line in ("gva2gpa", "sum", "sum 0", "i", "i /zz 1", "o 0x80", "logfile", "boot_set", "cpu", "cpu 1", "boot_set z",
                 "info registers 1", "x", "xp", "x/4zz 0", "x 0x", "print", "print 1+", "print $nosuch", "print 1/0", "info nosuch", "nosuch",
                 "help nosuch", "stop now", "info status now"):
        one_sentence(s, line)
    check(s, "cont", "")
    check(s, "info status", r"VM status: running\n")


def pressing(s, _):
    check(s, "sendkey a", "")
    check(s, "xp/2xb 0x5000", r"\w+: 0x1e 0x9e\n", PATIENCE)
    check(s, "sendkey shift-f1 50", "")
    check(s, "xp/6xb 0x5000", r"\w+: 0x1e 0x9e 0x2a 0x3b (0xbb 0xaa|0xaa 0xbb)\n", PATIENCE)
    check(s, "mouse_move 5 -3", "")
    check(s, "xp/3xb 0x6000", r"\w+: 0x08 0x05 0x03\n", PATIENCE)
    check(s, "mouse_button 4", "")
    check(s, "mouse_button 0", "")
    check(s, "xp/3xb 0x6003", r"\w+: 0x0c 0x00 0x00\n", PATIENCE)
    for line in ("sendkey nosuch", "sendkey", "sendkey ctrl-alt-nosuch", "sendkey f1-", "sendkey a 50 x", "mouse_move",
                 "mouse_move 1 2 3 4", "mouse_button"):
        one_sentence(s, line)
    if UMBRA:  # QEMU takes a word for 0
        one_sentence(s, "mouse_move x y")
        one_sentence(s, "mouse_button x")
    check(s, "system_powerdown", "")
    check(s, "xp/1xw 0x7000", r"\w+: 0x0000.[135]..\n", PATIENCE)
    check(s, "system_reset", "")
    check(s, "xp/1dw 0x7004", r"\w+: +2\n", PATIENCE)
    one_sentence(s, "system_wakeup")
    check(s, "nmi", "")


def wiring(s, folder):
    check(s, "info pci", r"  Bus  0, device   0, function 0:\n    Host bridge: PCI device 8086:1237\n.*"
          r"  Bus  0, device   1, function 1:\n    IDE controller: PCI device 8086:7010\n.*BAR4: I/O at 0x.*"
          r"VGA controller: PCI device 1234:1111\n      PCI subsystem 1af4:1100\n"
          r"      BAR0: 32 bit prefetchable memory at 0x\w+ \[0x\w+\].\n.*")
    check(s, "info pic", r"ioapic0: ver=0x20 id=0x00 sel=0x00\n  pin 0  0x0000000000010000 dest=0 vec=0   active-hi edge "
          r" masked fixed  physical\n.*\n  IRR {6}[^\n]+\n  Remote IRR [^\n]+\n"
          r"pic1: irr=\w\w imr=\w\w isr=\w\w hprio=\d irq_base=\w\w rr_sel=\d elcr=\w\w fnm=\d\npic0: irr=.*\n")
    check(s, "info irq", r"IRQ statistics for ioapic:\n.*IRQ statistics for isa-i8259:\n.*")
    check(s, "info mtree", r".*address-space: I/O\n  0{16}-000000000000ffff \(prio 0, i/o\): io\n.*"
          r"    0{14}20-0{14}21 \(prio 0, i/o\): pic\n.*")
    cd, floppy = os.path.join(folder, "cd.iso"), os.path.join(folder, "a floppy")
    for path, size in ((cd, 1 << 20), (floppy, 1440 << 10)):
        with open(path, "wb") as file:
            file.truncate(size)
    empty = r"ide1-cd0: \[not inserted\]\n(    Attached to: [^\n]+\n)?    Removable device: not locked, tray "
    check(s, "info block ide1-cd0", empty + "closed\n")
    check(s, f"change ide1-cd0 {cd} raw", "")
    check(s, "info block ide1-cd0", rf"ide1-cd0[^\n]*: {cd} \(raw, read-only\)\n.*    Removable device: not locked, tray "
          r"closed\n    Cache mode:       writeback\n")
    check(s, "eject ide1-cd0", "")
    check(s, "info block ide1-cd0", empty + "open\n")
    check(s, f'change floppy0 "{floppy}" raw read-only', "")
    check(s, "info block", rf".*floppy0[^\n]*: {floppy} \(raw, read-only\)\n.*")
    check(s, "eject -f floppy0", "")
    check(s, "info block", r".*floppy0: \[not inserted\]\n.*")
    for line in ("change", "change ide1-cd0", f"change nosuch {cd}", f"change floppy0 {folder}/none",
                 f"change ide1-cd0 {cd} nosuch", f"change floppy0 {cd} raw nosuch", "eject", "eject nosuch", "eject floppy0 x"):
        one_sentence(s, line)
    for name, start in (("a.ppm", b"P6"), ("a b.png", b"\x89PNG")):
        path = os.path.join(folder, name)
        check(s, f'screendump "{path}"' + (" -f png" if name.endswith("png") else ""), "")
        for _ in range(PATIENCE * 10):
            if os.path.exists(path) and os.path.getsize(path) > 100:
                break
            time.sleep(0.1)
        with open(path, "rb") as picture:
            if not picture.read(8).startswith(start):
                check(s, f"the picture {name}", "is one")
    for line in (f"screendump {folder}/none/x.ppm", "screendump", f"screendump {folder}/x -f jpg"):
        one_sentence(s, line)
    check(s, "help stop", r"stop\|s +-- [^\n]+\n")
    check(s, "? system_reset", r"system_reset +-- [^\n]+\n")
    check(s, "help", r".*\nsendkey .*\nsystem_reset .*")
    check(s, "info", r"info .*\ninfo status +-- .*")
    check(s, "info jit", r".+")
    check(s, "info cpus", r"\* CPU #0: thread_id=\d+\n")
    check(s, "info kvm", "kvm support: disabled\n")
    check(s, "info registers -a", r"\nCPU#0\n.*")
    check(s, "info uuid", "12345678-9abc-def0-1234-56789abcdef0\n")
    check(s, "info mice", r"\* Mouse #\d: .*PS/2 [Mm]ouse\n")
    check(s, "info chardev", r".*serial0: filename=null\r?\n.*")
    check(s, "info memory_size_summary", "base memory: 16777216\nplugged memory: 0\n")
    check(s, "info roms", r'.*addr=00000000fffc0000 size=0x040000 mem=rom name="bios-256k.bin"\n.*')
    check(s, "info lapic", r"dumping local APIC state for CPU 0 ?\n\nLVT0\t 0x00\w{6} .*LVTT\t .*IRR\t .*TPR 0x00 .*PPR 0x00\n")
    check(s, "xp/4xb 0xb8000", r"\w+: 0x53 0x07 0x65 0x07\n", 20)  # SeaBIOS' first word
    check(s, f'pmemsave 0xb8000 4 "{folder}/text"', "")
    with open(os.path.join(folder, "text"), "rb") as saved:
        if saved.read() != b"S\7e\7":
            check(s, "the text that pmemsave found", "is what xp shows")
    check(s, "stop", "")  # firmware uses these ports too
    check(s, "i /b 0x64", r"portb\[0x0064\] = 0x\w\w\n")
    check(s, "o /b 0x70 0x0f", "")
    check(s, "o /b 0x71 0x5a", "")
    check(s, "i/1xb 0x71", r"portb\[0x0071\] = 0x5a\n")
    check(s, "i /h 0xcfc", r"portw\[0x0cfc\] = 0x\w{4}\n")
    check(s, "boot_set dc", "boot device list now set to dc\n")
    check(s, "o /b 0x70 0x3d", "")
    check(s, "i /b 0x71", r"portb\[0x0071\] = 0x23\n")
    check(s, "cont", "")
    check(s, "cpu 0", "")
    check(s, f'logfile "{folder}/log"', "")
    check(s, "log int", "")
    check(s, "log none", "")
    if UMBRA:
        check(s, "info exits", r".+")
        check(s, "info exits -j", r"\{.*\}\n")
        check(s, "info devices", r".*\nlapic\n.*")
        check(s, "info device lapic", r"lapic:\n.*")
        check(s, "info screen", r".+")
        one_sentence(s, "info device nosuch")
        one_sentence(s, "log nosuch")
        check(s, "sytem_reset", r"unknown command: 'sytem_reset'; did you mean 'system_reset'\?\n")


def whole_machine(s, folder):
    check(s, "info status", r"VM status: paused \(prelaunch\)\n")
    check(s, "cont", "")
    check(s, "info status", r"VM status: running\n")
    wiring(s, folder)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for by_socket in (True, False):
            for options, parts in ((["-m", "16", "-bios", ROM, "-nodefaults"], (looking, pressing)),
                                   (["-m", "16", "-S", "-net", "none", "-serial", "null", "-uuid", "12345678-9abc-def0-1234-56789abcdef0"],
                                    (whole_machine,))):
                s = Session(options, by_socket, folder)
                for part in parts:
                    part(s, folder)
                s.command("quit")
                try:
                    if s.process.wait(PATIENCE) != 0:
                        check(s, "quit", "the exit code 0")
                except subprocess.TimeoutExpired:
                    check(s, "quit", "the end")
                s.end()
    if not failed:
        print("the monitor behaves")
    sys.exit(failed)


main()

#!/usr/bin/env python3
"""probe.py UMBRA [QEMU]: asks both boards the same questions from a boot floppy (probe.asm), after SeaBIOS has set them
up: what ports, configuration space, drives and firmware answer. Every difference must stand in DIFFERENCES with its
reason. Exit code 77 when QEMU or nasm is not there."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# label: why the answers differ
DIFFERENCES = {
    "pci 0.0": "QEMU keeps the size of memory in a timing register, and has SMRAM for its SMM",
    "hpet": "our comparators also reach the I/O APIC's pins 16 to 23, which are free on this board",
    "uart loopback": "QEMU's modem status shows no changes in loopback, the PC16550D's does",
}


class Questions:
    """Each method adds an operation; the numbers are the places in probe.asm's table."""

    def __init__(self):
        self.code = b""

    def add(self, form, *values):
        self.code += struct.pack("<" + form, *values)
        return self

    def inb(self, *ports):
        for port in ports:
            self.add("BH", 1, port)
        return self

    def inw(self, port): return self.add("BH", 2, port)
    def inl(self, port): return self.add("BH", 3, port)
    def outb(self, port, *values):
        for value in values:
            self.add("BHB", 4, port, value)
        return self

    def outw(self, port, value): return self.add("BHH", 5, port, value)
    def outl(self, port, value): return self.add("BHI", 6, port, value)
    def bytes_at(self, address, count): return self.add("BIH", 7, address, count)
    def dwords_at(self, *addresses):
        for address in addresses:
            self.add("BI", 8, address)
        return self

    def store(self, address, value): return self.add("BII", 9, address, value)
    def bios(self, interrupt, ax=0, bx=0, cx=0, dx=0, si=0, di=0, es=0):
        return self.add("BBIIIIIIH", 10, interrupt, ax, bx, cx, dx, si, di, es)

    def label(self, text):
        self.code += b"\x0b" + text.encode() + b"\0"
        return self

    def wait(self, port, mask, value): return self.add("BHBB", 12, port, mask, value)
    def words(self, port, count): return self.add("BHH", 13, port, count)


def chipset(q):
    q.label("interrupt masks and ELCR").inb(0x21, 0xa1, 0x4d0, 0x4d1)
    for row in range(0, 0x80, 16):
        q.label("cmos %02x" % row)
        for i in range(row, row + 16):
            if i not in (0, 2, 4, 7, 8, 0x0a, 0x0c):  # what the time shows
                q.outb(0x70, i).inb(0x71)
    q.label("dma").outb(0x0c, 0).outb(0, 0x34, 0x12).outb(0x0c, 0).inb(0, 0).outb(0xd8, 0)
    q.outb(0xc4, 0x78, 0x56).outb(0xd8, 0).inb(0xc4, 0xc4).outb(0x87, 0x55).inb(0x87).outb(0x8b, 0x66).inb(0x8b)
    q.label("reset control").inb(0xcf9).outb(0xcf9, 2).inb(0xcf9)
    q.label("a20").outb(0x92, 0).store(0x100000, 0xaabbccdd).dwords_at(0x100000).outb(0x92, 2).inb(0x92)
    hpet = 0xfed00000
    q.label("hpet").dwords_at(*(hpet + i for i in (0, 4, 0x10, 0x20, 0x100, 0x104, 0x108, 0x120, 0x124, 0x140)))
    q.label("io apic")
    for i in (0, 1, 0x10, 0x11, 0x14, 0x3f):
        q.store(0xfec00000, i).dwords_at(0xfec00010)
    q.store(0xfec00000, 0x20).store(0xfec00010, 0x1ffff).dwords_at(0xfec00010)
    q.store(0xfec00010, 0x10000).dwords_at(0xfec00010)
    q.label("local apic").dwords_at(*(0xfee00000 + i * 16 for i in (2, 3, 8, 0xa, 0xd, 0xe, 0xf, 0x32, 0x35, 0x36, 0x37)))
    q.label("pam").outl(0xcf8, 0x80000058).inl(0xcfc).outl(0xcf8, 0x8000005c)
    for value in (0x33, 0x11, 0x22, 0x33):  # written, kept, written unseen, seen
        q.outb(0xcfc, value).store(0xd0000, 0x01010101 * value)
        if value != 0x22:
            q.dwords_at(0xd0000)
    q.outb(0xcfc, 0)


def pci(q):
    functions = (0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (3, 0)
    for device, function in functions:
        q.label("pci %d.%d" % (device, function))
        for register in range(0, 256, 4):
            q.outl(0xcf8, 0x80000000 | device << 11 | function << 8 | register).inl(0xcfc)
    q.label("pci bars")
    for device, function, bar in (1, 1, 0x20), (2, 0, 0x10), (2, 0, 0x18), (2, 0, 0x30):
        q.outl(0xcf8, 0x80000000 | device << 11 | function << 8 | bar).inl(0xcfc)
        q.outl(0xcfc, 0xffffffff).inl(0xcfc)
    q.label("pci nothing").outl(0xcf8, 0x80010000).inl(0xcfc).outl(0xcf8, 0).inl(0xcfc)


def input_devices(q):
    answer = lambda n=1: [q.wait(0x64, 1, 1).inb(0x60) for _ in range(n)]
    def ask(command, n=1):
        q.outb(0x64, command)
        answer(n)
    def keyboard(*values, more=0):
        for value in values:
            q.outb(0x60, value)
            answer()
        answer(more)
    def mouse(*values, more=0):
        for value in values:
            q.outb(0x64, 0xd4).outb(0x60, value)
            answer()
        answer(more)
    q.label("8042")
    for command in (0x20, 0xc0, 0xa9, 0xab, 0xaa):
        ask(command)
    for command in (0xa7, 0xad):  # each interface off, seen in the command byte, and on
        q.outb(0x64, command)
        ask(0x20)
        q.outb(0x64, command + 1)
    for command in (0xd2, 0xd3):
        q.outb(0x64, command).outb(0x60, 0xa5)
        answer()
    for mode, name in (0x44, "translated"), (0x04, "raw"):
        q.outb(0x64, 0x60).outb(0x60, mode)
        q.label("keyboard " + name)
        keyboard(0xf2, more=2)
        keyboard(0xee, 0xef)
        keyboard(0xff, more=1)
        for number in (1, 3, 2):
            keyboard(0xf0, number)
            keyboard(0xf0, 0, more=1)
        keyboard(0xfa, 0xf3, 0x20, 0xed, 2, 0xed, 0, 0xf5, 0xf6, 0xf4)
    q.label("mouse")
    mouse(0xff, more=2)
    mouse(0xe9, more=3)
    mouse(0xf2, more=1)
    mouse(0xe8, 3, 0xe7, 0xf4, 0xe9, more=3)
    mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2, more=1)
    mouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2, more=1)
    mouse(0xee, 0x55, 0xec)
    mouse(0xf0, 0xeb, more=4)
    mouse(0xff, more=2)


def serial(q):
    for base in (0x3f8, 0x2f8):
        q.label("uart %x" % base).inb(*range(base + 1, base + 8))
    base = 0x3f8
    q.label("uart bits").outb(base + 7, 0x5a).inb(base + 7).outb(base + 1, 0xff).inb(base + 1).outb(base + 1, 0)
    q.outb(base + 4, 0xff).inb(base + 4).outb(base + 3, 0xff).inb(base + 3).outb(base + 3, 3)
    for value in (0, 1, 0x41, 0xc1, 7, 0):
        q.outb(base + 2, value).inb(base + 2)
    q.outb(base + 3, 0x83).outb(base, 1).outb(base + 1, 0).inb(base, base + 1).outb(base + 3, 3)
    q.label("uart loopback")
    for value in (0x10, 0x11, 0x12, 0x14, 0x18, 0x1f, 0x10):
        q.outb(base + 4, value).inb(base + 6, base + 6)
    q.outb(base + 2, 7).outb(base, 1, 2, 3).wait(base + 5, 0x61, 0x61).inb(base, base, base, base + 5)
    q.outb(base + 4, 0x0b).outb(base + 1, 2).inb(base + 2, base + 2).outb(base + 1, 0)
    q.label("parallel").outb(0x378, 0x55).inb(0x378).outb(0x37a, 0xff).inb(0x37a).outb(0x37a, 0x0c).inb(0x37a)


def floppy(q):
    def command(*values, results=0):
        for value in values:
            q.wait(0x3f4, 0xc0, 0x80).outb(0x3f5, value)
        for _ in range(results):
            q.wait(0x3f4, 0xc0, 0xc0).inb(0x3f5)
    q.label("floppy controller").outb(0x3f4, 0x80)
    q.wait(0x3f4, 0xff, 0x80)
    for _ in range(4):
        q.wait(0x3f4, 0xff, 0x80)
        command(8, results=2)
    command(8, results=1)
    for code in (0x10, 0x94, 0x14, 0x18):
        command(code, results=1)
    q.label("floppy read").outb(0x3f2, 0x1c).outb(0x3f7, 0)
    command(3, 0xdf, 3)  # without DMA
    command(0x13, 0, 0x57, 0)
    command(0xe6, 0, 0, 0, 1, 2, 1, 0x1b, 0xff)
    for _ in range(512):
        q.wait(0x3f4, 0xf0, 0xf0).inb(0x3f5)
    command(results=7)
    q.label("floppy errors")
    command(0xe6, 0, 0, 0, 30, 2, 30, 0x1b, 0xff, results=3)


def ide(q):
    def registers(base): q.inb(*range(base + 1, base + 8))
    def ata(name, command, feature=0, count=0, low=0, mid=0, high=0, device=0xe0):
        q.label("ata " + name).outb(0x1f6, device).outb(0x1f1, feature).outb(0x1f2, count)
        q.outb(0x1f3, low).outb(0x1f4, mid).outb(0x1f5, high).outb(0x1f7, command).wait(0x1f7, 0x80, 0)
        registers(0x1f0)
    q.label("ide reset").outb(0x3f6, 0x0c).outb(0x376, 0x0c).outb(0x3f6, 8).outb(0x376, 8)
    for base, device in (0x1f0, 0xa0), (0x1f0, 0xb0), (0x170, 0xa0):
        q.outb(base + 6, device).wait(base + 7, 0x80, 0)
        registers(base)
    ata("initialize", 0x91, count=63, device=0xaf)
    ata("recalibrate", 0x10)
    ata("multiple", 0xc6, count=16)
    ata("verify", 0x40, count=1)
    ata("native max", 0xf8)
    ata("native max ext", 0x27)
    ata("power", 0xe5)
    for mode in (0x08, 0x0c, 0x22, 0x12, 0x45):
        ata("mode %x" % mode, 0xef, feature=3, count=mode)
    q.outb(0x1f6, 0xe0).outb(0x1f2, 1).outb(0x1f7, 0x20).wait(0x1f7, 0x88, 8).label("ata read").words(0x1f0, 256)
    for device in (0, 1):
        q.outb(0x1f6, 0xa0 | device << 4).outb(0x1f7, 0xec).wait(0x1f7, 0x88, 0x08)
        same = {0, 1, 3, 6, 47, 48, 49, 51, 53, 60, 61, 63, 64, 65, 88, 93, 100, 101, 102, 103}
        for word in range(256):
            if word in same:
                q.label("identify %d word %d" % (device, word))
            elif word - 1 in same or word == 2:
                q.label("- other words")
            q.inw(0x1f0)


def atapi(q):
    def packet(name, data, *bytes_):
        cdb = bytes(bytes_) + bytes(12 - len(bytes_))
        q.outb(0x176, 0xa0).outb(0x171, 0).outb(0x174, 0xfe).outb(0x175, 0xff).outb(0x177, 0xa0)
        q.wait(0x177, 0x88, 0x08)
        for i in range(0, 12, 2):
            q.outw(0x170, cdb[i] | cdb[i + 1] << 8)
        q.wait(0x177, 0x80, 0)
        if name:
            q.label("atapi " + name).inb(0x177, 0x172, 0x174, 0x175)
        if data:
            q.words(0x170, data // 2).wait(0x177, 0x80, 0).inb(0x177, 0x172)
    for _ in range(3):  # what attention there is
        packet("", 0, 0)
        packet("", 18, 3, 0, 0, 0, 18)
    q.label("atapi")
    packet("ready", 0, 0)
    packet("capacity", 8, 0x25)
    packet("toc", 12, 0x43, 0, 0, 0, 0, 0, 0, 0, 12)
    packet("toc msf", 12, 0x43, 2, 0, 0, 0, 0, 0, 0, 12)
    packet("disc information", 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34)
    packet("mechanism", 8, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8)
    packet("read", 2048, 0x28, 0, 0, 0, 0, 16, 0, 0, 1)
    packet("read cd", 2048, 0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0x10)


def firmware(q):
    q.label("equipment").bios(0x11).bios(0x12)
    for drive in (0, 1, 0x80, 0x81, 0x82):
        q.label("int 13h, %x" % drive).bios(0x13, 0x0800, dx=drive).bios(0x13, 0x1500, dx=drive)
    for drive in (0x80, 0x81):
        q.label("int 13h extensions, %x" % drive).bios(0x13, 0x4100, 0x55aa, dx=drive)
        q.store(0x1fe00, 0x1e).bios(0x13, 0x4800, dx=drive, si=0xfe00).bytes_at(0x1fe00, 26)  # at DS:SI
    q.label("int 15h").bios(0x15, 0xc000).bios(0x15, 0x5300).bios(0x15, 0x2402).bios(0x15, 0x2403)
    q.label("pci bios").bios(0x1a, 0xb101)
    q.label("vbe").store(0x38000, 0x32454256).bios(0x10, 0x4f00, di=0x8000, es=0x3000).bytes_at(0x38000, 256)
    for mode in (0x101, 0x103, 0x105, 0x111, 0x112, 0x115, 0x118, 0x142, 0x144):
        q.label("vbe mode %x" % mode).bios(0x10, 0x4f01, cx=mode, di=0x9000, es=0x3000).bytes_at(0x39000, 256)
    for mode in (0x13, 0x12, 0x0d, 0x04, 0x03):
        q.bios(0x10, mode).label("vga mode %x" % mode)
        for index, data, count in (0x3c4, 0x3c5, 5), (0x3ce, 0x3cf, 9), (0x3d4, 0x3d5, 25):
            for i in range(count):
                q.outb(index, i).inb(data)
        q.inb(0x3cc).outb(0x3c7, 0)
        for _ in range(48):
            q.inb(0x3c9)


def answers(emulator, folder, image):
    out = os.path.join(folder, "answers")
    disk = os.path.join(folder, "disk")
    words = ["-m", "64", "-snapshot", "-net", "none", "-boot", "a", "-display", "none", "-monitor", "none",
             "-serial", "null", "-serial", "null", "-drive", "if=floppy,format=raw,file=" + image,
             "-drive", "format=raw,file=%s1" % disk, "-drive", "format=raw,file=%s2" % disk, "-cdrom", disk + "3",
             "-debugcon", "file:" + out, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    subprocess.run([emulator] + words, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with open(out, encoding="ascii", errors="replace") as f:
        lines = [line.strip().partition(":") for line in f]
    os.remove(out)
    return [(label, text.strip()) for label, _, text in lines if label and not label.startswith("-")]


def main():
    umbra = os.path.abspath(sys.argv[1])
    qemu = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-i386"
    if shutil.which(qemu) is None or shutil.which("nasm") is None:
        print("probe.py needs %s and nasm" % qemu)
        return 77
    q = Questions()
    for ask in (firmware, chipset, pci, input_devices, serial, floppy, ide, atapi):
        ask(q)
    with tempfile.TemporaryDirectory() as folder:
        program, image = os.path.join(folder, "program"), os.path.join(folder, "probe.img")
        with open(program, "wb") as f:
            f.write(q.code + b"\0")
        subprocess.check_call(["nasm", "-f", "bin", "-D", 'PROGRAM="%s"' % program, "-o", image,
                               os.path.join(HERE, "probe.asm")])
        assert os.path.getsize(image) <= 18 * 8 * 512, "more questions than the floppy loads"
        os.truncate(image, 1474560)
        for name, size in ("disk1", 600 << 20), ("disk2", 9 << 30), ("disk3", 4 << 20):
            with open(os.path.join(folder, name), "wb") as f:
                f.truncate(size)
        ours, theirs = answers(umbra, folder, image), answers(qemu, folder, image)
    failed = 0
    if [label for label, _ in ours] != [label for label, _ in theirs]:
        print("FAILED: the questions were not all answered: %d by us, %d by them" % (len(ours), len(theirs)))
        failed = 1
    for (label, we), (_, they) in zip(ours, theirs):
        if (we != they) == (label in DIFFERENCES):
            continue
        failed = 1
        print("FAILED: %s\n  umbra %s\n  qemu  %s" % (label, we, they) if we != they else
              "FAILED: %s is the same on both, and stands among the differences" % label)
    print("%d answers, %d differ for a reason" % (len(ours), len(DIFFERENCES)))
    return failed


if __name__ == "__main__":
    sys.exit(main())

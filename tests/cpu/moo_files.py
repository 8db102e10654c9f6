#!/usr/bin/env python3
"""moo_files.py MOO_RUN ENGINE: makes files of the MOO format, version 1.1, as a 386EX would have filled them, and looks
at what moo_run says of them: 32-bit registers, masks of all three kinds, exceptions, shutdown, revoked tests, and that
it finds a wrong one. What must come out is from the 80386 manual and from what SingleStepTests/80386 says of itself."""
import gzip
import os
import struct
import subprocess
import sys
import tempfile

ORDER = "cr0 cr3 eax ebx ecx edx esi edi ebp esp cs ds es fs gs ss eip eflags dr6 dr7".split()
START = dict(cr0=0x7FFEFFF0, cr3=0, eax=0x11112222, ebx=0x100, ecx=3, edx=0x33334444, esi=0x200, edi=0x300, ebp=0x400,
             esp=0x7000, cs=0x1800, ds=0x3000, es=0x4000, fs=0x5000, gs=0x6000, ss=0x2000, eip=0x20,
             eflags=0xFFFC0002, dr6=0xFFFF0FF0, dr7=0)
HANDLER = 0x9ABC  # of every vector, in segment 9000h
SHUTDOWN = 1 << 31


def chunk(tag, *parts):
    body = b"".join(parts)
    return tag.encode() + struct.pack("<I", len(body)) + body


def registers(tag, values):
    mask = sum(1 << i for i, name in enumerate(ORDER) if name in values)
    return chunk(tag, struct.pack("<I", mask), *(struct.pack("<I", values[n] & 0xFFFFFFFF) for n in ORDER if n in values))


def memory(values):
    return chunk("RAM ", struct.pack("<I", len(values)), *(struct.pack("<IB", a, v) for a, v in sorted(values.items())))


class Test:
    """One instruction. `after` are the registers that change, but EIP, which goes to behind the HLT by itself."""

    def __init__(self, name, code, before=None, ram=None, after=None, ram_after=None, fault=None, masks=None,
                 shutdown=False):
        self.name, self.fault, self.masks, self.shutdown = name, fault, masks, shutdown
        self.code = bytes.fromhex(code) + b"\xf4"
        self.before = dict(START, **(before or {}))
        base = self.before["cs"] * 16
        self.ram = dict(ram or {})
        for i, byte in enumerate(self.code):
            self.ram[base + (self.before["eip"] + i & 0xFFFF)] = byte
        for vector in range(32):
            self.ram.update(zip(range(vector * 4, vector * 4 + 4), struct.pack("<HH", HANDLER, 0x9000)))
        self.ram[0x90000 + HANDLER] = 0xF4
        self.after = {"eip": self.before["eip"] + len(self.code)}
        self.ram_after = dict(ram_after or {})
        if fault is not None:
            self.frame(base)
        self.after.update(after or {})

    def frame(self, base):
        sp = self.before["esp"] - 6 & 0xFFFF
        at = self.before["ss"] * 16 + sp
        image = struct.pack("<HHH", self.before["eip"], self.before["cs"], self.before["eflags"] & 0xFFFF)
        self.ram_after = dict(zip(range(at, at + 6), image)) | self.ram_after
        self.flags_at = at + 4
        self.after = {"eip": HANDLER + 1, "cs": 0x9000, "esp": self.before["esp"] & 0xFFFF0000 | sp}

    def pack(self, index):
        final = chunk("RG32", struct.pack("<I", SHUTDOWN)) if self.shutdown else registers("RG32", self.after)
        if self.masks:
            final += registers("RM32", self.masks)
        parts = [struct.pack("<I", index), chunk("NAME", struct.pack("<I", len(self.name)), self.name.encode()),
                 chunk("BYTS", struct.pack("<I", len(self.code)), self.code),
                 chunk("INIT", registers("RG32", self.before), chunk("EA32", bytes(23)), memory(self.ram),
                       chunk("QUEU", bytes(4))),
                 chunk("FINA", final, memory(self.ram_after)), chunk("CYCL", bytes(4))]
        if self.fault is not None:
            parts.append(chunk("EXCP", struct.pack("<BI", self.fault, self.flags_at)))
        parts.append(chunk("HASH", bytes([index]) * 20))
        return chunk("TEST", *parts)


def words(at, *values):
    return dict(zip(range(at, at + 2 * len(values)), struct.pack("<%dH" % len(values), *values)))


def dwords(at, *values):
    return dict(zip(range(at, at + 4 * len(values)), struct.pack("<%dI" % len(values), *values)))


DATA, EXTRA, STACK = 0x30000, 0x40000, 0x20000
GOOD = [
    Test("add [bp+60h], bl", "005e60", ram={STACK + 0x460: 0xF0}, after=dict(eflags=0xFFFC0086)),
    Test("add eax, [ebx+ecx*4]", "666703048b", ram=dwords(DATA + 0x10C, 1), after=dict(eax=0x11112223)),
    Test("a word at FFFFh", "8b07", dict(ebx=0xFFFF), fault=13),
    Test("a word at FFFFh of the stack", "8b4600", dict(ebp=0xFFFF), fault=12),
    Test("an address of 32 bits beyond the limit", "678a03", dict(ebx=0x10000), fault=13),
    Test("the last dword", "668b07", dict(ebx=0xFFFC), ram=dwords(DATA + 0xFFFC, 0xCAFEBABE), after=dict(eax=0xCAFEBABE)),
    Test("lock mov", "f08907", fault=6),
    Test("lock add with a register", "f001d8", fault=6),
    Test("lock cmp", "f03907", fault=6),
    Test("lock bt", "f00fa307", fault=6),
    Test("lock between prefixes", "26f0368900", fault=6),
    Test("lock inc", "f0ff07", ram=words(DATA + 0x100, 1), ram_after=words(DATA + 0x100, 2), after=dict(eflags=0xFFFC0002)),
    Test("the last of several segment prefixes", "2e3e268b07", ram=words(EXTRA + 0x100, 0x5678),
         after=dict(eax=0x11115678)),
    Test("fifteen bytes", "2e" * 13 + "89c3", after=dict(ebx=0x2222)),
    Test("sixteen bytes", "2e" * 14 + "89c3", fault=13),
    Test("prefixes twice", "666667678b03", ram=dwords(DATA + 0x100, 0x89ABCDEF), after=dict(eax=0x89ABCDEF)),
    Test("rep stosw over the end", "f3ab", dict(edi=0xFFFC), ram_after=words(EXTRA, 0x2222) | words(EXTRA + 0xFFFC, 0x2222,
         0x2222), after=dict(ecx=0, edi=2)),
    Test("rep stosw into the end", "f3ab", dict(edi=0xFFFD), ram_after=words(EXTRA + 0xFFFD, 0x2222),
         fault=13, after=dict(ecx=2, edi=0xFFFF)),
    Test("rep movsd with 32-bit registers", "f36667a5", dict(ecx=2), ram=dwords(DATA + 0x200, 1, 2),
         ram_after=dwords(EXTRA + 0x300, 1, 2), after=dict(ecx=0, esi=0x208, edi=0x308)),
    Test("repne scasb", "f2ae", ram={EXTRA + 0x300: 1, EXTRA + 0x301: 0x22}, after=dict(ecx=1, edi=0x302,
         eflags=0xFFFC0046)),
    Test("les over the end", "c407", dict(ebx=0xFFFE), ram=words(DATA + 0xFFFE, 0x1234) | words(DATA, 0x5678),
         after=dict(eax=0x11111234, es=0x5678)),
    Test("les of a dword", "66c407", ram=dwords(DATA + 0x100, 0x87654321, 0x5678), after=dict(eax=0x87654321, es=0x5678)),
    Test("jmp far", "ea34120080", ram={0x81234: 0xF4}, after=dict(cs=0x8000, eip=0x1235)),
    Test("jmp far beyond the limit", "66ea000001000080", fault=13),
    Test("ret to the last byte", "c3", ram=words(STACK + 0x7000, 0xFFFF) | {0x27FFF: 0xF4}, after=dict(esp=0x7002,
         eip=0x10000)),
    Test("call [ds:bp+di]", "3eff13", ram=words(DATA + 0x700, 0x1234) | {0x19234: 0xF4},
         ram_after=words(STACK + 0x6FFE, 0x23), after=dict(esp=0x6FFE, eip=0x1235)),
    Test("popad", "6661", ram=dwords(STACK + 0x7000, 1, 2, 3, 0x12345678, 5, 6, 7, 8), after=dict(edi=1, esi=2, ebp=3,
         esp=0x12347020, ebx=5, edx=6, ecx=7, eax=8)),
    Test("popa into the end", "61", dict(esp=0xFFFB), ram=words(STACK + 0xFFFB, 0x111, 0x222), fault=12,
         after=dict(edi=0x111, esi=0x222)),
    Test("pusha from the end", "60", dict(esp=0x7), ram_after=words(STACK + 0xFFF7, 0x300, 0x200, 0x400, 7), fault=12),
    Test("lea eax, [esi*8 without index]", "66678d04e6", after=dict(eax=0x1000)),
    Test("code across the end", "89c3", dict(eip=0xFFFF), fault=13),
    Test("code across the end, in what follows the opcode", "81c03412", dict(eip=0xFFFD), fault=13),
    Test("a prefix that means nothing", "f301d8", after=dict(eax=0x11112322, eflags=0xFFFC0006)),
    Test("idiv that overflows unnoticed", "f6fa", dict(eax=0xBEFF, edx=2), after=dict(eax=0xFF80),
         masks=dict(eflags=0xFFFFF72A)),
    Test("shld ax, dx, 20", "0fa4d014", dict(edx=0x8234), after=dict(eax=0x11112348, eflags=0xFFFC0006),
         masks=dict(eflags=0xFFFFF7EF)),
    Test("bound", "6207", dict(eax=4), ram=words(DATA + 0x100, 5, 9), fault=5),
    Test("into with IOPL and NT", "ce", dict(eflags=0xFFFC7002)),
    Test("pushfd", "669c", dict(eflags=0xFFFC7002), ram_after=dwords(STACK + 0x6FFC, 0x7002), after=dict(esp=0x6FFC)),
    Test("in ax, 21h", "e521", after=dict(eax=0x11117FFF)),
    Test("mov eax, cr0", "0f20c0", after=dict(eax=0x7FFFFFF0)),
    Test("a stack that takes no frame", "0fff", dict(esp=1), shutdown=True),
]
UNDEFINED = [  # the flags are not what the chip has, where it need not have them
    Test("or with AF", "09d8", after=dict(eax=0x11112322, eflags=0xFFFC0016)),
    Test("divide by zero", "f7f3", dict(ebx=0, eflags=0xFFFC0016), ram_after={STACK + 0x6FFE: 0xC7}, fault=0),
]
WRONG = [
    Test("another result", "01d8", after=dict(eax=0x11112323, eflags=0xFFFC0002)),
    Test("another byte", "005e60", ram_after={STACK + 0x460: 1}),
    Test("no fault", "8b07", dict(ebx=0xFFFF)),
    Test("no shutdown", "90", shutdown=True),
    Test("another upper half", "40", after=dict(eax=0x2223)),
    Test("NT goes", "90", dict(eflags=0xFFFC4002), after=dict(eflags=0xFFFC0002)),
]


def write(path, tests, masks=None, packed=False):
    data = chunk("MOO ", struct.pack("<BBHI8s", 1, 1, 0, len(tests), b"386E    ")) + chunk("META", bytes(30))
    if masks:
        data += registers("RM32", masks)
    data += b"".join(test.pack(i) for i, test in enumerate(tests))
    with (gzip.open if packed else open)(path, "wb") as out:
        out.write(data)


def main():
    program, engine = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "v1")
        os.mkdir(path)

        def expect(name, status, says):
            run = subprocess.run([program, "-engine", engine, os.path.join(path, name)], capture_output=True, text=True,
                                 timeout=120)
            if run.returncode != status or says not in run.stdout + run.stderr:
                sys.exit(f"{name}: moo_run gave {run.returncode} and said\n{run.stdout}{run.stderr}instead of '{says}'")

        write(os.path.join(path, "A.MOO.gz"), GOOD, packed=True)
        expect("A.MOO.gz", 0, f"{len(GOOD)} passed, 0 failed\n")
        write(os.path.join(path, "F7.6.MOO"), UNDEFINED)
        expect("F7.6.MOO", 1, "0 passed, 2 failed")
        write(os.path.join(path, "F7.7.MOO"), UNDEFINED, masks=dict(eflags=0xFFFFF72A))
        expect("F7.7.MOO", 0, "2 passed, 0 failed")
        with open(os.path.join(folder, "80386.csv"), "w") as csv:
            csv.write("op,g,ex,f_umask,desc\nF7,3,6,F72A,divide\n")
        expect("F7.6.MOO", 0, "2 passed, 0 failed")
        write(os.path.join(path, "6667F7.6.MOO"), UNDEFINED)
        expect("6667F7.6.MOO", 0, "2 passed, 0 failed")
        write(os.path.join(path, "W.MOO"), WRONG)
        expect("W.MOO", 1, f"0 passed, {len(WRONG)} failed")
        with open(os.path.join(folder, "revocation_list.txt"), "w") as revoked:
            revoked.write("# bad ones\n" + "00" * 20 + "\n" + "02" * 20 + "\n")
        expect("W.MOO", 1, f"0 passed, {len(WRONG) - 2} failed, 2 revoked")
        with open(os.path.join(path, "W.MOO"), "rb") as whole:
            data = whole.read()
        with open(os.path.join(path, "C.MOO"), "wb") as cut:
            cut.write(data[:-7])
        expect("C.MOO", 1, "cut off")
    print("as it must be")


main()

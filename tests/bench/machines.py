"""The three places where the same programs run: natively under chroot, in the guest on Umbra, in the guest on QEMU."""

import os
import selectors
import subprocess
import time

HOME = "build/guests/debian12"
TICKS = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    pass


class Line:
    """What a machine said, and when: host wall time, and CPU time of the emulator with all its threads."""

    def __init__(self, text, wall, cpu):
        self.text, self.wall, self.cpu = text, wall, cpu


def cpu_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    except (OSError, ValueError):
        return 0.0


def memory_of(pid):
    """Memory in MiB, by PSS: RSS counts a page of guest memory once for each window that shows it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0.0


class Run:
    """A child whose lines are stamped as they come."""

    def __init__(self, command, limit, log):
        self.lines, self.memory, self.problem = [], 0.0, None
        self.start = time.monotonic()
        with open(log, "w") as said:
            # Its input stays open: an end of input would hang up the serial line.
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
            try:
                self.read(child, limit)
            finally:
                child.kill()
                child.wait()
        if self.problem:
            self.problem += f" (see {log})"

    def read(self, child, limit):
        selector = selectors.DefaultSelector()
        selector.register(child.stdout, selectors.EVENT_READ)
        rest = b""
        while True:
            # A workload may be slow; one that says nothing for `limit` seconds is taken for dead.
            if not selector.select(limit):
                self.problem = f"said nothing for {limit} s"
                return
            data = os.read(child.stdout.fileno(), 65536)
            wall, cpu = time.monotonic() - self.start, cpu_of(child.pid)
            if not data:
                status = child.wait()
                if status not in (0, 1):  # 1: isa-debug-exit
                    self.problem = f"ended with status {status}"
                return
            *whole, rest = (rest + data).split(b"\n")
            if b"DONE" in (line.strip() for line in whole):  # not earlier: it takes the process's time
                self.memory = memory_of(child.pid)
            self.lines += [Line(line.decode("latin-1").strip(), wall, cpu) for line in whole]


class Result:
    """Seconds of one workload by the machine's own clock, by the host's, and in CPU time."""

    def __init__(self, inside, wall, cpu, checksum):
        self.inside, self.wall, self.cpu, self.checksum = inside, wall, cpu, checksum

    def as_json(self):
        return {"inside": self.inside, "wall": self.wall, "cpu": self.cpu, "checksum": self.checksum}


def results_of(run, native):
    found, started = {}, None
    for line in run.lines:
        words = line.text.split()
        if len(words) == 2 and words[0] == "START":
            started = line
        elif len(words) == 2 and words[0] == "INIT" and not native:
            found["boot"] = Result(float(words[1]), line.wall, line.cpu, "")
        elif len(words) == 5 and words[0] == "WORKLOAD" and started:
            cpu = float(words[3]) if native else line.cpu - started.cpu
            found[words[1]] = Result(float(words[2]), line.wall - started.wall, cpu, words[4])
            started = None
    if started and not run.problem:
        run.problem = "ended"
    if started:
        run.problem = f"{started.text.split()[1]}: {run.problem}"
    elif not native and "boot" not in found:
        run.problem = f"boot: {run.problem or 'ended'}"
    return found


class Native:
    name = "native"

    def why_not(self):
        return None if os.geteuid() == 0 else "chroot takes root"

    def run(self, names, scale, limit):
        program = ["chroot", HOME + "/root", "/bench/bench", "--scale", str(scale), "--only", ",".join(names)]
        run = Run(program, limit, HOME + "/native.log")
        return results_of(run, True), run


class Emulator:
    def __init__(self, name, program, options):
        self.name, self.program, self.options = name, program, options

    def why_not(self):
        found = subprocess.run(["sh", "-c", 'command -v "$0"', self.program], stdout=subprocess.DEVNULL)
        return None if found.returncode == 0 else f"there is no {self.program}"

    def run(self, names, scale, limit):
        words = "console=ttyS0 quiet mitigations=off umbra.init=/bench/bench"
        words += f" bench.scale={scale} bench.only={','.join(names) or 'none'}"
        command = [self.program, *self.options, "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"]
        command += ["-kernel", HOME + "/vmlinuz", "-initrd", HOME + "/initrd", "-append", words, "-serial", "stdio"]
        # Writes go to a throw-away file: every run meets the same disk.
        command += ["-drive", f"file={HOME}/disk.img,format=raw,if=ide,index=0,media=disk,snapshot=on"]
        run = Run(command, limit, f"{HOME}/{self.name}.log")
        return results_of(run, False), run

    def run_rom(self, rom, limit):
        command = [self.program, *self.options, "-m", "16", "-M", "pc", "-nodefaults", "-display", "none", "-bios", rom]
        command += ["-vga", "std", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0x501,iosize=2"]
        return Run(command, limit, f"{HOME}/{self.name}-rom.log")

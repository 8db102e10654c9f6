#!/usr/bin/env python3
"""images.py UMBRA ROM: what happens to a disk image when something is wrong with it, with its host or with Umbra.

ROM is tests/asm/disk_writer.asm, whose guest writes and flushes sector after sector and says each number when the disk
has confirmed it. Whatever is said to be flushed must be in the file; whatever fails must be said in one sentence or be an
error to the guest."""
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile

UMBRA, ROM = sys.argv[1:3]
SECTOR = 512
failed = False


def complain(text):
    global failed
    failed = True
    print(f"FAILED: {text}")


def command(drive, *more, stdio="-debugcon"):
    return [UMBRA, "-m", "2", "-bios", ROM, "-nodefaults", "-vga", "none", "-display", "none", stdio, "stdio",
            "-drive", drive, *more]


class Run:
    """Umbra with a guest that writes to `drive`."""

    def __init__(self, drive, *more, stdio="-debugcon"):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command(drive, *more, stdio=stdio), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log)

    def read(self, until):
        """Lines of the guest until one for which until(line) holds."""
        lines = []
        for line in self.process.stdout:
            lines.append(line.decode().strip())
            if until(lines[-1]):
                break
        return lines

    def end(self):
        self.process.kill()
        rest = self.process.stdout.read().decode().split()
        self.process.wait()
        self.log.seek(0)
        return rest, self.log.read().decode()


def image(folder, name, sectors):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(sectors * SECTOR)
    return path


def check_flushed(path, said, what):
    with open(path, "rb") as file:
        data = file.read()
    for word in said:
        if len(word) != 4 or word[0] == "E":
            continue
        n = int(word, 16)
        if data[n * SECTOR:(n + 1) * SECTOR] != n.to_bytes(2, "little") * (SECTOR // 2):
            return complain(f"{what}: sector {n} was flushed and is not in the file")


def refused(drive, *words):
    run = subprocess.run(command(drive), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    said = run.stderr.decode()
    if run.returncode != 1 or said.count("\n") != 1 or not all(w in said for w in words):
        complain(f"{drive}: exit code {run.returncode}, said: {said}")


def is_error(line):
    return line.startswith("E")


def killed(folder):
    for round_ in range(8):
        path = image(folder, "killed.img", 4000)
        run = Run(f"file={path},format=raw")
        wanted = f"{random.Random(round_).randrange(1, 400):04X}"
        said = run.read(lambda line: line == wanted)
        rest, _ = run.end()
        check_flushed(path, said + rest, "killed in the middle of writing")
    before = image(folder, "kept.img", 4000)
    run = Run(f"file={before},format=raw,snapshot=on")
    run.read(lambda line: line == "0040")
    run.end()
    with open(before, "rb") as file:
        if any(file.read()):
            complain("-snapshot wrote to the image")


def host_without_space(folder):
    path = image(folder, "large.img", 4000)
    run = Run(f"file={path},format=raw")
    said = run.read(lambda line: line == "0001")
    # EFBIG, and SIGXFSZ for whoever does not mind it.
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (3000 * SECTOR, 3000 * SECTOR))
    said += run.read(is_error)
    _, log = run.end()
    if len(said) != 3000 or not is_error(said[-1]) or "no space left on the host" not in log:
        complain(f"over the limit for files: {len(said)} sectors, said: {log}")
    check_flushed(path, said, "over the limit for files")

    small = os.path.join(folder, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True,
                      check=False).returncode == 0:
        try:
            path = image(small, "disk.img", 4000)
            run = Run(f"file={path},format=raw")
            said = run.read(is_error)
            _, log = run.end()
            if len(said) < 50 or "no space left on the host" not in log:
                complain(f"on a full file system: {len(said)} sectors, said: {log}")
            check_flushed(path, said, "on a full file system")
        finally:
            subprocess.run(["umount", small], check=False)


def shrunk_and_read_only(folder):
    path = image(folder, "shrunk.img", 60000)
    run = Run(f"file={path},format=raw")
    said = run.read(lambda line: line == "0010")
    os.truncate(path, 8 * SECTOR)
    said = run.read(is_error)
    _, log = run.end()
    if not said or not is_error(said[-1]) or "became smaller" not in log:
        complain(f"a shrunk image: the guest saw {said[-1:]}, said: {log}")
    if os.path.getsize(path) != 8 * SECTOR:
        complain("a shrunk image was made larger again")
    path = image(folder, "fixed.img", 100)
    run = Run(f"file={path},format=raw,readonly=on")
    said = run.read(is_error)
    run.end()
    if len(said) != 1:
        complain(f"a read-only image: the guest saw {said[-1:]}")
    if os.getuid() != 0:
        os.chmod(path, 0o444)
        refused(f"file={path}", "cannot be written", "-snapshot")


def wait_until_up(process):
    """Its monitor answers, so its images are open and locked."""
    process.stdin.write(b"info status\n")
    process.stdin.flush()
    for line in process.stdout:
        if b"paused" in line:
            return
    complain(f"{process.args[0]} has not come up")


def locked(folder):
    path = image(folder, "locked.img", 100)
    run = Run(f"file={path},format=raw", "-S", stdio="-monitor")
    wait_until_up(run.process)
    refused(f"file={path}", "another process uses it")
    refused(f"file={path},snapshot=on", "another process is writing it")
    qemu = shutil.which("qemu-system-i386")
    options = ["-m", "2", "-S", "-display", "none", "-drive", f"file={path},format=raw"]
    if qemu:
        other = subprocess.run([qemu, *options], capture_output=True, timeout=60, check=False)
        if other.returncode == 0 or b"lock" not in other.stderr:
            complain("QEMU opens an image that Umbra is writing")
    run.end()
    if qemu:
        with subprocess.Popen([qemu, *options, "-monitor", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            wait_until_up(other)
            refused(f"file={path}", "another process uses it")
            other.kill()


def no_images(folder):
    refused(f"file={folder}/none", "there is no such file")
    refused(f"file={folder}", "it is a folder", "fat:")
    refused(f"file={image(folder, 'empty.img', 0)}", "it is empty")
    refused("file=/dev/null", "neither a file nor a block device")
    odd = os.path.join(folder, "odd.img")
    with open(odd, "wb") as file:
        file.truncate(3 * SECTOR + 100)
    run = Run(f"file={odd},format=raw")
    said = run.read(is_error)
    run.end()
    if said[:3] != ["0001", "0002", "0003"] or len(said) != 4:
        complain(f"an image of three sectors and a bit: the guest saw {said}")
    check_flushed(odd, said, "an image of odd size")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for part in (killed, host_without_space, shrunk_and_read_only, locked, no_images):
            part(folder)
    if not failed:
        print("images are safe")
    sys.exit(failed)


main()

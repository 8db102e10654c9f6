#!/usr/bin/env python3
"""streams.py UMBRA ROM: the far ends of -serial, -parallel and -debugcon, each spoken to from outside. The guest
(tests/asm/echo_guest.asm) greets on every port that it has, and then echoes what comes in on the serial ones."""
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

failed = False


def complain(what):
    global failed
    failed = True
    print("FAILED: " + what)


class Run:
    def __init__(self, words):
        command = [os.path.abspath(sys.argv[1]), "-machine", "pc", "-bios", sys.argv[2], "-m", "4", "-display", "none",
                   "-monitor", "none", "-net", "none"]
        self.process = subprocess.Popen(command + words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def expect(fd, wanted, what, patience=60.0):
    """Reads until `wanted` has come."""
    said = b""
    end = time.monotonic() + patience
    while wanted not in said and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                said += os.read(fd, 4096)
            except OSError:  # a pty that nobody holds yet
                time.sleep(0.05)
    if wanted not in said:
        complain("%s said %r instead of %r" % (what, said, wanted))


def echo(fd, what, banner):
    expect(fd, banner, what)
    os.write(fd, b"there and back")
    expect(fd, b"there and back", what)


def connect(kind, where):
    end = time.monotonic() + 60
    while True:
        s = socket.socket(kind)
        try:
            s.connect(where)
            return s
        except OSError:
            s.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stuff(fd):
    """Until nothing more fits."""
    total = 0
    for size in 4096, 1:
        try:
            while True:
                total += os.write(fd, bytes(size))
        except BlockingIOError:
            pass
    return total


def wait_for_empty(fd):
    """Until somebody has read what is in a pipe, and what it does then is done."""
    while struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0] != 0:
        time.sleep(0.05)
    time.sleep(0.5)


def wait_for_file(path, wanted):
    end = time.monotonic() + 60
    said = b""
    while said != wanted and time.monotonic() < end:
        if os.path.exists(path):
            with open(path, "rb") as f:
                said = f.read()
        time.sleep(0.05)
    if said != wanted:
        complain("%s holds %r instead of %r" % (os.path.basename(path), said, wanted))


def four_at_once(folder):
    pipe, unix, port = os.path.join(folder, "pipe"), os.path.join(folder, "unix"), free_port()
    for end in ".in", ".out":
        os.mkfifo(pipe + end)
    words = ["-serial", "pty", "-serial", "tcp:127.0.0.1:%d,server" % port, "-serial", "unix:%s,server" % unix,
             "-serial", "pipe:" + pipe, "-parallel", "file:" + os.path.join(folder, "printer"),
             "-debugcon", "file:" + os.path.join(folder, "console")]
    with Run(words) as run:
        tcp = connect(socket.AF_INET, ("127.0.0.1", port))
        other = connect(socket.AF_UNIX, unix)
        said = b""
        while b"/dev/" not in said or not said.endswith(b"\n"):
            part = os.read(run.process.stderr.fileno(), 4096)
            if not part:
                return complain("no pty was named: %r" % said)
            said += part
        name = re.search(rb"(/dev/[\w/]+)", said).group(1)
        terminal = os.open(name, os.O_RDWR | os.O_NOCTTY)
        to_guest, from_guest = os.open(pipe + ".in", os.O_WRONLY), os.open(pipe + ".out", os.O_RDONLY)
        echo(terminal, "pty", b"U1")
        echo(tcp.fileno(), "tcp", b"U2")
        echo(other.fileno(), "unix", b"U3")
        expect(from_guest, b"U4", "pipe")
        os.write(to_guest, b"through a pipe")
        expect(from_guest, b"through a pipe", "pipe")
        # What a full pipe did not take comes when there is room, though the guest says no more.
        stuffing = os.open(pipe + ".out", os.O_WRONLY | os.O_NONBLOCK)
        stuffed = stuff(stuffing)
        os.write(to_guest, b"patiently")
        wait_for_empty(to_guest)
        while stuffed > 0:
            stuffed -= len(os.read(from_guest, stuffed))
        expect(from_guest, b"patiently", "a pipe that was full", 5)
        wait_for_file(os.path.join(folder, "printer"), b"L")
        wait_for_file(os.path.join(folder, "console"), b"D")


def alone(folder):
    with Run(["-serial", "stdio", "-serial", "none", "-serial", "null"]) as run:
        expect(run.process.stdout.fileno(), b"U1", "stdio")
        run.process.stdin.write(b"typed")
        run.process.stdin.flush()
        expect(run.process.stdout.fileno(), b"typed", "stdio")
    path = os.path.join(folder, "log")
    with Run(["-serial", "file:" + path]):
        wait_for_file(path, b"U1")
    with socket.socket() as listener:  # Umbra calls
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with Run(["-serial", "tcp:127.0.0.1:%d" % listener.getsockname()[1]]):
            peer, _ = listener.accept()
            echo(peer.fileno(), "tcp as a client", b"U1")
            peer.close()


def main():
    for part in four_at_once, alone:
        with tempfile.TemporaryDirectory() as folder:
            part(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())

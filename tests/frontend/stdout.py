#!/usr/bin/env python3
"""stdout.py UMBRA ROM: readers of standard output that are slow, stop or leave, while the guest
(tests/asm/talking_guest.asm) has more to say than any buffer holds. Nothing here depends on how fast the host is: what
is to happen is waited for, and a busy host only makes the readers less slow than they mean to be."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

UMBRA, ROM = os.path.abspath(sys.argv[1]), sys.argv[2]
PATIENCE = 60  # seconds, for a busy host
PAGE = 4096
GUEST_EXIT = 7
NOT_WRITTEN = re.compile(rb"umbra: stdio: the last \d+ bytes were not written")
TEXT = b"".join(b"%04x\n" % i for i in range(65536))
SERIAL, DEBUGCON = ["-serial", "stdio"], ["-debugcon", "stdio"]
failed = False


def complain(what):
    global failed
    failed = True
    print("FAILED: " + what)


def expect(condition, what):
    if not condition:
        complain(what)


def await_that(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return complain(what + ": in vain")
        time.sleep(0.02)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        await_that(lambda: self.socket.connect_ex(path) == 0, "a connection to the monitor")
        self.answer()

    def answer(self):
        out = b""
        try:
            while not out.endswith(b"(qemu) "):
                part = self.socket.recv(4096)
                if not part:
                    break
                out += part
        except OSError as why:
            complain("the monitor said %r and then: %s" % (out, why))
        return out

    def command(self, line):
        self.socket.sendall(line + b"\n")
        return self.answer()

    def looks(self):
        """How often the guest has looked at its port."""
        found = re.search(rb": (0x[0-9a-f]+)", self.command(b"xp /1xw 0x7000"))
        return int(found[1], 16) if found else -1


class Run:
    def __init__(self, what, words, stdout, guest=("-machine", "pc", "-device", "isa-debug-exit"), monitor=True, stdin=subprocess.DEVNULL, **more):
        self.what = what
        self.folder = tempfile.TemporaryDirectory()
        self.errors = tempfile.TemporaryFile()
        command = [UMBRA, *guest, "-bios", ROM, "-m", "4"]
        if "-machine" in guest:
            command += ["-display", "none", "-net", "none"]
        path = os.path.join(self.folder.name, "monitor")
        if monitor:
            command += ["-monitor", "unix:%s,server,nowait" % path]
        self.process = subprocess.Popen(command + words, stdin=stdin, stdout=stdout, stderr=self.errors, **more)
        self.monitor = Monitor(path) if monitor else None
        self.all_threads = self.threads()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()
        self.folder.cleanup()

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def ends(self, code, sentences=0):
        """By itself, with so many lines on standard error."""
        try:
            expect(self.process.wait(PATIENCE) == code, "%s: exit code %d instead of %d" % (self.what, self.process.returncode, code))
        except subprocess.TimeoutExpired:
            complain(self.what + ": does not end")
        lines = self.said().count(b"\n")
        expect(sentences in (None, lines), "%s: %d lines instead of %s on stderr: %r" % (self.what, lines, sentences, self.said()))

    def guest_goes_on(self):
        before = self.monitor.looks()
        await_that(lambda: self.monitor.looks() > before, self.what + ": the guest going on")

    def await_stall(self, out):
        """Until the reader's side is full, and most of what Umbra keeps for it, too."""
        out.await_full(self.what)

        def written():
            found = re.search(rb"ESI=([0-9a-f]{8})", self.monitor.command(b"info registers"))
            return int(found[1], 16) - 0x100000 if found else 0
        await_that(lambda: written() > out.holds + 50_000, self.what + ": a guest that has said much")

    def await_guests_end(self):
        """Until there is no thread for the processor any more."""
        await_that(lambda: self.threads() < self.all_threads, self.what + ": the guest's end")

    def threads(self):
        return len(os.listdir("/proc/%d/task" % self.process.pid))

    def processor_time(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def readable(fd):
    return bool(select.select([fd], [], [], PATIENCE)[0])


def read_all(fd, pace=0.0):
    """To the end, a page at a time."""
    out = b""
    while readable(fd):
        try:
            part = os.read(fd, PAGE)
        except OSError:  # a terminal that the last one has left
            break
        if not part:
            break
        out += part
        time.sleep(pace)
    return out


def full(fd):
    return not select.select([], [fd], [], 0)[1]


class Pipe:
    """Our copy of the end that is written to tells when it is full, and which flags it has."""
    def __init__(self, ends=None):
        self.reader, self.writer = ends or os.pipe()
        self.holds = 0 if ends else fcntl.fcntl(self.writer, 1032)  # F_GETPIPE_SZ

    def await_full(self, what):
        await_that(lambda: full(self.writer), what + ": a full pipe")

    def is_untouched(self, what):
        expect(fcntl.fcntl(self.writer, fcntl.F_GETFL) & os.O_NONBLOCK == 0, what + ": O_NONBLOCK was set on what others share")
        self.close_writer()

    def close_writer(self):
        if self.writer is not None:
            os.close(self.writer)
        self.writer = None

    def close(self):
        self.close_writer()
        if self.reader is not None:
            os.close(self.reader)
        self.reader = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def socket_pair():
    return Pipe([s.detach() for s in socket.socketpair()])


STREAMS = (("-serial stdio", SERIAL), ("-serial mon:stdio", ["-serial", "mon:stdio"]), ("-nographic", ["-nographic"]),
           ("-debugcon stdio", DEBUGCON),
           ("serial and debug console together", ["-chardev", "stdio,id=c,mux=on", "-serial", "chardev:c", "-debugcon", "chardev:c"]))


def stalled_and_read_later():
    """Whoever waits for the reader, the monitor answers; and then all of it is there."""
    for make, kind in ((Pipe, "a pipe"), (socket_pair, "a socket")):
        for what, words in STREAMS:
            what += " into " + kind
            with make() as out, Run(what, words, out.writer) as run:
                run.await_stall(out)
                if "-debugcon" not in words:
                    run.guest_goes_on()
                expect(b"VM status: running" in run.monitor.command(b"info status"), what + ": the monitor does not know the status")
                out.is_untouched(what)
                expect(read_all(out.reader, 0.01) == TEXT, what + ": the text is not whole")
                run.ends(GUEST_EXIT)


def ended_while_stalled():
    """Nobody reads: SIGTERM, SIGINT and quit end it all the same, and it is said what was not written."""
    with contextlib.ExitStack() as stack:
        runs = []
        for what, words in STREAMS[0], STREAMS[1], STREAMS[3]:
            for way in signal.SIGTERM, signal.SIGINT, "quit":
                out = stack.enter_context(Pipe())
                run = stack.enter_context(Run("%s, %s" % (what, way), words, out.writer))
                runs.append(run)
                run.await_stall(out)
                if way == "quit":
                    run.monitor.socket.sendall(b"quit\n")
                else:
                    run.process.send_signal(way)
        for run in runs:
            run.ends(0, 1)
            expect(NOT_WRITTEN.search(run.said()), "%s: said %r" % (run.what, run.said()))


def same_pipe_for_errors():
    """The sentence cannot be said where nobody reads it, and that keeps nobody waiting either."""
    what = "2>&1"
    with Pipe() as out, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "monitor")
        words = [UMBRA, "-machine", "pc", "-bios", ROM, "-m", "4", "-display", "none", "-serial", "stdio", "-monitor", "unix:%s,server,nowait" % path]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out.writer, stderr=out.writer)
        out.await_full(what)
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            complain(what + ": does not end")
            process.kill()


def ended_while_read():
    """What had been said when SIGTERM came is read to its end by who reads."""
    with Pipe() as out, Run("SIGTERM", SERIAL, out.writer) as run:
        run.await_stall(out)
        run.process.terminate()
        out.close_writer()
        text = read_all(out.reader, 0.05)
        expect(TEXT.startswith(text) and len(text) > 65536, "after SIGTERM the text is not whole")
        run.ends(0)


def guest_ends_before_the_reader_begins():
    """A guest that is through waits for a reader, longer than for one who was told to end."""
    for what, words in STREAMS[0], STREAMS[3]:
        with Pipe() as out, Run(what, words, out.writer) as run:
            out.close_writer()
            text = b""
            while len(text) < len(TEXT) - 100_000:
                text += os.read(out.reader, PAGE)
            run.await_guests_end()
            time.sleep(6)
            expect(run.process.poll() is None, what + ": did not wait for its reader")
            expect(text + read_all(out.reader) == TEXT, what + ": a late reader does not get all")
            run.ends(GUEST_EXIT)
    with Pipe() as out, Run("SIGTERM at the end", SERIAL, out.writer) as run:
        text = b""
        while len(text) < len(TEXT) - 100_000:
            text += os.read(out.reader, PAGE)
        run.await_guests_end()
        run.process.terminate()
        run.ends(GUEST_EXIT, 1)


def bare_board():
    for pace in 0, 0.02:
        with Pipe() as out, Run("the bare board", [], out.writer, guest=(), monitor=False) as run:
            out.await_full(run.what)
            out.is_untouched(run.what)
            expect(read_all(out.reader, pace) == TEXT, "the bare board's text is not whole")
            run.ends(GUEST_EXIT)
    with Pipe() as out, Run("the bare board", [], out.writer, guest=(), monitor=False) as run:
        out.await_full(run.what)
        run.process.terminate()
        run.ends(130, None)  # it may have come when all that had been said was in the pipe


def stopped_terminal():
    """Ctrl-S and Ctrl-Q."""
    master, slave = pty.openpty()
    settings = termios.tcgetattr(slave)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    termios.tcflow(slave, termios.TCOOFF)
    with Run("a stopped terminal", SERIAL, slave) as run:
        await_that(lambda: run.monitor.looks() > 0, "a guest that speaks")
        run.guest_goes_on()
        expect(fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK == 0, "O_NONBLOCK was set on a terminal")
        termios.tcflow(slave, termios.TCOON)
        text = b""
        while len(text) < len(TEXT) and readable(master):
            text += os.read(master, PAGE)
        expect(text == TEXT, "what went to a terminal that was stopped is not whole")
        run.ends(GUEST_EXIT)
    termios.tcflow(slave, termios.TCOOFF)
    with Run("SIGTERM on a stopped terminal", SERIAL, slave) as run:
        await_that(lambda: run.monitor.looks() > 0, "a guest that speaks")
        run.guest_goes_on()
        run.process.terminate()
        run.ends(0, 1)
    # The curses display has its own way to the terminal, and needs it to say good-bye.
    with Run("curses on a stopped terminal", ["-display", "curses"], slave, guest=("-machine", "pc"), stdin=slave) as run:
        await_that(lambda: run.monitor.looks() > 0, "a guest that speaks")
        run.guest_goes_on()
        run.process.terminate()
        run.ends(0)
    os.close(slave)
    os.close(master)


def reader_leaves():
    """No SIGPIPE: the guest goes on, and it is said once."""
    for what, words in STREAMS:
        for first in 0, 100_000:
            with Pipe() as out, Run(what + ", and the reader leaves", words, out.writer) as run:
                out.close_writer()
                while first > 0 and readable(out.reader):
                    first -= len(os.read(out.reader, min(first, PAGE)))
                out.close()
                run.ends(GUEST_EXIT, 1)
                expect(b"umbra: stdio: " in run.said() and b"Broken pipe" in run.said(), "%s: said %r" % (run.what, run.said()))


def nowhere_to_write():
    with open("/dev/full", "wb") as disk, Run("/dev/full", SERIAL, disk, monitor=False) as run:
        run.ends(GUEST_EXIT, 1)
        expect(b"No space left" in run.said(), "/dev/full: said %r" % run.said())
    with Run("closed", [*SERIAL, "-d", "cpu_reset"], None, monitor=False, preexec_fn=lambda: os.close(1)) as run:
        run.ends(GUEST_EXIT)
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        with Run("closed, and a log", [*SERIAL, "-D", log], None, monitor=False, preexec_fn=lambda: os.close(1)) as run:
            run.ends(GUEST_EXIT)
        expect(os.path.getsize(log) == 0, "what the guest said went into the file that was opened first")
        file = os.path.join(folder, "out")
        with open(file, "wb") as out:
            out.write(b"before\n")
            out.flush()
            with Run("a file", SERIAL, out, monitor=False) as run:
                run.ends(GUEST_EXIT)
        with open(file, "rb") as out:
            expect(out.read() == b"before\n" + TEXT, "a file as standard output is not whole")


def taken_twice():
    with Run("twice", [*SERIAL, *DEBUGCON], subprocess.DEVNULL, monitor=False) as run:
        run.ends(1, 1)
        expect(b"in use already" in run.said(), "serial port and debug console on stdio: said %r" % run.said())


def slow_reader_of_the_monitor():
    """Many long answers to who does not read them: they take no processor time and no memory, and none is lost."""
    times, question = 400, b"xp /2000xb 0xfff00000\n"
    words = ["-S", "-monitor", "stdio"]
    paused = ("-machine", "pc", "-vga", "none")
    with Pipe() as out, Run("the monitor", words, out.writer, guest=paused, monitor=False, stdin=subprocess.PIPE) as run:
        run.process.stdin.write(question * times)
        run.process.stdin.flush()
        out.await_full(run.what)
        time.sleep(1)  # what is too much to wait for has been made by now, if it ever is
        memory, used, begun = run.memory(), run.processor_time(), time.monotonic()
        time.sleep(2)
        share = (run.processor_time() - used) / (time.monotonic() - begun)
        expect(share < 0.1, "the monitor takes %.0f %% of a processor to wait for its reader" % (100 * share))
        expect(run.memory() < memory + 1024, "the monitor's output grows: %d kB, then %d kB" % (memory, run.memory()))
        out.close_writer()
        run.process.stdin.write(b"quit\n")
        run.process.stdin.close()
        answers = read_all(out.reader, 0.001).replace(b"\r", b"").split(b"(qemu) ")
        answers = [a for a in answers if a.startswith(b"xp")]
        expect(len(answers) == times and len(set(answers)) == 1, "%d answers of %d kinds from the monitor instead of %d" % (len(answers), len(set(answers)), times))
        run.ends(0)


def main():
    parts = [globals()[name] for name in sys.argv[3:]] or [
        stalled_and_read_later, ended_while_stalled, same_pipe_for_errors, ended_while_read, guest_ends_before_the_reader_begins,
        bare_board, stopped_terminal, reader_leaves, nowhere_to_write, taken_twice, slow_reader_of_the_monitor]
    for part in parts:
        begun = time.monotonic()
        part()
        print("%-40s %5.1f s" % (part.__name__, time.monotonic() - begun), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())

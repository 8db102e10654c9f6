#!/usr/bin/env python3
"""window.py UMBRA ROM: the SDL window on an X server of its own (Xvfb), used as a person does, by xdotool: the picture
is the guest's, at twice its size too, and fills a window of any size; the title says what runs; keys and mouse reach
the guest (tests/asm/monitor_guest.asm keeps what it gets). Exit code 77 where Xvfb or xdotool is missing."""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

WIDTH, HEIGHT = 1600, 1000
failed = False


def complain(what):
    global failed
    failed = True
    print("FAILED: " + what)


def wait_until(what, true, patience=60.0):
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            complain("never came: " + what)
            return False
        time.sleep(0.1)
    return True


class Desk:
    """An X server, and Umbra in a window on it."""

    def __init__(self, folder, words, window_manager=None):
        self.folder = folder
        reader, writer = os.pipe()
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "%dx%dx24" % (WIDTH, HEIGHT), "-noreset", "-fbdir", folder],
            pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as numbers:
            display = numbers.readline().strip()
        self.environment = dict(os.environ, DISPLAY=":" + display, SDL_VIDEODRIVER="x11", SDL_RENDER_DRIVER="software")
        self.processes = [self.server]
        if window_manager:
            self.processes.append(subprocess.Popen([window_manager], env=self.environment,
                                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            self.tool("search", "--sync", "--class", window_manager)  # it has a window of its own once it is there
        self.umbra = subprocess.Popen(
            [os.path.abspath(sys.argv[1]), "-name", "desk", "-m", "16", "-net", "none", "-serial", "none",
             "-display", "sdl", "-monitor", "stdio"] + words,
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(self.umbra)
        os.set_blocking(self.umbra.stdout.fileno(), False)
        self.answer()
        found = self.tool("search", "--sync", "--onlyvisible", "--name", "Umbra").split()
        self.window = found[0] if found else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def tool(self, *words):
        return subprocess.run(["xdotool"] + list(words), env=self.environment, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.DEVNULL).stdout.decode()

    def title(self):
        return self.tool("getwindowname", self.window).strip()

    def geometry(self):
        numbers = dict(re.findall(r"(\w+)=(-?\d+)", self.tool("getwindowgeometry", "--shell", self.window)))
        return [int(numbers[n]) for n in ("X", "Y", "WIDTH", "HEIGHT")]

    def answer(self):
        """What the monitor says up to its prompt."""
        said = b""
        end = time.monotonic() + 60
        while not said.endswith(b"(qemu) ") and time.monotonic() < end:
            said += self.umbra.stdout.read() or b""
            time.sleep(0.02)
        return said.decode(errors="replace")

    def monitor(self, line):
        self.umbra.stdin.write(line.encode() + b"\n")
        self.umbra.stdin.flush()
        return self.answer()

    def guest_picture(self):
        """Rows of RGB triples, as the guest's card draws them."""
        path = os.path.join(self.folder, "guest.ppm")
        self.monitor("screendump " + path)
        with open(path, "rb") as f:
            _, size, _, pixels = f.read().split(b"\n", 3)
        width, height = map(int, size.split())
        return width, height, [pixels[y * width * 3:(y + 1) * width * 3] for y in range(height)]

    def screen_rows(self):
        """Rows of RGB triples of the X server's frame buffer, an XWD file in memory."""
        with open(os.path.join(self.folder, "Xvfb_screen0"), "rb") as f:
            data = f.read()
        header = struct.unpack(">25I", data[:100])
        colours, line = header[19], header[12]
        first = header[0] + colours * 12
        rows = []
        for y in range(HEIGHT):
            row = data[first + y * line:first + y * line + WIDTH * 4]
            rgb = bytearray(WIDTH * 3)
            rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
            rows.append(bytes(rgb))
        return rows


def shows(desk, scale):
    """Whether the guest's picture is on the screen, each pixel `scale` times wide and high, centred in the window."""
    width, height, rows = desk.guest_picture()
    x, y, w, h = desk.geometry()
    x += (w - width * scale) // 2
    y += (h - height * scale) // 2
    screen = desk.screen_rows()
    for n in range(height):
        wide = b"".join(rows[n][i:i + 3] * scale for i in range(0, width * 3, 3))
        for line in range(scale):
            if screen[y + n * scale + line][x * 3:(x + width * scale) * 3] != wide:
                return False
    return True


def picture(folder):
    with Desk(folder, ["-boot", "order=a,menu=off"]) as desk:
        if not wait_until("SeaBIOS' last word in the window",
                          lambda: len({p for row in desk.guest_picture()[2] for p in row}) > 1 and shows(desk, 1)):
            return
        if not re.match(r"Umbra \(desk\)", desk.title()):
            complain("the title is " + desk.title())
        desk.monitor("stop")
        wait_until("'paused' in the title", lambda: "paused" in desk.title())
        desk.monitor("cont")
        wait_until("an end of 'paused'", lambda: "paused" not in desk.title())
        desk.tool("windowfocus", "--sync", desk.window)
        desk.tool("windowmove", "--sync", desk.window, "50", "60")
        for _ in range(4):
            desk.tool("key", "ctrl+alt+equal")
        wait_until("the picture at twice its size", lambda: shows(desk, 2))
        desk.tool("windowsize", "--sync", desk.window, "1000", "900")
        lines = lambda rows: sum(any(row) for row in rows)
        wait_until("a picture that fills the window", lambda: desk.geometry()[2:] == [1000, 900] and
                   1.2 < lines(desk.screen_rows()) / lines(desk.guest_picture()[2]) < 1.6)
        desk.tool("key", "ctrl+alt+s")
        wait_until("the picture once, in the middle", lambda: shows(desk, 1))
        desk.tool("key", "ctrl+alt+u")
        wait_until("the guest's own size", lambda: shows(desk, 1) and desk.geometry()[2:] == [720, 400])


def full_screen(folder):
    """Takes a window manager: without one, a window is what its program makes it."""
    if shutil.which("openbox") is None:
        print("without openbox the full screen is not tried")
        return
    fills = lambda desk: desk.geometry() == [0, 0, WIDTH, HEIGHT]
    with Desk(folder, ["-full-screen", "-boot", "order=a,menu=off"], "openbox") as desk:
        wait_until("a full screen from the start", lambda: fills(desk))
        desk.tool("windowfocus", "--sync", desk.window)
        desk.tool("key", "ctrl+alt+s")
        wait_until("the picture at twice its size on the full screen", lambda: shows(desk, 2))
        desk.tool("key", "ctrl+alt+f")
        wait_until("a window", lambda: not fills(desk))
        wait_until("the release of what it grabbed", lambda: "Ctrl-Alt-G" not in desk.title())
        desk.tool("key", "ctrl+alt+f")
        wait_until("the full screen again", lambda: fills(desk) and shows(desk, 2))
        wait_until("the grab that comes with it", lambda: "Ctrl-Alt-G" in desk.title())


def input_devices(folder):
    with Desk(folder, ["-bios", sys.argv[2], "-machine", "pc"]) as desk:
        wait_until("the guest", lambda: "running" in desk.monitor("info status"))
        desk.tool("windowfocus", "--sync", desk.window)
        desk.tool("key", "a")
        wait_until("a key", lambda: "0x1e 0x9e" in desk.monitor("xp/2xb 0x5000"))
        desk.tool("key", "ctrl+alt+g")
        wait_until("the grab", lambda: "Ctrl-Alt-G" in desk.title())
        # What is moved before the grab has settled may be lost, or come with the pointer's way to the middle.
        def moved():
            desk.tool("mousemove_relative", "--", "7", "3")
            said = re.findall(r" (0x..)", re.sub(r"\w+:", "", desk.monitor("xp/240xb 0x6000").partition("\n")[2]))
            return ["0x28", "0x07", "0xfd"] in [said[i:i + 3] for i in range(0, len(said), 3)]
        wait_until("a movement to the right and down", moved)
        desk.tool("key", "ctrl+alt+g")
        wait_until("the release", lambda: "Ctrl-Alt-G" not in desk.title())


def main():
    if shutil.which("Xvfb") is None or shutil.which("xdotool") is None:
        print("window.py needs Xvfb and xdotool")
        return 77
    for part in picture, full_screen, input_devices:
        with tempfile.TemporaryDirectory() as folder:
            part(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())

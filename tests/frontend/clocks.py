#!/usr/bin/env python3
"""clocks.py EMULATOR ROM [SECONDS [OPTION...]]: the guest's clocks against the host's and against one another, in a guest
that is busy all the time. ROM is tests/asm/clocks_guest.asm; SECONDS is 8 unless given. None may gain or lose more than
one thousandth.

A line may come late, because the host was busy, and never early: so that what is compared is the earliest of the first
quarter with the earliest of the last. A host that stops the emulator for longer can spoil even that, so only what
three measurements find in a row is believed."""
import os
import subprocess
import sys
import time

EMULATOR, ROM = sys.argv[1:3]
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 8
LIMIT = 1e-3
PIT_HZ, PM_HZ, APIC_HZ = 1193182, 3579545, 1e9
ATTEMPTS = 3


def lines():
    """(host time, numbers) of each line, while SECONDS last."""
    command = [EMULATOR, "-m", "16", "-bios", ROM, "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none",
               "-debugcon", "stdio", "-M", "pc", *sys.argv[4:]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        rest, end = b"", None
        while end is None or time.monotonic() < end:
            data = os.read(process.stdout.fileno(), 65536)
            now = time.monotonic()
            if not data:
                sys.exit("FAILED: the guest has ended")
            end = end or now + SECONDS
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield now, line.split()
    finally:
        process.kill()
        process.wait()


def unwrapped(values, modulus):
    total, out, last = 0, [], values[0]
    for value in values:
        total += (value - last) % modulus
        last = value
        out.append(total)
    return out


def check(name, lateness, span, parts=4):
    """How much later the last lines are than the first by one clock than by another: whether that is little."""
    part = max(1, len(lateness) // parts)
    drift = (min(lateness[-part:]) - min(lateness[:part])) / (span * (1 - 1 / parts))
    print(f"{name}: {drift * 1e6:+.0f} parts in a million")
    if abs(drift) > LIMIT:
        print(f"{name} is off by more than one thousandth")
    return abs(drift) <= LIMIT


def measure():
    period, host, rows = 0, [], []
    for now, words in lines():
        if words[0] == b"H":
            period = int(words[1], 16) * 1e-15
        else:
            host.append(now)
            rows.append([int(w, 16) for w in words])
    updates, hpet, pm, pit, apic, tsc_high, tsc_low = zip(*rows)
    seconds = [ticks * period for ticks in unwrapped(hpet, 1 << 32)]
    span = seconds[-1]
    good = check("the HPET against the host's clock", [h - host[0] - s for h, s in zip(host, seconds)], host[-1] - host[0])
    for name, ticks, hz in (("the PM timer", unwrapped(pm, 1 << 24), PM_HZ),
                            ("the local APIC timer", unwrapped([-a for a in apic], 1 << 32), APIC_HZ)):
        good &= check(f"{name} against the HPET", [t / hz - s for t, s in zip(ticks, seconds)], span)
    # Channel 0 goes round in less than the time between lines: only where in its round it should be can be said.
    phase = [((pit[0] - p - s * PIT_HZ + 32768) % 65536 - 32768) / PIT_HZ for p, s in zip(pit, seconds)]
    good &= check("the PIT against the HPET", phase, span)
    ticks = unwrapped([h << 32 | l for h, l in zip(tsc_high, tsc_low)], 1 << 64)
    half = len(ticks) // 2
    hz = (ticks[half] - ticks[0]) / (seconds[half] - seconds[0])
    good &= check("the TSC against itself by the HPET", [t / hz - s for t, s in zip(ticks, seconds)], span)
    turns = [(seconds[i], updates[i]) for i in range(1, len(rows)) if updates[i] != updates[i - 1]]
    # One a second, of which a few must have been seen at once.
    lateness = [s - turns[0][0] - (n - turns[0][1]) for s, n in turns]
    return good & check("the HPET against the RTC", lateness, turns[-1][1] - turns[0][1], parts=2)


if not any(measure() for _ in range(ATTEMPTS)):
    sys.exit("FAILED: each time")

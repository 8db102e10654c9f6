"""Single operations on the bare machine: the ROMs nano.asm and dos.asm under every emulator, ticks of their TSC turned into
nanoseconds by the host's clock."""

import statistics
import subprocess

import machines


ROMS = ["nano", "dos"]


def assemble(name):
    out = f"{machines.HOME}/{name}.bin"
    subprocess.run(["nasm", "-f", "bin", "-o", out, f"tests/bench/{name}.asm"], check=True)
    return out


def measure(name, places, args):
    """{operation: {machine: [ns, …]}}, problems."""
    rom, found, problems = assemble(name), {}, []
    for _ in range(args.runs):
        for place in places:
            run = place.run_rom(rom, args.limit)
            if run.problem:
                problems.append(f"{place.name}: {name}: {run.problem}")
            for operation, ns in operations_of(run).items():
                found.setdefault(operation, {}).setdefault(place.name, []).append(ns)
    return found, problems


def operations_of(run):
    """Lines are "NANO name operations ticks" in hexadecimal, between two "MARK ticks"."""
    marks, rows = [], []
    for line in run.lines:
        words = line.text.split()
        if words[:1] == ["MARK"]:
            marks.append((line.wall, int(words[1], 16)))
        elif words[:1] == ["NANO"] and len(words) == 4:
            rows.append((words[1], int(words[2], 16), int(words[3], 16)))
    if len(marks) < 2 or marks[-1][1] == marks[0][1]:
        return {}
    ns_per_tick = (marks[-1][0] - marks[0][0]) * 1e9 / (marks[-1][1] - marks[0][1])
    return {name: ticks * ns_per_tick / count for name, count, ticks in rows}


def table(found):
    rows = ["| operation | umbra (ns) | qemu (ns) | qemu÷umbra |", "|---|---|---|---|"]
    for name, by in found.items():
        umbra, qemu = by.get("umbra"), by.get("qemu")
        cell = lambda v: f"{statistics.median(v):.1f}" if v else "—"
        ratio = f"{statistics.median(qemu) / statistics.median(umbra):.2f}" if umbra and qemu and statistics.median(umbra) > 0 else "—"
        rows.append(f"| {name} | {cell(umbra)} | {cell(qemu)} | {ratio} |")
    return rows

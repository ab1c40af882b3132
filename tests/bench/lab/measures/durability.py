# SPDX-License-Identifier: Apache-2.0
"""What is forced to disk before the 250, watched by strace while messages go in one by one."""
import os
import re
import signal
import smtplib
import subprocess
import time

from .. import place, side

CALLS = "fsync,fdatasync,sync_file_range,msync,sync,syncfs"
NAMED = re.compile(r"^[0-9A-Fa-f._,=SWMPVRH-]*[0-9]{3,}.*$|(?<=part-)[0-9]+")
LINE = re.compile(r"^(\d+) +([\d.]+) (\w+)\((.*)\) += 0 <([\d.]+)>$")


def program(pid):
    """What a process is called."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            words = f.read().split("\0")
    except OSError:
        return "?"
    return os.path.basename(words[0].split(" ")[0]).removeprefix("barid-").removesuffix(":") or "?"


def kind(argument):
    """A file's name without what differs from message to message."""
    path = re.search(r"<(.*)>", argument)
    path = path[1].removesuffix(" (deleted)") if path else ""
    parts = path.split("/")[-2:]
    return "/".join(NAMED.sub("*", p) for p in parts)


def watched(s, n):
    """Sync calls of a side while n messages go in: [(program, call, file, when it ended)], and each message's span."""
    out = os.path.join(place.scratch(), "strace.out")
    pids = [a for p in s.pids() for a in ("-p", str(p))]
    with subprocess.Popen(["strace", "-f", "-q", "-y", "-ttt", "-T", "-e", f"trace={CALLS}", "-o", out, *pids],
                          stderr=subprocess.DEVNULL) as tracer:
        try:
            time.sleep(2)  # attached to all
            spans = []
            for i in range(n):
                begun = time.time()
                with smtplib.SMTP("127.0.0.1", s.port("smtp")) as client:
                    client.sendmail("a@load.test", [f"user{i + 1}@example.test"], f"From: a@load.test\nSubject: {i}\n\n{'x' * 4000}\n")
                    spans.append((begun, time.time()))
                time.sleep(1.5)
            names = {p: program(p) for p in threads(s)}
        finally:
            tracer.send_signal(signal.SIGTERM)
            tracer.wait()
    return calls(out, names), spans


def threads(s):
    """Each thread's id of a side; its program is that of its process."""
    for pid in s.pids():
        try:
            yield from map(int, os.listdir(f"/proc/{pid}/task"))
        except OSError:
            pass


def calls(path, names):
    """The finished calls of a trace, those that another thread interrupted put together again."""
    begun, found = {}, []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            half = re.match(r"^(\d+) +([\d.]+) (.*) <unfinished \.\.\.>$", line)
            rest = re.match(r"^(\d+) +[\d.]+ <\.\.\. \w+ resumed>(.*)$", line)
            if half:
                begun[half[1]] = half
                continue
            if rest and rest[1] in begun:
                half = begun.pop(rest[1])
                line = f"{half[1]} {half[2]} {half[3]}{rest[2]}"
            m = LINE.match(line.strip())
            if m:
                found.append((names.get(int(m[1]), "?"), m[3], kind(m[4]), float(m[2]) + float(m[5])))
    return found


def told(found, n):
    """Calls by kind, with how often each came per message."""
    counts = {}
    for who, call, file, _ in found:
        counts[who, call, file] = counts.get((who, call, file), 0) + 1
    return [f"{who}: {call} {file}" + (f" x{round(c / n, 1):g}" if c != n else "")
            for (who, call, file), c in sorted(counts.items(), key=lambda e: -e[1]) if c >= n / 2]


def measure(record, size):
    """What is synced before the 250 and after it, by strace."""
    n = 4
    with side.Classic() as c, side.Barid() as b:
        for s in (c, b):
            found, spans = watched(s, n)
            before = [f for f in found if any(a <= f[3] <= z for a, z in spans)]
            after = [f for f in found if not any(a <= f[3] <= z for a, z in spans) and f[3] > spans[0][0]]
            record.add("syncs", s.name, {"before": told(before, n), "after": told(after, n),
                                         "per_message": round((len(before) + len(after)) / n, 1)})

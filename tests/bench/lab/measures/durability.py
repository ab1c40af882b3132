# SPDX-License-Identifier: Apache-2.0
"""What is forced to disk before the 250, watched by strace while messages go in one by one."""
import contextlib
import os
import re
import signal
import smtplib
import subprocess
import time

from .. import drive, place, side

CALLS = "fsync,fdatasync,sync_file_range,msync,sync,syncfs"
NAMED = re.compile(r"^[0-9A-Fa-f._,=SWMPVRH-]*[0-9]{3,}.*$|(?<=part-)[0-9]+")
LINE = re.compile(r"^(\d+)<(.*?)> +([\d.]+) (\w+)\((.*)\) += 0 <([\d.]+)>$")


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


@contextlib.contextmanager
def traced(s):
    """A list that holds, after the block, the sync calls of a side meanwhile: (program, call, file, when it ended)."""
    out, found = os.path.join(place.scratch(), "strace.out"), []
    pids = [a for p in s.pids() for a in ("-p", str(p))]
    with subprocess.Popen(["strace", "-f", "-q", "-y", "--decode-pids=comm", "-ttt", "-T", "-e", f"trace={CALLS}", "-o", out, *pids],
                          stderr=subprocess.DEVNULL) as tracer:
        try:
            time.sleep(2)  # attached to all
            yield found
            names = {p: name for p, name in threads(s)}
        finally:
            tracer.send_signal(signal.SIGTERM)
            tracer.wait()
    found += calls(out, names)


def one_by_one(s, n):
    """Calls while n messages go in, each after the last has been stored; and each message's span until its 250."""
    spans = []
    with traced(s) as found:
        for i in range(n):
            begun = time.time()
            with smtplib.SMTP("127.0.0.1", s.port("smtp")) as client:
                client.sendmail("a@load.test", [f"user{i + 1}@example.test"], f"From: a@load.test\nSubject: {i}\n\n{'x' * 4000}\n")
                spans.append((begun, time.time()))
            time.sleep(1.5)
    return found, spans


def threads(s):
    """Each thread of a side, with the name of its program."""
    for pid in s.pids():
        name = program(pid)
        try:
            yield from ((int(t), name) for t in os.listdir(f"/proc/{pid}/task"))
        except OSError:
            pass  # it has just ended


def calls(path, names):
    """The finished calls of a trace, those that another thread interrupted put together again."""
    begun, found = {}, []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            half = re.match(r"^(\d+<.*?>) +([\d.]+) (.*) <unfinished \.\.\.>$", line)
            rest = re.match(r"^(\d+<.*?>) +[\d.]+ <\.\.\. \w+ resumed>(.*)$", line)
            if half:
                begun[half[1]] = half
                continue
            if rest and rest[1] in begun:
                half = begun.pop(rest[1])
                line = f"{half[1]} {half[2]} {half[3]}{rest[2]}"
            m = LINE.match(line.strip())
            if m:
                found.append((names.get(int(m[1]), m[2]), m[4], kind(m[5]), float(m[3]) + float(m[6])))
    return found


def told(found, n):
    """Calls by kind, with how often each came per message."""
    counts = {}
    for who, call, file, _ in found:
        counts[who, call, file] = counts.get((who, call, file), 0) + 1
    return [f"{who}: {call} {file}" + (f" x{round(c / n, 1):g}" if c != n else "")
            for (who, call, file), c in sorted(counts.items(), key=lambda e: -e[1]) if c >= n / 2]


def measure(record, size):
    """What is synced before the 250 and after it, and how often under load, by strace."""
    n, many = 4, size.of(2000)
    with side.Classic() as c, side.Barid() as b:
        for s in (c, b):
            drive.end_to_end(s, 20, drive.USERS, 4096)  # what is made once is there
            found, spans = one_by_one(s, n)
            before = [f for f in found if any(a <= f[3] <= z for a, z in spans)]
            after = [f for f in found if f not in before and f[3] > spans[0][0]]
            with traced(s) as found:
                drive.end_to_end(s, 20, many, 4096)
            record.add("syncs", s.name, {"before": told(before, n), "after": told(after, n),
                                         "one_by_one": round((len(before) + len(after)) / n, 2),
                                         "at_20_connections": round(len(found) / many, 2)})

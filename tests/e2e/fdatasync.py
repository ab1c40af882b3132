# SPDX-License-Identifier: Apache-2.0
"""strace shows that the file which holds a message is synced before its 250 goes out; a disk can be made slow."""
import os
import re
import time

from harness import wire
from harness.server import Server

CALLS = "pwrite64,write,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,fdatasync,fsync,msync"
LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
DESCRIPTOR = re.compile(r"^(\d+)<(.*?)>(?=[,() ]|$)")


class Trace:
    """The calls of an strace -f file in order of their end (writes: of their beginning)."""

    def __init__(self, path):
        self.events = []  # (kind, path or text, text)
        open_calls = {}
        with open(path, encoding="latin-1") as f:
            for line in f:
                m = LINE.match(line)
                if not m:
                    continue
                pid, resumed, call, rest = m.groups()
                if resumed:
                    call, start = open_calls.pop((pid, resumed), (resumed, ""))
                    if call in ("fdatasync", "fsync"):
                        self.add(call, start, rest)
                elif rest.rstrip().endswith("<unfinished ...>"):
                    open_calls[pid, call] = (call, rest)
                    if call not in ("fdatasync", "fsync"):
                        self.add(call, rest, "")
                else:
                    self.add(call, rest, rest)

    def add(self, call, start, end):
        m = DESCRIPTOR.match(start)
        if not m:
            return
        kind = "sync" if call in ("fdatasync", "fsync") else "write"
        if kind == "sync" and not re.search(r"= 0\s*$", end):
            return
        self.events.append((kind, m.group(2), start))


def judge(events, marker, begin):
    """Check one message from event number `begin`; the number behind its 250."""
    def find(test, after, what):
        for i in range(after, len(events)):
            if test(events[i]):
                return i
        raise AssertionError(f"{marker}: {what} is not in the trace")

    def to_client(event, code):
        return event[0] == "write" and event[1].startswith("TCP") and re.search(rf'("|\\r\\n){code}', event[2])

    go = find(lambda e: to_client(e, "354"), begin, "the 354")
    reply = find(lambda e: to_client(e, "250 "), go + 1, "the 250")
    held = {e[1] for e in events[go:reply] if e[0] == "write" and e[1].startswith("/") and marker in e[2]}
    assert held, f"{marker}: no file had the message before the 250"
    for path in sorted(held):
        # The first write: the queue may already touch the page again, to mark the message as delivered.
        first = next(i for i in range(go, reply) if events[i][:2] == ("write", path) and marker in events[i][2])
        if any(e[0] == "sync" and e[1] == path for e in events[first:reply]):
            return reply + 1, path
    raise AssertionError(f"{marker}: 250 before an fdatasync of {', '.join(sorted(held))}")


def case_250_comes_after_fdatasync(t):
    """Small and large messages: written, synced, then acknowledged."""
    strace = t.program("strace")
    out = os.path.join(t.scratch(), "trace")
    server = Server(build=t.build, users=1)
    server.slow = 5
    try:
        server.start(prefix=[strace, "-f", "-yy", "-qq", "-s", "70000", "-e", "trace=" + CALLS, "-o", out])
        smtp = wire.Smtp(server, timeout=60)
        markers = []
        for i in range(12):
            marker = f"marker-{i}-of-this-message"
            filling = b"x" * (10 if i % 3 else 200) + b"\r\n"
            # Every third is over BODY_INLINE_MAX and goes to the blob tree; the marker stands at both ends.
            data = b"Subject: t\r\n\r\n" + marker.encode() + b"\r\n" + filling * (5 if i % 3 else 1000) + marker.encode() + b"\r\n"
            smtp.message("a@example.org", ["user1@example.test"], data)
            markers.append(marker)
        smtp.close()
        server.stop()
    finally:
        server.close()
    events = Trace(out).events
    at, paths = 0, set()
    for marker in markers:
        at, path = judge(events, marker, at)
        paths.add(re.sub(r"[0-9a-f]{6,}|#\d+", "*", os.path.basename(path.split(" (deleted)")[0])))
    t.note("held by " + ", ".join(sorted(paths)))


def case_slow_disk(t):
    """With BARID_SYNC_LATENCY_US nothing durable is answered sooner than such a disk would allow."""
    latency = 0.1
    with t.own_server(users=1, env={"BARID_SYNC_LATENCY_US": str(int(latency * 1_000_000))}) as server:
        imap = wire.Imap(server, "user1@example.test")
        smtp = wire.Smtp(server)
        took = {}
        for what, act in (
                ("message", lambda: smtp.message("a@example.org", ["user1@example.test"], b"Subject: t\r\n\r\n")),
                ("APPEND", lambda: imap.append("INBOX", b"Subject: t\r\n\r\n")),
                ("account", lambda: server.add_user("another"))):
            begun = time.monotonic()
            act()
            took[what] = time.monotonic() - begun
            assert took[what] >= latency, f"{what}: answered after {took[what]:.3f} s"
        smtp.close()
        imap.close()
    t.note(", ".join(f"{what} {seconds:.2f} s" for what, seconds in took.items()))

# SPDX-License-Identifier: Apache-2.0
"""Well-behaved users whose waiting is measured, before and while somebody attacks.

    fleet = Fleet(server)              # five kinds of user begin to work
    quiet = fleet.watch(1.5)           # {kind: Latencies}
    with attack: loud = fleet.watch(2.0)
    verdict = judge(quiet, loud)       # {} when nobody waited more than twice as long

Kinds: `read` (NOOP, STATUS and FETCH in one IMAP session), `idle` (from MAIL FROM until a session in IDLE hears of the
message: SMTP, spool, delivery and notice), `visit` (a new SMTP connection until the reply to EHLO), `login` (a new TLS
connection until AUTH is answered, submission), `open` (the same for IMAP: LOGIN and SELECT).
"""
import base64
import os
import re
import threading
import time

from . import wire
from .server import role_processes

FACTOR = 2.0
# What does not count as waiting: the noise of a machine that runs six tests at a time.
FLOOR_MEDIAN, FLOOR_P99 = 0.005, 0.050


class Latencies(list):
    """Seconds, in order of measuring."""

    def quantile(self, q):
        return sorted(self)[min(len(self) - 1, int(q * len(self)))] if self else 0.0

    @property
    def median(self):
        return self.quantile(0.5)

    @property
    def p99(self):
        return self.quantile(0.99)

    def __str__(self):
        return f"{self.median * 1000:.1f}/{self.p99 * 1000:.0f} ms ({len(self)})"


class User(threading.Thread):
    """One kind of work, again and again with a pause; what it took."""

    def __init__(self, kind, once, pause):
        super().__init__(daemon=True)
        self.kind, self.once, self.pause = kind, once, pause
        self.samples, self.error, self.ending = [], None, threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                begun = time.monotonic()
                self.once()
                self.samples.append((begun, time.monotonic()))
                self.ending.wait(self.pause)
        except Exception as e:  # pylint: disable=broad-except
            self.error = e


class Fleet:
    """Users 1 to 3 of a server, from addresses of their own."""

    def __init__(self, server):
        self.server = server
        self.turn = 0
        self.reader = self.session("user1", "127.0.0.91")
        self.reader.append("INBOX", b"Subject: for the reader\r\n\r\nHello.\r\n")
        self.reader.select("INBOX")
        self.idler = self.session("user2", "127.0.0.92")
        self.idler.select("INBOX")
        self.idler.wire.send(b"i IDLE\r\n")
        wire.imap_line(self.idler.wire)
        self.sender, self.sent = None, 0
        works = {"read": (self.read, 0.004), "idle": (self.send, 0.01), "visit": (self.visit, 0.01), "login": (self.login, 0.01),
                 "open": (self.open, 0.01)}
        self.users = [User(kind, once, pause) for kind, (once, pause) in works.items()]
        for user in self.users:
            user.start()

    def session(self, user, source):
        return wire.Imap(self.server, f"{user}@example.test", source=source)

    def read(self):
        self.turn += 1
        self.reader.command((b"NOOP", b"FETCH 1 (UID FLAGS ENVELOPE BODY.PEEK[])", b"STATUS INBOX (MESSAGES UNSEEN)")[self.turn % 3])

    def send(self):
        if not self.sender or self.sent % 20 == 0:
            if self.sender:
                self.sender.close()
            self.sender = wire.Smtp(self.server, source="127.0.0.93")
        self.sent += 1
        self.sender.message("a@client.example.net", ["user2@example.test"], b"Subject: news\r\n\r\nHello.\r\n")
        while b"EXISTS" not in wire.imap_line(self.idler.wire):
            pass

    def visit(self):
        wire.Smtp(self.server, source="127.0.0.94").close()

    def login(self):
        w = wire.Wire(self.server.host, self.server.ports["submissions"], tls=True, source="127.0.0.95", timeout=30.0)
        for line in (None, b"EHLO c.example.net\r\n", b"AUTH PLAIN " + base64.b64encode(b"\0user3@example.test\0secret") + b"\r\n"):
            if line:
                w.send(line)
            reply = w.line()
            while reply[3:4] == b"-":
                reply = w.line()
            if not reply.startswith(b"2"):
                raise wire.Refused(reply)
        w.close()

    def open(self):
        imap = self.session("user3", "127.0.0.96")
        imap.select("INBOX")
        imap.close()

    def watch(self, seconds):
        """What the users wait for during so long; what had begun before does not count."""
        begun = time.monotonic()
        time.sleep(seconds)
        end = time.monotonic()
        found = {}
        for user in self.users:
            took = Latencies(e - b for b, e in list(user.samples) if begun <= b)
            if not took or (user.samples[-1][1] < end - 1.0 and user.error is None):
                took.append(end - max(begun, user.samples[-1][1] if user.samples else begun))  # it still waits
            found[user.kind] = took
        self.check()
        return found

    def slowest(self):
        """What took longest so far: seconds, and the kind."""
        return max((end - begun, user.kind) for user in self.users for begun, end in list(user.samples))

    def check(self):
        for user in self.users:
            if user.error is not None:
                raise AssertionError(f"the user who does '{user.kind}' failed: {user.error!r}")

    def end(self):
        for user in self.users:
            user.ending.set()
        for user in self.users:
            user.join(30)
        self.reader.close()
        self.idler.close()
        if self.sender:
            self.sender.close()
        self.check()


def pooled(windows):
    """Several windows as one."""
    found = {}
    for window in windows:
        for kind, took in window.items():
            found.setdefault(kind, Latencies()).extend(took)
    return found


def judge(quiet, loud):
    """{who and what: complaint} about users who waited more than FACTOR times as long."""
    found = {}
    for kind, took in loud.items():
        for name, floor in (("median", FLOOR_MEDIAN), ("p99", FLOOR_P99)):
            before, now = getattr(quiet[kind], name), getattr(took, name)
            if name == "p99" and before > floor:
                continue  # the machine stops by itself for longer than what is looked for
            if now > FACTOR * max(before, floor / FACTOR):
                found[kind, name] = (f"{kind}: {name} {now * 1000:.1f} ms, {before * 1000:.1f} ms before ({len(took)} samples)")
    return found


def counters(server):
    """{name: value}, all processes together."""
    found = {}
    for name, value in re.findall(r"([a-z][\w-]*\.[\w.:-]+)\s+(\d+)$", server.cli("counters"), re.M):
        found[name] = found.get(name, 0) + int(value)
    return found


def memory(server):
    """{role: MiB of proportional set size}, all processes of a role together."""
    found = {"master": pss(server.master_pid())}
    for pid, role in role_processes(server.proc.pid):
        found[role] = found.get(role, 0.0) + pss(pid)
    return found


def pss(pid):
    """MiB, pages that are shared counted in part."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def may_see_memory():
    return os.geteuid() == 0

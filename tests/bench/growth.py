#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""growth.py - what a command and a message cost in a large mailbox and among many accounts, as a Markdown table.

The same commands on a mailbox of SMALL messages and on one of LARGE; the same mail and sessions for FEW accounts and
for MANY, hit at random after a restart. Both sides take turns, ROUNDS times, and the medians are compared: of the
processor time of all processes of the server, and of the time that a client waits. Only the ratios say something.
"""
import argparse
import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import load, wire  # noqa: E402
from harness.server import DOMAIN, Server, role_processes  # noqa: E402

BODY = b"From: a@example.org\r\nTo: b@example.test\r\nSubject: growth\r\n\r\n" + b"The quick brown fox.\r\n" * 180
TICK = 1000.0 / os.sysconf("SC_CLK_TCK")


def cpu_ms(server):
    """Processor time of all roles so far, ended threads included."""
    total = 0
    for pid, _ in role_processes(server.proc.pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK


class Cost:
    """Per call of fn: processor time of the server and time of the client, in ms."""

    def __init__(self, server, fn, times):
        took = []
        before = cpu_ms(server)
        for i in range(times):
            begun = time.perf_counter()
            fn(i)
            took.append((time.perf_counter() - begun) * 1000)
        self.cpu = (cpu_ms(server) - before) / times
        self.wall = statistics.median(took)


class Mailbox:
    """Commands on the INBOX of one user, who is logged in twice: one session has it selected."""

    def __init__(self, server, user, messages):
        self.server, self.user, self.messages = server, f"{user}@{DOMAIN}", messages
        self.random = random.Random(1)
        self.imap = wire.Imap(server, self.user)
        self.imap.select("INBOX")
        self.imap.fetch("1", "(FLAGS)")
        self.other = wire.Imap(server, self.user)
        self.smtp = wire.Smtp(server)

    def uid(self):
        return b"%d" % self.random.randint(1, self.messages)

    def select(self, _):
        self.other.select("INBOX")

    def status(self, _):
        self.other.command(b"STATUS INBOX (MESSAGES UIDNEXT UNSEEN RECENT SIZE)")

    def fetch(self, _):
        self.imap.command(b"UID FETCH %s (FLAGS ENVELOPE BODY.PEEK[])" % self.uid())

    def store(self, i):
        self.imap.command(b"UID STORE %s %sFLAGS (\\Flagged)" % (self.uid(), b"-" if i % 2 else b"+"))

    def search(self, _):
        self.imap.command(b"UID SEARCH UID %s" % self.uid())

    def append(self, _):
        self.other.append("INBOX", BODY)

    def deliver(self, _):
        self.smtp.message("load@example.org", [self.user], BODY)

    def session(self, _):
        """A program that looks for new mail: it reads the last message and goes."""
        imap = wire.Imap(self.server, self.user)
        exists, _ = imap.select("INBOX")
        imap.command(b"FETCH %d (UID FLAGS BODY.PEEK[])" % exists)
        imap.close()

    def session_alone(self, i):
        """Nobody else has the mailbox open: what is known of it is read anew."""
        self.imap.close()
        self.other.close()
        self.session(i)


COMMANDS = [("SELECT", "select", 6000), ("STATUS", "status", 6000), ("UID FETCH of one", "fetch", 6000),
            ("UID STORE of one", "store", 3000), ("UID SEARCH of one", "search", 6000), ("APPEND, 4 KB", "append", 600),
            ("delivery, 4 KB", "deliver", 600), ("session beside others: LOGIN, SELECT, FETCH", "session", 200),
            ("session alone: LOGIN, SELECT, FETCH", "session_alone", 100)]


def row(name, small, large):
    """A line of the table from the costs of all rounds."""
    def ratio(what):
        a = statistics.median(getattr(c, what) for c in small)
        b = statistics.median(getattr(c, what) for c in large)
        return a, b, b / a if a else float("nan")
    a, b, cpu = ratio("cpu")
    c, d, wall = ratio("wall")
    print(f"| {name} | {a:.3f} | {b:.3f} | {cpu:.2f} | {c:.3f} | {d:.3f} | {wall:.2f} |", flush=True)


def head(what, small, large):
    print(f"\n| {what} | CPU ms at {small:,} | at {large:,} | ratio | wait ms at {small:,} | at {large:,} | ratio |\n"
          "|---|---|---|---|---|---|---|")


def mailboxes(o, build):
    with Server(build=build) as server:
        load.add_users(server, 1, 2)
        load.fill(server, 1, o.small, size=4096)
        load.fill(server, 1, o.large, size=4096, first=2)
        server.restart()
        boxes = [Mailbox(server, "user1", o.small), Mailbox(server, "user2", o.large)]
        head("one mailbox, messages", o.small, o.large)
        for name, method, times in COMMANDS:
            costs = [[], []]
            for i in range(o.rounds):
                for side in (0, 1) if i % 2 else (1, 0):
                    costs[side].append(Cost(server, getattr(boxes[side], method), times))
            row(name, *costs)


def accounts(o, build):
    """Each round after a restart: nothing of the accounts is in memory."""
    sent, read = ([], []), ([], [])
    with Server(build=build) as server:
        load.add_users(server, 1, o.many)
        load.fill(server, o.many, 10, size=4096)
        for i in range(o.rounds):
            for side in (0, 1) if i % 2 else (1, 0):
                server.restart()
                pick = random.Random(i)
                of = o.many if side else o.few
                smtp = wire.Smtp(server)

                def deliver(_):
                    smtp.message("load@example.org", [f"user{pick.randint(1, of)}@{DOMAIN}"], BODY)

                def session(_):
                    imap = wire.Imap(server, f"user{pick.randint(1, of)}@{DOMAIN}")
                    exists, _ = imap.select("INBOX")
                    imap.command(b"FETCH %d (UID FLAGS BODY.PEEK[])" % exists)
                    imap.close()

                sent[side].append(Cost(server, deliver, 1500))
                read[side].append(Cost(server, session, 500))
        head("accounts hit at random", o.few, o.many)
        row("delivery, 4 KB", *sent)
        row("session: LOGIN, SELECT, FETCH of the last", *read)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--small", type=int, default=10)
    p.add_argument("--large", type=int, default=100000)
    p.add_argument("--few", type=int, default=100)
    p.add_argument("--many", type=int, default=10000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--build", default="build")
    p.add_argument("--part", choices=["mailboxes", "accounts"])
    o = p.parse_args()
    if o.part != "accounts":
        mailboxes(o, o.build)
    if o.part != "mailboxes":
        accounts(o, o.build)


main()

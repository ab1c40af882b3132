# SPDX-License-Identifier: Apache-2.0
"""While somebody attacks, others wait at most twice as long, memory has a bound and comes back, and every offence is counted
and logged at a bounded rate. BARID_HOSTILE_SECONDS=N: each attack is watched for N seconds instead of less than one, and
there are more of them.

Attackers run at nice 19 (tests/harness/attackers.py says why) and as fast as they can. What others wait for is measured
right before, during and right after each attack (tests/harness/fleet.py); what the machine's own noise spoilt is measured
again, longer, up to three times: what is really slow is slow each time.
"""
import os
import re
import time

from harness import fleet, wire
from harness.attackers import Attack
from harness.case import alone

SECONDS = float(os.environ.get("BARID_HOSTILE_SECONDS", "0.8"))
LONG = SECONDS >= 2
TRIES = 4
ATTACKER = re.compile(r"127\.0\.6\d\.\d+")


class Scene:
    """A server, the fleet, and what was before."""

    def __init__(self, t):
        self.t = t
        self.server = t.server(users=10)
        self.before = {(e["role"], e["index"]): e["pid"] for e in self.server.roles()}
        self.fleet = fleet.Fleet(self.server)
        time.sleep(0.2)

    def end(self):
        self.fleet.end()
        after = {(e["role"], e["index"]): e["pid"] for e in self.server.roles()}
        assert self.before == after, "a role was restarted"

    def suffers(self, name, attack, memory=24, counted=(), lines=400):
        """Run one attack and judge it. `memory`: MiB that all roles together may grow; `counted`: counters that must rise."""
        had, size, log = fleet.counters(self.server), self.memory(), len(self.server.log_text())
        complaints = None
        for turn in range(1, TRIES + 1):
            quiet = self.fleet.watch(0.5 * turn)
            with Attack(self.server, *attack[0], **attack[1]) as a:
                time.sleep(0.2)
                loud = self.fleet.watch(SECONDS * turn)
                peak = self.memory()
            quiet = fleet.pooled([quiet, self.fleet.watch(0.2 * turn)])
            found = fleet.judge(quiet, loud)
            complaints = {k: v for k, v in found.items() if complaints is None or k in complaints}
            if not complaints:
                break
        self.note(name, quiet, loud, a.told, peak - size)
        assert not complaints, f"{name}: " + "; ".join(complaints.values())
        assert peak - size < memory, f"{name}: memory grew by {peak - size:.1f} MiB, {memory} allowed"
        now = fleet.counters(self.server)
        for counter in counted:
            assert now.get(counter, 0) > had.get(counter, 0), f"{name}: {counter} was not counted"
        written = sum(bool(ATTACKER.search(x)) for x in self.server.log_text()[log:].splitlines())
        assert written < lines * turn, f"{name}: {written} lines in the log about the attackers"

    def memory(self):
        return sum(fleet.memory(self.server).values()) if fleet.may_see_memory() else 0.0

    def note(self, name, quiet, loud, told, grown):
        worst = max(loud, key=lambda kind: loud[kind].median / max(quiet[kind].median, 1e-4))
        done = ", ".join(f"{v} {k}" for k, v in told.items() if k in ("connections", "handshakes", "updates", "guesses", "commands",
                                                                     "messages", "held", "bytes"))
        self.t.note(f"{name}: {done}; worst {worst} {quiet[worst]} -> {loud[worst]}; {grown:+.1f} MiB")


def under(t, attacks):
    scene = Scene(t)
    try:
        for name, attack in attacks.items():
            if attack[2].pop("long", False) and not LONG:
                continue
            scene.suffers(name, (attack[0], attack[1]), **attack[2])
    finally:
        scene.end()


@alone
def case_floods_of_connections(t):
    """Connect and reset, from one address and from a thousand, with and without a word; connect and stay."""
    under(t, {
        "reset": (("connect_and_reset", "smtp"), {"data": "EHLO x\r\nMAIL FROM:<a@b.example>\r\n", "rate": 5000}, {"counted": ["edge.vanished"]}),
        "reset, many": (("connect_and_reset", "imaps"), {"addresses": 1000}, {"lines": 4000}),
        "stay, many": (("connect_and_hold", "smtp"), {"addresses": 100, "number": 2000, "data": "EHLO x\r\nNOO"},
                       {"lines": 8000, "memory": 48}),
    })


@alone
def case_floods_of_handshakes(t):
    """First messages without a second, whole handshakes, TLS 1.3 key updates without end."""
    under(t, {
        "hello": (("hello_and_reset", "imaps"), {"addresses": 200}, {"lines": 4000}),
        "handshakes": (("handshakes", "submissions"), {}, {"long": True}),
        "key updates": (("key_updates", "imaps"), {}, {"counted": ["offence.tls_flood"]}),
    })


@alone
def case_guesses(t):
    """Wrong passwords from one address and from a thousand: logins of others wait for none of them."""
    under(t, {
        "guesses": (("guesses",), {}, {"long": True, "memory": 120, "counted": ["dir.logins-refused"], "lines": 2000}),
        "guesses, many": (("guesses",), {"addresses": 1000, "connections": 100}, {"memory": 120, "lines": 6000}),
    })


@alone
def case_talk_without_end(t):
    """A hundred thousand commands at once, before and after a login, read or not; lines and literals without end."""
    under(t, {
        "NOOP, SMTP": (("pour", "smtp", "NOOP\r\n"), {"times": 100_000}, {"long": True, "counted": ["offence.idle_talk"]}),
        "NOOP, IMAP": (("pour", "imaps", "a NOOP\r\n"), {"times": 100_000, "tls": True, "login": "user4@example.test"}, {}),
        "unread": (("pour", "imaps", "a NOOP\r\n"), {"times": 100_000, "tls": True, "login": "user4@example.test", "read": False},
                   {"long": True}),
        "a line": (("pour", "smtp", "A" * 1000), {"times": 10_000}, {"counted": ["offence.endless_line"]}),
        "a literal": (("pour", "imap", "a LOGIN {99999999+}\r\n" + "B" * 1000), {"times": 1000},
                      {"long": True, "counted": ["offence.too_big"]}),
    })


def fill(server, user, number):
    """A mailbox of many messages."""
    imap = wire.Imap(server, user)
    text = b"From: a@example.net\r\nSubject: number %d\r\nMessage-ID: <%d@example.net>\r\nReferences: <%d@example.net>\r\n\r\n"
    for begin in range(0, number, 50):
        whole = b"x APPEND INBOX"
        for i in range(begin, begin + 50):
            data = text % (i, i, i // 2) + b"word " * 400 + b"\r\n"
            whole += b" {%d+}\r\n" % len(data) + data
        imap.wire.send(whole + b"\r\n")
        imap.finish(b"x")
    imap.close()


@alone
def case_dear_commands(t):
    """One user asks in eight sessions for all that is dear, over a mailbox of a thousand; another one LISTs with bombs."""
    fill(t.server(users=10), "user5@example.test", 1000)
    bombs = [f'LIST "" "{"%*" * 100}x"', f"FETCH {','.join(f'{i}:{i + 1}' for i in range(1, 1000, 2))} (UID)",
             "SEARCH " + "NOT " * 30 + "ALL", "SEARCH OR OR OR TEXT a TEXT b TEXT c TEXT d"]
    under(t, {
        "SEARCH": (("commands", "user5@example.test", ["SEARCH TEXT nowhere", "SEARCH BODY never"]), {"connections": 8}, {"memory": 64}),
        "FETCH": (("commands", "user5@example.test", ["FETCH 1:* (BODY.PEEK[] ENVELOPE BODYSTRUCTURE)"]), {"connections": 8},
                  {"long": True, "memory": 96}),
        "bombs": (("commands", "user5@example.test", bombs), {"connections": 8}, {"memory": 64}),
    })


@alone
def case_storm_of_deliveries(t):
    """A mailbox that changes all the time, while twenty sessions of its user idle there."""
    server = t.server(users=10)
    idle = []
    for _ in range(20):
        imap = wire.Imap(server, "user6@example.test", source="127.0.60.2")
        imap.select("INBOX")
        imap.wire.send(b"i IDLE\r\n")
        idle.append(imap)
    under(t, {"storm": (("deliveries", "user6@example.test"), {"connections": 2}, {"memory": 48, "lines": 10 ** 9})})
    for imap in idle:
        imap.close()


@alone
def case_memory_comes_back(t):
    """After all of that, little more is in use than before; what was left out of the log is told."""
    server = t.server(users=10)
    server.advance_clock(11)
    t.until(lambda: "event=log.suppressed of=session.begin" in server.log_text(), what="log.suppressed")
    if fleet.may_see_memory():
        sizes = fleet.memory(server)
        t.note(" ".join(f"{k} {v:.1f}" for k, v in sorted(sizes.items())) + " MiB")
        assert sum(sizes.values()) < 120, sizes

# SPDX-License-Identifier: Apache-2.0
"""A server that is made to suffer, and the people who use it meanwhile.

    with Mayhem(t.build, users=4) as m:
        m.die_at("queue", "spool.before-commit", lambda: m.mail("user1"))
        m.judge()

`m.mail`, `m.writer` and so on do what clients do and note in the ledger what they heard; what they do not survive is
theirs to lose. `serving()` measures how long the server is away.
"""
import itertools
import os
import re
import signal
import time

from . import wire
from .ledger import GONE, Judge, Ledger, Writer, letter, send
from .server import ROOT, Server, alive

ROLES = ("edge", "mta", "scan", "queue", "user", "dir", "admin", "dns", "relay")
CLIENT_ROLES = ("edge", "master")  # clients' connections end with these
PROMISE_S = 1.0                    # so soon it serves again, master included
PATIENCE = 5                       # so many times longer a busy machine may take


def crash_points():
    """{name: file} of every crash point in the sources."""
    found = {}
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            if not name.endswith(".c") or name.endswith(("_test.c", "_fuzz.c")):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                for point in re.findall(r'^\s*CRASH_POINT\("([^"]+)"\)', f.read(), re.M):
                    found[point] = os.path.relpath(path, ROOT)
    return found


class Mayhem:
    def __init__(self, build, users=5, server=None, **options):
        self.server = server or Server(build=build, users=users, **options)
        self.server.judge_restarts = False  # crash points stay armed in processes that do not reach them
        self.ledger = Ledger(self.server)
        self.numbers = itertools.count(1)
        self.what = "start"                  # part of every letter's key: whose case it was
        self.writer = None
        self.idler = None
        self.idle_user = f"user{users}"
        self.away = {}                       # role -> longest time until it served again
        self.users = users
        self.bent = False

    def __enter__(self):
        self.server.__enter__()
        try:
            self.writer = Writer(self.ledger, "user1", "w", timeout=10.0 * self.server.slow)
            for name in ("w", "w-done"):
                self.writer.create(name)
            self.idle()
        except BaseException:
            self.server.close(keep=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        if self.idler:
            self.idler.close()
        self.writer.close()
        return self.server.__exit__(kind, value, trace)

    # --- what clients do --------------------------------------------------------------------------

    def letter(self, size=300):
        return letter(f"{self.what}.{next(self.numbers)}", size)

    def mail(self, *users, size=300, options=b"", rcpt_options=b"", timeout=10.0):
        """A transaction; True when it was acknowledged."""
        try:
            smtp = wire.Smtp(self.server, timeout=timeout * self.server.slow)
        except GONE:
            return False
        try:
            send(self.ledger, smtp, list(users), self.letter(size), options, rcpt_options)
            return True
        except GONE:
            return False
        finally:
            smtp.close()

    def mail_again(self, *users, size=300, tries=40):
        """As a mail server does: until it is taken. Each try is a letter of its own."""
        for _ in range(tries):
            if self.mail(*users, size=size):
                return
            time.sleep(0.1)
        raise AssertionError(f"no mail is taken after {self.what}\n{self.server.log_tail()}")

    def append(self, size=300, more=0):
        """APPEND to the writer's mailbox; the keys that are there for sure, the youngest last."""
        self.writer.append("w", self.letter(size), {"\\Seen"}, [self.letter(size) for _ in range(more)])
        return self.mine()

    def mine(self):
        return sorted(self.writer.messages("w"), key=lambda key: int(key.rpartition(".")[2]))

    def idle(self):
        """A client that does nothing but wait."""
        if self.idler:
            self.idler.close()
        self.idler = self.ledger.imap(self.idle_user, 10.0 * self.server.slow)
        self.idler.select("INBOX")
        self.idler.wire.send(b"i IDLE\r\n")
        while not wire.imap_line(self.idler.wire).startswith(b"+"):
            pass

    def idler_noticed(self):
        """What the idling client saw that it should not have seen; None is good."""
        try:
            while True:
                line = wire.imap_line(self.idler.wire, 0.01)
                if line.startswith(b"* BYE") or not line.startswith(b"* "):
                    return line
        except wire.Timeout:
            return None
        except wire.Closed as e:
            return str(e)

    def advance(self, seconds):
        """The clock jumps so far that clients who wait are sent away."""
        self.bent = True
        self.server.advance_clock(seconds)

    def until(self, condition, what, timeout=15.0):
        deadline = time.monotonic() + timeout * self.server.slow
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen\n{self.server.log_tail()}")
            time.sleep(0.02)

    # --- death ------------------------------------------------------------------------------------

    def pids(self, role):
        return {e["pid"] for e in self.server.roles() if e["role"] == role and e["state"] != "spare"}

    def died(self, role, pids, timeout=10.0):
        """Wait until one of them has died."""
        deadline = time.monotonic() + timeout * self.server.slow
        while time.monotonic() < deadline:
            if any(not alive(pid) for pid in pids):
                return time.monotonic()
            time.sleep(0.002)
        raise AssertionError(f"{role} did not come to the point of {self.what}\n{self.server.log_tail()}")

    def master_died(self, roles):
        """Master is dead: nothing of the server lives on, and it is started again."""
        died = time.monotonic()
        self.server.proc.wait(10)
        self.server.await_gone(roles)
        self.gone_s = time.monotonic() - died
        self.server.start()
        return died

    def die_at(self, role, point, scenario, nth=1):
        """Arm the point, do what leads to it, and see to it that everything goes on afterwards."""
        self.what = f"{role}@{point}"
        roles = self.server.role_pids()
        pids = {self.server.proc.pid} if role == "master" else self.pids(role)
        self.server.cli("debug", "crash-point", role, point, str(nth))
        try:
            scenario()
        except GONE:
            pass
        died = self.died(role, pids)
        if role == "master":
            died = self.master_died(roles)
        else:
            self.server.cli("debug", "crash-point", role, "none")
        self.after_death(role, died)

    def kill(self, role):
        """SIGKILL at any moment."""
        self.what = f"{role}@kill"
        if role == "master":
            roles = self.server.role_pids()
            self.server.proc.kill()
            self.after_death(role, self.master_died(roles))
            return
        died = time.monotonic()
        for pid in self.pids(role):
            os.kill(pid, signal.SIGKILL)
        self.after_death(role, died)

    def after_death(self, role, died):
        self.serving(role, died)
        if role not in CLIENT_ROLES and not self.bent:
            noticed = self.idler_noticed()
            if noticed is not None:
                self.ledger.problem(f"{self.what}: the idling client saw {noticed!r}")
                self.idle()
        else:
            self.bent = False
            self.writer.close()
            self.idle()
        self.settle()

    def settle(self, tries=20):
        """The writer looks at its mailboxes, as soon as it can."""
        for left in range(tries, 0, -1):
            try:
                self.writer.settle()
                return
            except GONE:
                self.writer.close()
                if left == 1:
                    raise
                time.sleep(0.1)

    def serving(self, role, died, timeout=20.0):
        """Until a recipient is taken by SMTP and a mailbox opens by IMAP; notes how long that was since the death."""
        deadline = time.monotonic() + timeout * self.server.slow
        while not self.answers():
            if time.monotonic() > deadline:
                raise AssertionError(f"after {self.what} the server does not answer\n{self.server.log_tail()}")
            time.sleep(0.01)
        took = time.monotonic() - died
        self.away[role] = max(took, self.away.get(role, 0.0))

    def answers(self):
        try:
            smtp = wire.Smtp(self.server, timeout=5.0)
            try:
                smtp.command(b"MAIL FROM:<probe@example.org>", b"250")
                smtp.command(b"RCPT TO:<user1@example.test>", b"250")
            finally:
                smtp.close()
            imap = self.ledger.imap("user1", 5.0)
            imap.select("INBOX")
            imap.close()
            return True
        except GONE:
            return False

    def judge(self):
        """Everything, to the disk; the server is stopped."""
        noticed = self.idler_noticed()
        if noticed is not None:
            self.ledger.problem(f"the idling client saw {noticed!r}")
        Judge(self.ledger).final()

    def check_absence(self):
        late = {role: round(s, 2) for role, s in self.away.items() if s > PROMISE_S * PATIENCE * self.server.slow}
        assert not late, f"away for longer than {PROMISE_S * PATIENCE} s: {late}"

    def figures(self):
        longest = ", ".join(f"{role} {s:.2f}" for role, s in sorted(self.away.items()))
        return f"{self.ledger.acknowledged} acknowledged, {sum(w.changes for w in self.ledger.writers)} changes" \
               + (f"; longest absence in s: {longest}" if longest else "")

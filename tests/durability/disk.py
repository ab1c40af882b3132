# SPDX-License-Identifier: Apache-2.0
"""Disks that are full or broken.

The n-th call of the file system fails in one role of a whole server (src/sys/fs_order.h), for n = 1, 2, ... until the work
is done before it comes to that. The client hears OK or "not now"; what was acknowledged is there; nobody dies of it; and
with the next call the role works again. BARID_DISK=full tries every n; else every few, from BARID_DISK_SEED on.

Then a file system of a few megabytes, filled by somebody else and freed again, under load.
"""
import itertools
import json
import os
import random
import re
import subprocess
import time

from harness import wire
from harness.case import Skip
from harness.ledger import GONE, send
from harness.mayhem import Mayhem
from harness.nextserver import NextServer
from harness.server import Server
from harness.storm import Storm
from harness.verdict import Evidence

LARGE = 150_000
FULL = os.environ.get("BARID_DISK") == "full"
STRIDE = {"queue": 5, "user": 11, "dir": 4, "edge": 1}


class Disk(Mayhem):
    """Work, and the answers that clients may hear meanwhile."""

    def __init__(self, build):
        super().__init__(build, users=4)
        self.server.judge_restarts = True  # nobody may die of it
        self.strange = []
        self.orders = []

    def faults(self):
        return sum(int(n) for n in re.findall(r"^fs\.faults\s+(\d+)", self.server.cli("counters"), re.M))

    def smtp(self, *users, size=300):
        """A transaction; the answers are 250 or 4xx, and there is one."""
        smtp = wire.Smtp(self.server, timeout=20.0 * self.server.slow)
        try:
            send(self.ledger, smtp, list(users), self.letter(size))
        except wire.Refused as e:
            if not re.match(rb"4\d\d", e.args[0]):
                self.strange.append(f"{self.what}: SMTP {e.args[0]!r}")
        except GONE as e:
            self.strange.append(f"{self.what}: SMTP {type(e).__name__} {e}")
        finally:
            smtp.close()

    def imap_answer(self):
        """After a change by the writer: was it an answer at all?"""
        if self.writer.connection is None:
            self.strange.append(f"{self.what}: the IMAP connection ended")

    def work(self, role):
        {"queue": self.work_queue, "user": self.work_user, "dir": self.work_dir, "edge": self.work_edge}[role]()

    def work_queue(self):
        self.smtp("user1")
        self.smtp("user2", "user3", size=LARGE)

    def work_edge(self):
        self.smtp("user1", size=LARGE)
        self.append(size=LARGE)
        self.imap_answer()

    def work_user(self):
        w = self.writer
        self.smtp("user1", "user2")
        self.append()
        keys = self.append(size=LARGE)[-2:]
        self.imap_answer()
        if keys:
            w.store("w", keys, {"\\Flagged"})
            w.move("w", keys, "w-done")
            self.imap_answer()
        done = sorted(w.messages("w-done"))
        if done and w.store("w-done", done, {"\\Deleted"}):
            w.expunge("w-done", done)
        name = f"w-{next(self.numbers)}"
        if w.create(name):
            w.delete(name)
        self.imap_answer()

    def work_dir(self):
        name = f"new{next(self.numbers)}"
        code, _ = self.server.cli("user", "add", f"{name}@example.test", "--password", "fresh", check=False)
        self.orders.append((name, code == 0))
        self.smtp("user1")
        try:
            self.ledger.imap("user2", 10.0).close()
        except wire.Refused as e:
            if b" NO " not in e.args[0]:
                self.strange.append(f"{self.what}: LOGIN {e.args[0]!r}")
        except GONE as e:
            self.strange.append(f"{self.what}: LOGIN {type(e).__name__} {e}")

    def recovered(self, role):
        """The next ones are taken at once, whatever happened before."""
        self.what += "+"
        self.server.cli("debug", "disk", role, "off")
        deadline = time.monotonic() + 10.0 * self.server.slow
        while not self.mail("user1", size=LARGE if role in ("queue", "edge") else 300):
            if time.monotonic() > deadline:
                raise AssertionError(f"no mail is taken after {self.what}\n{self.server.log_tail()}")
            time.sleep(0.05)
        self.settle()
        if not self.writer.append("w", self.letter()):
            raise AssertionError(f"no APPEND after {self.what}\n{self.server.log_tail()}")
        if len(self.mine()) > 40:
            keys = self.mine()
            self.writer.store("w", keys, {"\\Deleted"})
            self.writer.expunge("w", keys)


def play(t, role, orders):
    """Each order (with its n left out) for each n."""
    calls = {}
    with Disk(t.build) as m:
        seed = int(os.environ.get("BARID_DISK_SEED", "0")) or random.randrange(1, 10**6)
        rng = random.Random(seed)
        for order in orders:
            n = 1 if FULL else rng.randrange(1, STRIDE[role] + 1)
            while True:
                m.what = f"{role}:{order.replace(' ', '-')}:{n}"
                before = m.faults()
                m.settle()
                m.server.cli("debug", "disk", role, order.format(n=n))
                m.work(role)
                fired = m.faults() > before
                m.recovered(role)
                assert not m.strange, "\n".join(m.strange)
                m.ledger.acquit(m.what)
                if not fired:
                    break
                calls[order] = n
                n += 1 if FULL else STRIDE[role]
        judge_orders(m)
        m.judge()
        t.note(f"{sum(calls.values()) if FULL else len(calls)} orders, up to call {max(calls.values(), default=0)}, seed {seed}; "
               f"{m.figures()}")


def judge_orders(m):
    listed = m.server.cli("user", "list", "example.test")
    for name, sure in m.orders:
        there = f"{name}@example.test" in listed
        if sure and not there:
            m.ledger.problem(f"user add {name} was answered, and there is no such user")
        if there:
            m.ledger.passwords[name] = "fresh"
            m.ledger.imap(name).close()


ORDERS = ("change {n} enospc", "change {n} short", "any {n} eio", "change {n} onwards enospc", "change {n} onwards eio")


def case_queue(t):
    """Each write, sync, link and unlink of the spool fails, once or from then on."""
    play(t, "queue", ORDERS)


def case_user(t):
    """The same for the store, under deliveries and changes of mailboxes."""
    play(t, "user", ORDERS)


def case_dir(t):
    """The same for the directory: logins, look-ups and orders."""
    play(t, "dir", ORDERS)


def case_edge(t):
    """The same for bodies that edge writes."""
    play(t, "edge", ORDERS)


# --- mail for elsewhere ------------------------------------------------------------------------------------------------


class Away:
    """Mail for another server: what was acknowledged has to get there, once."""

    def __init__(self, server, other, retry="1 s"):
        self.server, self.other = server, other
        self.numbers = itertools.count(1)
        self.taken, self.refused = [], []
        server.env["BARID_DEMO_CONF"] = ("[smtp]\nrelay_from = 127.0.0.0/8\n[queue]\n"
                                         f"retry_min = {retry}\nretry_max = {retry}\n"
                                         f"[relay]\nrelay_host = {other.nexthop}\n")

    def send(self, size):
        """Whether it was taken; what is refused is refused for now."""
        name = f"r{next(self.numbers)}@far.example"
        smtp = wire.Smtp(self.server, timeout=20.0 * self.server.slow)
        try:
            smtp.message("user1@example.test", [name], b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72))
            self.taken.append(name)
            return True
        except wire.Refused as e:
            assert re.match(rb"4\d\d", e.args[0]), e
            self.refused.append(e.args[0])
        except GONE:
            pass  # without an answer
        finally:
            smtp.close()
        return False

    def arrived(self):
        return [m.rcpts[0].strip("<>") for m in self.other.mails]

    def judge(self, t):
        t.until(lambda: set(self.taken) <= set(self.arrived()), what="every message that was taken", timeout=60)
        t.until(lambda: not json.loads(self.server.cli("queue", "list", "--json")).get("rows"), what="an empty queue", timeout=30)
        many = {name for name in self.taken if self.arrived().count(name) > 1}
        assert not many, f"more than one copy of {sorted(many)}"


def case_queue_of_other_servers(t):
    """Each change of the spool fails under mail for elsewhere: it is taken and gets there once, or refused for now."""
    with NextServer() as other:
        server = t.own_server(users=1)
        away = Away(server, other)
        rng = random.Random(int(os.environ.get("BARID_DISK_SEED", "0")) or None)
        with server:
            for order in ORDERS:
                n = 1 if FULL else rng.randrange(1, STRIDE["queue"] + 1)
                for _ in range(1000):
                    server.cli("debug", "disk", "queue", order.format(n=n))
                    away.send(300)
                    away.send(LARGE)
                    fired = int(re.search(r"^fs\.faults\s+(\d+)", server.cli("counters"), re.M).group(1))
                    server.cli("debug", "disk", "queue", "off")
                    t.until(lambda: away.send(300), what="mail taken again")
                    if not FULL and n > 60 or fired == getattr(away, "fired", -1):
                        break
                    away.fired = fired
                    n += 1 if FULL else 2 * STRIDE["queue"]
            away.judge(t)
            t.note(f"{len(away.taken)} taken, {len(away.refused)} refused")


# --- a file system that is full ----------------------------------------------------------------------------------------


class Small:
    """A server whose state is on a file system of its own, of so many megabytes."""

    def __init__(self, t, megabytes):
        if os.geteuid() != 0:
            raise Skip("only root may mount a small file system")
        self.server = Server(build=t.build, users=4)
        self.folder = self.server.dir
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", self.folder],
                              capture_output=True, check=False)
        if done.returncode:
            self.server.close()
            raise Skip("no file system can be mounted here")
        self.filler = os.path.join(self.folder, "filler")

    def __enter__(self):
        try:
            self.server.start()
        except BaseException:
            self.leave(keep=True)
            raise
        return self

    def leave(self, keep):
        self.server.stop()
        self.server.proc.wait()
        if keep:
            subprocess.run(["cp", "-a", self.folder, self.folder + ".copy"], check=False)
        subprocess.run(["umount", "-l", self.folder], check=False)
        self.server.close(keep=keep)

    def __exit__(self, kind, value, trace):
        self.server.stop()
        problems = self.server.problems()
        self.leave(keep=bool(kind or problems))
        if problems and not kind:
            raise Evidence("\n".join(problems))

    def fill(self):
        """Every byte that is left."""
        with open(self.filler, "ab", buffering=0) as f:
            size = 1 << 20
            while size:
                try:
                    f.write(b"\0" * size)
                except OSError:
                    size //= 4

    def free(self):
        os.unlink(self.filler)


def case_a_full_file_system(t):
    """Filled and freed three times under load: nothing that was taken is lost, and each time it works again at once."""
    with Small(t, 96) as small:
        storm = Storm(small.server, users=4, senders=3, writers=2, pace=0.05)
        away = []
        with storm:
            for _ in range(3):
                time.sleep(1.0)
                small.fill()
                refused = storm.counts["refused"]
                t.until(lambda n=refused: storm.counts["refused"] >= n + 3, what="a refusal by the full disk", timeout=30)
                small.fill()  # what logs and tables gave back meanwhile
                time.sleep(1.0)
                taken, begun = storm.ledger.acknowledged, time.monotonic()
                small.free()
                t.until(lambda n=taken: storm.ledger.acknowledged > n, what="mail taken after the disk has room", timeout=30)
                away.append(time.monotonic() - begun)
        storm.judge()
        t.note(f"{storm.figures()}; taken again after {max(away):.2f} s")


def tries(server):
    return [int(row["tries"]) for row in json.loads(server.cli("queue", "list", "--json")).get("rows", ())]


def case_full_under_mail_for_elsewhere(t):
    """The file system is full while mail waits for another server: 452 for what comes; what was taken goes out, and is not lost.

    It is full between a first try, whose outcome was written, and the second: an outcome that cannot be written waits until
    there is room, and its recipient with it.
    """
    with NextServer(say={"MAIL": lambda session, line: "451 4.3.2 later" if busy["on"] else "250 ok"}) as other:
        busy = {"on": True}
        small = Small(t, 64)
        away = Away(small.server, other, retry="10 s")
        with small:
            for _ in range(10):
                assert away.send(300) and away.send(LARGE)
            t.until(lambda: tries(small.server) == [1] * 20, what="the first try of all")
            small.fill()
            for _ in range(200):
                away.send(LARGE)
                if len(away.refused) >= 3:
                    break
                small.fill()
            assert any(re.match(rb"452 4\.3\.1", line) for line in away.refused), away.refused[:3]
            busy["on"] = False
            t.until(lambda: set(away.taken) <= set(away.arrived()), what="mail going out from a full disk", timeout=30)
            small.free()
            t.until(lambda: away.send(LARGE), what="mail taken again", timeout=30)
            away.judge(t)
            t.note(f"{len(away.taken)} taken, {len(away.refused)} refused")

# SPDX-License-Identifier: Apache-2.0
"""Load whose every answer is noted: senders, writers of mailboxes, readers, a client that idles.

    storm = Storm(server)
    with storm:
        ... what the server has to suffer ...
    storm.judge()

`pace` is how long a sender waits between messages. The clients go on through anything: they connect again, and what they did not hear is theirs to look up.
"""
import random
import threading
import time

from . import wire
from .ledger import GONE, Judge, Ledger, Writer, letter, look, send

SIZES = (200, 1000, 4000, 9000, 20000, 50000, 70000, 200000)
MANY = 24  # messages in a mailbox before a writer removes some
FEW = 8    # a writer goes on while it is in doubt between so many worlds


class Storm:
    def __init__(self, server, users, senders=4, writers=3, seed=0, pace=0.02):
        self.server, self.ledger = server, Ledger(server)
        self.users = [f"user{i}" for i in range(1, users)]
        self.idle_user = f"user{users}"
        self.until = threading.Event()
        self.connections_may_end = 0  # counts deaths after which clients' connections end
        self.idle_sessions = 0
        self.calm = True              # the idling client may be judged
        self.seed, self.pace = seed, pace
        self.counts = {"refused": 0, "broken": 0}
        self.writers = [Writer(self.ledger, self.users[i % len(self.users)], f"w{i}", 15.0 * server.slow)
                        for i in range(writers)]
        jobs = [(self.send, i) for i in range(senders)]
        jobs += [(self.write, w) for w in self.writers]
        jobs += [(self.read, user) for user in self.users] + [(self.idle,)]
        self.threads = [threading.Thread(target=self.guard, args=job, daemon=True) for job in jobs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.until.set()
        for thread in self.threads:
            thread.join(120)
            if thread.is_alive():
                self.ledger.problem("a client of the storm waits for ever")

    def guard(self, job, *args):
        try:
            job(*args)
        except Exception as e:  # pylint: disable=broad-except  (a thread's failure is the test's)
            self.ledger.problem(f"{job.__name__}: {type(e).__name__}: {e}")

    def going_on(self):
        return not self.until.is_set()

    def pause(self, seconds):
        self.until.wait(seconds)

    # --- clients ------------------------------------------------------------------------------------

    def send(self, number):
        rng = random.Random(self.seed * 100 + number)
        smtp, n = None, 0
        while self.going_on():
            n += 1
            size = rng.choice(SIZES) if n % 6 == 0 else rng.randrange(50, 6000)
            users = rng.sample(self.users, rng.choice((1, 1, 2, len(self.users))))
            try:
                smtp = smtp or wire.Smtp(self.server, timeout=20.0 * self.server.slow)
                send(self.ledger, smtp, users, letter(f"s{number}.{n}", size))
                self.pause(self.pace)
            except wire.Refused as e:
                self.counts["refused"] += 1
                if not e.args[0].startswith(b"4"):
                    self.ledger.problem(f"a sender heard {e.args[0]!r}")
                smtp = self.drop(smtp)
                self.pause(0.05)
            except GONE:
                self.counts["broken"] += 1
                smtp = self.drop(smtp)
                self.pause(0.05)
        self.drop(smtp)

    @staticmethod
    def drop(connection):
        if connection:
            connection.close()

    def write(self, writer):
        rng = random.Random(self.seed * 100 + 50 + self.writers.index(writer))
        n, must_look, unanswered = 0, True, 0
        boxes = (writer.name, writer.name + "-done")
        while self.going_on():
            try:
                if must_look or len(writer.worlds) > FEW or n % 25 == 0:
                    writer.settle()
                    must_look = False
                    self.pause(0.3 if len(writer.worlds) > FEW else 0.0)
            except GONE:
                writer.close()
                self.pause(0.1)
                must_look = True
                continue
            n += 1
            for box in boxes:
                if ("box", box) not in min(writer.worlds, key=len):
                    writer.create(box)
            if len(writer.worlds) <= FEW:
                self.one_change(writer, rng, n, boxes)
            self.pause(self.pace / 4)
            must_look, unanswered = writer.unanswered != unanswered, writer.unanswered
        writer.close()

    def one_change(self, writer, rng, n, boxes):
        box, done = boxes
        there, finished = writer.messages(box), writer.messages(done)
        some = rng.sample(sorted(there), min(len(there), rng.randrange(1, 4)))
        new = lambda: letter(f"{writer.name}.{n}.{rng.getrandbits(32):x}", rng.choice(SIZES[:6] if n % 8 else SIZES))
        kind = rng.choice(("append", "append", "append2", "store", "store", "unstore", "move", "copy", "box", "sub"))
        if len(there) + len(finished) > MANY:
            kind = "expunge"
        if kind == "append" or not some:
            writer.append(box, new(), {"\\Seen"} if n % 2 else frozenset())
        elif kind == "append2":
            writer.append(box, new(), frozenset(), [new()])
        elif kind in ("store", "unstore"):
            writer.store(box, some, {rng.choice(("\\Flagged", "\\Answered", "blue", "green"))}, "+" if kind == "store" else "-")
        elif kind in ("move", "copy"):
            # One that may come there late is not sent a second time.
            if not writer.possible(done) & set(some):
                writer.copy(box, some, done, move=kind == "move")
        elif kind == "expunge":
            for name, messages in ((box, there), (done, finished)):
                keys = sorted(messages)[: MANY // 3]
                if keys and writer.store(name, keys, {"\\Deleted"}):
                    writer.expunge(name, keys)
        elif kind == "box":
            self.box_change(writer, rng, n)
        else:
            writer.subscribe(f"{writer.name}-{rng.randrange(3)}", rng.random() < 0.6)

    @staticmethod
    def box_change(writer, rng, n):
        extra = [b for b in writer.boxes() if b.startswith(writer.name + "-x")]
        if not extra:
            name = f"{writer.name}-x{n}"
            if writer.create(name):
                writer.append(name, letter(f"{writer.name}.{n}.{rng.getrandbits(32):x}"))
        elif rng.random() < 0.5:
            writer.rename(extra[0], f"{writer.name}-x{n}")
        else:
            writer.delete(extra[0])

    def read(self, user):
        """What came since the last look, again and again; a UID that was shown must stay what it is."""
        while self.going_on():
            try:
                imap = self.ledger.imap(user, 20.0 * self.server.slow)
                look(self.ledger, imap, user, "INBOX", news=True)
                imap.close()
            except GONE:
                pass
            self.pause(0.3)

    def idle(self):
        while self.going_on():
            may_end = self.connections_may_end
            try:
                imap = self.ledger.imap(self.idle_user, 20.0 * self.server.slow)
                imap.select("INBOX")
                imap.wire.send(b"i IDLE\r\n")
                while not wire.imap_line(imap.wire).startswith(b"+"):
                    pass
            except GONE:
                self.pause(0.05)
                continue
            self.idle_sessions += 1
            end = self.wait_for_end(imap)
            if end and self.calm and self.connections_may_end == may_end:
                self.ledger.problem(f"the idling session ended with {end!r}, and edge had not died")
            imap.close()

    def wait_for_end(self, imap):
        while self.going_on():
            try:
                line = wire.imap_line(imap.wire, 0.2)
            except wire.Timeout:
                continue
            except wire.Closed:
                return b"(closed)"
            if line.startswith(b"* BYE"):
                return line
        return None

    # --- afterwards ---------------------------------------------------------------------------------

    def judge(self):
        Judge(self.ledger).final()

    def figures(self):
        return f"{self.ledger.acknowledged} acknowledged, {sum(w.changes for w in self.writers)} changes, " \
               f"{sum(w.unanswered for w in self.writers)} unanswered, {self.counts['refused']} refused, " \
               f"{self.counts['broken']} broken, {self.idle_sessions} idle sessions"

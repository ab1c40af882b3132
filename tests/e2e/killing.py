# SPDX-License-Identifier: Apache-2.0
"""Any role, master included, is killed at random while six senders send. Afterwards each acknowledged message is there
exactly once, with the bytes that were sent; UIDs rise strictly; UIDVALIDITY has not changed; what a session was once
told under a UID is still there under that UID. An idling session never notices the death of its user worker.

BARID_KILL_SECONDS (60) is how long, BARID_KILL_SEED repeats a run's choice of victims.
"""
import collections
import hashlib
import os
import random
import threading
import time

from harness import wire
from harness.server import Server

SENDERS = 6
READERS = ("user1", "user2", "user3")
ROLES = ("edge", "mta", "scan", "queue", "user", "dir", "master")
GONE = (wire.Closed, wire.Timeout, wire.Refused, OSError, ValueError)


class Storm:
    """What the threads of a run share."""

    def __init__(self, server, seconds, seed):
        self.server, self.random = server, random.Random(seed)
        self.until = time.monotonic() + seconds
        self.mutex = threading.Lock()
        self.acknowledged = collections.defaultdict(set)  # user -> digests with a 250
        self.uncertain = collections.defaultdict(set)     # user -> digests sent whole, without an answer
        self.kills = collections.Counter()
        self.edge_deaths = 0                              # edge or master: connections may end
        self.problems = []

    def going_on(self):
        return time.monotonic() < self.until

    def problem(self, text):
        with self.mutex:
            self.problems.append(text)


def message(sender, number, rng):
    """A unique message; one in eight is large enough to become a file of the blob tree."""
    size = rng.choice((200, 1000, 4000, 9000, 20000, 50000, 70000, 200000)) if number % 8 == 0 else rng.randrange(50, 6000)
    head = (f"From: s{sender}@example.org\r\nTo: all@example.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            f"Subject: {sender}/{number}\r\nMessage-ID: <{sender}.{number}@storm.example>\r\n\r\n")
    line = f"{rng.getrandbits(256):064x}\r\n"
    return (head + line * (1 + size // len(line))).encode()


def send(storm, sender):
    rng = random.Random(sender)
    number, smtp = 0, None
    while storm.going_on():
        user = READERS[number % len(READERS)]
        data = message(sender, number, rng)
        number += 1
        digest = hashlib.sha256(data).digest()
        try:
            smtp = smtp or wire.Smtp(storm.server, timeout=20)
            storm.uncertain[user].add(digest)
            smtp.message(f"s{sender}@example.org", [f"{user}@example.test"], data)
        except GONE:
            if smtp:
                smtp.close()
            smtp = None
            time.sleep(0.05)
        else:
            with storm.mutex:
                storm.acknowledged[user].add(digest)


def kill(storm):
    while storm.going_on():
        time.sleep(storm.random.uniform(0.2, 1.2))
        role = storm.random.choice(ROLES)
        storm.kills[role] += 1
        if role in ("edge", "master"):
            storm.edge_deaths += 1
        try:
            storm.server.kill(role)
        except (RuntimeError, OSError, ValueError, LookupError):
            pass  # it is just down already


def sent_part(body):
    """The message as it was sent: everything from its own From field."""
    return body[body.index(b"From: s"):]


def read(storm, user, told):
    """Look again and again; remember what each UID was shown to be."""
    while storm.going_on():
        try:
            imap = wire.Imap(storm.server, f"{user}@example.test", timeout=20)
            _, validity = imap.select("INBOX")
            first = max(told["uids"], default=0) + 1
            for values in imap.fetch(f"{first}:*", "(UID BODY.PEEK[])", uid=True).values():
                told["uids"].setdefault(int(values["UID"]), hashlib.sha256(sent_part(values["BODY[]"])).digest())
            told["validity"].add(validity)
            imap.close()
        except GONE:
            pass
        time.sleep(0.3)


def idle(storm, told):
    """One connection idles; it may end only when edge or master died."""
    while storm.going_on():
        deaths = storm.edge_deaths
        try:
            imap = wire.Imap(storm.server, "user4@example.test", timeout=20)
            imap.select("INBOX")
            imap.wire.send(b"i IDLE\r\n")
            while not wire.imap_line(imap.wire).startswith(b"+"):
                pass
        except GONE:
            time.sleep(0.05)
            continue
        told["sessions"] += 1
        while storm.going_on():
            try:
                line = wire.imap_line(imap.wire, 0.2)
            except wire.Timeout:
                continue
            except wire.Closed:
                line = b"(closed)"
            if line.startswith((b"* BYE", b"(closed)")):
                if storm.edge_deaths == deaths:
                    storm.problem(f"the idling session ended with {line!r}, and edge had not died")
                break
        imap.close()


def judge(storm, user, told):
    """The user's INBOX when all is quiet again."""
    imap = wire.Imap(storm.server, f"{user}@example.test", timeout=60)
    _, validity = imap.select("INBOX")
    bodies = imap.bodies("INBOX")
    imap.close()
    uids = [uid for uid, _ in bodies]
    there = collections.Counter(hashlib.sha256(sent_part(body)).digest() for _, body in bodies)
    at = {uid: hashlib.sha256(sent_part(body)).digest() for uid, body in bodies}
    if told["validity"] | {validity} != {validity}:
        storm.problem(f"{user}: UIDVALIDITY changed: {told['validity']}, {validity}")
    if any(a >= b for a, b in zip(uids, uids[1:])):
        storm.problem(f"{user}: UIDs do not rise")
    lost = [d for d in storm.acknowledged[user] if d not in there]
    if lost:
        storm.problem(f"{user}: {len(lost)} acknowledged messages are lost")
    doubled = [d for d, n in there.items() if n > 1]
    if doubled:
        storm.problem(f"{user}: {len(doubled)} messages are there more than once")
    unknown = [d for d in there if d not in storm.acknowledged[user] and d not in storm.uncertain[user]]
    if unknown:
        storm.problem(f"{user}: {len(unknown)} messages that nobody sent, or changed ones")
    moved = [uid for uid, digest in told["uids"].items() if at.get(uid) != digest]
    if moved:
        storm.problem(f"{user}: {len(moved)} UIDs that a session was told are gone or show another message")


def settle(storm):
    """Wait until the queue is empty, and a little longer for what should not come."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if "example.test" not in storm.server.cli("queue", "list"):
                break
            storm.server.cli("queue", "flush")
        except (RuntimeError, OSError):
            pass
        time.sleep(1)
    else:
        storm.problem("the queue does not become empty:\n" + storm.server.cli("queue", "list")[:2000])
    time.sleep(1)


def storm_over(server, seconds, seed, t):
    storm = Storm(server, seconds, seed)
    told = {user: {"uids": {}, "validity": set()} for user in READERS}
    idler = {"sessions": 0}
    jobs = [(send, i) for i in range(SENDERS)] + [(read, u, told[u]) for u in READERS] + [(kill,), (idle, idler)]
    threads = [threading.Thread(target=job[0], args=(storm,) + job[1:]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for role in ROLES[:-1]:
        server.await_role(role, 20)
    settle(storm)
    for user in READERS:
        judge(storm, user, told[user])
    kills = ", ".join(f"{role} {n}" for role, n in sorted(storm.kills.items()))
    t.note(f"{sum(len(a) for a in storm.acknowledged.values())} acknowledged, {sum(storm.kills.values())} kills ({kills}), "
           f"seed {seed}")
    assert not storm.problems, "\n".join(storm.problems)


def case_kill_anything_under_load(t):
    """SIGKILL of random roles under load: each acknowledged message is there exactly once."""
    seconds = float(os.environ.get("BARID_KILL_SECONDS", "60"))
    seed = int(os.environ.get("BARID_KILL_SEED", "0")) or random.randrange(1, 10**6)
    server = Server(build=t.build, users=4)
    server.judge_restarts = False  # the storm's own kills race with master's count
    with server:
        storm_over(server, seconds, seed, t)


def case_idle_does_not_notice_user_dying(t):
    """Twenty deaths of the user worker, one idling session, a message after each: it hears of every one."""
    with t.own_server(users=1) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.select("INBOX")
        imap.wire.send(b"i IDLE\r\n")
        assert wire.imap_line(imap.wire).startswith(b"+")
        smtp = wire.Smtp(server)
        for i in range(1, 21):
            server.kill("user")
            if i % 2:
                server.await_role("user")
            smtp.message("a@example.org", ["user1@example.test"], b"Subject: %d\r\n\r\n" % i)
            t.until(lambda i=i: exists(imap) == i, what=f"EXISTS {i} in the idling session")
        imap.wire.send(b"DONE\r\n")
        imap.finish(b"i")
        assert [uid for uid, _ in imap.bodies("INBOX")] == list(range(1, 21))
        imap.close()


def exists(imap):
    """The number of the next EXISTS line, or None when another line or nothing comes."""
    try:
        line = wire.imap_line(imap.wire, 0.5)
    except wire.Timeout:
        return None
    return int(line.split()[1]) if line.endswith(b" EXISTS") else None

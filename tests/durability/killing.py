# SPDX-License-Identifier: Apache-2.0
"""Any role, master included, is killed at random while senders send and writers change mailboxes. Afterwards the ledger's
judge finds each acknowledged message exactly once, and each change that was answered. An idling session never notices the
death of its user worker.

BARID_KILL_SECONDS (25) is how long, BARID_KILL_SEED repeats a run's choice of victims.
"""
import collections
import os
import random
import time

from harness import wire
from harness.mayhem import CLIENT_ROLES, ROLES
from harness.server import Server
from harness.storm import Storm


def case_kill_anything_under_load(t):
    """SIGKILL of random roles under load: what was acknowledged is there exactly once, what was answered has happened."""
    seconds = float(os.environ.get("BARID_KILL_SECONDS", "25"))
    seed = int(os.environ.get("BARID_KILL_SEED", "0")) or random.randrange(1, 10**6)
    rng, kills = random.Random(seed), collections.Counter()
    server = Server(build=t.build, users=4)
    server.judge_restarts = False  # the storm's own kills race with master's count
    with server:
        storm = Storm(server, users=4, seed=seed, pace=max(0.02, seconds / 8000))
        with storm:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(rng.uniform(0.2, 1.2))
                role = rng.choice(ROLES + ("master",))
                kills[role] += 1
                if role in CLIENT_ROLES:
                    storm.connections_may_end += 1
                try:
                    server.kill(role)
                except (RuntimeError, OSError, ValueError, LookupError):
                    pass  # it is just down already
        for role in ROLES:
            server.await_role(role, 20)
        text = ", ".join(f"{role} {n}" for role, n in sorted(kills.items()))
        t.note(f"{storm.figures()}; {sum(kills.values())} kills ({text}), seed {seed}")
        storm.judge()


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

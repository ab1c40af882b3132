# SPDX-License-Identifier: Apache-2.0
"""Every role and master die at every crash point of the sources, while a client does what leads there. Afterwards the
ledger's judge finds each acknowledged message exactly once, each answered change, and nothing in part.

A row is (role, point, what leads to it). Rows of a topic share a server. `ELSEWHERE` names the points that another test
has; `every_point_is_in_a_row` fails when the sources have one that is nowhere.

Then the same moments from the side: one role stops at a point, another dies, the first goes on. All pairs with
BARID_MATRIX=full; else a sample by BARID_MATRIX_SEED.
"""
import base64
import concurrent.futures
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request

from harness import wire
from harness.ledger import GONE, Judge
from harness.mayhem import ROLES, Mayhem, crash_points
from harness.server import ROOT, alive

LARGE = 200_000

# Points that are used elsewhere, and where.
ELSEWHERE = {
    "relay.before-send": "tests/durability/relay.py",
    "relay.sent": "tests/durability/relay.py",
    "relay.before-reply": "tests/durability/relay.py",
    "relay.after-reply": "tests/durability/relay.py",
    "queue.before-relay": "tests/durability/relay.py",
    "queue.after-relay": "tests/durability/relay.py",
    "queue.relayed": "tests/durability/relay.py",
    "user.url-read": "tests/transcripts/crash/burl-mta-or-user-dies.txt",
    "user.pop3-update": "tests/transcripts/crash/user-dies-before-pop3-update.txt",
    "user.pop3-updated": "tests/transcripts/crash/user-dies-after-pop3-update.txt",
    "search.signing": "src/service/search/search_test.c",
    "search.before-append": "src/service/search/search_test.c",
    "search.after-append": "src/service/search/search_test.c",
    "search.before-seal": "src/service/search/search_test.c",
    "search.after-seal": "src/service/search/search_test.c",
    "role.prepare": "tests/e2e/reload.py",
    "role.commit": "tests/e2e/reload.py",
    "master.reload.prepared": "tests/e2e/reload.py",
    "master.reload.committed": "tests/e2e/reload.py",
    "master.rolling.settled": "tests/e2e/upgrade.py",
    "master.rolling.edge": "tests/e2e/upgrade.py",
    "master.rolling.replaced": "tests/e2e/upgrade.py",
    "master.upgrade.exec": "tests/e2e/upgrade.py",
    "master.upgrade.quiet": "tests/e2e/upgrade.py",
    "master.upgrade.checked": "tests/e2e/upgrade.py",
    "master.upgrade.adopted": "tests/e2e/upgrade.py",
}


# --- what leads to a point ---------------------------------------------------------------------------------------------


def small(m):
    m.mail("user1")


def many(m):
    m.mail("user1", "user2", "user3")


def large(m):
    m.mail("user1", "user2", size=LARGE)


def reported(m):
    """A message whose sender wants to hear of its delivery: a report is made, routed and delivered."""
    smtp = wire.Smtp(m.server, timeout=10.0)
    try:
        smtp.command(b"MAIL FROM:<user3@example.test>")
        data = m.letter()
        key = m.ledger.trying(["user2"], data)
        smtp.command(b"RCPT TO:<user2@example.test> NOTIFY=SUCCESS")
        smtp.command(b"DATA", b"354")
        m.ledger.report_for("user3", "user2", key)
        smtp.wire.send(wire.dot_stuffed(data))
        smtp.expect(b"250", smtp.reply())
        m.ledger.accepted(["user2"], key)
    finally:
        smtp.close()


def deferred(m):
    """A delivery that fails for now, and is asked for by the operator."""
    m.server.cli("debug", "disk", "user", "change 1 onwards enospc")
    m.mail("user2")
    m.until(lambda: "deferred" in m.server.cli("queue", "list"), "a deferred recipient")
    m.server.cli("debug", "disk", "user", "off")
    m.server.cli("queue", "flush", check=False)


def deleted(m):
    """A message to another server, which is away; the operator deletes it."""
    m.server.cli("domain", "add", "elsewhere.example", "--backupmx", "on", "--transport", "relay:[127.0.0.1]:1", check=False)
    smtp = wire.Smtp(m.server, "submission")
    try:
        smtp.start_tls()
        smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user2@example.test\0secret"), b"235")
        smtp.message("user2@example.test", ["somebody@elsewhere.example"], m.letter(LARGE))
    finally:
        smtp.close()
    m.until(lambda: "deferred" in m.server.cli("queue", "list", "--domain", "elsewhere.example"), "a deferred recipient")
    m.server.cli("queue", "delete", "--domain", "elsewhere.example", check=False)


def spool_grows(m):
    """So much that the spool folds its log into the file."""
    for _ in range(110):
        m.mail("user1", size=50_000)


def store_grows(m):
    for _ in range(110):
        m.append(size=45_000)


def append(m):
    m.append()


def append_many(m):
    m.append(more=2)


def append_large(m):
    m.append(size=LARGE)


def with_two(m):
    """Two messages that are there for sure, made before the point is armed."""
    m.append()
    return m.append()[-2:]


def store(m):
    m.writer.store("w", m.two, {"\\Flagged", "blue"})


def copy(m):
    m.writer.copy("w", m.two, "w-done")


def move(m):
    m.writer.move("w", m.two, "w-done")


def expunge(m):
    if m.writer.store("w", m.two, {"\\Deleted"}):
        m.writer.expunge("w", m.two)


def create(m):
    m.writer.create(f"w-{next(m.numbers)}")


def delete(m):
    m.writer.delete(m.box)


def rename(m):
    m.writer.rename(m.box, f"w-{next(m.numbers)}")


def subscribe(m):
    m.writer.subscribe(f"w-{next(m.numbers)}")


def purge(m):
    """What was expunged is too old to be brought back: it goes, and so does its file."""
    m.advance(15 * 86400)


def login(m):
    m.ledger.imap("user2", 10.0).close()


VIEWERS = [f"user{i}@example.test" for i in (2, 3, 4, 5)]


def visit(m):
    """A mailbox of user1's is looked at by accounts of which some live in another process than it does."""
    for name in VIEWERS:
        imap = wire.Imap(m.server, name)
        try:
            imap.status("Shared/user1@example.test/INBOX", "MESSAGES")
        except wire.Refused:
            pass  # its process died over the question
        imap.close()


def order(m):
    """An order to the directory; it happened wholly or not at all."""
    name = f"new{next(m.numbers)}"
    code, _ = m.server.cli("user", "add", f"{name}@example.test", "--password", "fresh", check=False)
    m.orders.append((name, "fresh", code == 0))


def password(m):
    new = f"secret{next(m.numbers)}"
    code, _ = m.server.cli("user", "passwd", "user4@example.test", new, check=False)
    m.new_password(new, code == 0)


def user_gone(m):
    name = f"gone{next(m.numbers)}"
    m.server.cli("user", "add", f"{name}@example.test", "--password", "secret")
    imap = m.ledger.imap(name)
    imap.append("INBOX", b"Subject: goes\r\n\r\n" + b"x\r\n" * 60000)
    imap.close()
    m.server.cli("user", "del", f"{name}@example.test")
    m.advance(15 * 86400)


def metrics(m):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{m.server.ports['metrics']}/metrics", timeout=10).read()
    except OSError:
        pass


def lookup(m):
    """Nobody answers the demo's questions; that nobody does is an answer."""
    m.server.cli("dns", "lookup", "no..name", "A", check=False)  # needs no server


def role_dies(m):
    for pid in m.pids("scan"):
        os.kill(pid, signal.SIGKILL)


def status(m):
    m.server.cli("status", check=False)


# --- the table ---------------------------------------------------------------------------------------------------------

IMAP_CHANGES = (append, append_many, append_large, store, copy, move, expunge, create, rename, delete, subscribe)

MESSAGE = [
    ("edge", "edge.session", small),
    ("edge", "edge.smtp-sent", small),
    ("edge", "edge.before-body", small),
    ("edge", "edge.before-body", large),
    ("edge", "edge.after-body", small),
    ("edge", "edge.after-body", large),
    ("edge", "edge.body-written", large),
    ("edge", "edge.before-answer", small),
    ("edge", "edge.after-answer", small),
    ("mta", "mta.routed", small),
    ("mta", "mta.body-file", large),
    ("mta", "mta.body", small),
    ("mta", "mta.body-sealed", large),
    ("mta", "mta.before-submit", many),
    ("mta", "mta.submitted", many),
    ("mta", "mta.before-answer", small),
    ("mta", "mta.after-answer", small),
    ("scan", "scan.message", small),
    ("scan", "scan.before-reply", large),
    ("scan", "scan.after-reply", small),
    ("dir", "dir.routed", small),
    ("queue", "queue.body-opened", large),
    ("queue", "queue.body-sealed", large),
    ("queue", "spool.body-synced", large),
    ("queue", "spool.body-linked", large),
    ("queue", "spool.body-kept", large),
    ("queue", "spool.before-commit", small),
    ("queue", "spool.before-commit", many),
    ("queue", "spool.before-commit", large),
    ("queue", "spool.after-commit", small),
    ("queue", "spool.after-commit", large),
    ("queue", "queue.before-reply", many),
    ("queue", "queue.after-reply", many),
]

DELIVERY = [
    ("queue", "queue.before-hand-out", many),
    ("queue", "queue.handed-out", many),
    ("queue", "queue.handed-out", large),
    ("user", "user.deliver", many),
    ("user", "store.prepared", many),
    ("user", "store.body-linked", large),
    ("user", "store.before-commit", small),
    ("user", "store.before-commit", many),
    ("user", "store.before-commit", large),
    ("user", "store.after-commit", small),
    ("user", "store.after-commit", many),
    ("user", "store.after-commit", large),
    ("user", "store.published", many),
    ("user", "user.delivered-before-reply", many),
    ("user", "user.delivered-before-reply", large),
    ("user", "user.delivered-after-reply", many),
    ("queue", "queue.delivered", many),
    ("queue", "queue.delivered", large),
    ("queue", "spool.before-done-commit", many),
    ("queue", "spool.before-done-commit", large),
    ("queue", "spool.after-done-commit", many),
    ("queue", "spool.after-done-commit", large),
    ("queue", "spool.before-unlink", large),
    ("queue", "spool.after-unlink", large),
    ("queue", "queue.receipts-sent", many),
    ("user", "user.receipts-dropped", many),
    ("queue", "queue.receipts-dropped", many),
    ("queue", "spool.report", reported),
    ("queue", "spool.before-route-commit", reported),
    ("queue", "spool.after-route-commit", reported),
    ("user", "store.after-commit", reported),
    ("queue", "spool.after-done-commit", reported),
    ("queue", "spool.before-change-commit", deferred),
    ("queue", "spool.after-change-commit", deferred),
    ("queue", "spool.before-change-commit", deleted),
    ("queue", "spool.after-change-commit", deleted),
    ("queue", "spool.checkpoint", spool_grows),
]

MAILBOX = [(role, point, change)
           for role, point in (("user", "store.before-commit"), ("user", "store.after-commit"))
           for change in IMAP_CHANGES] + [
    ("user", "store.published", append),
    ("user", "store.published", move),
    ("user", "user.before-answer", append),
    ("user", "user.before-answer", expunge),
    ("user", "user.after-answer", append),
    ("user", "user.after-answer", move),
    ("user", "user.session-opened", login),
    ("user", "store.body-opened", append_large),
    ("user", "store.body-sealed", append_large),
    ("user", "store.body-linked", append_large),
    ("user", "store.prepared", append_large),
    ("user", "user.guest-served", visit),
    ("scan", "scan.message", append),
    ("scan", "scan.before-reply", append_large),
    ("edge", "edge.imap-sent", append),
    ("edge", "edge.literal-written", append_large),
    ("edge", "edge.before-answer", move),
    ("edge", "edge.after-answer", expunge),
    ("user", "store.before-checkpoint", store_grows),
    ("user", "store.after-checkpoint", store_grows),
    ("user", "store.before-unlink", purge),
    ("user", "store.after-unlink", purge),
]

DIRECTORY = [
    ("dir", "dir.before-commit", order),
    ("dir", "dir.after-commit", order),
    ("dir", "dir.order-answered", order),
    ("dir", "dir.before-commit", password),
    ("dir", "dir.after-commit", password),
    ("dir", "dir.before-grant", login),
    ("dir", "dir.granted", login),
    ("dir", "dir.login-answered", login),
    ("dir", "dir.before-flush-commit", append),
    ("dir", "dir.after-flush-commit", append),
    ("dir", "dir.mail-gone", user_gone),
    ("admin", "admin.survey", metrics),
    ("admin", "admin.before-reply", metrics),
    ("dns", "dns.before-reply", lookup),
    ("master", "master.role-ended", role_dies),
    ("master", "master.spawned", role_dies),
    ("master", "master.before-wiring", role_dies),
    ("master", "master.connected", role_dies),
    ("master", "master.wired", role_dies),
    ("master", "master.role-ready", role_dies),
]

TABLE = MESSAGE + DELIVERY + MAILBOX + DIRECTORY


def case_every_point_is_in_a_row(_):
    """No crash point of the sources is forgotten, and no row names one that is gone."""
    points = set(crash_points())
    rows = {point for _, point, _ in TABLE}
    missing = points - rows - set(ELSEWHERE)
    assert not missing, f"no row has {sorted(missing)}"
    gone = (rows | set(ELSEWHERE)) - points
    assert not gone, f"the sources have no {sorted(gone)}"
    for point, path in ELSEWHERE.items():
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            assert point in f.read(), f"{path} does not use {point}"
    elsewhere = {point.partition(".")[0] for point in ELSEWHERE}  # relay's rows are in relay.py
    assert {role for role, _, _ in TABLE} | elsewhere & set(ROLES) == set(ROLES) | {"master"}


def case_orders_meet_a_role_that_starts(t):
    """An order of the operator is answered soon, though the role that it is for has just died or begins."""
    with t.own_server(users=1) as server:
        server.judge_restarts = False
        barid = [os.path.join(server.build, "barid"), "queue", "list", "--dir", server.dir]
        for _ in range(15):
            server.kill("queue")
            begun = time.monotonic()
            asking = [subprocess.Popen(barid, env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                      for _ in range(4)]
            for one in asking:
                one.wait(60)  # refused, when the role died under it; but answered
            took = time.monotonic() - begun
            assert took < 10 * server.slow, f"an order waited {took:.1f} s"
            server.await_role("queue")
            server.cli("queue", "list")


# --- carrying it out ---------------------------------------------------------------------------------------------------


class Round(Mayhem):
    """A server for some rows, and what they need beside clients."""

    def __init__(self, build):
        super().__init__(build, users=5)
        self.orders = []        # (name, password, answered OK)
        self.possible = ["secret"]  # passwords of user4, of which one is right
        self.two, self.box = [], None

    def new_password(self, new, sure):
        self.possible = [new] if sure else self.possible + [new]

    def prepare(self, scenario):
        """What a scenario takes for granted; done before the point is armed."""
        self.what = scenario.__name__
        self.two, self.box = [], None
        if scenario in (store, copy, move, expunge):
            self.append()
            self.two = self.append()[-2:]
            if len(self.two) < 2:
                raise AssertionError("the mailbox could not be prepared")
        if scenario in (delete, rename):
            create(self)
            self.box = [b for b in self.writer.boxes() if b not in ("w", "w-done")][-1]
            self.writer.append(self.box, self.letter())
        if scenario is visit:
            owner = wire.Imap(self.server, "user1@example.test")
            for name in VIEWERS:
                owner.command(f"SETACL INBOX {name} lr".encode())
            owner.close()
        if scenario is purge:
            self.append(size=LARGE)
            keys = self.mine()[-1:]
            self.writer.store("w", keys, {"\\Deleted"})
            self.writer.expunge("w", keys)
        if scenario in (login, password, order):
            self.settle()

    def row(self, role, point, scenario):
        self.prepare(scenario)
        self.die_at(role, point, lambda: scenario(self))

    def judge_directory(self):
        """Orders happened wholly or not at all: who exists can log in, and an answer holds."""
        for name, secret, sure in self.orders:
            works = self.login_works(name, secret)
            listed = f"{name}@example.test" in self.server.cli("user", "list", "example.test")
            if sure and not works:
                self.ledger.problem(f"user add {name} was answered, and the user cannot log in")
            if listed != works:
                self.ledger.problem(f"user {name} is there in part: listed {listed}, logs in {works}")
        with concurrent.futures.ThreadPoolExecutor() as pool:  # an answer to a wrong one takes its time
            works = pool.map(lambda p: self.login_works("user4", p), self.possible)
            right = [p for p, good in zip(self.possible, works) if good]
        if len(right) != 1:
            self.ledger.problem(f"of the passwords {self.possible} these are right: {right}")
        else:
            self.ledger.passwords["user4"] = right[0]
            self.possible = right

    def login_works(self, name, secret):
        try:
            imap = wire.Imap(self.server, f"{name}@example.test", secret)
            imap.select("INBOX")
            imap.close()
            return True
        except wire.Refused:
            return False


def play(t, rows):
    slowest = (0.0, "")
    with Round(t.build) as m:
        for role, point, scenario in rows:
            begun = time.monotonic()
            try:
                m.row(role, point, scenario)
                Judge(m.ledger).await_queue()  # a third death with the same message in hand would have it held
            except AssertionError as e:
                raise type(e)(f"{role} at {point}, {scenario.__name__}: {e}") from e
            took = time.monotonic() - begun
            slowest = max(slowest, (took, f"{role} at {point}, {scenario.__name__}"))
            m.ledger.acquit(f"{role} at {point}, {scenario.__name__}:")
        m.judge_directory()
        m.mail_again("user1", "user2")
        m.judge()
        t.note(f"{len(rows)} deaths, {m.figures()}; slowest row {slowest[0]:.1f} s, {slowest[1]}")
        m.check_absence()


def case_on_its_way_in(t):
    """edge, mta, scan, dir and queue die at every point from the connection to the 250."""
    play(t, MESSAGE)


def case_on_its_way_to_the_mailbox(t):
    """queue and user die at every point of deliveries, receipts, reports, retries and removals."""
    play(t, DELIVERY)


def case_changes_of_mailboxes(t):
    """user dies before and after the commit of every kind of change; edge and scan on the way; log, purge, files."""
    play(t, MAILBOX)


def case_directory_and_master(t):
    """dir in orders and logins, admin in a survey, master between a death and the new role's first message."""
    play(t, DIRECTORY)


# --- from the side -----------------------------------------------------------------------------------------------------

# Moments that one message or one change passes, and who works on it then.
MOMENTS = [row for row in MESSAGE + DELIVERY + MAILBOX
           if row[2] in (small, many, large, append, append_large, move, expunge)]
SAMPLE = 10


def pause_and_kill(m, role, point, scenario, victim):
    """`role` stops at the point; `victim` dies; `role` goes on."""
    m.prepare(scenario)
    m.what = f"{role}@{point}-{victim}"
    roles, pids = m.server.role_pids(), m.pids(role)
    m.server.cli("debug", "pause-point", role, point)
    client = threading.Thread(target=quietly, args=(scenario, m))
    client.start()
    try:
        m.until(lambda: any(stopped(pid) for pid in pids), f"{role} at {point}")
        if victim == "master":
            m.server.proc.kill()
        else:
            for pid in m.pids(victim):
                os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)
        client.join(60)
    if victim == "master":
        died = m.master_died(roles)
    else:
        m.server.cli("debug", "crash-point", role, "none")
    m.after_death(victim, died)


def quietly(scenario, m):
    try:
        scenario(m)
    except GONE:
        pass


def stopped(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"
    except FileNotFoundError:
        return False


def case_another_dies_meanwhile(t):
    """One role is at a moment of a message's or a change's life while another dies."""
    seed = int(os.environ.get("BARID_MATRIX_SEED", "0")) or random.randrange(1, 10**6)
    pairs = [(*row, victim) for row in MOMENTS for victim in ROLES + ("master",) if victim != row[0]]
    random.Random(seed).shuffle(pairs)
    if os.environ.get("BARID_MATRIX") != "full":
        pairs = pairs[:SAMPLE]
    with Round(t.build) as m:
        for role, point, scenario, victim in pairs:
            what = f"{role} at {point}, {scenario.__name__}, {victim} dies (seed {seed})"
            try:
                pause_and_kill(m, role, point, scenario, victim)
            except AssertionError as e:
                raise type(e)(f"{what}: {e}") from e
            m.ledger.acquit(f"{what}:")
        m.mail_again("user1", "user2")
        m.judge()
        t.note(f"{len(pairs)} deaths, {m.figures()}, seed {seed}")
        m.check_absence()

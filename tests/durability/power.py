# SPDX-License-Identifier: Apache-2.0
"""The power is cut at every sync of a whole server under load; it starts on what the disk kept, and keeps every promise.

A server runs with tests/durability/recorder.c preloaded, so that each change of a file has a place in one log, and each
answer that a client got is placed in it too (harness.timeline). From the log come the folders that a cut just before or
just after any sync may leave (harness.disk). On each of them a server is started, and judged (harness.powercut, which
says how to run all of it and how to repeat a finding).
"""
import os
import random
import shutil
import signal
import sqlite3
import threading
import time

from harness import disk, timeline, wire
from harness.powercut import CUTS, RECORDER, Lanes, Run, check, chosen, count_syncs, cuts
from harness.server import Server

SYNC_US = 2000


def kill_users(server, log):
    pids = [entry["pid"] for entry in server.roles() if entry["role"] == "user"]
    server.expect_restart("user", len(pids))
    with log.paused():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def load(run, server, line, seconds):
    """Everything that a server does, in parts: load, its workers die, time goes by, an orderly restart, load."""
    work = timeline.Load(server, line, run.seed)
    server.start()
    work.run(seconds, "a")
    work.until = time.monotonic() + seconds
    killer = threading.Timer(seconds / 2, lambda: kill_users(server, line.log))
    killer.start()
    work.run(seconds, "b")
    killer.join()
    server.await_role("user")
    # What was removed is purged, what could not be delivered is reported.
    server.advance_clock(20 * 86400)
    time.sleep(1.5)
    server.stop()
    server.bent_us = 0
    server.start()
    work.run(seconds, "c")
    server.stop()


def record(run, seconds):
    """(the disk before the run, log, timeline)"""
    server = run.server()
    server.made = False
    server.make()
    for user in timeline.USERS:
        server.cli("user", "add", f"{user}@example.test", "--password-hash", "{PLAIN}secret")
    server.start()
    for user in timeline.USERS:  # the first login makes better hashes
        timeline.PlainImap(server, user).close()
    server.stop()
    log = run.log(server.dir)
    before, whole = disk.Disk(server.dir), disk.Disk(server.dir)
    server.env.update(log.environment(RECORDER, SYNC_US))
    line = timeline.Timeline(log)
    load(run, server, line, seconds)
    assert not server.problems(), server.problems()
    check(log, whole, server.dir)
    server.close()
    return before, log, line


def recovery(run, cut, before):
    """(disk, log) of a server that starts on what the cut left, and of all that it does by itself."""
    server = run.server()
    before.build(server.dir, cut.mode, run.chance(cut))
    first, log = disk.Disk(server.dir), run.log(server.dir)
    server.env.update(log.environment(RECORDER))
    server.write_conf()
    server.start()
    try:
        timeline.Judge(server, None, 0).await_queue()
        time.sleep(0.1)  # sweeps, receipts
    finally:
        server.kill_all()
        server.close()
    return first, log


def case_power_cut_at_every_sync(t):
    """Cuts at every sync of a server under load, and again at those of the recovery: every promise is kept."""
    with Run(t, states=24) as run:
        before, log, line = record(run, run.seconds)
        t.note(f"{line.counts()}, {count_syncs(log)} syncs")
        again = random.Random(run.seed).sample(range(1, count_syncs(log)), 30 if run.full else 2)
        wanted = chosen(run, log, run.states)

        def judge(server, cut):
            return timeline.Judge(server, line, cut.position).judge()

        lanes = Lanes(run, judge)
        for cut, now in cuts(before, log, lambda c: wanted(c) or c.sync in again):
            if wanted(cut):
                lanes.give(cut, now)
            if cut.sync in again and cut[1:3] == CUTS[cut.sync % len(CUTS)]:
                second, second_log = recovery(run, cut, now)
                for inner, then in cuts(second, second_log, chosen(run, second_log, 4, cut.sync)):
                    lanes.give(inner._replace(position=cut.position, sync=(cut.sync, inner.sync)), then)
                second_log.close()
        lanes.finish()
        log.close()


def case_first_start(t):
    """Cuts from the very first command on an empty folder: what was made stays, and the server starts."""
    with Run(t, states=8) as run:
        server = run.server(Server)
        os.mkdir(server.dir)
        log = run.log(server.dir)
        before, whole = disk.Disk(server.dir), disk.Disk(server.dir)
        server.env.update(log.environment(RECORDER))
        done = []  # (position, what)
        first_steps(server, lambda what: done.append((log.position(), what)))
        check(log, whole, server.dir)
        server.close()

        def judge(other, cut):
            return judge_first_steps(other, {what for at, what in done if at <= cut.position})

        t.note(f"{count_syncs(log)} syncs")
        lanes = Lanes(run, judge, Server)
        for cut, now in cuts(before, log, chosen(run, log, run.states)):
            lanes.give(cut, now)
        lanes.finish()
        log.close()


def first_steps(server, done):
    server.cli("domain", "add", "first.test")
    done("domain")
    server.cli("user", "add", "one@first.test", "--password-hash", "{PLAIN}secret")
    done("one")
    server.start()
    for name, size in (("small", 300), ("large", timeline.LARGE)):
        smtp = wire.Smtp(server)
        smtp.message("s@example.org", ["one@first.test"], timeline.letter(name, size))
        done(name)
        smtp.close()
    server.cli("user", "add", "two@first.test", "--password-hash", "{PLAIN}secret")
    done("two")
    server.stop()


def judge_first_steps(server, done):
    users = server.cli("user", "list", "--json")
    found = [f"{name} was made and is gone" for name in ("one", "two") if name in done and f"{name}@first.test" not in users]
    if "domain" in done and "first.test" not in server.cli("domain", "list"):
        found.append("the domain was made and is gone")
    if "small" not in done:
        return found
    imap = wire.Imap(server, "one@first.test")
    want = sorted(x for x in ("small", "large") if x in done)
    deadline = time.monotonic() + 20
    while True:
        keys = sorted(timeline.known(body)[0] for _, body in imap.bodies("INBOX"))
        if set(want) <= set(keys) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    imap.close()
    if len(keys) != len(set(keys)) or not set(want) <= set(keys):
        found.append(f"INBOX has {keys}, acknowledged were {want}")
    return found


# Orders to the files of a server that does not run: each is one that somebody is told the end of.
ORDERS = (
    "domain add dir.test", "domain set dir.test --description Home", "domain alias-add other.test dir.test",
    "user add a@dir.test --password-hash {PLAIN}x --quota 5m", "user add b@dir.test --password-hash {PLAIN}y",
    "user set a@dir.test --name Anna --alias one@dir.test,two@dir.test", "alias add list@dir.test a@dir.test b@dir.test",
    "alias set list@dir.test a@dir.test", "admin grant a@dir.test dir.test", "domain catch-all dir.test b@dir.test",
    "user app-password add a@dir.test --label phone", "user del b@dir.test", "user undelete b@dir.test",
    "alias del list@dir.test", "admin revoke a@dir.test dir.test", "user del a@dir.test --purge yes", "domain del dir.test --force yes",
)


def rows_of(folder):
    """Every row of the accounts, as another program sees them; but not SCRAM keys, which are learned behind the order."""
    db = sqlite3.connect(os.path.join(folder, "dir", "vmail.db"))
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'barid_scram'")]
        return {table: sorted(map(repr, db.execute(f'SELECT * FROM "{table}"'))) for table in tables}
    finally:
        db.close()


def rows_apart(a, b):
    """Rows that only one of two states has."""
    return [row for table in sorted(set(a) | set(b)) for row in sorted(set(a.get(table, ())) ^ set(b.get(table, ())))]


def case_directory(t):
    """Cuts at every sync of orders to the accounts: each that was answered is there wholly, the next one wholly or not."""
    with Run(t, states=0) as run:
        server = run.server(Server)
        os.mkdir(server.dir)
        server.cli("domain", "add", "first.test")
        log = run.log(server.dir)
        before, whole = disk.Disk(server.dir), disk.Disk(server.dir)
        server.env.update(log.environment(RECORDER))
        states = [(0, rows_of(server.dir))]
        for order in ORDERS:
            server.cli(*order.split())
            states.append((log.position(), rows_of(copy_of(run, server.dir))))
        check(log, whole, server.dir)
        server.close()
        number = 0
        for cut, now in cuts(before, log, lambda _: True):
            number += 1
            folder = os.path.join(run.folder, "cut")
            now.build(folder, cut.mode, run.chance(cut))
            last = max(i for i, (at, _) in enumerate(states) if at <= cut.position)
            found = rows_of(folder)
            possible = [s for _, s in states[last:last + 2]]
            assert found in possible, f"{cut}: after {ORDERS[:last][-1:]} {[rows_apart(s, found) for s in possible]}"
            shutil.rmtree(folder)
        t.note(f"{len(ORDERS)} orders, {count_syncs(log)} syncs, {number} states")
        log.close()


def copy_of(run, folder):
    """To look at without touching the original."""
    target = os.path.join(run.folder, "copy")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target

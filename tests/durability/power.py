# SPDX-License-Identifier: Apache-2.0
"""The power is cut at every sync of a whole server under load; it starts on what the disk kept, and keeps every promise.

A server runs with tests/durability/recorder.c preloaded, so that each change of a file has a place in one log, and each
answer that a client got is placed in it too (harness.timeline). From the log come the folders that a cut just before or
just after any sync may leave (harness.disk). On each of them a server is started, and judged.

BARID_POWER=full judges every state, not a sample; BARID_POWER_SEED repeats a run's choices (not its timing);
BARID_POWER_STATES is how many. A state that fails is kept as a folder, and the report says where.
"""
import collections
import os
import queue
import random
import shutil
import tempfile
import threading
import time

from harness import disk, timeline, wire
from harness.case import Skip
from harness.server import ROOT, Serve, Server

RECORDER = os.path.join(ROOT, "build", "tests", "durability", "recorder.so")
LANES = 2
SYNC_US = 2000
READY_S = 1.0  # half of the states at least, however busy the machine is
# Which cuts are different: what is dropped just after a sync is dropped just before the next one too, when more was
# promised; what is kept is the same on both sides.
CUTS = (("before", "drop"), ("before", "keep"), ("before", "torn"), ("after", "torn"))


def conf(server):
    at = server.range.offset
    return (f"trusted_networks = 127.0.0.0/8\nconnections_per_address_max = 10000\n"
            f"[smtp]\nlisten = 127.0.0.1:{at + 25}\n[submission]\nlisten = 127.0.0.1:{at + 587}\n"
            f"[submissions]\nlisten =\n[imap]\nlisten = 127.0.0.1:{at + 143}\n[imaps]\nlisten =\n"
            f"[store]\nundelete = 1h\n")


class Run:
    """What a case works with: scratch in memory, a seed, how many states."""

    def __init__(self, t, states):
        if not os.path.exists(RECORDER):
            raise Skip("this build has no recorder")
        self.t = t
        self.full = os.environ.get("BARID_POWER") == "full"
        self.seed = int(os.environ.get("BARID_POWER_SEED", "0")) or random.randrange(1, 10**6)
        self.states = 0 if self.full else int(os.environ.get("BARID_POWER_STATES", str(states)))
        self.folder = tempfile.mkdtemp(prefix="barid-power-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        os.chmod(self.folder, 0o755)
        self.seconds = float(os.environ.get("BARID_POWER_SECONDS", "0.4"))
        self.kept = 0

    def chance(self, cut):
        return random.Random(f"{self.seed}/{cut.sync}/{cut.side}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def server(self, kind=Serve, **options):
        server = kind(build=self.t.build, **options)
        shutil.rmtree(server.scratch)
        server.scratch = tempfile.mkdtemp(dir=self.folder)
        os.chmod(server.scratch, 0o755)
        server.dir, server.log = os.path.join(server.scratch, "state"), os.path.join(server.scratch, "log")
        server.judge_restarts = False
        if kind is Serve:
            server.conf, server.conf_file, server.made = conf, os.path.join(server.scratch, "barid.conf"), True
        return server

    def log(self, folder):
        log = disk.Log(os.path.join(self.folder, "changes-" + os.path.basename(tempfile.mktemp())))
        log.make(folder)
        return log


# --- the states --------------------------------------------------------------------------------------------------------

Cut = collections.namedtuple("Cut", "sync side mode position")


def cuts(before, log, choose):
    """(cut, disk) for each cut that is chosen; the disk is good until the next one is asked for."""
    number = 0
    for record in log.records():
        if record.op not in (disk.SYNC, disk.SYNC_ALL):
            before.take(record)
            continue
        number += 1
        start = record.end - disk.HEAD.size
        for side in ("before", "after"):
            if side == "after" and not before.take(record):
                break
            for cut_side, mode in CUTS:
                cut = Cut(number, side, mode, start if side == "before" else record.end)
                if cut_side == side and choose(cut):
                    yield cut, before


def count_syncs(log):
    return sum(r.op in (disk.SYNC, disk.SYNC_ALL) for r in log.records())


def chosen(run, log, states, salt=""):
    """Which cuts are judged, all or a sample: a function of the cut."""
    every = [(n, side, mode) for n in range(1, count_syncs(log) + 1) for side, mode in CUTS]
    sample = set(every if run.full else random.Random(f"{run.seed}{salt}").sample(every, min(states, len(every))))
    return lambda cut: (cut.sync, cut.side, cut.mode) in sample


class Lanes:
    """Servers side by side that are started on one state after another."""

    def __init__(self, run, judge, kind=Serve):
        self.run, self.judge, self.kind = run, judge, kind
        self.jobs = queue.Queue(maxsize=LANES)
        self.problems, self.times = [], []
        self.begun = time.monotonic()
        self.mutex = threading.Lock()
        self.threads = [threading.Thread(target=self.lane) for _ in range(LANES)]
        for thread in self.threads:
            thread.start()

    def give(self, cut, before):
        folder = tempfile.mkdtemp(dir=self.run.folder)
        os.chmod(folder, 0o755)
        before.build(os.path.join(folder, "state"), cut.mode, self.run.chance(cut))
        self.jobs.put((cut, folder))

    def finish(self):
        """When all are judged: a line of figures. Raises what was wrong."""
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join()
        times = sorted(self.times) or [0.0]
        median = times[len(times) // 2]
        self.run.t.note(f"{len(times)} states in {time.monotonic() - self.begun:.0f} s, ready after {median:.2f} s "
                        f"(at most {times[-1]:.2f} s), seed {self.run.seed}")
        assert not self.problems, f"seed {self.run.seed}\n" + "\n".join(self.problems[:10])
        assert median < READY_S, f"ready after {median:.2f} s in the median"

    def lane(self):
        while True:
            job = self.jobs.get()
            if job is None:
                return
            self.one(*job)

    def one(self, cut, folder):
        server = self.run.server(self.kind)
        found = []
        try:
            # A copy: what fails is kept as the cut left it.
            shutil.copytree(os.path.join(folder, "state"), server.dir, symlinks=True, copy_function=copy_owned)
            own(os.path.join(folder, "state"), server.dir)
            if self.kind is Serve:
                server.write_conf()
            took = server.start()
            with self.mutex:
                self.times.append(took)
            found = self.judge(server, cut)
        except Exception as e:  # pylint: disable=broad-except  (whatever goes wrong is a finding)
            found = found + [f"{type(e).__name__}: {e}"]
        with self.mutex:
            if found:
                self.run.kept += 1
                self.problems.append(f"cut {tuple(cut)}, state kept in {folder}/state, log {server.log}:\n  "
                                     + "\n  ".join(found[:12]))
        if server.proc and server.proc.poll() is None:
            server.kill_all()
        server.close(keep=bool(found))
        if not found:
            shutil.rmtree(folder)


def copy_owned(source, target):
    shutil.copy2(source, target)
    st = os.stat(source)
    if os.getuid() == 0:
        os.chown(target, st.st_uid, st.st_gid)
    return target


def own(source, target):
    """Folders belong to whom they belonged; two names of one file are one file again."""
    first = {}
    for path, _, names in os.walk(source):
        there = os.path.join(target, os.path.relpath(path, source))
        st = os.stat(path)
        if os.getuid() == 0:
            os.chown(there, st.st_uid, st.st_gid)
        os.chmod(there, st.st_mode & 0o7777)
        for name in names:
            st = os.stat(os.path.join(path, name))
            if st.st_nlink > 1:
                at = os.path.join(there, name)
                if first.setdefault(st.st_ino, at) != at:
                    os.unlink(at)
                    os.link(first[st.st_ino], at)


# --- the cases ---------------------------------------------------------------------------------------------------------


def load(run, server, line, seconds):
    """Everything that a server does, in parts: load, its workers die, time goes by, an orderly restart, load."""
    work = timeline.Load(server, line, run.seed)
    server.start()
    work.run(seconds, "a")
    work.until = time.monotonic() + seconds
    killer = threading.Timer(seconds / 2, lambda: server.kill("user"))
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
    check(log, whole, server)
    server.close()
    return before, log, line


def check(log, whole, server):
    """The log is whole: replayed, it gives what is on disk."""
    for entry in log.records():
        whole.take(entry)
    missed = whole.differences(server.dir)
    assert not missed, "the log misses changes:\n" + "\n".join(missed[:20])


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
    with Run(t, states=40) as run:
        before, log, line = record(run, run.seconds)
        t.note(f"{line.counts()}, {count_syncs(log)} syncs")
        again = random.Random(run.seed).sample(range(1, count_syncs(log)), 30 if run.full else 3)
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
    with Run(t, states=12) as run:
        server = run.server(Server)
        os.mkdir(server.dir)
        log = run.log(server.dir)
        before, whole = disk.Disk(server.dir), disk.Disk(server.dir)
        server.env.update(log.environment(RECORDER))
        done = []  # (position, what)
        first_steps(server, lambda what: done.append((log.position(), what)))
        check(log, whole, server)
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

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

from harness import disk, timeline
from harness.case import Skip
from harness.server import ROOT, Serve

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
        self.kept = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def server(self):
        server = Serve(build=self.t.build, conf=conf)
        shutil.rmtree(server.scratch)
        server.scratch = tempfile.mkdtemp(dir=self.folder)
        os.chmod(server.scratch, 0o755)
        server.dir, server.log = os.path.join(server.scratch, "state"), os.path.join(server.scratch, "log")
        server.conf_file = os.path.join(server.scratch, "barid.conf")
        server.judge_restarts = False
        return server


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


def chosen(run, log, salt=""):
    """Which cuts are judged: all, or a sample; and how many that may be."""
    every = [(n, side, mode) for n in range(1, count_syncs(log) + 1) for side, mode in CUTS]
    sample = every if run.full else random.Random(f"{run.seed}{salt}").sample(every, min(run.states, len(every)))
    return set(sample)


class Lanes:
    """Servers side by side that are started on one state after another."""

    def __init__(self, run, judge):
        self.run, self.judge = run, judge
        self.jobs = queue.Queue(maxsize=LANES)
        self.problems, self.states, self.slowest = [], 0, 0.0
        self.times = []
        self.mutex = threading.Lock()
        self.threads = [threading.Thread(target=self.lane) for _ in range(LANES)]
        for thread in self.threads:
            thread.start()

    def give(self, cut, before):
        folder = tempfile.mkdtemp(dir=self.run.folder)
        os.chmod(folder, 0o755)
        before.build(os.path.join(folder, "state"), cut.mode, random.Random(f"{self.run.seed}/{cut.sync}/{cut.side}"))
        self.jobs.put((cut, folder))

    def finish(self):
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join()

    def lane(self):
        while True:
            job = self.jobs.get()
            if job is None:
                return
            cut, folder = job
            server = self.run.server()
            server.made = True
            found = []
            try:
                shutil.copytree(os.path.join(folder, "state"), server.dir, symlinks=True, copy_function=copy_owned)
                own(os.path.join(folder, "state"), server.dir)
                server.write_conf()
                took = server.start()
                with self.mutex:
                    self.times.append(took)
                found = self.judge(server, cut)
            except Exception as e:  # pylint: disable=broad-except  (whatever goes wrong is a finding)
                found = found + [f"{type(e).__name__}: {e}"]
            with self.mutex:
                self.states += 1
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
    """(folder before the run, log, timeline)"""
    server = run.server()
    server.make()
    for user in timeline.USERS:
        server.cli("user", "add", f"{user}@example.test", "--password-hash", "{PLAIN}secret")
    server.start()
    for user in timeline.USERS:  # the first login makes better hashes
        timeline.PlainImap(server, user).close()
    server.stop()
    log = disk.Log(os.path.join(run.folder, "changes"))
    log.make(server.dir)
    before, whole = disk.Disk(server.dir), disk.Disk(server.dir)
    server.env.update(log.environment(RECORDER, SYNC_US))
    line = timeline.Timeline(log)
    load(run, server, line, seconds)
    assert not server.problems(), server.problems()
    for entry in log.records():
        whole.take(entry)
    missed = whole.differences(server.dir)
    assert not missed, "the log misses changes:\n" + "\n".join(missed[:20])
    server.close()
    return before, log, line


def case_power_cut_at_every_sync(t):
    """Cuts before and after every sync of a server under load; each state is served again with every promise kept."""
    with Run(t, states=40) as run:
        before, log, line = record(run, float(os.environ.get("BARID_POWER_SECONDS", "0.4")))
        lanes = Lanes(run, lambda server, cut: timeline.Judge(server, line, cut.position).judge())
        begun = time.monotonic()
        wanted = chosen(run, log)
        for cut, now in cuts(before, log, lambda c: (c.sync, c.side, c.mode) in wanted):
            lanes.give(cut, now)
        lanes.finish()
        times = sorted(lanes.times)
        t.note(f"{line.counts()}, {count_syncs(log)} syncs, {lanes.states} states in {time.monotonic() - begun:.0f} s, "
               f"ready after {times[len(times) // 2]:.2f} s (at most {times[-1]:.2f} s), seed {run.seed}")
        log.close()
        assert not lanes.problems, f"seed {run.seed}\n" + "\n".join(lanes.problems[:10])
        assert times[len(times) // 2] < READY_S, f"ready after {times[len(times) // 2]:.2f} s in the median"

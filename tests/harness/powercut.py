# SPDX-License-Identifier: Apache-2.0
"""Power cuts: records programs, builds what a cut would have left, and starts servers on it.

    with Run(t, states=24) as run:
        log = run.log(server.dir); before = disk.Disk(server.dir)
        server.env.update(log.environment(RECORDER)); ... the program ...
        lanes = Lanes(run, judge)                       judge(server, cut) returns what is wrong, in words
        for cut, now in cuts(before, log, chosen(run, log, run.states)):
            lanes.give(cut, now)
        lanes.finish()

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

from . import disk
from .case import Skip
from .server import ROOT, Serve

RECORDER = os.path.join(ROOT, "build", "tests", "durability", "recorder.so")
LANES = 2
READY_S = 5.0  # in the median; the promise is 1 s, but the machine may be busy with other tests
# Which cuts are different: what is dropped just after a sync is dropped just before the next one too, when more was
# promised; what is kept is the same on both sides.
CUTS = (("before", "drop"), ("before", "keep"), ("before", "torn"), ("after", "torn"))


def conf(server):
    at = server.range.offset
    return (f"trusted_networks = 127.0.0.0/8\nconnections_per_address_max = 10000\n"
            f"[smtp]\nlisten = 127.0.0.1:{at + 25}\n[submission]\nlisten = 127.0.0.1:{at + 587}\n"
            f"[submissions]\nlisten =\n[imap]\nlisten = 127.0.0.1:{at + 143}\n[imaps]\nlisten =\n[pop3]\nlisten =\n[pop3s]\nlisten =\n"
            f"[lmtp]\nlisten = 127.0.0.1:{at + 24}\n[store]\nundelete = 1h\n")


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
        if self.problems:
            raise Evidence(f"seed {self.run.seed}\n" + "\n".join(self.problems[:10]))
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


def check(log, whole, folder):
    """The log is whole: replayed, it gives what is on disk."""
    for entry in log.records():
        whole.take(entry)
    missed = whole.differences(folder)
    assert not missed, "the log misses changes:\n" + "\n".join(missed[:20])

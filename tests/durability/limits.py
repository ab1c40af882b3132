# SPDX-License-Identifier: Apache-2.0
"""A role that may open no more descriptors, or get no more memory: nothing is lost, nobody spins, and with room it works
again. The limits are set from outside on the running processes, as the user that each has (prlimit)."""
import os
import subprocess
import time

from harness import wire
from harness.case import Skip
from harness.ledger import letter
from harness.mayhem import ROLES
from harness.server import Server
from harness.storm import Storm

SPIN = 0.7  # of a processor, in a role that only waits: more is a loop that turns in vain


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def limit_of(pid, name):
    with open(f"/proc/{pid}/limits", encoding="utf-8") as f:
        return [line[len(name):].split()[0] for line in f if line.startswith(name)][0]


def set_limit(pid, what, soft):
    """False: there is no such process any more."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
            ids = {line.split()[0]: int(line.split()[1]) for line in f if line.startswith(("Uid:", "Gid:"))}
    except FileNotFoundError:
        return False
    done = subprocess.run(["prlimit", "--pid", str(pid), f"--{what}={soft}:"], user=ids["Uid:"], group=ids["Gid:"],
                          extra_groups=[], capture_output=True, check=False)
    if done.returncode and os.path.exists(f"/proc/{pid}"):
        raise Skip(f"no limit can be set: {done.stderr.decode()}")
    return done.returncode == 0


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Limited:
    """The processes of a role may have only so many more descriptors than they have."""

    def __init__(self, server, role, more):
        self.pids = [server.proc.pid] if role == "master" else [e["pid"] for e in server.roles() if e["role"] == role]
        self.before, self.more = {}, more

    def __enter__(self):
        for pid in self.pids:
            self.before[pid] = limit_of(pid, "Max open files")
            # A new descriptor is the lowest free number: holes below the limit are room, too.
            highest = max(int(n) for n in os.listdir(f"/proc/{pid}/fd"))
            room = self.more - (highest + 1 - descriptors(pid))
            set_limit(pid, "nofile", highest + 1 + max(room, 0))
        return self

    def __exit__(self, kind, value, trace):
        for pid, limit in self.before.items():
            set_limit(pid, "nofile", limit)


def case_clients_wait_while_edge_has_no_descriptor(t):
    """More clients than edge may have: those within go on, the others wait in the kernel, and nobody spins."""
    with t.own_server(users=2) as server:
        edges = [e["pid"] for e in server.roles() if e["role"] == "edge"]
        inside = wire.Smtp(server)
        imap = wire.Imap(server, "user1@example.test")
        with Limited(server, "edge", 6) as limited:
            crowd = [wire.Wire(server.host, server.ports["smtp"], timeout=1.0) for _ in range(40)]
            time.sleep(1.0)
            greeted = [w for w in crowd if comes(w, b"220", 0.02)]
            assert len(greeted) < len(crowd), "the limit has no effect"
            busy = cpu_seconds(edges)
            begun = time.monotonic()
            for i in range(20):  # those who are in go on
                inside.message("a@example.org", ["user1@example.test"], b"Subject: %d\r\n\r\nx\r\n" % i)
                imap.command(b"NOOP")
            while time.monotonic() < begun + 2.0:
                time.sleep(0.1)
            busy = (cpu_seconds(edges) - busy) / (time.monotonic() - begun)
            for w in greeted:  # a place that gets free is taken
                w.close()
            left = [w for w in crowd if w not in greeted]
            t.until(lambda: comes(left[0], b"220", 0.5) or any(comes(w, b"220", 0.01) for w in left),
                    what="a greeting for one who waited")
        assert limited.pids == [e["pid"] for e in server.roles() if e["role"] == "edge"], "edge did not live through it"
        for w in left:
            w.close()
        wire.Smtp(server).message("a@example.org", ["user2@example.test"], b"Subject: after\r\n\r\nx\r\n")
        t.until(lambda: imap.messages("INBOX") == 20, what="20 messages")
        t.note(f"{len(greeted)} of {len(crowd)} had a place; edge used {busy:.2f} of a processor")
        assert busy < SPIN, f"edge spins: {busy:.2f} of a processor"


def comes(connection, start, timeout):
    try:
        return connection.line(timeout).startswith(start)
    except (wire.Timeout, wire.Closed):
        return False


def case_every_role_without_descriptors(t):
    """Each role in turn may open nothing more, under load with large bodies: refusals at most, and recovery."""
    server = Server(build=t.build, users=4)
    server.judge_restarts = False
    with server:
        storm = Storm(server, users=4, senders=3, writers=2, pace=0.03)
        restarts = {}
        with storm:
            time.sleep(0.5)
            for role in ROLES:
                storm.calm = False  # with no descriptor for its answer a session may have to end
                with Limited(server, role, 0) as limited:
                    busy, begun = cpu_seconds(limited.pids), time.monotonic()
                    time.sleep(1.0)
                    alive = [pid for pid in limited.pids if os.path.exists(f"/proc/{pid}")]
                    restarts[role] = len(limited.pids) - len(alive)
                    if len(alive) == len(limited.pids) and role in ("mta", "scan", "admin", "dir"):
                        spent = (cpu_seconds(alive) - busy) / (time.monotonic() - begun)
                        assert spent < SPIN * len(alive), f"{role} spins: {spent:.2f} of a processor"
                goes_on(t, storm, f"after {role} had no descriptor")
        storm.judge()
        gone = {role: n for role, n in restarts.items() if n}
        t.note(f"{storm.figures()}; restarted {gone or 'none'}")


def goes_on(t, storm, when):
    """Mail is taken, and each writer's mailboxes can be changed: also what had hung goes on."""
    taken, changes = storm.ledger.acknowledged, [w.changes for w in storm.writers]
    t.until(lambda: storm.ledger.acknowledged > taken + 5, what=f"mail {when}", timeout=40 * storm.server.slow)
    t.until(lambda: all(w.changes > n for w, n in zip(storm.writers, changes)), what=f"changes of mailboxes {when}",
            timeout=40 * storm.server.slow)


def case_master_without_descriptors(t):
    """A role dies while master may open nothing: it comes back when master may again; an order hears why it cannot be."""
    with t.own_server(users=1) as server:
        with Limited(server, "master", 0) as limited:
            pid = [p for p, role in server.role_pids_and_names() if role == "scan"][0]
            server.expect_restart("scan")
            os.kill(pid, 9)
            busy, begun = cpu_seconds(limited.pids), time.monotonic()
            time.sleep(2.5)
            spent = (cpu_seconds(limited.pids) - busy) / (time.monotonic() - begun)
        assert spent < SPIN, f"master spins: {spent:.2f} of a processor"
        server.await_role("scan", 20)
        wire.Smtp(server).message("a@example.org", ["user1@example.test"], letter("after"))
        t.note(f"master used {spent:.2f} of a processor meanwhile")


def case_no_more_memory(t):
    """No more address space in each role under load: it may end, as it cannot go on, and nothing is lost."""
    server = Server(build=t.build, users=4)
    server.judge_restarts = False
    server.forgiven = "CHECK failed: "  # what cannot be had ends the process
    with server:
        storm = Storm(server, users=4, senders=3, writers=2, pace=0.03)
        ended = []
        with storm:
            time.sleep(0.5)
            for role in ROLES:
                storm.calm = storm.calm and role not in ("edge",)
                before = {e["pid"] for e in server.roles() if e["role"] == role}
                for pid in before:
                    set_limit(pid, "as", size_of(pid))
                time.sleep(0.7)
                for pid in before:
                    if not set_limit(pid, "as", "unlimited"):
                        ended.append(role)
                server.await_role(role, 40)
                goes_on(t, storm, f"after {role} had no memory")
        storm.judge()
        t.note(f"{storm.figures()}; ended {ended or 'none'}")


def size_of(pid):
    with open(f"/proc/{pid}/statm", encoding="utf-8") as f:
        return int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

# SPDX-License-Identifier: Apache-2.0
"""Start, stop and memory of the demo, as its users see them."""
import os
import time

from harness import wire
from harness.case import Skip, alone
from harness.server import Server, role_processes

READY_SECONDS, STOP_SECONDS, IDLE_MIB = 1.0, 5.0, 40.0
REST_SECONDS = 90  # by then what a start and a busy moment took is given back (roles/role/memory.c)


@alone
def case_ready_within_a_second(t):
    """A new demo answers on every port within one second; also the second time, with its state there."""
    server = Server(build=t.build)
    try:
        first = server.start()
        for name in ("smtp", "submission", "submissions", "imap", "imaps"):
            wire.Wire(server.host, server.ports[name], tls=name.endswith("s")).close()
        stopped = server.stop()
        again = server.start()
        server.stop()
    finally:
        server.close()
    t.note(f"ready {first:.2f} s, again {again:.2f} s, stop {stopped:.2f} s")
    assert first < READY_SECONDS and again < READY_SECONDS, (first, again)
    assert stopped < STOP_SECONDS, stopped
    assert not server.problems(), server.problems()


@alone
def case_stops_with_open_sessions(t):
    """Sessions that idle, half-sent messages and silent connections do not keep it from stopping in time."""
    server = Server(build=t.build, users=20)
    try:
        server.start()
        sessions = []
        for i in range(1, 21):
            imap = wire.Imap(server, f"user{i}@example.test")
            imap.select("INBOX")
            imap.wire.send(b"i IDLE\r\n")
            sessions.append(imap)
        half = wire.Wire(server.host, server.ports["smtp"])
        half.send(b"EHLO x.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\nSubject: ha")
        silent = wire.Wire(server.host, server.ports["imaps"])
        time.sleep(0.3)
        took = server.stop()
        lines = sessions[0].wire
        assert b"BYE" in read_rest(lines), "an idling session was not told BYE"
        half.close()
        silent.close()
    finally:
        server.close()
    t.note(f"stop {took:.2f} s")
    assert took < STOP_SECONDS, took
    assert not server.problems(), server.problems()


def read_rest(w):
    text = b""
    try:
        while True:
            text += w.line(1.0)
    except (wire.Closed, wire.Timeout):
        return text


@alone
def case_idle_memory(t):
    """All roles together, idle for some seconds, as root with the sandbox on: under 40 MiB of proportional set size."""
    if os.geteuid() != 0:
        raise Skip("only root starts the roles with all their rights apart")
    with t.own_server() as server:
        imap = wire.Imap(server, "alice@example.test")
        imap.append("INBOX", b"Subject: x\r\n\r\n")
        imap.close()
        until = time.monotonic() + REST_SECONDS
        total = IDLE_MIB
        while total >= IDLE_MIB and time.monotonic() < until:
            time.sleep(1.0)
            sizes = {"master": pss(server.proc.pid)}
            for pid, role in role_processes(server.proc.pid):
                sizes[role] = sizes.get(role, 0.0) + pss(pid)
            total = sum(sizes.values())
        t.note(f"{total:.1f} MiB (" + ", ".join(f"{r} {s:.1f}" for r, s in sorted(sizes.items())) + ")")
        assert total < IDLE_MIB, total


def pss(pid):
    """Proportional set size in MiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024

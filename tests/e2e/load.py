# SPDX-License-Identifier: Apache-2.0
"""Many clients at once: what an idle one costs, and how soon all hear of new mail. `./dev bench load` is the large form."""
import os
import time

from harness import load, wire
from harness.case import Skip, alone
from harness.server import Server

FIRST, CLIENTS, MESSAGES, CONNECTIONS = 120, 120, 1000, 60
CLIENT_KIB, TOLD_MS = 40.0, 2000.0  # of thousands it is under 24; few leave holes between them
PATIENCE = 20.0  # a busy machine takes its time to carry out what its clock says is due


def rested(server):
    """Hours without a word: sessions rest, databases let their caches go, memory is given back."""
    for _ in range(3):
        server.advance_clock(60)
        time.sleep(1.2)
    return load.memory(server)


@alone
def case_idle_clients_are_small_and_hear_at_once(t):
    """TLS clients in IDLE, each with 1,000 messages in its mailbox: small in all roles together; told within 2 s."""
    if os.geteuid() != 0:
        raise Skip("only root sees the memory of all roles")
    with t.own_server() as server:
        load.add_users(server, 1, FIRST + CLIENTS)
        load.fill(server, FIRST + CLIENTS, MESSAGES)
        server.restart()
        # What is there once, however many come, is there with the first ones.
        with load.Load(server, "idle", clients=FIRST) as first:
            first.step()
            before = rested(server)
            hear(t, server, before)


def hear(t, server, before):
    options = {"first": FIRST + 1, "clients": CLIENTS, "connections": CONNECTIONS, "rcpts": CLIENTS // CONNECTIONS}
    with load.Load(server, "idle", **options) as clients:
        clients.step()
        each, by_role = cost(server, before)
        t.note(f"{each:.1f} KiB per client (" +
               ", ".join(f"{role} {k / CLIENTS:.1f}" for role, k in by_role.items() if k > CLIENTS) + ")")
        clients.go()
        clients.step()
        clients.go()
        told = clients.step()
    t.note(f"{told['told']} clients told {told['from_250_ms']['max']:.0f} ms after the 250 at most")
    assert told["told"] == CLIENTS, told
    assert told["from_250_ms"]["max"] < TOLD_MS, told
    assert each < CLIENT_KIB, f"{each:.1f} KiB per idle client: {by_role}"


def cost(server, before):
    """KiB per client, when it shrinks no more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        by_role, total = load.grown(before, rested(server))
        if total / CLIENTS < CLIENT_KIB or time.monotonic() > deadline:
            return total / CLIENTS, by_role


FILES = 200


def greetings(server, n):
    """n clients of the SMTP port: (those that were let in, what the others were told)."""
    opened = [wire.Wire(server.host, server.ports["smtp"]) for _ in range(n)]
    heard = [w.line() for w in opened]
    good = [w for w, line in zip(opened, heard) if line.startswith(b"220 ")]
    for w in opened:
        if w not in good:
            w.close()
    return good, [line for line in heard if not line.startswith(b"220 ")]


def case_edges_without_descriptors_say_so(t):
    """Edges that may open no more files send clients away with 421, say why in the log, and go on when some leave."""
    program = t.program("prlimit")
    server = Server(build=t.build)
    try:
        server.start(prefix=[program, f"--nofile={FILES}:{FILES}", "--"])
        server.prefixed = False  # prlimit has become the server
        edges = sum(role["role"] == "edge" for role in server.roles())
        good, refused = greetings(server, edges * FILES)
        assert edges * FILES // 3 < len(good) < edges * FILES, len(good)
        assert refused and set(refused) == {b"421 4.7.0 Too many connections, please try again later.\r\n"}, set(refused)
        assert "limit=descriptors" in server.log_text(), server.log_tail()
        for w in good[:20]:
            w.close()
        deadline = time.monotonic() + 20
        again = []
        while len(again) < 10 and time.monotonic() < deadline:
            again += greetings(server, 1)[0]
        assert len(again) == 10, "nobody was let in when others had left"
        server.stop()
    finally:
        server.close()
    assert not server.problems(), server.problems()

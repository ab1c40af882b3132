# SPDX-License-Identifier: Apache-2.0
"""Several edge processes behind the same ports."""
import os
import signal
import socket
import ssl

from harness import wire
from harness.server import Serve


def conf(server, extra=""):
    p = server.ports
    return (f"edge_workers = 3\n{extra}[smtp]\nlisten = 127.0.0.1:{p['smtp']}\n"
            f"[submission]\nlisten = 127.0.0.1:{p['submission']}\n[submissions]\nlisten =\n"
            f"[imap]\nlisten = 127.0.0.1:{p['imap']}\n[imaps]\nlisten = 127.0.0.1:{p['imaps']}\n")


def edges(server):
    """{pid: established client connections} of each edge."""
    ours = {f"{p:04X}" for p in server.ports.values()}
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            words = line.split()
            if words[3] == "01" and words[1].split(":")[1] in ours:
                inodes.add(f"socket:[{words[9]}]")
    found = {}
    for role in server.roles():
        if role["role"] == "edge":
            folder = f"/proc/{role['pid']}/fd"
            try:
                found[role["pid"]] = sum(os.readlink(os.path.join(folder, fd)) in inodes for fd in os.listdir(folder))
            except FileNotFoundError:
                pass  # it, or a connection of it, has just ended
    return found


def case_clients_spread_and_outlive_another_edge(t):
    """60 sessions are on all three edges; one edge dies, and only its own clients are gone."""
    with Serve(build=t.build, users=5, conf=conf) as server:
        sessions = [wire.Imap(server, f"user{i % 5 + 1}@example.test") for i in range(60)]
        for session in sessions:
            session.select("INBOX")
        spread = edges(server)
        t.note(f"connections per edge: {sorted(spread.values())}")
        assert len(spread) == 3 and sum(spread.values()) == 60, spread
        assert min(spread.values()) >= 10, spread
        victim = max(spread, key=spread.get)
        server.expect_restart("edge")
        os.kill(victim, signal.SIGKILL)
        t.until(lambda: len(edges(server)) == 3 and victim not in edges(server), what="another edge")
        alive = 0
        for session in sessions:
            try:
                session.command(b"NOOP")
                alive += 1
            except (wire.Closed, OSError):
                pass
        assert alive == 60 - spread[victim], (alive, spread)
        again = [wire.Imap(server, "user1@example.test") for _ in range(10)]
        for session in again:
            session.select("INBOX")
        # Mail still finds its way from each of them.
        smtp = [wire.Smtp(server) for _ in range(6)]
        for i, client in enumerate(smtp):
            client.message("a@client.example", ["user2@example.test"], b"Subject: %d\r\n\r\nx\r\n" % i)
        box = wire.Imap(server, "user2@example.test")
        t.until(lambda: box.messages("INBOX") == 6, what="delivery")


def case_limits_count_all_edges(t):
    """connections_per_address_max and connections_max hold for all edges together, also after one died."""
    extra = "connections_per_address_max = 10\nconnections_max = 25\n"
    with Serve(build=t.build, conf=lambda s: conf(s, extra)) as server:
        def connect(source):
            w = wire.Wire("127.0.0.1", server.ports["imap"], source=source)
            return w, w.line().startswith(b"* OK")
        kept = [connect("127.0.0.21") for _ in range(20)]
        assert sum(ok for _, ok in kept) == 10, [ok for _, ok in kept]
        others = [connect(f"127.0.0.{30 + i}") for i in range(20)]
        assert sum(ok for _, ok in others) == 15, [ok for _, ok in others]
        for w, _ in kept + others:
            w.close()
        t.until(lambda: sum(edges(server).values()) == 0, what="the connections' end")
        kept = [connect("127.0.0.21") for _ in range(10)]
        assert all(ok for _, ok in kept)
        spread = edges(server)
        victim = max(spread, key=spread.get)
        server.expect_restart("edge")
        os.kill(victim, signal.SIGKILL)
        t.until(lambda: len(edges(server)) == 3 and victim not in edges(server), what="another edge")
        kept += [connect("127.0.0.21") for _ in range(12)]
        assert sum(ok for _, ok in kept[10:]) == spread[victim], (spread, [ok for _, ok in kept[10:]])


def resumed(server, session):
    """Connect with a TLS session of before; (was it taken up, the newest session)."""
    context = resumed.context
    with socket.create_connection(("127.0.0.1", server.ports["imaps"]), 10) as raw:
        with context.wrap_socket(raw, server_hostname="mail.example.test", session=session) as tls:
            tls.recv(1000)  # the greeting, and the tickets before it
            return tls.session_reused, tls.session


def case_tls_sessions_resume_anywhere(t):
    """A session begun at one edge is resumed at each, and after the one that began it has died; TLS 1.2 and 1.3."""
    with Serve(build=t.build, conf=conf) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            resumed.context = wire.tls_context()
            resumed.context.minimum_version = resumed.context.maximum_version = version
            first, session = resumed(server, None)
            assert not first
            held = [wire.Wire("127.0.0.1", server.ports["imaps"]) for _ in range(9)]  # so that others take turns
            assert all(resumed(server, session)[0] for _ in range(12)), version
            for w in held:
                w.close()
            for pid in list(edges(server)):
                server.expect_restart("edge")
                os.kill(pid, signal.SIGKILL)
            t.until(lambda: len(edges(server)) == 3, what="fresh edges")
            server.await_role("edge")
            assert all(resumed(server, session)[0] for _ in range(6)), version

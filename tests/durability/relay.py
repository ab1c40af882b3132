# SPDX-License-Identifier: Apache-2.0
"""relay and queue die at every moment of a message's way to another server: it arrives all the same, and once.

A second copy comes where nobody can help it: relay dies after another server has taken the message and before queue has
been told (SMTP has no way to ask "have you got it?"). Each such row says so; all others may make none. Where queue dies,
relay knows what was taken (roles/relay/sent.h).
"""
import random
import threading
import time

from harness import wire
from harness.internet import Internet
from harness.ledger import GONE

# (who dies, where, copies that may come at most)
ROWS = [
    ("relay", "relay.before-send", 1),
    ("relay", "relay.sent", 2),  # the other server has it; nobody here knows
    ("relay", "relay.before-reply", 2),  # the same
    ("relay", "relay.after-reply", 1),
    ("queue", "queue.before-relay", 1),
    ("queue", "queue.after-relay", 1),
    ("queue", "queue.relayed", 1),
    ("queue", "spool.before-done-commit", 1),
    ("queue", "spool.after-done-commit", 1),
]


def letter(n):
    return b"From: user1@example.test\r\nSubject: %d\r\n\r\n" % n + b"x" * 70 + b"\r\n"


def send(server, n, size=0):
    smtp = wire.Smtp(server)
    smtp.message("user1@example.test", [f"r{n}@far.test"], letter(n) + (b"y" * 70 + b"\r\n") * (size // 72))
    smtp.close()


def world(net):
    net.host("mx.far.test", cert=None)
    net.domain("far.test", mx=[(10, "mx")])


def copies(net, n):
    return len(net.mail(to=f"r{n}@far.test"))


def case_each_point(t):
    """A death at each point, small message and large: none is lost, and none is doubled but where SMTP cannot help it."""
    with Internet() as net:
        world(net)
        conf = net.conf("[smtp]\nrelay_from = 127.0.0.0/8\n[queue]\nretry_min = 1 s\nretry_max = 1 s\n")
        with t.own_server(env={"BARID_DEMO_CONF": conf}, users=1) as server:
            n, doubled = 0, {}
            send(server, 0)
            net.await_mail(to="r0@far.test")
            for size in (0, 200_000):
                for role, point, most in ROWS:
                    n += 1
                    server.crash_point(role, point)
                    send(server, n, size)
                    server.await_role(role)
                    t.until(lambda n=n: copies(net, n) > 0, what=f"message {n} after {role} died at {point}", timeout=60)
                    t.until(lambda: server.cli("queue", "list").count("@far.test") == 0, what=f"an empty queue after {point}", timeout=60)
                    assert copies(net, n) <= most, f"{role} died at {point}: {copies(net, n)} copies"
                    if copies(net, n) > 1:
                        doubled[point] = doubled.get(point, 0) + copies(net, n) - 1
            # The last ones have had their time, too.
            assert all(copies(net, k) >= 1 for k in range(n + 1))
            assert set(doubled) <= {"relay.sent", "relay.before-reply"}, doubled
            t.note(f"{n} deaths; second copies: {doubled}")


def case_killed_at_any_time(t):
    """relay and queue are killed again and again while messages go out: none is lost; copies are counted."""
    with Internet() as net:
        world(net)
        conf = net.conf("[smtp]\nrelay_from = 127.0.0.0/8\n[queue]\nretry_min = 1 s\nretry_max = 1 s\n")
        with t.own_server(env={"BARID_DEMO_CONF": conf}, users=1) as server:
            server.judge_restarts = False
            taken, stop = [], threading.Event()

            def write():
                n = 0
                while not stop.is_set():
                    n += 1
                    try:
                        send(server, n, random.choice((0, 0, 100_000)))
                        taken.append(n)
                    except GONE:
                        time.sleep(0.05)

            writer = threading.Thread(target=write)
            writer.start()
            for i in range(8):
                time.sleep(random.random() * 0.5)
                role = ("relay", "queue", "relay")[i % 3]
                server.kill(role)
                server.await_role(role)
            stop.set()
            writer.join()
            t.until(lambda: all(copies(net, n) for n in taken), what="every acknowledged message", timeout=120)
            second = sum(copies(net, n) - 1 for n in taken)
            # At most what relay had in hand when it died.
            assert second <= 6 * 20, second
            t.note(f"{len(taken)} messages, {second} second copies by 6 deaths of relay and 2 of queue")

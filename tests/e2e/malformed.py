# SPDX-License-Identifier: Apache-2.0
"""Garbage, endless lines and half-open connections on every port do not disturb a session beside them."""
import os
import random
import time

from harness import fleet, wire

PORTS = ("smtp", "submission", "imap", "imaps")
PATIENCE = 3.0


def beside(t, attack):
    """Run the attack while well-behaved users work; none may wait long or fail, and no role may die. How much longer they wait
    is measured by hostile.py, with nothing else on the machine."""
    server = t.server()
    before = {(e["role"], e["index"]): e["pid"] for e in server.roles()}
    users = fleet.Fleet(server)
    try:
        attack(server)
    finally:
        users.end()
    after = {(e["role"], e["index"]): e["pid"] for e in server.roles()}
    slowest, kind = users.slowest()
    assert slowest < PATIENCE, f"{kind} took {slowest:.2f} s"
    assert before == after, "a role was restarted"
    t.note(f"slowest: {kind}, {slowest * 1000:.0f} ms")


def attacker(server, number, port, tls=False):
    """A connection from an address of its own, so that limits per address hit only the attacker."""
    return wire.Wire(server.host, server.ports[port], tls=tls, source=f"127.0.{100 + number // 250}.{number % 250 + 1}",
                     timeout=5.0)


def pour(w, data):
    """Send until the server has had enough."""
    try:
        w.send(data)
        while True:
            w.line(0.3)
    except (wire.Closed, wire.Timeout, OSError):
        pass
    w.close()


def case_random_bytes(t):
    """Random bytes on every port, also inside TLS."""
    def attack(server):
        rng = random.Random(1)
        for i in range(60):
            port = PORTS[i % 4]
            pour(attacker(server, i, port, tls=port == "imaps" and i % 8 == 3), rng.randbytes(rng.choice((1, 100, 5000, 70000))))
    beside(t, attack)


def case_endless_lines(t):
    """A megabyte without a line end, lines of 60,000 octets, lone line ends."""
    def attack(server):
        for i, port in enumerate(PORTS * 2):
            pour(attacker(server, 100 + i, port, tls=port == "imaps"), b"A" * 1_000_000)
            pour(attacker(server, 120 + i, port, tls=port == "imaps"), (b"a " + b"B" * 60_000 + b"\r\n") * 10)
            pour(attacker(server, 140 + i, port, tls=port == "imaps"), b"\n\r\r\n\n\0\n" * 5000)
    beside(t, attack)


def case_hostile_literals(t):
    """Literals that are too large, never sent, negative, nested in nonsense; before and after login."""
    lines = [b"a LOGIN {4294967296}\r\n", b"a LOGIN {99999999999999999999}\r\n", b"a LOGIN {-1}\r\n", b"a LOGIN {10+}\r\nabc",
             b"a APPEND INBOX {5000000+}\r\nabc", b"a SEARCH TEXT {5}\r\n", b"a FETCH 1 " + b"(" * 5000 + b"\r\n",
             b"a FETCH 1:4294967295,*:* (BODY[" + b"1." * 3000 + b"1])\r\n", b"a STORE " + b"1," * 30000 + b"1 FLAGS (x)\r\n",
             b"a SEARCH " + b"OR ALL " * 8000 + b"ALL ALL\r\n", b"a SEARCH " + b"NOT " * 12000 + b"ALL\r\n",
             b'a LIST "" "' + b"%*" * 400 + b'x"\r\n', b"a ID (" + b'"k" "v" ' * 9000 + b")\r\n"]

    def attack(server):
        for i, line in enumerate(lines):
            pour(attacker(server, 200 + i, "imaps", tls=True), line)
            imap = wire.Imap(server, "user2@example.test", source=f"127.0.110.{i + 1}")
            imap.select("INBOX")
            pour(imap.wire, line)
    beside(t, attack)


def case_half_open(t):
    """Two hundred connections that say nothing, stop in mid-command, in mid-TLS or in mid-message."""
    starts = {"smtp": [b"", b"EHL", b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<user3@example.test>\r\nDATA\r\nSubje"],
              "submission": [b"", b"EHLO a.example\r\nSTARTTLS\r\n\x16\x03\x01\x02\x00\x01"],
              "imap": [b"", b"a STARTTLS\r\n\x16\x03\x01", b"a LOG"], "imaps": [b"", b"\x16\x03\x01\x02\x00\x01\x00"]}

    def attack(server):
        held = []
        for i in range(200):
            port = PORTS[i % 4]
            w = attacker(server, 250 + i, port)
            w.send(starts[port][i % len(starts[port])])
            held.append(w)
        time.sleep(1.0)
        for w in held:
            w.close()
    beside(t, attack)


def case_connect_and_reset(t):
    """Five hundred connections that are reset at once or after a few bytes."""
    def attack(server):
        for i in range(500):
            w = attacker(server, i, PORTS[i % 4])
            w.sock.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER 0: RST on close
            if i % 2:
                w.send(os.urandom(10))
            w.close()
        time.sleep(0.5)
    beside(t, attack)


def case_slow_reader(t):
    """A client that asks for much and reads nothing holds up nobody else."""
    def attack(server):
        imap = wire.Imap(server, "user4@example.test", source="127.0.120.1")
        for _ in range(20):
            imap.append("INBOX", b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 5000)
        imap.select("INBOX")
        for i in range(30):
            imap.wire.send(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % i)
        time.sleep(2.0)
        other = wire.Imap(server, "user4@example.test", source="127.0.120.2")
        assert other.messages("INBOX") == 20
        other.close()
        imap.close()
    beside(t, attack)

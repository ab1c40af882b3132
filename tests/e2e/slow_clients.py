# SPDX-License-Identifier: Apache-2.0
"""A client that is slow, stops, or vanishes holds nothing for long, in whatever phase: every phase has its time, and dripping
bytes does not prolong it. Places that strangers occupy are free again when somebody needs them."""
import re
import time

from harness import fleet, wire
from harness.server import Serve

SHORT = 2.0  # of every time that is set below


def conf(server, more=""):
    s = server.ports
    return (f"login_timeout = 2 s\n{more}\n[smtp]\nlisten = 127.0.0.1:{s['smtp']}\ncommand_timeout = 2 s\ndata_timeout = 2 s\n"
            f"data_rate_min = 10 KiB\n[submission]\nlisten = 127.0.0.1:{s['submission']}\n"
            f"[submissions]\nlisten = 127.0.0.1:{s['submissions']}\n[imap]\nlisten = 127.0.0.1:{s['imap']}\ncommand_timeout = 2 s\n"
            f"[imaps]\nlisten = 127.0.0.1:{s['imaps']}\n[tls]\nhandshake_timeout = 2 s\n")


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
MAIL = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<user1@example.test>\r\n"


def smtp(server, *texts, port="smtp"):
    """A connection in the state behind these texts, each answered."""
    w = wire.Wire(server.host, server.ports[port], timeout=20.0)
    w.line()
    for text in texts:
        w.send(text)
        for _ in range(max(1, text.count(b"\r\n"))):
            while w.line()[3:4] == b"-":
                pass
    return w


def imap(server, *texts, port="imap"):
    w = wire.Wire(server.host, server.ports[port], tls=port == "imaps", timeout=20.0)
    w.line()
    for text in texts:
        w.send(text)
        while not w.line().startswith((b"a ", b"+")):
            pass
    return w


def plain(server, port):
    return wire.Wire(server.host, server.ports[port], timeout=20.0)


# What the client has done so far, what it drips from then on ("" = it is silent), and what is counted.
PHASES = {
    "SMTP, silence": (lambda s: smtp(s), b"", "slow_command"),
    "SMTP, a command": (lambda s: smtp(s, b"EHLO x\r\n"), b"MAIL FROM:<" + b"a" * 1000, "slow_command"),
    "SMTP, AUTH": (lambda s: tls(smtp(s, b"EHLO x\r\n", b"STARTTLS\r\n", port="submission"), b"AUTH LOGIN\r\n"), b"d" * 1000,
                   "slow_command"),
    "DATA, silence": (lambda s: smtp(s, b"EHLO x\r\n", MAIL, b"DATA\r\n"), b"", "slow_message"),
    "DATA, drips": (lambda s: smtp(s, b"EHLO x\r\n", MAIL, b"DATA\r\n"), b"Subject: x\r\n\r\n" + b"y" * 1000, "slow_message"),
    "BDAT, drips": (lambda s: bdat(smtp(s, b"EHLO x\r\n", MAIL)), b"y" * 1000, "slow_message"),
    "STARTTLS, silence": (lambda s: smtp(s, b"EHLO x\r\n", b"STARTTLS\r\n"), b"", "slow_handshake"),
    "STARTTLS, drips": (lambda s: smtp(s, b"EHLO x\r\n", b"STARTTLS\r\n"), HELLO + b"z" * 400, "slow_handshake"),
    "TLS, silence": (lambda s: plain(s, "imaps"), b"", "slow_handshake"),
    "TLS, drips": (lambda s: plain(s, "submissions"), HELLO + b"z" * 400, "slow_handshake"),
    "IMAP, silence": (lambda s: imap(s), b"", "slow_login"),
    "IMAP, chat": (lambda s: imap(s), b"a NOOP\r\n" * 100, "slow_login"),
    "IMAP, AUTHENTICATE": (lambda s: imap(s, b"a AUTHENTICATE PLAIN\r\n", port="imaps"), b"d" * 1000, "slow_login"),
    "IMAP, a literal before the login": (lambda s: imap(s, b"a LOGIN {1000}\r\n", port="imaps"), b"u" * 900, "slow_login"),
    "IMAP, a command": (lambda s: imap(s, b"a LOGIN user1@example.test secret\r\n", port="imaps"), b"a FETCH 1 (" + b"UID " * 400,
                        "slow_imap_command"),
    "IMAP, a literal, silence": (lambda s: imap(s, b"a LOGIN user1@example.test secret\r\n", b"a APPEND INBOX {100000}\r\n",
                                                port="imaps"), b"", "slow_imap_command"),
}


def tls(w, text):
    w.start_tls()
    w.send(b"EHLO x\r\n")
    while w.line()[3:4] == b"-":
        pass
    w.send(text)
    w.line()
    return w


def bdat(w):
    w.send(b"BDAT 100000 LAST\r\n")
    return w


def ended(w):
    """The server has closed; what it said is thrown away."""
    try:
        while True:
            w.line(0.005)
    except wire.Timeout:
        return False
    except (wire.Closed, OSError):
        return True


def drip(started):
    """Send a byte to each now and then until all are closed; how long each lasted."""
    begun, lasted, sent = time.monotonic(), {}, dict.fromkeys(started, 0)
    while len(lasted) < len(started):
        for name, (w, text) in started.items():
            if name in lasted:
                continue
            at = sent[name]
            try:
                if text[at:at + 1] and time.monotonic() - begun > at * 0.15:
                    w.send(text[at:at + 1])
                    sent[name] += 1
            except (wire.Closed, OSError):
                pass
            if ended(w):
                lasted[name] = time.monotonic() - begun
        assert time.monotonic() - begun < 40, f"still open: {sorted(set(started) - set(lasted))}"
        time.sleep(0.05)
    return lasted


def case_every_phase_has_its_time(t):
    """Sixteen phases, silent or a byte every 150 ms: each connection is ended in its time, counted and logged."""
    with Serve(build=t.build, conf=conf, users=2) as server:
        started = {name: (make(server), text) for name, (make, text, _) in PHASES.items()}
        lasted = drip(started)
        counted = {kind: sum(k == kind for _, _, k in PHASES.values()) for _, _, kind in PHASES.values()}
        log = server.log_text()
    t.note(", ".join(f"{name} {s:.1f} s" for name, s in lasted.items()))
    for name, seconds in lasted.items():
        assert seconds > 0.5, f"{name}: ended after {seconds:.1f} s"
    for kind, number in counted.items():
        lines = len(re.findall(rf"event=offence .*kind={kind} ", log))
        assert lines >= number, f"{kind}: {lines} lines, {number} connections"


def case_idle_is_no_offence(t):
    """A client in IDLE, and one that is logged in and quiet, are left alone; a slow literal that goes on is taken."""
    with Serve(build=t.build, conf=conf, users=2) as server:
        idle = imap(server, b"a LOGIN user1@example.test secret\r\n", b"a SELECT INBOX\r\n", b"a IDLE\r\n", port="imaps")
        quiet = imap(server, b"a LOGIN user2@example.test secret\r\n", port="imaps")
        slow = imap(server, b"a LOGIN user2@example.test secret\r\n", b"a APPEND INBOX {60}\r\n", port="imaps")
        for i in range(6):
            slow.send(b"0123456789")
            time.sleep(0.6)
        slow.send(b"\r\n")
        assert slow.line().startswith((b"* ", b"a OK"))
        quiet.send(b"b NOOP\r\n")
        assert quiet.line().startswith(b"b OK")
        idle.send(b"DONE\r\n")
        assert idle.line().startswith(b"a OK")


def case_slow_reader_is_ended(t):
    """A client that asks for megabytes and takes none is ended after two minutes, counted; memory has a bound meanwhile."""
    with t.own_server(users=2) as server:
        user = wire.Imap(server, "user1@example.test")
        for _ in range(4):
            user.append("INBOX", b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 50_000)
        user.select("INBOX")
        user.wire.send(b"f FETCH 1:* BODY.PEEK[]\r\n" * 10)
        time.sleep(0.5)
        server.advance_clock(130)
        t.until(lambda: fleet.counters(server)["offence.slow_reader"] > 0, what="offence.slow_reader")


def case_strangers_make_room(t):
    """All places are taken by addresses that do nothing: after a while they make room; who is logged in stays."""
    def small(server):
        return conf(server, "connections_max = 40\nconnections_per_address_max = 20").replace("2 s", "10 min")
    with Serve(build=t.build, conf=small, users=2) as server:
        member = imap(server, b"a LOGIN user1@example.test secret\r\n", port="imaps")
        held = [wire.Wire(server.host, server.ports[("smtp", "imap")[i % 2]], source=f"127.0.70.{i + 1}") for i in range(39)]
        for w in held:
            w.line()
        t.until(lambda: answers(server, b"421"), what="421 for one too many")
        server.advance_clock(30)
        t.until(lambda: answers(server, b"220"), what="room")
        member.send(b"b NOOP\r\n")
        assert member.line().startswith(b"b OK")
        assert fleet.counters(server)["offence.made_room"] >= 1
        for w in held:
            w.close()


def answers(server, code):
    w = wire.Wire(server.host, server.ports["smtp"], source="127.0.71.1")
    line = w.line()
    w.close()
    return line.startswith(code)


def case_an_office_behind_one_address(t):
    """Who has logged in counts for the account: one address may have more sessions than connections_per_address_max."""
    def few(server):
        return conf(server, "connections_per_address_max = 5\nsessions_per_account_max = 30").replace("2 s", "1 min")
    with Serve(build=t.build, conf=few, users=2) as server:
        office = [imap(server, b"a LOGIN user%d@example.test secret\r\n" % (i % 2 + 1), port="imaps") for i in range(30)]
        strangers = [wire.Wire(server.host, server.ports["imap"]) for _ in range(5)]
        for w in strangers:
            assert w.line().startswith(b"* OK")
        assert wire.Wire(server.host, server.ports["imap"]).line().startswith(b"* BYE [LIMIT]")
        office[29].send(b"b NOOP\r\n")
        assert office[29].line().startswith(b"b OK")


def case_vanished_peers(t):
    """The kernel looks after clients that vanish: connections have keep-alive on, and unacknowledged output an end."""
    with t.own_server(users=1) as server:
        w = imap(server, b"a LOGIN user1@example.test secret\r\n", port="imaps")
        port = w.sock.getsockname()[1]
        ask = [t.program("ss"), "-tnoH", f"sport = :{server.ports['imaps']} and dport = :{port}"]
        t.until(lambda: b"timer:(keepalive" in t.run(ask).stdout, what="the keep-alive timer, once all output is acknowledged")

# SPDX-License-Identifier: Apache-2.0
"""A scan that a message has taken over: it can lie about the messages that it is given, and reaches nothing else. Scan 0
is the test itself (tests/harness/impostor.py), scan 1 is true."""
import os
import re
import threading
import time

from harness import wire
from harness.impostor import Intruded
from harness.ipc import REPLY, SCHEMA

USER = "user1@example.test"
MAIL = (b"From: A <a@example.org>\r\nTo: user1@example.test\r\nSubject: a plain subject\r\nDate: Sun, 22 Nov 2026 06:00:00 +0000\r\n"
        b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>hello</p>\r\n--b--\r\n")
OTHER = b"From: B <b@example.org>\r\nSubject: another one\r\n\r\n" + b"x" * 3000 + b"\r\n"


def honest(t, *messages):
    """What a true scan says about them: (map, sha256)."""
    server = Intruded(["mta 0"], build=t.build, users=1)
    with server:
        scan = server.impostor("mta 0").peer("scan 0")
        replies = [scan.ask("scan", body=m, size=len(m)) for m in messages]
        assert all(r.name == "scan_reply" for r in replies), replies
        return [(r["map"], r["sha256"]) for r in replies]


class Rig:
    """A server whose scan 0 answers as `policy` says: a function of (channel, packet)."""

    def __init__(self, t):
        self.t = t
        self.policy = None
        self.seen = 0
        self.server = Intruded(["scan 0"], build=t.build, users=2)
        self.server.on_start = self.take_over
        self.me = None

    def take_over(self, impostor):
        self.me = impostor
        impostor.on_peer = self.asked

    def asked(self, channel, packet):
        if packet.name != "scan":
            return False
        self.seen += 1
        policy = self.policy
        if policy:
            policy(channel, packet)
        return True

    def __enter__(self):
        self.server.start()
        self.restarts = self.server.restarts()
        return self

    def __exit__(self, kind, value, trace):
        return self.server.__exit__(kind, value, trace)

    def offer(self, message=MAIL):
        """Hand a message in; the reply to its end."""
        smtp = wire.Smtp(self.server, timeout=60)
        try:
            return smtp.message("a@example.org", [USER], message)
        except wire.Refused as e:
            return e.args[0]
        finally:
            smtp.close()

    def nobody_died(self, what):
        now = self.server.restarts()
        assert now == self.restarts, f"{what}: {now}\n{self.server.log_tail(30)}"


def answer(map_, sha):
    return lambda channel, packet: channel.respond(packet, "scan_reply", map=map_, sha256=sha)


def wrong_maps(good, other):
    """Maps that do not fit, by name."""
    yield "none", b""
    yield "garbage", os.urandom(500)
    yield "zeros", bytes(500)
    yield "another message's", other
    yield "a later version", good[:1] + b"\x63" + good[2:]
    yield "with something behind it", good + b"x"
    yield "a size that is not so", good[:3] + b"\xff\xff\xff\xff\x0f" + good[4:]
    yield "a line in the subject", good.replace(b"a plain subject", b"a\r\n* BYE subjt")
    yield "a quote in the envelope", good.replace(b'"a plain subject"', b'"a"lain subject"')
    yield "a parenthesis in the structure", good.replace(b'"TEXT" "PLAIN"', b'"TEXT") "PLAI"')
    yield "NUL in the subject", good.replace(b"a plain subject", b"a plain\0subject")
    yield "many parts", good[:2] + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" * 8
    yield "four megabytes", good + bytes(4 * 1024 * 1024 - len(good))
    for cut in range(1, len(good), max(1, len(good) // 12)):
        yield f"cut at {cut}", good[:cut]
    for at in range(2, len(good), max(1, len(good) // 60)):
        yield f"another byte at {at}", good[:at] + bytes([good[at] ^ (0x81 if at % 2 else 0x7f)]) + good[at + 1:]


def case_wrong_maps_reach_their_message_alone(t):
    """A wrong map: its message is refused, or shown wrongly; no other is, no answer is broken, and nobody dies."""
    (good, sha), (other, other_sha) = honest(t, MAIL, OTHER)
    with Rig(t) as rig:
        rig.policy = answer(other, other_sha)
        assert rig.offer(OTHER).startswith(b"250")  # an honest answer, so that there is somebody else's message
        imap = wire.Imap(rig.server, USER, timeout=20)
        t.until(lambda: imap.messages("INBOX"), what="delivery")
        taken, refused = 1, 0
        for what, map_ in wrong_maps(good, other):
            rig.policy = answer(map_, sha)
            reply = rig.offer()
            assert reply.startswith((b"250", b"451", b"554", b"550")), (what, reply)
            taken += reply.startswith(b"250")
            refused += not reply.startswith(b"250")
        assert refused > 20, (taken, refused)
        for wrong in (b"", b"short", other_sha):  # of a body that travels inside the message spool takes its own
            rig.policy = answer(good, wrong)
            taken += rig.offer().startswith(b"250")
        rig.nobody_died("wrong maps")
        t.until(lambda: imap.messages("INBOX") == taken, what=f"delivery of {taken} messages")
        look(imap, taken)
        # APPEND goes through scan too.
        for what, map_ in list(wrong_maps(good, other))[::4]:
            rig.policy = answer(map_, sha)
            try:
                imap.append("INBOX", MAIL)
                taken += 1
            except wire.Refused:
                pass
        look(imap, taken)
        rig.nobody_died("wrong maps of APPEND")
        t.note(f"{taken} taken, {refused} refused")


def look(imap, taken):
    """Every message has its bytes, every answer its form, and the first one is as it was sent."""
    exists, _ = imap.select("INBOX")
    assert exists == taken, (exists, taken)
    for n in range(1, exists + 1):
        body = imap.fetch(str(n), "(BODY.PEEK[TEXT])")
        whole = imap.fetch(str(n), "(BODY.PEEK[])")[n]["BODY[]"]
        assert whole.endswith(OTHER if n == 1 else MAIL), n
        assert body
        for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[2.MIME]", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
                     "RFC822.SIZE"):
            try:
                assert n in imap.fetch(str(n), f"({item})"), (n, item)
            except wire.Refused as e:
                assert b" NO " in e.args[0] or b" BAD " in e.args[0], e
    assert imap.fetch("1", "(ENVELOPE)")[1]["ENVELOPE"][1] == b"another one"
    for search in (b"SEARCH SUBJECT plain", b"SEARCH BODY hello", b"SEARCH TEXT another"):
        assert imap.command(search)


def case_wrong_answers_reach_their_message_alone(t):
    """Refusals, other messages, twice, unasked, late, broken datagrams, death: the message is asked for elsewhere, or 451."""
    ((good, sha),) = honest(t, MAIL)
    with Rig(t) as rig:
        rig.server.advance_clock(3)

        def reply_with(name, **values):
            return lambda channel, packet: channel.respond(packet, name, **values)

        def twice(channel, packet):
            for _ in range(3):
                channel.respond(packet, "scan_reply", map=good, sha256=sha)

        def unasked(channel, packet):
            for request in range(1, 2000):
                channel.raw(SCHEMA.number("scan_reply"), b"\0" * 8, flags=REPLY, request=request + 7 * packet.request)
            channel.respond(packet, "scan_reply", map=good, sha256=sha)

        def asks(channel, packet):
            for name in SCHEMA.messages:
                channel.send(name)
                channel.send(name, request=4711)
            channel.respond(packet, "scan_reply", map=good, sha256=sha)

        before = len(rig.server.log_text())
        for what, policy, wanted in (
                ("a failure", reply_with("fail", code=4, public="x\r\n250 y", detail="d"), b"451"),
                ("a failure of no kind", reply_with("fail", code=999), b"451"),
                ("another type", reply_with("ok"), b"451"),
                ("another type with much in it", reply_with("submitted", number=7), b"451"),
                ("thrice", twice, b"250"), ("unasked", unasked, b"250"), ("questions of its own", asks, b"250")):
            rig.policy = policy
            reply = rig.offer()
            assert reply.startswith(wanted) or (wanted == b"451" and reply.startswith((b"4", b"5"))), (what, reply)
            assert b"250 y" not in reply, reply
        log = rig.server.log_text()[before:]
        assert re.search(r"mta\[\d+\].*event=ipc.refused role=scan", log), "nobody saw the questions of scan"
        rig.nobody_died("wrong answers")
        # What ends its process or its connection: another scan is asked, and this one starts afresh.
        for what, policy in (
                ("death", lambda channel, packet: rig.me.test.close()),
                ("a closed connection", lambda channel, packet: channel.close()),
                ("an unknown type", lambda channel, packet: channel.raw(len(SCHEMA.messages) + 9, b"")),
                ("forty megabytes", lambda channel, packet: channel.respond(packet, "scan_reply", map=bytes(40 << 20)))):
            me = rig.me

            def once(channel, packet, policy=policy):
                rig.policy = answer(good, sha)  # its successor may be there at once
                policy(channel, packet)

            rig.policy = once
            reply = rig.offer()
            assert reply.startswith(b"250"), (what, reply)
            rig.server.impostor("scan 0", after=me)
            rig.server.advance_clock(3)
            rig.nobody_died(what)
        rig.policy = answer(good, sha)
        assert rig.offer().startswith(b"250")


def case_hanging_scan_is_ended(t):
    """A scan that stays silent costs its message an attempt; others go elsewhere meanwhile, and it is ended."""
    with Rig(t) as rig:
        hangs = []
        rig.policy = lambda channel, packet: hangs.append(packet)
        me = rig.server.impostor("scan 0")
        result = []
        thread = threading.Thread(target=lambda: result.append(rig.offer()))
        thread.start()
        t.until(lambda: hangs, what="the message that hangs")
        begun = time.monotonic()
        for _ in range(10):
            assert rig.offer(OTHER).startswith(b"250")
        took = time.monotonic() - begun
        assert took < 15, f"others waited {took:.1f} s"
        assert len(hangs) == 1, "others were given to the scan that hangs"
        assert me.killed(timeout=60), "nobody ended it"
        thread.join(60)
        assert result and result[0].startswith(b"4"), result
        assert re.search(r"event=scan.hangs", rig.server.log_text())
        rig.nobody_died("a scan that hangs")


def case_scan_processes_are_renewed(t):
    """Each scan process is replaced when its time is over, one that refuses to go too; no message notices."""
    with t.own_server(users=2) as server:
        def pids():
            return {r["index"]: r["pid"] for r in server.roles() if r["role"] == "scan" and r["state"] == "ready"}

        before = pids()
        server.advance_clock(601)
        smtp = wire.Smtp(server)
        sent = 0

        def renewed():
            nonlocal sent
            smtp.message("a@example.org", [USER], MAIL)
            sent += 1
            now = pids()
            return len(now) == len(before) and all(now[i] != before[i] for i in before)

        t.until(renewed, timeout=60, what="other scan processes")
        assert sum(r["restarts"] for r in server.roles() if r["role"] == "scan") == 0
        imap = wire.Imap(server, USER)
        t.until(lambda: imap.messages("INBOX") == sent, what="delivery")

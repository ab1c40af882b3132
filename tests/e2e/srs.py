# SPDX-License-Identifier: Apache-2.0
"""Rewritten senders (SRS): forwarded mail and its bounces in a small Internet, the look-ups of ports 7778 and 7779, and the same
secret at postsrsd. And port 12340: whether a mailbox has room."""
import os
import random
import re

from harness import wire
from harness.internet import Internet
from harness.services import Policy, PostSrsd, Table, request

DAY = 86400
SRS = "mail.example.test"
SENDER = "Alice.VERP-AbC@sender.test"


def world():
    """sender.test, whose mail is forwarded, and friend.test, where it is forwarded to."""
    net = Internet()
    for name in ("sender", "friend"):
        net.host(f"mx.{name}.test", cert=None)
        net.domain(f"{name}.test", mx=[(10, "mx")])
    return net


def fill(server):
    server.cli("alias", "add", "out@example.test", "pal@friend.test")
    server.cli("user", "set", "user1@example.test", "--forward", "pal1@friend.test", "--keep-copy", "on")
    server.cli("user", "set", "user2@example.test", "--forward", "pal2@friend.test")


def send(server, sender, *to, subject="x", port="smtp"):
    smtp = wire.Smtp(server, port)
    smtp.message(sender, to, f"Subject: {subject}\r\n\r\ntext\r\n".encode())
    smtp.close()


def refusal(server, to, sender=b""):
    smtp = wire.Smtp(server)
    smtp.command(b"MAIL FROM:<%s>" % sender)
    smtp.wire.send(b"RCPT TO:<%s>\r\n" % to.encode())
    reply = smtp.reply()
    smtp.close()
    return reply.decode()


def forwarded(net, server, sender, to="out@example.test", at="pal@friend.test"):
    """The sender under which a message of `sender` comes there."""
    seen = len([m for m in net.mail() if at in m.recipients])
    send(server, sender, to)
    net_mail = lambda: [m for m in net.mail() if at in m.recipients]
    wait_for(lambda: len(net_mail()) > seen, server)
    return net_mail()[-1].sender


def wait_for(condition, server):
    from harness.case import Case
    try:
        return Case.until(condition, timeout=30)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{server.log_tail(30)}") from e


def case_forwarded_and_back(t):
    """Aliases, forwardings with and without a copy: the next server sees a sender of ours, and a bounce to it reaches who wrote.
    Reports and the log name both."""
    with world() as net, t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf()}) as server:
        fill(server)
        rewritten = forwarded(net, server, SENDER)
        assert re.fullmatch(rf"SRS0=[\w+/]{{4}}=[A-Z2-7]{{2}}=sender\.test=Alice\.VERP-AbC@{SRS}", rewritten), rewritten
        for user, pal in (("user1", "pal1"), ("user2", "pal2")):
            assert forwarded(net, server, SENDER, f"{user}@example.test", f"{pal}@friend.test").startswith("SRS0=")
        imap = wire.Imap(server, "user1@example.test")
        t.until(lambda: imap.messages("INBOX") == 1, what="the copy that is kept")
        # What is delivered here keeps the sender.
        assert f"Return-Path: <{SENDER}>".encode() in imap.bodies("INBOX")[0][1]
        imap.close()
        # The bounce: by port 25, with the null sender, and with another one, which is forwarded mail in turn.
        send(server, "", rewritten, subject="bounce")
        bounce = wait_for(lambda: [m for m in net.mail() if SENDER in m.recipients], server)[0]
        assert bounce.sender == "" and b"Subject: bounce" in bounce.content
        assert forwarded(net, server, "postmaster@friend.test", rewritten, SENDER).startswith("SRS0=")
        # Lower case on the way.
        send(server, "", rewritten.lower(), subject="lower")
        wait_for(lambda: any(b"Subject: lower" in m.content for m in net.mail()), server)
        # A forwarder behind us, and one before us: SRS1, whose bounce goes to the first one.
        chained = forwarded(net, server, "SRS0=HHHH=TT=first.test=x@sender.test")
        assert re.fullmatch(rf"SRS1=[\w+/]{{4}}=sender\.test==HHHH=TT=first\.test=x@{SRS}", chained), chained
        send(server, "", chained, subject="chained")
        wait_for(lambda: any("SRS0=HHHH=TT=first.test=x@sender.test" in m.recipients for m in net.mail()), server)
        log = server.log_text()
        assert re.search(rf"relay\.rewritten .*from={re.escape(SENDER.lower())} as=\"?{re.escape(rewritten.lower())}", log), log[-3000:]
        told = server.cli("trace", rewritten)
        assert rewritten.lower() in told and SENDER.lower() in told and "was rewritten" in told, told


def case_what_keeps_its_sender(t):
    """Null senders, our own domains, users who have logged in, excluded domains; what machines of our own send directly."""
    conf = "[srs]\nexclude = friend.test, quiet.test\n"
    with world() as net:
        net.domain("mail.quiet.test", mx=[(10, "mx.sender.test")])
        with t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf("[smtp]\nrelay_from = 127.0.0.0/8\n" + conf)}) as server:
            fill(server)
            server.cli("domain", "alias-add", "alias.test", "example.test")
            for sender in ("", "user2@example.test", "user2@alias.test", "x@mail.quiet.test", "y@friend.test"):
                assert forwarded(net, server, sender) == sender
            assert forwarded(net, server, SENDER, "pal@friend.test") == SENDER  # relayed, not forwarded
            assert forwarded(net, server, SENDER).startswith("SRS0=")
            # An own copy of everything.
            server.cli("bcc", "set", "user3@example.test", "--received", "archive@friend.test")
            assert forwarded(net, server, SENDER, "user3@example.test", "archive@friend.test").startswith("SRS0=")


def case_switched_off(t):
    """srs.forwarding = off: as it came; addresses of before still lead back."""
    with world() as net, t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf("[srs]\nforwarding = off\n")}) as server:
        fill(server)
        assert forwarded(net, server, SENDER) == SENDER
        address = server.cli("srs", "forward", SENDER).splitlines()[1].split()[0]
        send(server, "", address, subject="back")
        wait_for(lambda: any(SENDER in m.recipients for m in net.mail()), server)


def case_reports(t):
    """The next server refuses: the report goes to who wrote, at once, not by way of the rewritten address."""
    with world() as net, t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf()}) as server:
        fill(server)
        net.hosts["mx.friend.test"].replies["RCPT"] = "550 5.1.1 nobody here"
        send(server, SENDER, "out@example.test")
        report = wait_for(lambda: [m for m in net.mail() if SENDER.lower() in [r.lower() for r in m.recipients]], server)[0]
        assert report.sender == "" and b"out@example.test" in report.content and b"550 5.1.1 nobody here" in report.content
        assert re.search(rb"550 5\.1\.1 nobody here \(sent\s+as\s+SRS0=[^)]*=sender\.test=Alice\.VERP-AbC@mail\.example\.test\)", report.content), \
            report.content.decode()


def case_no_open_relay(t):
    """Forged, damaged and expired addresses are refused with a clear text, replays are counted; a new secret lets old ones pass."""
    with world() as net, t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf("[srs]\nreturn_rate = 3\n")}) as server:
        fill(server)
        rewritten = forwarded(net, server, SENDER)
        local = rewritten.partition("@")[0]
        parts = local.split("=")
        wrong = {
            "another hash": "=".join([parts[0], "AAAA" if parts[1] != "AAAA" else "BBBB"] + parts[2:]),
            "another day": "=".join(parts[:2] + ["AB"] + parts[3:]),
            "another user": local + "x",
            "another host": local.replace("=sender.test=", "=victim.test="),
            "a shorter hash": "=".join([parts[0], parts[1][:3]] + parts[2:]),
            "no hash": "SRS0==" + "=".join(parts[2:]),
            "nothing in it": "SRS0=x",
            "another's guard": "SRS1=AAAA=sender.test==HHHH=TT=x.test=y",
        }
        for what, forged in wrong.items():
            assert refusal(server, f"{forged}@{SRS}").startswith("550 5.1.1 "), (what, refusal(server, f"{forged}@{SRS}"))
        assert "554 5.7.1" in refusal(server, f"{local}@elsewhere.test")  # not our domain: not our affair
        for _ in range(3):
            assert refusal(server, rewritten).startswith("250"), refusal(server, rewritten)
        assert refusal(server, rewritten).startswith("450 4.7.1 "), refusal(server, rewritten)
        server.cli("srs", "rotate")
        fresh = forwarded(net, server, SENDER)
        assert fresh != rewritten
        server.advance_clock(3700)
        assert refusal(server, rewritten).startswith("250") and refusal(server, fresh).startswith("250")
        server.cli("srs", "rotate", "--keep", "1")
        assert refusal(server, rewritten).startswith("550 5.1.1 ")
        server.advance_clock(20 * DAY)
        assert refusal(server, fresh).startswith("250"), refusal(server, fresh)
        server.advance_clock(2 * DAY)
        assert refusal(server, fresh).startswith("550 5.1.6 "), refusal(server, fresh)


def case_tables_beside_postsrsd(t):
    """With the same secret each decodes what the other has written, of all kinds of addresses, chains of forwarders too."""
    secret = "one secret for both"
    addresses = ["alice@one.example", "Bob.Builder@two.example", "a=b@x.example", "verp+17-x=y.example@three.example", "two words@q.example",
                 "SRS0=HHHH=TT=first.example=x@fwd.example", "SRS0+HHHH=TT=first.example=x@fwd.example",
                 "SRS1=HHHH=first.example==GGGG=TT=zero.example=x@fwd.example", "l" * 64 + "@" + "d" * 60 + ".example"]
    server = t.server(users=2)
    server.cli("srs", "import", secret)
    with PostSrsd(t, secret, SRS) as theirs, \
            Table("127.0.0.1", server.ports["srs_forward"]) as ours_forward, Table("127.0.0.1", server.ports["srs_reverse"]) as ours_reverse, \
            Table("127.0.0.1", theirs.forward) as their_forward, Table("127.0.0.1", theirs.reverse) as their_reverse:
        t.until(lambda: ours_forward.get("alice@one.example") == their_forward.get("alice@one.example"), what="the imported secret")
        for address in addresses:
            mine, other = ours_forward.get(address), their_forward.get(address)
            assert mine == other, (address, mine, other)
            back = re.sub(r"^SRS1=[^=]*=([^=]*)=(.*)@.*$", r"SRS0\2@\1", mine) if mine.startswith("SRS1") else address
            assert ours_reverse.get(other) == back and their_reverse.get(mine) == back, (address, ours_reverse.text, their_reverse.text)
        for address in (f"x@{SRS}", "user1@example.test"):
            assert ours_forward.get(address) is None and ours_forward.code == 500
        for address in (f"SRS0=AAAA=AA=x.example=y@{SRS}", f"x@{SRS}"):
            assert ours_reverse.get(address) is None and ours_reverse.code == 500 and their_reverse.get(address) in (None, address)


def case_hash_length_and_separator(t):
    """Settings of both programs alike: longer hashes, another separator."""
    conf = "[srs]\nhash_length = 8\nseparator = +\ndomain = srs.example.test\n"
    with t.own_server(users=2, env={"BARID_DEMO_CONF": conf}) as server, \
            PostSrsd(t, "another secret", "srs.example.test", ("-n8", "-N8", "-a+")) as theirs:
        server.cli("srs", "import", "another secret")
        with Table("127.0.0.1", server.ports["srs_forward"]) as ours, Table("127.0.0.1", theirs.forward) as their_table, \
                Table("127.0.0.1", server.ports["srs_reverse"]) as back:
            t.until(lambda: ours.get("x@y.example") == their_table.get("x@y.example"), what="the same settings")
            assert re.match(r"SRS0\+[\w+/]{8}=", ours.text) and back.get(ours.text) == "x@y.example"
            # A hash of four characters was enough before; it is not now.
            short = re.sub(r"^(SRS0\+.{4}).{4}", r"\1", ours.text)
            assert back.get(short) is None and back.code == 500


def case_quota_status(t):
    """RCPT and END-OF-MESSAGE: DUNNO or 552, by size; details, aliases, alias domains, several mailboxes, strangers."""
    with t.own_server(users=2) as server:
        server.add_user("small", quota="1m")
        server.add_user("large", quota="100m")
        server.cli("alias", "add", "one@example.test", "small@example.test")
        server.cli("alias", "add", "both@example.test", "small@example.test", "large@example.test")
        server.cli("alias", "add", "away@example.test", "small@example.test", "x@elsewhere.test")
        server.cli("domain", "alias-add", "alias.test", "example.test")
        full = "552 5.2.2 Mailbox is full"
        big = 3 * 1024 * 1024
        with Policy("127.0.0.1", server.ports["quota_status"]) as p:
            for address in ("small@example.test", "SMALL@Example.Test", "small+box@example.test", "one@example.test", "small@alias.test",
                            "one+x@alias.test"):
                assert p.ask(recipient=address, size=big) == full, address
                assert p.ask(recipient=address, size=1000) == "DUNNO", address
                assert p.ask(recipient=address) == "DUNNO", address
                assert p.ask("END-OF-MESSAGE", recipient=address, size=big) == full, address
                assert p.ask("MAIL", recipient=address, size=big) == "DUNNO"
            for address in ("both@example.test", "away@example.test", "large@example.test", "nobody@example.test", "x@elsewhere.test", "",
                            "not an address", "user1@example.test"):
                assert p.ask(recipient=address, size=big) == "DUNNO", address
            assert p.ask(recipient="both@example.test", size=200 * 1024 * 1024) == full
            # A full mailbox takes nothing more, whatever the size.
            for _ in range(3):
                send(server, "x@sender.test", "small@example.test", subject="y" * 400)
            imap = wire.Imap(server, "small@example.test")
            imap.append("INBOX", b"Subject: fill\r\n\r\n" + b"0123456789abcde\r\n" * (1024 * 1024 // 17 - 300))
            imap.close()
            for n in range(40):
                try:
                    send(server, "x@sender.test", "small@example.test", subject=f"{n} " + "z" * 900)
                except wire.Refused as e:
                    assert e.args[0].startswith(b"552"), e
                    break
            t.until(lambda: p.ask(recipient="small@example.test") == full, what="the mailbox being full")
            assert p.ask(recipient="one@example.test", size=1) == full


def case_directory_away(t):
    """dir is stopped: the configured answer comes in time, from both kinds of service; when it goes on, so do they."""
    for failure, action in (("dunno", "DUNNO"), ("defer", "450 4.3.0 ")):
        conf = f"[quota_status]\ndeadline = 1 s\nfailure = {failure}\n"
        with t.own_server(users=2, env={"BARID_DEMO_CONF": conf}) as server:
            import signal
            with Policy("127.0.0.1", server.ports["quota_status"]) as p, Table("127.0.0.1", server.ports["srs_forward"]) as table:
                assert p.ask(recipient="user1@example.test") == "DUNNO"
                server.freeze("dir")
                try:
                    assert p.ask(recipient="user3@example.test").startswith(action)
                    if failure == "defer":  # once is enough
                        assert table.get("x@never.asked") is None and table.code == 400, (table.code, table.text)
                finally:
                    server.freeze("dir", signal.SIGCONT)
                t.until(lambda: table.get("x@never.asked"), what="the directory")
                assert p.ask(recipient="user3@example.test") == "DUNNO"


def case_mta_dies(t):
    """mta is killed under questions: they are asked again, nobody who waits for an answer notices."""
    with t.own_server(users=2) as server:
        with Policy("127.0.0.1", server.ports["quota_status"]) as p, Table("127.0.0.1", server.ports["srs_forward"]) as table:
            for n in range(4):
                server.kill("mta")
                assert table.get(f"x{n}@sender.test").startswith("SRS0=")
                assert p.ask(recipient="user1@example.test") == "DUNNO"
                server.await_role("mta")


def case_pieces_and_batches(t):
    """Requests byte by byte, many at once, more than one answer may hold; a request that is never finished ends its connection."""
    server = t.server(users=2)
    with Table("127.0.0.1", server.ports["srs_forward"]) as table:
        for byte in b"get a@trickle.test\n":
            table.send(bytes([byte]))
        assert table.answer().startswith("SRS0=")
        table.send(b"".join(b"get u%d@batch.test\n" % n for n in range(5000)))
        for n in range(5000):
            assert f"=batch.test=u{n}@" in table.answer()
        table.send(b"put a b\nhello\nget \nget %zz\nget last@batch.test\r\n")
        for _ in range(4):
            assert table.answer() is None and table.code == 500
        assert table.answer()
        table.send(b"get " + b"x" * 5000)
        assert table.ended() == b""
    with Policy("127.0.0.1", server.ports["quota_status"]) as p:
        for byte in request(recipient="user1@example.test"):
            p.send(bytes([byte]))
        assert p.answer() == "DUNNO"
        p.send(b"".join(request(recipient=f"u{n}@example.test", size=n) for n in range(2000)))
        for _ in range(2000):
            assert p.answer() == "DUNNO"
        p.send(request(recipient="user1@example.test").replace(b"\n", b"\r\n"))
        assert p.answer() == "DUNNO"
        p.send(request(recipient="user1@example.test") + b"nonsense\n\n")
        assert p.ended() == b"action=DUNNO\n\n"
    with Policy("127.0.0.1", server.ports["quota_status"]) as p:
        p.send(b"x=" + b"y" * 70000)
        assert p.ended() == b""


# As versions of Postfix send it, by hand from what each added (SMTPD_POLICY_README).
VERSIONS = {
    "2.1": "protocol_state protocol_name helo_name queue_id sender recipient client_address client_name",
    "2.2": "reverse_client_name instance sasl_method sasl_username sasl_sender size ccert_subject ccert_issuer ccert_fingerprint",
    "2.3": "encryption_protocol encryption_cipher encryption_keysize etrn_domain recipient_count",
    "2.5": "stress", "2.9": "ccert_pubkey_fingerprint", "3.0": "client_port", "3.1": "policy_context", "3.2": "server_address server_port",
    "3.8": "compatibility_level mail_version",
}
VALUES = {"protocol_state": "RCPT", "protocol_name": "ESMTP", "helo_name": "mx.sender.test", "sender": "a@sender.test",
          "client_address": "203.0.113.9", "client_name": "mx.sender.test", "reverse_client_name": "mx.sender.test",
          "instance": "17f.5f6e7d80.9.0", "encryption_keysize": "0", "recipient_count": "0", "client_port": "41234",
          "server_address": "192.0.2.25", "server_port": "25", "compatibility_level": "3.6", "mail_version": "3.7.11"}


def case_versions_of_postfix(t):
    """The attributes of 2.1 to 3.8, in their order and in any other, with more that nobody knows."""
    with t.own_server(users=1) as server:
        server.add_user("small", quota="1m")
        dice = random.Random(7)
        names = []
        with Policy("127.0.0.1", server.ports["quota_status"]) as p:
            for version, added in VERSIONS.items():
                names += added.split()
                for turn in range(3):
                    for size in (1, 5 * 1024 * 1024):
                        order = names if turn == 0 else dice.sample(names, len(names))
                        values = dict(VALUES, recipient="small@example.test", size=size)
                        lines = ["request=smtpd_access_policy"] + [f"{n}={values.get(n, '')}" for n in order]
                        lines += ["x_new=what=ever"] if turn == 2 else []
                        p.send(("\n".join(lines) + "\n\n").encode())
                        full = size > 1 and "size" in names
                        assert p.answer() == ("552 5.2.2 Mailbox is full" if full else "DUNNO"), (version, turn, size)


def case_fuzzed(t):
    """Anything at all is said to the three ports; they live, and the next client is served."""
    server = t.server(users=2)
    dice = random.Random(11)
    rounds = int(os.environ.get("BARID_SERVICES_ROUNDS", "40"))
    good = {"srs_forward": b"get a@b.example\n", "srs_reverse": b"get SRS0=AAAA=AA=x.example=y@" + SRS.encode() + b"\n",
            "quota_status": request(recipient="user1@example.test", size=7)}
    for port, whole in good.items():
        for _ in range(rounds):
            data = bytearray(whole * dice.randint(1, 4))
            for _ in range(dice.randint(0, 6)):
                at = dice.randrange(len(data))
                data[at:at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 4))
            with Policy("127.0.0.1", server.ports[port]) as p:
                p.send(bytes(data))
                p.sock.shutdown(1)
                p.ended()
    with Table("127.0.0.1", server.ports["srs_forward"]) as table:
        assert table.get("a@b.example").startswith("SRS0=")
    with Policy("127.0.0.1", server.ports["quota_status"]) as p:
        assert p.ask(recipient="user1@example.test") == "DUNNO"

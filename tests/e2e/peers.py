# SPDX-License-Identifier: Apache-2.0
"""Mail servers of others send to barid: Postfix, Exim and OpenSMTPD of Debian, and smtp-source; plain, with TLS, pipelined, in chunks,
large, to many, to some who do not exist, with eight bits, with names beyond ASCII, with wishes for reports."""
import os
import re
import time

from harness import wire
from harness.peermta import Exim, LmtpPostfix, OpenSmtpd, Postfix

SENDER = "s@client.example"


def bodies(server, user, n, timeout=40):
    """At least n messages of a mailbox, awaited."""
    deadline = time.monotonic() + timeout * server.slow
    while True:
        imap = wire.Imap(server, f"{user}@example.test")
        found = [body for _, body in imap.bodies("INBOX")]
        imap.close()
        if len(found) >= n or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def message(subject, extra=b"", body=b"hello\r\n.\r\n..dots\r\n"):
    return b"Subject: %s\r\nFrom: <%s>\r\nTo: <user1@example.test>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@x>\r\n%s\r\n" % (
        subject, SENDER.encode(), subject, extra) + body


def through(peer, sender, to, data, options=b"", rcpt_options=b""):
    """Give a message to the peer, as its client."""
    smtp = wire.Smtp(peer)
    smtp.command(b"MAIL FROM:<%s>%s" % (sender.encode(), options))
    for address in to:
        smtp.command(b"RCPT TO:<%s>%s" % (address.encode(), rcpt_options))
    smtp.command(b"DATA", b"354")
    smtp.wire.send(wire.dot_stuffed(data))
    smtp.expect(b"250", smtp.reply())
    smtp.close()


def expect(server, peer, user, n, what):
    found = bodies(server, user, n)
    assert len(found) == n, f"{what}: {len(found)} of {n}\n{peer.log()[-3000:]}\n{server.log_tail(20)}"
    return found


def large_body():
    return b"0123456789abcdef" * 4 + b"\r\n"


def round_of(server, peer, tls, features=b"8BITMIME DSN SMTPUTF8"):
    """All that a peer is to do once; each message is found as it was given."""
    before = len(bodies(server, "user1", 0))
    through(peer, SENDER, ["user1@example.test"], message(b"plain"))
    got = expect(server, peer, "user1", before + 1, "a plain message")[-1]
    assert got.endswith(b"\r\n\r\nhello\r\n.\r\n..dots\r\n"), got[-200:]
    assert (b"ESMTPS" in got.split(b"Subject:")[0]) == (tls != "none"), got[:1500]
    through(peer, SENDER, ["user1@example.test"], message(b"large", body=large_body() * 80000))
    got = expect(server, peer, "user1", before + 2, "a large message")[-1]
    assert got.endswith(b"\r\n\r\n" + large_body() * 80000), len(got)
    through(peer, SENDER, [f"user2+d{n}@example.test" for n in range(60)], message(b"many"))
    expect(server, peer, "user2", 60, "many recipients")
    if b"8BITMIME" in features:
        through(peer, SENDER, ["user1@example.test"], message(b"eight", b"Content-Transfer-Encoding: 8bit\r\n"
                b"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n", "gr\u00fc\u00dfe\r\n".encode()), b" BODY=8BITMIME")
        assert "gr\u00fc\u00dfe\r\n".encode() in expect(server, peer, "user1", before + 3, "eight bits")[-1]
    # Some do not exist: the others have it, and the sender hears from the peer.
    through(peer, "user4@example.test", ["user3@example.test", "nobody@example.test", "user3+x@example.test"], message(b"some"))
    expect(server, peer, "user3", 2, "some of the recipients")
    report = expect(server, peer, "user4", 1, "a bounce")[0]
    assert b"nobody@example.test" in report and re.search(rb"User\s+unknown", report), report
    if b"DSN" in features:
        through(peer, "user4@example.test", ["user3@example.test"], message(b"report"), b" RET=HDRS ENVID=abc+2B1",
                b" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user3@example.test")
        expect(server, peer, "user3", 3, "with wishes for a report")
        report = expect(server, peer, "user4", 2, "a report of success")[1]
        assert b"Original-Envelope-Id: abc+1" in report and b"Action: delivered" in report, report
    if b"SMTPUTF8" in features:
        through(peer, "s\u00fc@client.example", ["user1@example.test"], message(b"utf8", "X-Name: J\u00fc\r\n".encode()), b" SMTPUTF8")
        got = expect(server, peer, "user1", before + 4, "SMTPUTF8")[-1]
        assert "Return-Path: <s\u00fc@client.example>".encode() in got, got[:500]


def with_peer(t, kind, tls_modes, features=b"8BITMIME DSN SMTPUTF8"):
    for tls in ("none", "encrypt") if os.environ.get("BARID_PEERS_ALL") else tls_modes:
        with t.own_server(users=4) as server, kind(t, server.ports["smtp"], tls) as peer:
            round_of(server, peer, tls, features)


def case_postfix(t):
    """Postfix: every kind of message, without TLS and with it."""
    with_peer(t, Postfix, ("none", "encrypt"))


def case_exim(t):
    """Exim, which sends in chunks (BDAT): every kind of message that it knows, with TLS."""
    with_peer(t, Exim, ("encrypt",), b"8BITMIME DSN")


def case_opensmtpd(t):
    """OpenSMTPD: every kind of message that it knows, without TLS."""
    with_peer(t, OpenSmtpd, ("none",), b"8BITMIME")


def case_a_peer_that_waits(t):
    """barid is away when Postfix has mail for it: it comes when barid does, each message once."""
    with t.own_server(users=2) as server, Postfix(t, server.ports["smtp"]) as peer:
        server.stop()
        for n in range(10):
            through(peer, SENDER, ["user1@example.test"], message(b"n%d" % n))
        t.until(lambda: "deferred" in peer.log(), what="Postfix's patience")
        server.start()
        found = expect(server, peer, "user1", 10, "what had waited")
        assert len({re.search(rb"Subject: (\S+)", b).group(1) for b in found}) == 10


def case_delivery_by_lmtp(t):
    """Postfix has barid deliver by LMTP: small and large messages, a detail, and one recipient of three that is not there."""
    with t.own_server(users=2) as server, LmtpPostfix(t, server.ports["lmtp"]) as peer:
        imap = wire.Imap(server, "user2@example.test")
        imap.command(b"CREATE lists")
        for n in range(10):
            through(peer, SENDER, ["user1@example.test", "nobody@example.test", "user2@example.test"], message(b"n%d" % n))
        through(peer, SENDER, ["user1@example.test"], message(b"big", body=(b"y" * 70 + b"\r\n") * 3000))
        through(peer, SENDER, ["user2+lists@example.test"], message(b"detail"))
        expect(server, peer, "user1", 11, "delivery by LMTP")
        expect(server, peer, "user2", 10, "delivery by LMTP, beside a recipient that is not there")
        t.until(lambda: peer.log().count("550 5.1.1") >= 10, what="a bounce for each message to nobody")
        t.until(lambda: imap.messages("lists") == 1, what="delivery to a detail")
        imap.close()


def case_smtp_source(t):
    """Postfix's smtp-source: many sessions, messages of three sizes; each arrives once."""
    source = t.program("smtp-source")
    server = t.server(users=4)
    total = 0
    for size, sessions, messages in ((100, 20, 200), (70000, 5, 20), (2000000, 2, 4)):
        t.run([source, "-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", SENDER, "-t", "user1@example.test",
               f"127.0.0.1:{server.ports['smtp']}"], timeout=120)
        total += messages
    found = bodies(server, "user1", total)
    assert len(found) == total, (len(found), total)

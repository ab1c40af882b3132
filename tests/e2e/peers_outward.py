# SPDX-License-Identifier: Apache-2.0
"""barid sends to mail servers of others: Postfix, Exim and OpenSMTPD of Debian, in the clear and by STARTTLS. They pass all they take
to a server of this test, which says what they understood; tests/e2e/peers.py is the other direction."""
import base64
import os
import re

from harness import wire
from harness.certs import Authority
from harness.nextserver import NextServer
from harness.peermta import REFUSED, Exim, OpenSmtpd, Postfix

USER = "user1@example.test"
SINK = ["PIPELINING", "SIZE 200000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES"]
EIGHT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n"
LARGE = (b"0123456789abcdef" * 50 + b"\r\n") * 5000


def message(subject, extra=b"", body=b"hello\r\n.\r\n..dots\r\n"):
    return (b"Subject: %s\r\nFrom: <%s>\r\nTo: <to@peer.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            b"Message-ID: <%s@out.example>\r\n%s\r\n" % (subject, USER.encode(), subject, extra)) + body


class Way:
    """From a user of barid to a peer, and behind it."""

    def __init__(self, t, server, peer, sink):
        self.t, self.server, self.peer, self.sink, self.taken = t, server, peer, sink, 0
        server.cli("domain", "add", "peer.example", "--backupmx", "on", "--transport", f"relay:{peer.nexthop}")

    def send(self, to, data, options=b"", rcpt_options=b""):
        smtp = wire.Smtp(self.server, "submission")
        smtp.start_tls()
        smtp.command(b"AUTH PLAIN " + base64.b64encode(f"\0{USER}\0secret".encode()), b"235")
        smtp.command(b"MAIL FROM:<%s>%s" % (USER.encode(), options))
        for address in to:
            smtp.command(b"RCPT TO:<%s>%s" % (address.encode(), rcpt_options))
        smtp.command(b"DATA", b"354")
        smtp.wire.send(wire.dot_stuffed(data))
        smtp.expect(b"250", smtp.reply())
        smtp.close()

    def come_out(self, to, data):
        """The mails behind the peer that brought data to each of `to`, byte for byte. (A peer may split a message by recipients.)"""
        def complete():
            return sum(len(m.rcpts) for m in self.sink.mails[self.taken:]) >= len(to)
        try:
            self.t.until(complete, timeout=30, what=f"mail for {to}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.peer.log()[-3000:]}\n{self.server.log_tail(20)}") from e
        mails = self.sink.mails[self.taken:]
        self.taken += len(mails)
        assert sorted(r.split(">")[0].strip("<") for m in mails for r in m.rcpts) == sorted(to), mails
        for m in mails:
            at = m.data.index(data[:data.index(b"\r\n") + 2])
            assert m.data[at:] == data, (m, m.data[:at], m.data[at:at + 1000])
        return mails

    def report(self):
        imap = wire.Imap(self.server, USER)
        self.t.until(lambda: imap.messages("INBOX") >= 1, timeout=30, what="the report")
        _, text = imap.bodies("INBOX")[0]
        imap.close()
        return text.decode()


def round_of(way, tls):
    """All that barid is to do with a peer once."""
    to = [f"r{n}@peer.example" for n in range(3)]
    way.send(to[:1], message(b"plain"))
    mail = way.come_out(to[:1], message(b"plain"))[0]
    assert (b"ESMTPS" in mail.data.split(b"\r\nReceived:")[0].upper()) == tls, (mail.data[:1500], way.server.log_tail(5))
    way.send([to[0], REFUSED, *to[1:]], message(b"some"))
    way.come_out(to, message(b"some"))
    report = way.report()
    assert f"Final-Recipient: rfc822;{REFUSED}" in report and "Action: failed" in report, report
    assert "Diagnostic-Code: smtp;550 " in report and to[0] not in report, report
    eight = message(b"eight", EIGHT, "gr\u00fc\u00dfe\r\n".encode())
    way.send(to[:1], eight, b" BODY=8BITMIME")
    way.come_out(to[:1], eight)
    way.send(to, message(b"large", body=LARGE))
    way.come_out(to, message(b"large", body=LARGE))
    way.send(to[:1], message(b"wishes"), b" RET=HDRS ENVID=abc+2B1", b" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@peer.example")
    mail = way.come_out(to[:1], message(b"wishes"))[0]
    assert "RET=HDRS" in mail.sender and "ENVID=abc+2B1" in mail.sender, mail.sender
    words = mail.rcpts[0].split()
    assert "NOTIFY=SUCCESS,FAILURE" in words and "first@peer.example" in mail.rcpts[0], words
    ways = re.findall(r"event=relay\.delivered .* tls=(\S*)", way.server.log_text())
    assert len(ways) == 9 and all(w.startswith('"TLSv1' if tls else '""') for w in ways), ways


def shakes_hands(peer):
    """Unpacked, OpenSMTPD 6.8 of Debian 12 fails its handshake with `openssl s_client` too ("EVP lib"): mail comes in the clear."""
    smtp = wire.Smtp(peer)
    try:
        smtp.start_tls()
    except (OSError, wire.Closed):
        return False
    finally:
        smtp.wire.close()
    return True


def with_peer(t, kind):
    cert = Authority(os.path.join(t.scratch(), "ca"))
    for tls in (False, True):
        with t.own_server(users=1) as server, NextServer(SINK) as sink, \
                kind(t, sink.port, cert=cert.certificate("self-signed-rsa", "peer.example") if tls else None) as peer:
            works = tls and shakes_hands(peer)
            if tls and not works:
                assert kind is OpenSmtpd, peer.log()
                t.note("its own TLS fails: STARTTLS, then in the clear")
            round_of(Way(t, server, peer, sink), works)


def case_postfix(t):
    """To Postfix, in the clear and by STARTTLS: each kind of message comes out as it was given."""
    with_peer(t, Postfix)


def case_exim(t):
    """To Exim, the same."""
    with_peer(t, Exim)


def case_opensmtpd(t):
    """To OpenSMTPD, the same."""
    with_peer(t, OpenSmtpd)

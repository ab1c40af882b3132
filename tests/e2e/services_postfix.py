# SPDX-License-Identifier: Apache-2.0
"""A real Postfix (Debian's) as the client of barid's services: senders rewritten and led back by 7778 and 7779, full mailboxes
refused by 12340, greylisted and listed by 7777, while the services are restarted and stopped in the middle."""
import os
import signal
import smtplib
import sqlite3

from harness import wire
from harness.case import patience
from harness.internet import Internet
from harness.nextserver import NextServer
from harness.peermta import Postfix

SINK = ["PIPELINING", "SIZE 200000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES"]


class Asking(Postfix):
    """Postfix with these lines behind its main.cf; smtpd comes with what a policy service may be told."""

    def __init__(self, t, to, lines):
        super().__init__(t, to)
        self.lines = lines

    def write(self, name, text):
        if name == "etc/main.cf":
            text += "\n".join(self.lines) + "\n"
        return super().write(name, text)

    def say(self, sender, *to, text="x", size=None, client=None, name=None):
        """The replies to the recipients, and to the message when one was taken. client: an address that XCLIENT claims."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=60 * patience()) as smtp:
            smtp.ehlo()
            if client:
                code, _ = smtp.docmd("XCLIENT", f"ADDR={client} NAME={name or '[UNAVAILABLE]'} REVERSE_NAME={name or '[UNAVAILABLE]'}")
                assert code == 220, code
                smtp.ehlo()
            smtp.mail(sender, [f"size={size}"] if size else [])
            replies = [smtp.rcpt(address) for address in to]
            if any(code < 300 for code, _ in replies):
                replies.append(smtp.data(f"Subject: {text}\r\n\r\nhello\r\n"))
            return [f"{code} {reply.decode()}" for code, reply in replies]


def srs_lines(server):
    forward, reverse = server.ports["srs_forward"], server.ports["srs_reverse"]
    return [f"sender_canonical_maps = tcp:127.0.0.1:{forward}", "sender_canonical_classes = envelope_sender",
            f"recipient_canonical_maps = tcp:127.0.0.1:{reverse}", "recipient_canonical_classes = envelope_recipient, header_recipient"]


def came(t, sink, peer, n):
    try:
        t.until(lambda: len(sink.mails) >= n, timeout=40, what=f"{n} mails behind Postfix")
    except AssertionError as e:
        raise AssertionError(f"{e}\n{peer.log()[-3000:]}") from e
    return sink.mails[-1]


def case_srs(t):
    """Senders of others go out rewritten, ours do not; what comes for a rewritten one goes to who it stands for, in the header too.
    mta dies between two mails, dir is stopped under one: Postfix asks again until it is told."""
    with t.own_server(users=2) as server, NextServer(SINK) as sink, Asking(t, sink.port, srs_lines(server)) as peer:
        assert peer.say("alice@sender.test", "x@far.test")[-1].startswith("250")
        rewritten = came(t, sink, peer, 1).sender.split(">")[0].strip("<")
        assert rewritten.startswith("SRS0=") and rewritten.endswith("=sender.test=alice@mail.example.test"), rewritten
        peer.say("user1@example.test", "x@far.test")
        assert came(t, sink, peer, 2).sender.split(">")[0].strip("<") == "user1@example.test"
        peer.say("", rewritten)
        back = came(t, sink, peer, 3)
        assert [r.split(">")[0].strip("<") for r in back.rcpts] == ["alice@sender.test"], back.rcpts
        # A forged one stays what it is: Postfix has to know what to do with it.
        forged = rewritten.replace("SRS0=", "SRS0=zz", 1)
        peer.say("", forged)
        assert [r.split(">")[0].strip("<") for r in came(t, sink, peer, 4).rcpts] == [forged]
        server.kill("mta")
        peer.say("bob@sender.test", "x@far.test")
        assert came(t, sink, peer, 5).sender.split(">")[0].strip("<").startswith("SRS0=")
        server.await_role("mta")
        server.freeze("dir")
        try:
            peer.say("carol@never.asked", "x@far.test")  # 400: it waits in Postfix, or is refused for now
        finally:
            server.freeze("dir", signal.SIGCONT)
        if peer.say("carol@never.asked", "x@far.test")[-1].startswith("250"):
            assert came(t, sink, peer, 6).sender.split(">")[0].strip("<").startswith("SRS0=")


def case_quota(t):
    """Full mailboxes are refused at RCPT by their announced size and at the end of the message by its true one; others pass. While
    the service is away Postfix defers, and takes the mail when it is back."""
    with t.own_server(users=2) as server, NextServer(SINK) as sink:
        server.add_user("small", quota="1m")
        server.cli("alias", "add", "one@example.test", "small@example.test")
        port = server.ports["quota_status"]
        lines = [f"smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{port}, permit_mynetworks, reject",
                 f"smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{port}",
                 "smtpd_policy_service_retry_delay = 1s", "smtpd_policy_service_timeout = 20s"]
        with Asking(t, sink.port, lines) as peer:
            replies = peer.say("a@sender.test", "small@example.test", "small+box@example.test", "one@example.test", "user1@example.test",
                               "x@far.test", size=3 * 1024 * 1024)
            for reply in replies[:3]:
                assert reply.startswith("552 5.2.2 ") and "Mailbox is full" in reply, replies
            assert all(r.startswith("250") for r in replies[3:]), replies
            came(t, sink, peer, 1)
            assert all(r.startswith("250") for r in peer.say("a@sender.test", "small@example.test", size=2000))
            came(t, sink, peer, 2)
            with smtplib.SMTP("127.0.0.1", peer.port, local_hostname="client.example", timeout=60 * patience()) as smtp:
                smtp.helo()  # nothing is announced
                smtp.mail("a@sender.test")
                assert smtp.rcpt("small@example.test")[0] == 250
                code, reply = smtp.data("Subject: large\r\n\r\n" + "0123456789abcdef\r\n" * 100000)
                assert code == 552 and b"Mailbox is full" in reply, (code, reply)
            # In the middle of everything: mta dies, then the whole server is away for a moment.
            server.kill("mta")
            assert peer.say("a@sender.test", "user1@example.test")[0].startswith("250")
            server.await_role("mta")
            server.stop()
            replies = peer.say("a@sender.test", "user1@example.test")
            assert replies[0].startswith("451"), replies
            server.start()
            t.until(lambda: peer.say("a@sender.test", "user1@example.test")[0].startswith("250"), what="the service being back")


def rows(server, sql):
    """As another program writes them; barid reads them within a second."""
    with sqlite3.connect(os.path.join(server.dir, "policy", "policy.db"), timeout=20) as db:
        db.execute(sql)
    db.close()


def case_policy(t):
    """7777: a stranger is put off and taken later, a listed name is refused; mta dies in the middle, the server is away and Postfix
    defers."""
    with Internet() as net:
        net.domain("sender.test", a=["192.0.2.1"])
        with t.own_server(users=2, env={"BARID_DEMO_CONF": net.conf("[policy]\ngreylisting = on\n")}) as server, NextServer(SINK) as sink:
            ask = f"check_policy_service inet:127.0.0.1:{server.ports['policy']}"
            lines = ["smtpd_authorized_xclient_hosts = 127.0.0.0/8", f"smtpd_recipient_restrictions = {ask}, permit_mynetworks, reject",
                     f"smtpd_end_of_data_restrictions = {ask}", "smtpd_policy_service_retry_delay = 1s", "mynetworks = 127.0.0.0/8, 203.0.113.0/24",
                     "smtpd_policy_service_timeout = 20s"]
            with Asking(t, sink.port, lines) as peer:
                stranger = {"client": "203.0.113.9", "name": "mx.sender.test"}
                first = peer.say("a@sender.test", "user1@example.test", **stranger)
                assert first[0].startswith("451 4.7.1 "), first
                server.kill("mta")  # what it has counted was written within a second, or the wait begins again
                server.await_role("mta")
                assert peer.say("a@sender.test", "user1@example.test", **stranger)[0].startswith("451 4.7.1 ")
                server.advance_clock(16 * 60)
                assert peer.say("a@sender.test", "user1@example.test", **stranger)[-1].startswith("250")
                came(t, sink, peer, 1)
                rows(server, "INSERT INTO wblist_rdns (rdns, wb) VALUES ('.bad.example', 'B')")
                t.until(lambda: peer.say("b@sender.test", "user1@example.test", client="203.0.113.77", name="host.bad.example")[0]
                        .startswith("554 5.7.1 "), what="the list being read")
                server.stop()
                away = peer.say("a@sender.test", "user1@example.test", **stranger)
                assert away[0].startswith("451"), away
                server.start()
                t.until(lambda: peer.say("user2@example.test", "user1@example.test")[-1].startswith("250"), what="the service being back")


def case_other_users_of_the_port(t):
    """The ports are for trusted clients alone, on loopback: what else is said there ends the connection."""
    server = t.server(users=2)
    for port in ("srs_forward", "srs_reverse", "quota_status"):
        smtp = wire.Wire("127.0.0.1", server.ports[port])
        smtp.send(b"EHLO client.example\r\n\r\n")
        smtp.close()
    listing = server.cli("ports")
    assert all(name in listing for name in ("srs_forward", "srs_reverse", "quota_status")), listing

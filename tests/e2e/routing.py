# SPDX-License-Identifier: Apache-2.0
"""Routing from end to end: where mail comes out in a small Internet (tests/harness/internet.py), and as whom barid comes there."""
import json
import os
import re
import subprocess
import time

from harness import wire
from harness.internet import Internet

RELAY = "[smtp]\nrelay_from = 127.0.0.0/8\n"


def world():
    """far.test takes mail of everybody; each host notes what came."""
    net = Internet()
    net.host("mx1.far.test")
    net.domain("far.test", mx=[(10, "mx1")])
    return net


def here(net, name, **faults):
    """A host, and how an operator writes it."""
    host = net.host(name, **faults)
    return host, f"[{host.address}]:{host.port}"


def with_password(server, password, *words):
    done = subprocess.run([os.path.join(server.build, "barid"), *words, "--dir", server.dir], env=server.env, input=password + "\n",
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert password not in done.stdout + done.stderr
    return done.stdout


def send(server, sender, *to, subject="x"):
    smtp = wire.Smtp(server)
    smtp.message(sender, to, f"Subject: {subject}\r\n\r\ntext\r\n".encode())
    smtp.close()


def subjects(server, user):
    imap = wire.Imap(server, user=f"{user}@example.test")
    imap.command(b"SELECT INBOX")
    lines = imap.command(b"UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    imap.close()
    return [f.decode() for f in re.findall(rb"Subject: ([^\r\n]*)", b"".join(lines))]


def inbox(t, server, user, subject):
    t.until(lambda: subject in subjects(server, user), what=f"{subject} in the inbox of {user}")


def case_split_delivery_gateway_and_backup_mx(t):
    """Transports of users and domains by SMTP and LMTP, backup MX with a transport and by MX; nobody else is taken."""
    with world() as net:
        gateway, at_gateway = here(net, "gateway.test")
        store, at_store = here(net, "store.test", lmtp=True)
        primary, at_primary = here(net, "primary.test")
        net.host("mx.second.test")
        net.domain("second.test", mx=[(10, "mx")])
        with t.own_server(users=3, env={"BARID_DEMO_CONF": net.conf()}) as server:
            server.cli("domain", "add", "corp.test", "--transport", f"relay:{at_gateway}")
            server.cli("user", "add", "boss@corp.test")
            server.cli("user", "set", "user1@example.test", "--transport", f"lmtp:{at_store}")
            server.cli("domain", "add", "first.test", "--backupmx", "on", "--transport", f"smtp:{at_primary}")
            server.cli("domain", "add", "second.test", "--backupmx", "on")
            server.cli("domain", "add", "closed.test", "--backupmx", "on", "--transport", "error:5.1.6 moved to closed.example")
            send(server, "x@far.test", "boss@corp.test", "user1+box@example.test", "anybody@first.test", "any+body@second.test")
            assert net.await_mail(to="boss@corp.test").host == gateway.name
            assert net.await_mail(to="user1+box@example.test").host == store.name
            assert net.await_mail(to="anybody@first.test").host == primary.name
            assert net.await_mail(to="any+body@second.test").host == "mx.second.test"
            for address, want in (("nobody@corp.test", b"550 5.1.1"), ("x@closed.test", b"550 5.1.6 moved to closed.example"),
                                  ("x@far.test", b"554 5.7.1")):
                smtp = wire.Smtp(server)
                smtp.command(b"MAIL FROM:<x@far.test>")
                smtp.wire.send(f"RCPT TO:<{address}>\r\n".encode())
                reply = smtp.reply()
                assert reply.startswith(want), (address, reply)
                smtp.close()
            rows = json.loads(server.cli("--json", "route", "x@second.test"))["rows"]
            assert [r["result"] for r in rows if r["step"] == "mx"] == ["10 mx.second.test (secure)"], rows
            assert rows[-1]["result"] == "250 2.1.5", rows


def case_relay_hosts_by_sender_with_logins(t):
    """The sender's own relay host, its domain's, the smarthost: each with its login, and none of them for the others."""
    with world() as net:
        own, at_own = here(net, "own.test", users={"own": "own secret"}, auth_needed=True)
        domain, at_domain = here(net, "domain.test", users={"org": "org secret"}, auth_needed=True)
        smart, at_smart = here(net, "smart.test", users={"all": "all secret"}, auth_needed=True)
        conf = net.conf(f"[relay]\nrelay_host = {at_smart}\nlogin_tls = any\n" + RELAY)
        with t.own_server(users=3, env={"BARID_DEMO_CONF": conf}) as server:
            with_password(server, "own secret", "relayhost", "set", "user1@example.test", at_own, "--user", "own")
            with_password(server, "org secret", "relayhost", "set", "@example.test", at_domain, "--user", "org")
            with_password(server, "all secret", "relayhost", "login", "default", "--user", "all")
            server.cli("relayhost", "set", "user3@example.test", "direct")
            for sender, host, login in (("user1@example.test", own, "own"), ("user1+x@example.test", own, "own"),
                                        ("user2@example.test", domain, "org"), ("printer@machine.test", smart, "all"),
                                        ("user3@example.test", None, None)):
                to = f"{sender.partition('@')[0]}@far.test"
                send(server, sender, to)
                letter = net.await_mail(to=to)
                assert letter.sender == sender, letter.sender
                assert letter.host == (host.name if host else "mx1.far.test"), (sender, letter.host)
                assert letter.login == login, (sender, letter.login)
            listed = server.cli("relayhost", "list")
            assert "org" in listed and "secret" not in listed, listed
            assert "secret" not in server.log_text()
            with open(os.path.join(server.dir, "dir", "vmail.db"), "rb") as f:
                assert b"secret" not in f.read().replace(b"secret.key", b"").replace(b" secret BLOB", b"")
            # A new password counts at once, and what had waited for it goes out.
            with_password(server, "wrong one", "relayhost", "login", "@example.test", "--user", "org")
            send(server, "user2@example.test", "later@far.test")
            t.until(lambda: "later@far.test" in server.cli("queue", "list"), what="the refusal")
            with_password(server, "org secret", "relayhost", "login", "@example.test", "--user", "org")
            t.until(lambda: server.cli("queue", "flush") and net.mail(to="later@far.test"), what="the message that waited")
            # Mail that waits is routed again: another relay host takes it over.
            smart.replies["MAIL"] = "451 4.3.0 not now"
            send(server, "printer@machine.test", "again@far.test")
            t.until(lambda: "not now" in server.cli("queue", "list"), what="the refusal of the smarthost")
            server.cli("relayhost", "set", "@machine.test", "direct")
            server.cli("queue", "requeue", "all")
            assert net.await_mail(to="again@far.test").host == "mx1.far.test"


def case_copies_and_forwards(t):
    """Copies of what is sent and received, here and elsewhere, once each; forwards with and without a copy; nobody hears of a copy's end."""
    with world() as net:
        net.host("mx.strict.test", replies={"RCPT": "550 5.1.1 no such user"})
        net.domain("strict.test", mx=[(10, "mx.strict.test")])
        with t.own_server(users=6, env={"BARID_DEMO_CONF": net.conf(RELAY)}) as server:
            server.cli("bcc", "set", "user1@example.test", "--received", "user2@example.test", "--sent", "log@far.test")
            server.cli("bcc", "set", "user2@example.test", "--received", "nobody@strict.test")
            server.cli("forward", "add", "user3@example.test", "away@far.test")
            server.cli("user", "set", "user3@example.test", "--keep-copy", "off")
            server.cli("forward", "add", "user4@example.test", "away4@far.test")
            # The copy goes to user2, whose own mail has another one: not of a copy.
            send(server, "x@far.test", "user1@example.test", subject="received")
            inbox(t, server, "user1", "received")
            inbox(t, server, "user2", "received")
            # Sent; to somebody who gets a copy anyway, too: once.
            send(server, "user1@example.test", "b@far.test", "log@far.test", subject="sent")
            letter = net.await_mail(to="log@far.test")
            assert net.await_mail(to="b@far.test").sender == "user1@example.test"
            assert letter.recipients.count("log@far.test") == 1
            # Forwarded: from us, in the name of whom it came from (docs/ops/srs.md).
            send(server, "x@far.test", "user3@example.test", "user4+d@example.test", subject="on")
            for away in ("away@far.test", "away4+d@far.test"):
                sender = net.await_mail(to=away).sender
                assert sender.startswith("SRS0=") and sender.endswith("=far.test=x@mail.example.test"), sender
            inbox(t, server, "user4", "on")
            # user2's own mail has a copy that nobody takes. The sender, who is one of ours, hears nothing of that.
            send(server, "user5@example.test", "user2@example.test", subject="quiet")
            inbox(t, server, "user2", "quiet")
            t.until(lambda: any("strict.test" in r for tr in net.transactions() for r in tr.rcpts), what="the try of the copy")
            t.until(lambda: not json.loads(server.cli("queue", "list", "--json"))["rows"], what="an empty queue")
            assert [tr for tr in net.mail() if "log@far.test" in tr.recipients] == [letter]
            assert not net.mail(to="user5@example.test")
            send(server, "x@far.test", "user5@example.test", subject="last")
            inbox(t, server, "user5", "last")
            assert subjects(server, "user5") == ["last"], "a report came"
            assert subjects(server, "user2") == ["received", "quiet"]


def case_two_servers(t):
    """A barid keeps mail for another one while that is away, and hands it over when it is back."""
    net = Internet()
    with net:
        with t.own_server(users=3) as primary:
            net.domain("example.test", mx=[(10, "mx.example.test")])
            conf = net.conf()
            with t.own_server(users=0, env={"BARID_DEMO_CONF": conf}) as backup:
                backup.cli("domain", "del", "example.test", "--force", "yes", check=False)
                backup.cli("domain", "add", "example.test", "--backupmx", "on", "--transport",
                           f"relay:[127.0.0.1]:{primary.ports['smtp']}")
                primary.stop()
                begun = time.monotonic()
                send(backup, "x@far.test", "user1@example.test", "nobody@example.test", subject="kept")
                t.until(lambda: "deferred" in backup.cli("queue", "list"), what="the first try")
                primary.start()
                t.until(lambda: backup.cli("queue", "flush") and "user1@example.test" not in backup.cli("queue", "list"), timeout=60,
                        what="the message to go on")
                inbox(t, primary, "user1", "kept")
                t.note(f"kept for {time.monotonic() - begun:.0f} s")

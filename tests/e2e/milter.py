# SPDX-License-Identifier: Apache-2.0
"""Milters before the door: what they are told, what their answers do, and that one which does not work costs nobody anything."""
import base64
import hashlib
import os
import re
import ssl
import threading
import time

from harness import milter as m
from harness import wire
from harness.internet import Internet
from harness.server import Serve
from harness.wire import received, refusal

BODY = b"Subject: test\r\nX-Old: 1\r\nX-Old: 2\r\nFrom: <s@client.example>\r\n\r\nbody\r\n.dot\r\n"
SENDER = "s@client.example"


def serve(t, smtp=(), submission=(), extra=""):
    """A server with these milters, written as in its configuration."""
    def conf(server):
        def section(name, milters):
            listed = f"milters = {', '.join(milters)}\n" if milters else ""
            return f"[{name}]\nlisten = 127.0.0.1:{server.ports[name]}\n{listed}"
        return (section("smtp", smtp) + section("submission", submission)
                + f"[imaps]\nlisten = 127.0.0.1:{server.ports['imaps']}\n[imap]\nlisten =\n[submissions]\nlisten =\n" + extra)
    return Serve(build=t.build, users=4, conf=conf)


def send(server, to=("user1",), body=BODY, sender=SENDER, port="smtp"):
    smtp = wire.Smtp(server, port)
    try:
        return smtp.message(sender, [f"{r}@example.test" for r in to], body)
    finally:
        smtp.close()


def case_every_event_is_told(t):
    """Connection, HELO, MAIL with parameters, RCPT, an unknown command, DATA, header, body, end; with the macros that filters use."""
    with m.Milter(macros={3: "i {rcpt_addr} {rcpt_mailer} {client_addr} {daemon_port}"}) as milter, serve(t, [milter.address]) as server:
        smtp = wire.Smtp(server)
        smtp.start_tls()
        refusal(lambda: smtp.command(b"XYZZY 1"))
        smtp.message(SENDER, ["user1@example.test"], BODY, b" SIZE=500 BODY=8BITMIME")
        smtp.command(b"MAIL FROM:<>")
        smtp.command(b"RSET")
        smtp.command(b"QUIT", b"221")
        told = t.until(lambda: milter.events("quit") and milter.events(), what="the milter's end")
        names = [s.name for s in told]
        assert names == ["connect", "helo", "helo", "unknown", "mail", "rcpt", "data"] + ["header"] * 4 + ["eoh", "body", "eom",
                        "mail", "abort", "quit"], names
        connect, mail, rcpt, eom = (next(s for s in told if s.name == n) for n in ("connect", "mail", "rcpt", "eom"))
        assert connect.args[0].startswith(b"[127.0.0.1]\x004") and connect.args[0].endswith(b"127.0.0.1\0"), connect
        assert mail.args == [b"<s@client.example>", b"SIZE=500", b"BODY=8BITMIME"], mail.args
        assert rcpt.args == [b"<user1@example.test>"] and rcpt.macros[b"{rcpt_mailer}"] == b"local", rcpt.macros
        for name, value in ((b"j", b"mail.example.test"), (b"{client_addr}", b"127.0.0.1"), (b"{mail_addr}", b"s@client.example"),
                            (b"{tls_version}", b"TLSv1.3"), (b"{cipher_bits}", b"256"), (b"_", b"unknown [127.0.0.1]")):
            assert eom.macros[name] == value, (name, eom.macros)
        assert (connect.macros[b"{daemon_addr}"], connect.macros[b"{client_ptr}"]) == (b"127.0.0.1", b"unknown"), connect.macros
        assert eom.macros[b"{daemon_port}"] == b"%d" % server.ports["smtp"]
        assert eom.macros[b"v"].startswith(b"barid ") and int(eom.macros[b"{client_port}"]) > 1000
        stored = received(server, "user1")[0]
        assert re.search(rb"Received: [^\0]* id %s" % eom.macros[b"i"], stored), "the queue id is not that of Received"
        body = b"".join(s.args[0] for s in milter.events("body"))
        assert body == b"body\r\n.dot\r\n", body
        assert [s.args for s in milter.events("header")][0] == [b"Subject", b"test"]
        assert milter.offered[0] == 6 and milter.offered[1] == m.EVERYTHING


def case_whose_certificate(t):
    """Where clients are asked for a certificate, milters hear whose it says that it is, also from the mta that takes over."""
    folder = t.scratch()
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    t.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=x/CN=mx.client.example",
           "-keyout", key, "-out", cert, "-days", "2"])
    with m.Milter() as milter, serve(t, [milter.address], extra="[smtp]\nask_client_certificate = on\n") as server:
        for shows in (True, False):
            milter.forget()
            smtp = wire.Smtp(server)
            smtp.command(b"STARTTLS", b"220")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if shows:
                context.load_cert_chain(cert, key)
            smtp.wire.sock = context.wrap_socket(smtp.wire.sock)
            smtp.command(b"EHLO mail.client.example", b"250")
            smtp.command(b"MAIL FROM:<s@client.example>")
            if shows:
                server.kill("mta")
                server.await_role("mta")
                milter.forget()
            smtp.command(b"RCPT TO:<user1@example.test>")
            macros = milter.events("rcpt")[-1].macros
            want = b"mx.client.example" if shows else None
            assert (macros.get(b"{cert_subject}"), macros.get(b"{cert_issuer}")) == (want, want), macros
            smtp.close()


def case_refusals_at_every_step(t):
    """Each step refused in each way, with the milter's own words; one recipient of several; discarding; the next client is served."""
    steps = {}
    with m.Milter({name: (lambda said, name=name: steps.get(name, m.CONTINUE)) for name in m.SILENT} |
                  {"eom": lambda said: steps.get("eom", m.CONTINUE)}, name="picky") as milter, serve(t, [milter.address]) as server:
        for step in ("connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom"):
            for answer, want in ((m.REJECT, b"550 5.7.1 "), (m.TEMPFAIL, b"451 4.7.1 "),
                                 (m.reply_code(f"554 5.7.7 not at {step}"), b"554 5.7.7 not at " + step.encode())):
                steps[step] = answer
                said = refusal(lambda: send(server))
                assert said.startswith(want), (step, said)
                del steps[step]
        steps["mail"] = m.reply_code("421 4.3.2 go away")
        smtp = wire.Smtp(server)
        assert refusal(lambda: smtp.command(b"MAIL FROM:<s@client.example>")).startswith(b"421 4.3.2 go away")
        try:
            smtp.command(b"NOOP")
            raise AssertionError("421 did not close the connection")
        except wire.Closed:
            pass
        del steps["mail"]
        steps["eom"] = m.reply_code("550-5.7.1 two\r\n550 5.7.1 lines")
        assert refusal(lambda: send(server)) == b"550-5.7.1 two\n550 5.7.1 lines"
        for step in ("mail", "rcpt", "data", "eom"):
            steps.clear()
            steps[step] = m.DISCARD
            send(server, ("user2",))
        steps.clear()
        milter.answers["rcpt"] = lambda said: m.reply_code("550 5.1.1 not her") if b"user3" in said.args[0] else m.CONTINUE
        smtp = wire.Smtp(server)
        smtp.command(b"MAIL FROM:<s@client.example>")
        assert refusal(lambda: smtp.command(b"RCPT TO:<user3@example.test>")) == b"550 5.1.1 not her"
        smtp.command(b"RCPT TO:<user1@example.test>")
        smtp.command(b"DATA", b"354")
        smtp.wire.send(wire.dot_stuffed(BODY))
        smtp.expect(b"250", smtp.reply())
        received(server, "user1")
        for user in ("user2", "user3"):
            imap = wire.Imap(server, f"{user}@example.test")
            assert imap.messages("INBOX") == 0
        assert "milter picky" in server.log_text()


def large(n=3_000_000):
    line = b"0123456789abcdef" * 4 + b"\r\n"
    return b"Subject: large\r\nX-Old: 1\r\n\r\n" + line * (n // len(line))


def case_changes(t):
    """Fields added, inserted, changed and removed, sender and recipients changed, the body replaced; of small messages and of large
    ones; what is stored is what the milter made, and its map is right."""
    orders = []
    with m.Milter({"eom": lambda said: orders + [m.CONTINUE]}) as milter, serve(t, [milter.address]) as server:
        orders[:] = [m.add_header("X-Added", "yes"), m.insert_header(0, "X-First", "1\n folded"), m.insert_header(2, "X-Second", "2")]
        for n, body in enumerate((BODY, large())):
            send(server, body=body)
            got = received(server, "user1", n + 1)[n]
            head, text = got.split(b"\r\n\r\n", 1)
            assert text == body.split(b"\r\n\r\n", 1)[1]
            order = [line.split(b":")[0] for line in head.split(b"\r\n") if not line[:1].isspace()]
            want = [b"X-First", b"Received", b"X-Second", b"X-Added", b"Subject"]
            assert [x for x in order if x in want] == want, order
            assert b"X-First: 1\r\n folded\r\n" in got
        orders[:] = [m.change_header(1, "Subject", "changed"), m.change_header(2, "X-Old", ""), m.change_header(1, "X-New", "made"),
                     m.change_header(1, "x-old", "was 1\r\nforged: no")]
        for n, body in enumerate((BODY, large())):
            send(server, ("user2",), body=body)
            got = received(server, "user2", n + 1)[n]
            head, text = got.split(b"\r\n\r\n", 1)
            head += b"\r\n"
            assert text == body.split(b"\r\n\r\n", 1)[1], "the body changed"
            assert b"\r\nSubject: changed\r\n" in head and b"\r\nX-New: made\r\n" in head and b"X-Old: 2" not in head, head
            assert b"\r\nx-old: was 1\r\n\tforged: no\r\n" in head, head
        imap = wire.Imap(server, "user2@example.test")
        imap.select("INBOX")
        assert b"changed" in str(imap.fetch("1:2", "(ENVELOPE)")).encode()
        for size, n in ((20, 0), (2_500_000, 1)):
            fresh = (b"new body %d\r\n" % size) * (1 + size // 20)
            orders[:] = m.replace_body(fresh) + [m.add_header("X-Digest", hashlib.sha256(fresh).hexdigest())]
            send(server, ("user3",), body=BODY)
            got = received(server, "user3", n + 1)[n]
            assert got.split(b"\r\n\r\n", 1)[1] == fresh, got[:400]
        # Line ends that others could misread do not get out: in pieces, too.
        orders[:] = [b"ba\nb\r", b"b\nc\rd\r\r", b"be\n.\nMAIL FROM:<x>\r"]
        send(server, ("user3",), body=BODY)
        got = received(server, "user3", 3)[2]
        assert got.split(b"\r\n\r\n", 1)[1] == b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n.\r\nMAIL FROM:<x>\r\n", got[-80:]
        orders[:] = [m.delete_rcpt("<user1@example.test>"), m.add_rcpt("<user4@example.test>"), m.change_from("<other@client.example>"),
                     m.add_rcpt("<nobody@example.test>"), m.add_rcpt("user3@example.test", "NOTIFY=NEVER")]
        send(server)
        assert b"Return-Path: <other@client.example>" in received(server, "user4")[0]
        received(server, "user3", 4)
        received(server, "user1", 2)
        orders[:] = [m.delete_rcpt("<user1@example.test>")]
        send(server)
        orders[:] = []
        send(server)
        received(server, "user1", 3)
        assert milter.events("eom")


def case_several_in_order(t):
    """The second sees what the first made; one that accepts is not asked again; users' mail has milters of its own."""
    second = m.Milter(steps=m.LEADING_SPACE, name="second")
    with second, m.Milter({"eom": [m.add_header("X-One", "1"), *m.replace_body(b"made by one\r\n"), m.CONTINUE]}) as first, \
            m.Milter({"mail": m.ACCEPT}) as easy, m.Milter() as users, \
            serve(t, [first.address, easy.address, second.address], [users.address]) as server:
        send(server)
        assert received(server, "user1")[0].endswith(b"\r\n\r\nmade by one\r\n")
        assert [b"X-One", b" 1"] in [s.args for s in second.events("header")]
        assert [s.args[0] for s in second.events("body")] == [b"made by one\r\n"]
        assert not easy.events("rcpt", "header", "eom")
        smtp = wire.Smtp(server, "submission")
        smtp.start_tls()
        smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user1@example.test\0secret"), b"235")
        smtp.message("user1@example.test", ["user2@example.test"], b"Subject: mine\r\n\r\nx\r\n")
        mail = users.events("mail")[0]
        assert mail.macros[b"{auth_type}"] == b"PLAIN" and mail.macros[b"{auth_authen}"] == b"user1@example.test", mail.macros
        # What a signing milter must see: the fields that barid adds to a submission.
        assert {b"Date", b"Message-ID"} <= {s.args[0] for s in users.events("header")}
        assert len(first.events("eom")) == 1


def case_quarantine(t):
    """Held until the operator decides: not delivered, in the queue with the reason."""
    with m.Milter({"eom": [m.quarantine("looks odd"), m.CONTINUE]}) as milter, serve(t, [milter.address]) as server:
        send(server)
        milter.answers["eom"] = m.CONTINUE
        send(server, ("user2",))
        received(server, "user2")
        imap = wire.Imap(server, "user1@example.test")
        assert imap.messages("INBOX") == 0
        assert "1" in server.cli("queue", "list"), server.cli("queue", "list")


def case_quarantine_with_a_long_reason(t):
    """However long the reason is, and whatever is in it: the message waits."""
    with m.Milter({"eom": [m.quarantine("odd\r\n" + "very long " * 60), m.CONTINUE]}) as milter, serve(t, [milter.address]) as server:
        send(server)
        milter.answers["eom"] = m.CONTINUE
        send(server, ("user2",))
        received(server, "user2")
        assert wire.Imap(server, "user1@example.test").messages("INBOX") == 0
        assert "very long" in server.cli("queue", "list", "--json") + server.cli("queue", "show", "1"), server.cli("queue", "show", "1")


def case_second_body_that_breaks_off(t):
    """A milter that fails within a new body leaves that of the one before it."""
    for one in (b"made by one\r\n", b"made by one\r\n" * 20000):
        broken = m.Milter({"eom": [b"bhalf of a body", m.DIE]})
        with broken, m.Milter({"eom": [*m.replace_body(one), m.CONTINUE]}) as first, \
                serve(t, [first.address, f"{broken.address} accept"]) as server:
            send(server)
            assert received(server, "user1")[0].endswith(b"\r\n\r\n" + one)


DEFAULTS = {"accept": None, "tempfail": b"451 4.3.0 ", "reject": b"550 5.3.0 "}


def case_one_that_does_not_work(t):
    """Nobody listens, it hangs, it dies at each step, it talks nonsense: its default counts, for each default, and no other session waits."""
    milters = {action: m.Milter() for action in DEFAULTS}
    extra = "[milter]\ncommand_timeout = 500 ms\ncontent_timeout = 500 ms\nconnect_timeout = 500 ms\n"
    for action, want in DEFAULTS.items():
        milter = milters[action]
        with milter, serve(t, [f"{milter.address} {action}"], extra=extra) as server:
            sent = 0
            for how in (m.HANG, m.DIE, b"\xff", b"h"):
                for step in ("connect", "mail", "rcpt", "header", "eom"):
                    milter.answers = {step: how}
                    if want:
                        said = refusal(lambda: send(server))
                        assert said.startswith(want), (action, step, how, said)
                    else:
                        send(server)
                        sent += 1
            milter.answers = {}
            milter.close()
            if want:
                assert refusal(lambda: send(server)).startswith(want)
            else:
                send(server)
                sent += 1
            milter.listen()
            send(server)
            received(server, "user1", sent + 1)
            assert "milter.failed" in server.log_text()


def case_a_restart_costs_nothing(t):
    """A milter is restarted, and mta is killed, at each step of a session: the session goes on, the milter is told what it missed."""
    with m.Milter({"eom": [m.add_header("X-Seen", "1"), m.CONTINUE]}) as milter, serve(t, [milter.address]) as server:
        count = 0
        for step in range(4):
            for victim in ("milter", "mta"):
                smtp = wire.Smtp(server)
                for n, line in enumerate((b"MAIL FROM:<s@client.example>", b"RCPT TO:<user1@example.test>",
                                          b"RCPT TO:<user2@example.test>", b"DATA")):
                    if n == step and victim == "milter":
                        milter.close()
                        milter.listen()
                    elif n == step:
                        server.kill("mta")
                        server.await_role("mta")
                    milter.forget()
                    smtp.command(line, b"354" if line == b"DATA" else b"250")
                smtp.wire.send(wire.dot_stuffed(BODY))
                smtp.expect(b"250", smtp.reply())
                smtp.close()
                count += 1
        for body in received(server, "user1", count):
            assert b"X-Seen: 1" in body


def case_one_that_hangs_holds_up_nobody_else(t):
    """Two hundred clients wait for a milter that hangs; users submit their mail all the same, past it."""
    with m.Milter({"mail": m.HANG}) as milter, serve(t, [milter.address], extra="[milter]\ncommand_timeout = 1 min\n") as server:
        waiting = []
        for n in range(200):
            smtp = wire.Smtp(server, source=f"127.0.{1 + n // 8}.{n % 8 + 1}")
            smtp.wire.send(b"MAIL FROM:<s@client.example>\r\n")
            waiting.append(smtp)
        t.until(lambda: len(milter.events("mail")) >= 100, 30, what="a hundred that wait")
        begun = time.monotonic()
        smtp = wire.Smtp(server, "submission")
        smtp.start_tls()
        smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user1@example.test\0secret"), b"235")
        smtp.message("user1@example.test", ["user2@example.test"], b"Subject: mine\r\n\r\nx\r\n")
        received(server, "user2")
        took = time.monotonic() - begun
        assert took < 30, f"submission took {took:.1f} s behind a milter that hangs"
        # More than may wait for it are told so at once.
        said = [s.reply(0.05) for s in waiting if ready(s)]
        assert all(reply.startswith(b"451 4.3.0") for reply in said) and said, said[:3]
        for smtp in waiting:
            smtp.close()


def ready(smtp):
    try:
        smtp.wire.buffer = smtp.wire.line(0.02) + smtp.wire.buffer
        return True
    except (wire.Timeout, wire.Closed):
        return False


def case_a_unix_socket(t):
    """By a path, under a name of its own; and a connection of many messages stays one connection."""
    path = os.path.join(t.scratch(), "m.sock")
    with m.Milter(path=path, name="local") as milter, serve(t, [milter.address]) as server:
        os.chmod(path, 0o600)
        smtp = wire.Smtp(server)
        for _ in range(3):
            smtp.message(SENDER, ["user1@example.test"], BODY)
        received(server, "user1", 3)
        assert milter.connections == 1 and len(milter.events("eom")) == 3


def case_by_host_name(t):
    """A milter that is named by host: the address comes from the DNS, IPv6 too; a name that has none does not work."""
    with Internet() as net, m.Milter() as milter:
        net.domain("filters.test", a=["192.0.2.1"])
        net.record("milter.filters.test", "A", "127.0.0.1")
        def named(host):
            return f"[smtp]\nmilters = inet:{host}:{milter.port}\n"
        with t.own_server(users=1, env={"BARID_DEMO_CONF": net.conf(named("milter.filters.test"))}) as server:
            for victim in (None, "dns", "mta"):
                if victim:
                    server.kill(victim)
                    server.await_role(victim)
                milter.forget()
                send(server)
                assert milter.events("eom"), victim
        with t.own_server(users=1, env={"BARID_DEMO_CONF": net.conf(named("nothing.filters.test"))}) as server:
            assert refusal(lambda: send(server)).startswith(b"451 4.3.0 ")
            assert "has no address" in server.log_text()


def case_many_at_once(t):
    """Forty sessions, each with several messages, all changed: none lost, none mixed up."""
    with m.Milter({"eom": lambda said: [m.add_header("X-Id", said.macros[b"i"].decode()), m.CONTINUE]}) as milter, \
            serve(t, [milter.address]) as server:
        failures = []

        def work(n):
            try:
                smtp = wire.Smtp(server)
                for k in range(5):
                    smtp.message(SENDER, ["user1@example.test"], b"Subject: %d-%d\r\n\r\nx\r\n" % (n, k))
            except Exception as e:  # pylint: disable=broad-except
                failures.append(e)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        bodies = received(server, "user1", 200)
        assert len({re.search(rb"Subject: (\S+)", b).group(1) for b in bodies}) == 200
        for body in bodies:
            assert re.search(rb"Received: .* id (\S+)", body.replace(b"\r\n", b" ")).group(1).rstrip(b";") == \
                re.search(rb"X-Id: (\S+)", body).group(1)

# SPDX-License-Identifier: Apache-2.0
"""The front door in a small Internet: names of clients, HELO and senders, DNS lists, patience, tables, a dead DNS.

Clients come from loopback addresses of their own, and the server is told that it knows none of them.
"""
import json
import os
import re
import time

from harness import wire
from harness.internet import Internet

GOOD = "127.30.0.1"     # mail.good.test, both ways
FORGED = "127.30.0.2"   # says it is mail.good.test, which is not true
NAMELESS = "127.30.0.3"
LISTED = "127.30.0.4"   # in bad.list, and little.list
LITTLE = "127.30.0.5"   # in little.list only
PRAISED = "127.30.0.6"  # in both, and in white.list
ODD = "127.30.0.7"      # in bad.list with an answer that does not count
OTHER = "127.30.0.8"
LISTS = "bad.list=127.0.0.[2..11]*3, little.list*1, white.list*-6"
FILTER = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "fail2ban", "filter.d", "barid-door.conf")
SUBJECT = b"Subject: through the door\r\n\r\nhello\r\n"


def world():
    net = Internet()
    net.domain("good.test", mx=[(10, "mail.good.test")])
    net.record("mail.good.test", "A", GOOD)
    net.domain("onlya.test", a=["192.0.2.9"])
    net.domain("nomail.test", mx=[(0, ".")])
    net.domain("lame.test", signed="dead")
    net.ptr(GOOD, "mail.good.test")
    net.ptr(FORGED, "mail.good.test")
    for address in (LISTED, PRAISED):
        net.listed("bad.list", address, "127.0.0.4")
    for address in (LISTED, LITTLE, PRAISED):
        net.listed("little.list", address)
    net.listed("white.list", PRAISED, "127.0.0.10")
    net.listed("bad.list", ODD, "127.0.0.1")
    net.domain("dead.list", signed="dead")
    return net


def door(more="", greet="0 s", lists=""):
    return f"[frontdoor]\nknown_networks =\ngreet_wait = {greet}\ndns_lists = {lists}\n{more}"


def opened(t, net, *args, **options):
    return t.own_server(users=2, env={"BARID_DEMO_CONF": net.conf(door(*args, **options))})


def dialogue(server, source, helo="mail.good.test", sender="x@good.test", rcpt="user1@example.test"):
    """The reply to RCPT, and the connection."""
    smtp = wire.Smtp(server, source=source, hello=helo.encode())
    smtp.command(b"MAIL FROM:<%s>" % sender.encode())
    smtp.wire.send(b"RCPT TO:<%s>\r\n" % rcpt.encode())
    return smtp.reply().decode(), smtp


def said(server, *args, **options):
    reply, smtp = dialogue(server, *args, **options)
    smtp.close()
    return reply


def case_names_and_senders(t):
    """HELO and sender's domain as the DNS has them; what it does not know it refuses for now, what it cannot say it lets in."""
    with world() as net, opened(t, net) as server:
        rows = [
            ({}, "250 2.1.5 Ok"),
            ({"helo": "mail"}, "504 5.5.2 <mail>: Helo command rejected: need fully-qualified hostname"),
            ({"helo": "nobody.good.test"}, "450 4.7.1 <nobody.good.test>: Helo command rejected: Host not found"),
            ({"helo": "good.test"}, "250 2.1.5 Ok"),
            ({"helo": "x.lame.test"}, "250 2.1.5 Ok"),
            ({"helo": "localhost"}, "554 5.7.1 <localhost>: Helo command rejected: ACCESS DENIED. Localhost is you, not us. (localhost)"),
            ({"helo": "127.30.0.1"}, "554 5.7.1 <127.30.0.1>: Helo command rejected: ACCESS DENIED."),
            ({"sender": "x@onlya.test"}, "250 2.1.5 Ok"),
            ({"sender": "x@nowhere.test"}, "450 4.1.8 <x@nowhere.test>: Sender address rejected: Domain not found"),
            ({"sender": "x@nomail.test"}, "550 5.7.27 <x@nomail.test>: Sender address rejected: Domain nomail.test does not accept mail (nullMX)"),
            ({"sender": "x@lame.test"}, "250 2.1.5 Ok"),
            ({"sender": ""}, "250 2.1.5 Ok"),
            ({"sender": "ghost@example.test"}, "550 5.1.0 <ghost@example.test>: Sender address rejected: User unknown"),
            ({"rcpt": "x@good.test"}, "554 5.7.1 <x@good.test>: Relay access denied"),
            ({"rcpt": "nobody@example.test"}, "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown"),
        ]
        wrong = []
        for options, expected in rows:
            got = said(server, GOOD, **options)
            if not got.startswith(expected):
                wrong.append(f"{options}: {got}")
        assert not wrong, "\n".join(wrong)


def case_client_names(t):
    """A name counts when it leads back to the address: in the log, and in tables by name."""
    table = os.path.join(t.scratch(), "clients")
    with open(table, "w", encoding="ascii") as f:
        f.write("unknown 450 4.7.25 no name\n.good.test WARN an old friend\n")
    with world() as net, opened(t, net, f"client_access = {table}\ndns_wait = 1 s\n") as server:
        assert said(server, GOOD) == "250 2.1.5 Ok"
        assert said(server, FORGED) == f"450 4.7.25 <unknown[{FORGED}]>: Client host rejected: no name"
        assert said(server, NAMELESS) == f"450 4.7.25 <unknown[{NAMELESS}]>: Client host rejected: no name"
        smtp = wire.Smtp(server, source=GOOD, hello=b"mail.good.test")
        smtp.message("x@good.test", ["user1@example.test"], SUBJECT)
        smtp.close()
        t.until(lambda: "event=smtp.accepted" in server.log_text(), what="the line of the log")
        line = next(x for x in server.log_text().splitlines() if "event=smtp.accepted" in x)
        assert "name=mail.good.test" in line, line
        assert "an old friend" in server.log_text()
        net.freeze()
        assert said(server, OTHER, sender="") == "250 2.1.5 Ok", "not known is not nameless"
        net.freeze(False)


def case_lists(t):
    """What lists say is weighed; who is listed is sent away before the greeting ends, or refused at each recipient."""
    with world() as net:
        with opened(t, net, lists=LISTS, greet="1 s") as server:
            wires = [(source, wire.Wire(server.host, server.ports["smtp"], source=source))
                     for source in (LISTED, LITTLE, PRAISED, ODD, NAMELESS)]
            for source, w in wires:
                first = w.line().decode().strip()
                second = w.line().decode().strip()
                if source == LISTED:
                    assert first.startswith("220-"), first
                    assert second == f"521 5.7.1 Service unavailable; client [{LISTED}] blocked using bad.list", second
                else:
                    assert second.startswith("220 "), (source, second)
                w.close()
            assert "dns_list" in server.log_text()
        with opened(t, net, "dns_lists_action = enforce\n", lists=LISTS) as server:
            assert said(server, LISTED) == f"550 5.7.1 Service unavailable; client [{LISTED}] blocked using bad.list"
            assert said(server, LITTLE) == "250 2.1.5 Ok"
            assert said(server, PRAISED) == "250 2.1.5 Ok"
        with opened(t, net, "dns_lists_action = ignore\n", lists=LISTS) as server:
            assert said(server, LISTED) == "250 2.1.5 Ok"


def greeted(server, source, talk=b""):
    """The lines up to the end of the greeting, and how long it took."""
    w = wire.Wire(server.host, server.ports["smtp"], source=source)
    begun = time.monotonic()
    lines = [w.line().decode().strip()]
    if talk:
        w.send(talk)
    while lines[-1][3:4] == "-":
        lines.append(w.line().decode().strip())
    took = time.monotonic() - begun
    return lines, took, w


def case_patience(t):
    """Who speaks before the greeting is sent away; who waits is known and not kept waiting again."""
    with world() as net, opened(t, net, greet="2 s") as server:
        lines, took, w = greeted(server, GOOD, b"EHLO spam.good.test\r\n")
        assert len(lines) == 2 and lines[0].startswith("220-") and lines[1] == "521 5.5.1 Protocol error", lines
        w.close()
        with open(FILTER, encoding="utf-8") as f:
            rule = re.search(r"^failregex = (.*)$", f.read(), re.M)[1]
        rule = re.compile(rule.replace("<ADDR>", r"(?P<addr>[0-9a-f.:]+)"))
        hit = [m["addr"] for m in map(rule.search, server.log_text().splitlines()) if m]
        assert hit == [GOOD] and "EHLO spam.good.test" in server.log_text(), hit
        lines, took, w = greeted(server, GOOD)
        assert [x[:4] for x in lines] == ["220-", "220 "] and took > 1.5, (lines, took)
        w.close()
        lines, took, w = greeted(server, GOOD)
        assert [x[:4] for x in lines] == ["220 "], lines
        w.close()
        assert said(server, GOOD) == "250 2.1.5 Ok"
        # One that speaks early has not spoiled it for the others, nor for itself when nobody minds.
    with world() as net, opened(t, net, "greet_action = enforce\n", greet="2 s") as server:
        lines, took, w = greeted(server, OTHER, b"EHLO mail.good.test\r\n")
        assert lines[-1].startswith("220 "), lines
        while w.line().decode()[3:4] == "-":
            pass
        w.send(b"MAIL FROM:<x@good.test>\r\nRCPT TO:<user1@example.test>\r\n")
        assert w.line().startswith(b"250 2.1.0")
        assert w.line().decode().strip() == "550 5.5.1 Protocol error"
        # Nor does the death of who had noticed.
        server.kill("mta")
        server.await_role("mta")
        w.send(b"RCPT TO:<user1@example.test>\r\n")
        assert w.line().decode().strip() == "550 5.5.1 Protocol error"
        w.close()


def case_nobody_answers(t):
    """A list whose servers are dead, and a DNS that says nothing at all: mail comes in, soon."""
    with world() as net:
        with opened(t, net, "dns_wait = 1 s\n", lists="dead.list*5, " + LISTS) as server:
            assert said(server, GOOD) == "250 2.1.5 Ok"
            net.freeze()
            begun = time.monotonic()
            assert said(server, OTHER, helo="new.good.test", sender="x@new.test") == "250 2.1.5 Ok"
            took = time.monotonic() - begun
            net.freeze(False)
            # Four questions (lists, name, HELO, sender), each with its second; the bound is generous.
            assert took < 30, took
            t.note(f"{took:.1f} s")


def case_slow_answers_hold_some_threads(t):
    """Strangers whose name servers are as slow as they like take half of the threads at most: who comes then is not kept waiting."""
    with world() as net, opened(t, net, "dns_wait = 1 min\n") as server:
        net.freeze(True)
        waiting = []
        for n in range(60):
            smtp = wire.Smtp(server, source=f"127.40.{n}.1", hello=b"mail.slow%d.test" % n)
            smtp.wire.send(b"MAIL FROM:<x@slow%d.test>\r\nRCPT TO:<user1@example.test>\r\n" % n)
            waiting.append(smtp)
        t.until(lambda: int(re.search(r"facts-crowded\s+(\d+)", server.cli("counters"))[1]) > 0, 15, what="one that is not kept waiting")
        assert said(server, OTHER, helo="new.good.test", sender="x@new.test") == "250 2.1.5 Ok"
        net.freeze(False)
        for smtp in waiting:
            smtp.close()


def case_tables_change(t):
    """barid check says what is wrong in a table; a reload takes a good one, and a bad one changes nothing."""
    table = os.path.join(t.scratch(), "senders")

    def write(text):
        with open(table, "w", encoding="ascii") as f:
            f.write(text)

    write("nobody.good.test REJECT\n")
    with world() as net, opened(t, net, f"sender_access = {table}\n") as server:
        conf = os.path.join(server.dir, "demo.conf")
        assert said(server, GOOD) == "250 2.1.5 Ok"
        write("# too strict\n/^x@/ REJECT 5.7.9 not $0\n")
        assert "sender_access" in server.cli("reload")
        assert said(server, GOOD) == "554 5.7.9 <x@good.test>: Sender address rejected: not x@"
        write("/(/ REJECT\n")
        _, text = server.cli("reload", check=False)
        assert f"{table}:1: " in text, text
        assert f"{table}:1: " in server.cli("check", "-c", conf, check=False)[1]
        assert said(server, GOOD) == "554 5.7.9 <x@good.test>: Sender address rejected: not x@"


def case_rates(t):
    """Messages, recipients, connections, TLS and failed logins in a unit of time; and who did how much."""
    limits = ("rate_unit = 1 h\nmessage_rate = 3\nrecipient_rate = 5\ntls_rate = 1\nlogin_failure_rate = 2\n"
              "connection_rate = 6\nreject_unknown_helo = off\nreject_unknown_sender = off\nclient_names = off\n")
    with t.own_server(users=2, env={"BARID_DEMO_CONF": door(limits)}) as server:
        smtp = wire.Smtp(server, source=GOOD)
        for i in range(3):
            smtp.command(b"MAIL FROM:<x@good.test>")
            smtp.command(b"RCPT TO:<user1@example.test>")
            if i == 2:
                smtp.command(b"RCPT TO:<user2@example.test>")
                smtp.command(b"RCPT TO:<nobody@example.test>", code=b"550 5.1.1")
                smtp.command(b"RCPT TO:<user1@example.test>",
                             code=b"450 4.7.1 Error: too many recipients from " + GOOD.encode())
            smtp.command(b"RSET")
        smtp.command(b"MAIL FROM:<x@good.test>", code=b"450 4.7.1 Error: too much mail from " + GOOD.encode())
        smtp.close()
        for _ in range(2):
            smtp = wire.Smtp(server, source=OTHER)
            last = smtp.command(b"STARTTLS", code=b"")
            smtp.close()
        assert last == b"454 4.7.0 Error: too many new TLS sessions from " + OTHER.encode(), last
        smtp = wire.Smtp(server, "submission", source=LITTLE)
        smtp.start_tls()
        for _ in range(2):
            smtp.command(b"AUTH PLAIN AHVzZXIxQGV4YW1wbGUudGVzdAB3cm9uZw==", code=b"535 5.7.8")
        smtp.command(b"AUTH PLAIN AHVzZXIxQGV4YW1wbGUudGVzdAB3cm9uZw==",
                     code=b"450 4.7.1 Error: too many AUTH commands from " + LITTLE.encode())
        smtp.close()
        wires = []
        for _ in range(7):
            wires.append(wire.Wire(server.host, server.ports["smtp"], source=NAMELESS))
            last = wires[-1].line().decode().strip()
        assert last.startswith("421 4.7.0 ") and last.endswith(f" Error: too many connections from {NAMELESS}"), last
        for w in wires:
            w.close()
        rows = json.loads(server.cli("clients", "--json"))["rows"]
        assert rows[0]["client"] == GOOD and rows[0]["messages"] == "4" and rows[0]["recipients"] == "6", rows
        rows = json.loads(server.cli("clients", "logins-failed", "1", "--json"))["rows"]
        assert [(r["client"], r["logins-failed"]) for r in rows] == [(LITTLE, "2")], rows


def case_etrn(t):
    """Mail for a domain that we are a backup of waits; when its server is back and asks, it goes at once."""
    with world() as net:
        net.domain("backup.test", mx=[(10, "mx.backup.test")])
        net.record("mx.backup.test", "A", "127.20.9.9")  # nobody is there
        with opened(t, net, f"etrn_from = {GOOD}\n") as server:
            server.cli("domain", "add", "backup.test", "--backupmx", "yes")
            smtp = wire.Smtp(server, source=OTHER, hello=b"mail.good.test")
            smtp.message("x@good.test", ["who@backup.test"], SUBJECT)
            assert smtp.command(b"ETRN backup.test", code=b"").startswith(b"459 4.7.1 ETRN is not offered"), "not in etrn_from"
            smtp.close()
            t.until(lambda: "deferred" in server.cli("queue", "list"), what="the first try")
            smtp = wire.Smtp(server, source=GOOD, hello=b"mail.good.test")
            assert b"ETRN" in smtp.features
            smtp.command(b"ETRN example.test", code=b"459 4.7.1 <example.test>: this server keeps no mail for it")
            smtp.command(b"ETRN nobody.test", code=b"459 4.7.1 <nobody.test>")
            net.host("mx.backup.test", address="127.20.9.9")
            smtp.command(b"ETRN backup.test", code=b"253 2.0.0 OK, 1 pending messages for node backup.test started")
            smtp.close()
            net.await_mail(to="who@backup.test")

# SPDX-License-Identifier: Apache-2.0
"""Mail for other servers, from the queue's side: transactions, reports in the next server's words, retries, a relay that
dies, and what the operator sees and does."""
import base64
import datetime
import json
import os
import sqlite3
import threading

from harness import wire
from harness.internet import Internet
from harness.nextserver import NextServer

BODY = b"Subject: hello\r\nMessage-ID: <%s@queue.example>\r\n\r\nHi.\r\n"


class Rig:
    """A server with users, and domains that lead to servers of this test."""

    def __init__(self, t, conf="", **domains):
        self.t = t
        self.server = t.own_server(users=2, env={"BARID_DEMO_CONF": conf})
        self.domains = domains

    def __enter__(self):
        self.server.__enter__()
        for name, hop in self.domains.items():
            self.server.cli("domain", "add", f"{name}.example", "--backupmx", "on", "--transport", f"relay:{hop}")
        return self

    def __exit__(self, *why):
        return self.server.__exit__(*why)

    def send(self, to, name=b"m", sender="user1@example.test", options=b"", rcpt_options=b""):
        smtp = wire.Smtp(self.server, "submission")
        smtp.start_tls()
        smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user1@example.test\0secret"), b"235")
        smtp.command(b"MAIL FROM:<" + sender.encode() + b">" + options, b"250")
        for address in to:
            smtp.command(b"RCPT TO:<" + address.encode() + b">" + rcpt_options, b"250")
        smtp.command(b"DATA", b"354")
        reply = smtp.command(BODY % name + b".", b"250")
        smtp.close()
        return int(reply.split(b"queued as ")[1].split()[0])

    def rows(self, *words):
        return json.loads(self.server.cli("queue", "list", *words, "--json")).get("rows", [])

    def states(self, *words):
        return sorted(r["state"] for r in self.rows(*words))

    def empty(self):
        self.t.until(lambda: not self.rows(), what="an empty queue")

    def report(self, n=1):
        """The newest of n reports to user1."""
        imap = wire.Imap(self.server, "user1@example.test")
        self.t.until(lambda: imap.messages("INBOX") >= n, what=f"report {n}")
        _, text = imap.bodies("INBOX")[-1]
        imap.close()
        return text.decode()


def case_together_and_apart(t):
    """Recipients of one domain travel together, 50 at most; each gets its own outcome, and its report in the server's words."""
    def rcpt(session, line):
        return "550 5.1.1 <nobody> no such user here" if "nobody" in line else "250 ok"

    with NextServer(["PIPELINING"], say={"RCPT": rcpt}) as other, Rig(t, far=other.nexthop) as rig:
        rig.send([f"u{i}@far.example" for i in range(60)] + ["nobody@far.example"])
        rig.empty()
        assert sorted(len(m.rcpts) for m in other.mails) in ([10, 50], [11, 49]), other.mails
        report = rig.report()
        for words in ("Final-Recipient: rfc822;nobody@far.example", "Action: failed", "Status: 5.1.1", "Remote-MTA: dns;",
                      "Diagnostic-Code: smtp;550 5.1.1 <nobody> no such user here"):
            assert words in report, (words, report)
        assert "u1@far.example" not in report


def case_success_is_reported(t):
    """NOTIFY=SUCCESS: a server that knows DSN is asked for it, for another barid says `relayed`."""
    with NextServer(["PIPELINING"]) as old, NextServer(["DSN"]) as new, Rig(t, old=old.nexthop, new=new.nexthop) as rig:
        rig.send(["a@new.example"], options=b" ENVID=e1 RET=HDRS", rcpt_options=b" NOTIFY=SUCCESS ORCPT=rfc822;a@new.example")
        rig.empty()
        said = [line for session in new.lines() for line in session]
        assert any("NOTIFY=SUCCESS" in x and "ORCPT=rfc822;a@new.example" in x for x in said), said
        assert any("ENVID=e1" in x and "RET=HDRS" in x for x in said), said
        rig.send(["b@old.example"], rcpt_options=b" NOTIFY=SUCCESS")
        report = rig.report()
        assert "Action: relayed" in report and "b@old.example" in report and "a@new.example" not in report, report


def case_a_time_that_senders_give(t):
    """DELIVERBY: a server that does not promise the time: with R its mail comes back, with N it goes on and the sender hears that."""
    with NextServer(["DSN"]) as other, Rig(t, far=other.nexthop) as rig:
        rig.send(["a@far.example"], options=b" BY=600;R")
        report = rig.report()
        assert "Action: failed" in report and "Status: 5.3.3" in report and not other.mails, report
        rig.send(["b@far.example"], options=b" BY=600;N")
        report = rig.report(2)
        assert "Action: relayed" in report and "b@far.example" in report and len(other.mails) == 1, report


def case_put_off_and_tried_again(t):
    """A server that is away: its mail waits with the reason, other mail does not; flush tries at once; later by itself."""
    busy = {"on": True}

    def mail(session, line):
        return "451 4.3.2 come back later" if busy["on"] else "250 ok"

    with NextServer(say={"MAIL": mail}) as other, NextServer() as good, Rig(t, far=other.nexthop, good=good.nexthop) as rig:
        number = rig.send(["a@far.example", "b@good.example"])
        t.until(lambda: rig.states() == ["deferred"], what="a deferral")
        row = rig.rows()[0]
        assert row["reason"] == "4.3.2 451 4.3.2 come back later" and row["tries"] == 1 and row["server"], row
        assert len(good.mails) == 1
        shown = rig.server.cli("queue", "show", str(number))
        assert "a@far.example" in shown and "come back later" in shown and "Subject: hello" in shown, shown
        told = rig.server.cli("trace", "a@far.example")
        assert told.startswith("Waiting: delivery to a@far.example was put off: 4.3.2 451 4.3.2 come back later"), told
        rig.server.cli("queue", "flush", "--domain", "far.example")
        t.until(lambda: [r["tries"] for r in rig.rows()] == [2], what="a second try")
        busy["on"] = False
        rig.server.advance_clock(700)
        rig.empty()
        assert len(other.mails) == 1 and len(good.mails) == 1
        told = rig.server.cli("trace", "a@far.example")
        assert told.startswith("Delivered to a@far.example: ") and told.count("come back later") >= 3, told
        assert "took over number" in told and "250 2.0.0 taken" in told, told


def case_the_lifetime_ends(t):
    """After five days it goes back to its sender with the last answer; a delay is told to who asked for it."""
    with NextServer(say={"MAIL": "451 4.3.2 never today"}) as other, Rig(t, far=other.nexthop) as rig:
        rig.send(["a@far.example"], rcpt_options=b" NOTIFY=DELAY,FAILURE")
        t.until(lambda: rig.states() == ["deferred"], what="a deferral")
        rig.server.advance_clock(5 * 3600)
        report = rig.report(1)
        assert "Action: delayed" in report and "Will-Retry-Until:" in report, report
        rig.server.advance_clock(5 * 86400)
        report = rig.report(2)
        assert "Action: failed" in report and "never today" in report, report
        rig.empty()


def case_a_relay_that_dies(t):
    """The relay is killed with a message under way: the message arrives all the same, other mail as well."""
    held, go = threading.Event(), threading.Event()

    def end(session, _):
        if not held.is_set():
            held.set()
            go.wait(20)
            return None
        return "250 2.0.0 taken"

    with NextServer(say={"end": end}) as other, Rig(t, far=other.nexthop) as rig:
        rig.send(["a@far.example"], b"one")
        assert held.wait(20)
        rig.server.kill("relay")
        go.set()
        rig.server.await_role("relay")
        rig.send(["b@far.example"], b"two")
        rig.empty()
        assert sorted(m.rcpts[0] for m in other.mails) == ["<a@far.example>", "<b@far.example>"], other.mails


def case_who_carries_it_dies(t):
    """queue and relay are killed at each step: nothing is lost, and twice it comes only where the other server may have it
    already, and nobody has written that down."""
    twice = 0
    for role, point, most in (("queue", "queue.before-relay", 1), ("queue", "queue.after-relay", 2), ("queue", "queue.relayed", 2),
                              ("queue", "spool.before-done-commit", 2), ("queue", "spool.after-done-commit", 1),
                              ("relay", "relay.before-send", 1), ("relay", "relay.sent", 2), ("relay", "relay.before-reply", 2),
                              ("relay", "relay.after-reply", 2)):
        with NextServer() as other, Rig(t, far=other.nexthop) as rig:
            rig.server.crash_point(role, point)
            rig.send(["a@far.example"])
            t.until(lambda: rig.server.log_text().count("event=role.ready role=" + role) == 2, what=f"{role} to die at {point}")
            rig.server.await_role(role)
            rig.empty()
            assert 1 <= len(other.mails) <= most, (point, other.mails)
            twice += len(other.mails) - 1
    return f"{twice} of 9 came twice"


def case_orders(t):
    """hold, release, requeue and delete by filters; dry runs; pages; the summary; orders of who may not."""
    with NextServer() as other, Rig(t, far="[127.0.0.1]:1", near="[127.0.0.1]:2") as rig:
        for i in range(3):
            rig.send([f"a{i}@far.example", f"b{i}@near.example"])
        t.until(lambda: rig.states() == ["deferred"] * 6, what="deferrals")
        cli = rig.server.cli
        assert len(rig.rows("--domain", "far.example")) == 3
        assert len(rig.rows("--to", "a?@*", "--state", "deferred")) == 3
        assert len(rig.rows("--text", "4.4.1*refused")) == 6
        assert len(rig.rows("--older", "1h")) == 0 and len(rig.rows("--newer", "1h")) == 6
        assert len(rig.rows("--account", "user1@example.test")) == 6
        page = rig.rows("--max", "4")
        assert len(page) == 4
        assert len(rig.rows("--after", f"{page[-1]['number']}/{page[-1]['rcpt']}")) == 2
        summary = json.loads(cli("queue", "summary", "--json"))["rows"]
        assert sorted((r["nexthop"], int(r["recipients"])) for r in summary) == [("[127.0.0.1]:1", 3), ("[127.0.0.1]:2", 3)], summary
        assert "3" in cli("queue", "hold", "--domain", "near.example", "--dry-run")
        assert rig.states() == ["deferred"] * 6
        # A page of everything is no filter; of what a filter names it is a part.
        assert "Usage" in cli("queue", "delete", "--max", "1", check=False)[1] or len(rig.rows()) == 6
        assert len(rig.rows()) == 6
        assert "2" in cli("queue", "delete", "--domain", "near.example", "--max", "2", "--dry-run")
        cli("queue", "hold", "--domain", "near.example")
        assert rig.states("--nexthop", "*:2") == ["held"] * 3
        cli("queue", "delete", "--to", "b0@near.example")
        assert len(rig.rows()) == 5
        cli("queue", "release", "--state", "held")
        # The domain moves: what waits goes the new way when it is asked for.
        cli("domain", "set", "far.example", "--transport", f"relay:{other.nexthop}")
        cli("queue", "requeue", "--domain", "far.example")
        t.until(lambda: len(other.mails) == 3, what="mail on its new way")
        t.until(lambda: rig.states() == ["deferred"] * 2, what="the rest")
        cli("queue", "delete", "all")
        rig.empty()


def case_ways_change(t):
    """What waits follows at its next try when the operator gives its domain another way; what no longer has one fails with the
    operator's words; mail for a list of another program waits, and the operator is told."""
    with NextServer(say={"MAIL": "451 4.3.2 never"}) as old, NextServer() as new, \
            Rig(t, far=old.nexthop, shut=old.nexthop) as rig:
        rig.send(["a@far.example"])
        rig.send(["b@shut.example"])
        t.until(lambda: rig.states() == ["deferred"] * 2, what="two deferrals")
        rig.server.cli("domain", "set", "far.example", "--transport", f"relay:{new.nexthop}")
        rig.server.cli("queue", "flush", "--domain", "far.example")
        t.until(lambda: len(new.mails) == 1, what="the mail by its new way")
        # Of its own accord, at the time that it would have been tried anyway.
        rig.server.cli("domain", "set", "shut.example", "--transport", "error:5.1.6 moved to other.example")
        rig.server.advance_clock(700)
        report = rig.report()
        assert "Status: 5.1.6" in report and "moved to other.example" in report, report
        rig.empty()
        with sqlite3.connect(os.path.join(rig.server.dir, "dir", "vmail.db")) as db:
            db.execute("INSERT INTO maillists (address, domain, transport, active) VALUES"
                       " ('news@example.test', 'example.test', 'mlmmj:example.test/news', 1)")
        db.close()
        number = rig.send(["news@example.test"])
        t.until(lambda: rig.states() == ["deferred"], what="the list's mail to wait")
        assert "runs no lists yet" in rig.rows()[0]["reason"], rig.rows()
        assert "event=queue.alert" in rig.server.log_text()
        rig.server.advance_clock(30 * 86400)
        t.until(lambda: [r["tries"] for r in rig.rows()] == [2], what="another look")
        assert [r["number"] for r in rig.rows()] == [number], rig.rows()


def case_five_days(t):
    """All of a message's life in the small Internet, by a clock that is pushed: every try at its time (300 s, doubling), the
    delay told after four hours, the end after five days, with the last server's words. BARID_RETRIES=full: with retry_max as it is."""
    full = os.environ.get("BARID_RETRIES") == "full"
    most = 4000 if full else 86400
    def moment(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    def shown(server, number):
        lines = [line.split(None, 3) for line in server.cli("queue", "show", str(number)).splitlines()]
        return {" ".join(line[:2]): line[2] for line in lines if len(line) >= 3 and line[:2] in (["last", "try"], ["next", "try"])}

    with Internet() as net:
        net.host("mx1.far.test", refuse=True, cert=None)
        host = net.host("mx2.far.test", cert=None, replies={"RCPT": "451 4.2.1 come back another day"})
        net.domain("far.test", mx=[(10, "mx1"), (20, "mx2")])
        rig = Rig(t, net.conf("" if full else f"[queue]\nretry_max = {most} s\n"))
        with rig:
            number = rig.send(["a@far.test"], rcpt_options=b" NOTIFY=DELAY,FAILURE")
            tries, gaps = 1, []
            t.until(lambda: [r["tries"] for r in rig.rows("a@far.test")] == [1], what="the first try")
            while rig.rows("a@far.test"):
                times = shown(rig.server, number)
                if len(times) < 2:
                    continue
                gaps.append((moment(times["next try"]) - moment(times["last try"])).total_seconds())
                rig.server.advance_clock(gaps[-1] + 1)
                tries += 1
                t.until(lambda n=tries: len(host.transactions) >= n, what=f"try {tries}")
                t.until(lambda n=tries: [r["tries"] for r in rig.rows("a@far.test")] in ([n], []), what=f"the outcome of try {tries}")
            wanted = [min(300 << i, most) for i in range(len(gaps) - 1)]  # the last try ends the lifetime
            assert all(abs(g - w) < 5 for g, w in zip(gaps, wanted)), (gaps, wanted)
            assert abs(sum(gaps) - 5 * 86400) < 300, sum(gaps)
            assert len(host.transactions) == len(gaps) + 1
            delayed, failed = rig.report(2), None
            imap = wire.Imap(rig.server, "user1@example.test")
            delayed, failed = (text.decode() for _, text in imap.bodies("INBOX"))
            imap.close()
            assert "Action: delayed" in delayed and "Will-Retry-Until:" in delayed, delayed
            assert "Action: failed" in failed and "come back another day" in failed and "Remote-MTA: dns;mx2.far.test" in failed, failed

# SPDX-License-Identifier: Apache-2.0
"""The relay role: what it says to other servers, and what their answers come to. The test is queue
(tests/harness/impostor.py) and asks relay itself; the other servers are tests/harness/nextserver.py."""
import concurrent.futures
import re
import threading
import time

from harness.impostor import Intruded
from harness.ipc import memfd
from harness.nextserver import NextServer

BODY = b"Subject: hello\r\n\r\nHi.\r\n.\r\n..two\r\n"
DELIVERED, DEFERRED, FAILED = 0, 1, 2
NOT_TRIED, CONTACT, NO_CONTACT = 0, 1, 2
FULL = ["PIPELINING", "SIZE 10240000", "8BITMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES"]


class Rig:
    """A server whose queue is this test."""

    def __init__(self, t, net=None, **conf):
        self.t, self.number = t, 0
        lines = "[relay]\n" + "".join(f"{key} = {value}\n" for key, value in conf.items())
        self.server = Intruded(["queue 0"], build=t.build, users=1, env={"BARID_DEMO_CONF": net.conf(lines) if net else lines})

    def __enter__(self):
        self.server.start()
        self.relay = self.server.impostor("queue 0").peer("relay 0")
        return self

    def __exit__(self, kind, value, trace):
        return self.server.__exit__(kind, value, trace)

    def send(self, nexthop, to=("bob@example.net",), body=BODY, timeout=20, **fields):
        self.number += 1
        rcpts = [{"rcpt": i, "address": a} if isinstance(a, str) else {"rcpt": i, **a} for i, a in enumerate(to)]
        message = {"number": self.number, "nexthop": nexthop, "sender": "alice@example.org", "prefix": b"Received: x\r\n", "body": body,
                   "file": -1, "size": len(body), "priority": 9, "rcpts": rcpts}
        message.update(fields)
        reply = self.relay.ask("relay", timeout=timeout, **message)
        assert reply and reply.name == "relayed", reply
        assert [r["rcpt"] for r in reply["results"]] == list(range(len(to)))
        return reply


def outcomes(reply):
    return [(r["outcome"], r["status"].decode(), r["text"].decode()) for r in reply["results"]]


def case_one_message(t):
    """One message to a server that knows much, to one that knows nothing, and to one that takes it at once."""
    with Rig(t) as rig, NextServer(FULL) as modern, NextServer(say={"EHLO": "502 no"}) as old, \
            NextServer(["PIPELINING", "CHUNKING"]) as quick:
        for other, how, ehlo in ((modern, "DATA", "MAIL FROM:<alice@example.org> SIZE=46"), (old, "DATA", "HELO"),
                                 (quick, "BDAT", "EHLO")):
            reply = rig.send(other.nexthop)
            assert outcomes(reply) == [(DELIVERED, "2.0.0", "250 2.0.0 taken")], reply
            assert reply["contact"] == CONTACT and reply["server_ip"] == b"127.0.0.1", reply
            assert [(m.rcpts, m.data, m.how) for m in other.mails] == [(["<bob@example.net>"], b"Received: x\r\n" + BODY, how)]
            assert any(line.startswith(ehlo) for line in other.lines()[0]), other.lines()


def case_each_recipient_has_its_own_answer(t):
    """Accepted, refused and put off: each by the server's own words."""
    def rcpt(session, line):
        return "550-5.1.1 No such\r\n550 5.1.1 user" if "nobody" in line else "450 4.2.0 later" if "later" in line else "250 ok"

    for offers in (FULL, []):
        with Rig(t) as rig, NextServer(offers, say={"RCPT": rcpt}) as other:
            reply = rig.send(other.nexthop, to=("a@example.net", "nobody@example.net", "later@example.net", "b@example.net"))
            assert outcomes(reply) == [(DELIVERED, "2.0.0", "250 2.0.0 taken"), (FAILED, "5.1.1", "550 5.1.1 No such user"),
                                       (DEFERRED, "4.2.0", "450 4.2.0 later"), (DELIVERED, "2.0.0", "250 2.0.0 taken")], reply
            assert all(r["said"] for r in reply["results"])
            assert other.mails[0].rcpts == ["<a@example.net>", "<b@example.net>"]


def case_each_phase_and_its_refusal(t):
    """A server that refuses at a phase: 4xx puts off, 5xx fails, and where it does not mean the message it puts off."""
    rows = [({"greeting": "554 5.7.1 no"}, DEFERRED, "4.7.1", NO_CONTACT), ({"greeting": "421 4.3.2 busy"}, DEFERRED, "4.3.2", NO_CONTACT),
            ({"greeting": "521 no mail here"}, FAILED, "5.0.0", NO_CONTACT), ({"greeting": None}, DEFERRED, "4.4.2", NO_CONTACT),
            ({"greeting": "SSH-2.0"}, DEFERRED, "4.4.2", NO_CONTACT),
            ({"EHLO": "550 5.7.1 not you", "HELO": "550 5.7.1 not you"}, FAILED, "5.7.1", NO_CONTACT),
            ({"EHLO": "450 4.7.1 later"}, DEFERRED, "4.7.1", NO_CONTACT),
            ({"MAIL": "550 5.1.8 no"}, FAILED, "5.1.8", CONTACT), ({"MAIL": "451 no"}, DEFERRED, "4.0.0", CONTACT),
            ({"MAIL": "421 4.7.0 no"}, DEFERRED, "4.7.0", NO_CONTACT),
            ({"DATA": "554 5.6.0 no"}, FAILED, "5.6.0", CONTACT), ({"DATA": "452 4.3.1 no"}, DEFERRED, "4.3.1", CONTACT),
            ({"DATA": None}, DEFERRED, "4.4.2", CONTACT),
            ({"end": "554 5.7.1 spam"}, FAILED, "5.7.1", CONTACT), ({"end": "451 4.7.1 grey"}, DEFERRED, "4.7.1", CONTACT),
            ({"end": None}, DEFERRED, "4.4.2", CONTACT)]
    with Rig(t) as rig:
        for offers in (FULL, []):
            for say, outcome, status, contact in rows:
                with NextServer(offers, say=say) as other:
                    reply = rig.send(other.nexthop)
                    assert (outcomes(reply)[0][:2], reply["contact"]) == ((outcome, status), contact), (say, offers, reply)
                    assert not other.mails
        # A place where nobody listens.
        reply = rig.send(other.nexthop)
        assert outcomes(reply)[0][:2] == (DEFERRED, "4.4.1") and reply["contact"] == NO_CONTACT, reply
        assert b"Connection refused" in reply["results"][0]["text"] and not reply["results"][0]["said"], reply
        assert rig.server.log_text().count("event=relay.unsure") == 2


def case_a_server_that_hangs(t):
    """Silence at each phase is ended by its own time, and the message is put off."""
    with Rig(t, connect_timeout="1 s", greeting_timeout="1 s", command_timeout="1 s", data_init_timeout="1 s",
             data_done_timeout="1 s") as rig:
        for verb in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"):
            with NextServer(FULL, say={verb: "hang"}) as other:
                reply = rig.send(other.nexthop, timeout=60)
                assert outcomes(reply)[0][:2] == (DEFERRED, "4.4.2"), (verb, reply)
                assert "did not answer in time" in outcomes(reply)[0][2], (verb, reply)


def case_connections_are_used_again(t):
    """Twenty messages one after the other go by one connection; one that the server has closed is not missed."""
    with Rig(t, idle="5 min") as rig, NextServer(FULL) as other:
        for _ in range(20):
            assert outcomes(rig.send(other.nexthop))[0][0] == DELIVERED
        assert len(other.sessions) == 1 and len(other.mails) == 20
        other.sessions[0].sock.shutdown(2)
        for _ in range(2):
            assert outcomes(rig.send(other.nexthop))[0][0] == DELIVERED
        assert len(other.sessions) == 2 and len(other.mails) == 22
        # After a refusal of the whole message the connection is clean again.
        other.say["RCPT"] = "550 5.1.1 no"
        assert outcomes(rig.send(other.nexthop))[0][0] == FAILED
        del other.say["RCPT"]
        assert outcomes(rig.send(other.nexthop))[0][0] == DELIVERED
        assert "RSET" in other.lines()[1] and len(other.sessions) == 2
    with Rig(t, idle="0 s") as rig, NextServer(FULL) as other:
        for _ in range(3):
            rig.send(other.nexthop)
        t.until(lambda: len(other.sessions) == 3 and all(lines[-1] == "QUIT" for lines in other.lines()), what="three times QUIT")


def case_one_connection_in_all(t):
    """Where relay may have one connection, the one that waits gives way to the next."""
    with Rig(t, idle="5 min", connections=1) as rig, NextServer(FULL) as one, NextServer(FULL) as two:
        for other in (one, one, two, two, one):
            assert outcomes(rig.send(other.nexthop))[0][0] == DELIVERED
        assert [len(other.sessions) for other in (one, two)] == [2, 1]


def case_a_connection_that_dies_under_the_message(t):
    """An idle connection that the server drops at the next MAIL is replaced at once, without loss or double."""
    with Rig(t, idle="5 min") as rig, NextServer(FULL) as other:
        rig.send(other.nexthop)
        seen = []
        other.say["MAIL"] = lambda session, line: None if not seen and not seen.append(1) else "250 ok"
        assert outcomes(rig.send(other.nexthop))[0][0] == DELIVERED
        assert len(other.sessions) == 2 and len(other.mails) == 2


def case_lmtp(t):
    """LMTP: LHLO, and an answer for each recipient at the end."""
    with Rig(t) as rig, NextServer(["PIPELINING"], lmtp=True,
                                   say={"end": lambda s, to: "552 5.2.2 full" if "full" in to else "250 2.0.0 ok"}) as other:
        reply = rig.send(other.nexthop, to=("a@example.net", "full@example.net", "b@example.net"))
        assert [o[:2] for o in outcomes(reply)] == [(DELIVERED, "2.0.0"), (FAILED, "5.2.2"), (DELIVERED, "2.0.0")], reply
        assert other.lines()[0][0].startswith("LHLO ")


def case_dsn_parameters(t):
    """NOTIFY, ORCPT, RET and ENVID are passed on where they are understood, and then the duty to report is, too."""
    fields = {"ret": 2, "envid": b"QQ314159", "to": ({"address": "bob@example.net", "notify": 6, "orcpt": b"rfc822;Bob@example.net"},
                                                      {"address": "eve@example.net", "notify": 1})}
    with Rig(t) as rig:
        with NextServer(FULL) as other:
            reply = rig.send(other.nexthop, **fields)
            assert [r["dsn_passed"] for r in reply["results"]] == [1, 1], reply
            assert other.lines()[0][1:4] == ["MAIL FROM:<alice@example.org> SIZE=46 RET=HDRS ENVID=QQ314159",
                                             "RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.net",
                                             "RCPT TO:<eve@example.net> NOTIFY=NEVER"], other.lines()
        with NextServer() as other:
            reply = rig.send(other.nexthop, **fields)
            assert [r["dsn_passed"] for r in reply["results"]] == [0, 0], reply
            assert other.lines()[0][1:4] == ["MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>",
                                             "RCPT TO:<eve@example.net>"], other.lines()


def case_deliver_by(t):
    """RFC 2852: the seconds that are left; what a server without it, or with too little time, gets, and whether the sender hears."""
    RETURN, NOTIFY, TRACE = 1, 2, 4

    def ask(rig, other, mode, seconds, **fields):
        def mails():
            return [line for lines in other.lines() for line in lines if line.startswith("MAIL")]
        before = len(mails())
        reply = rig.send(other.nexthop, deliver_by_us=int((time.time() + seconds) * 1e6), deliver_by_mode=mode, **fields)
        told = [r["relaying_told"] for r in reply["results"]]
        return outcomes(reply)[0][:2], told[0], (mails()[before:] or [None])[0]

    with Rig(t, idle="0 s") as rig, NextServer(["DELIVERBY 240"]) as knows, NextServer(["PIPELINING"]) as old:
        for mode, letters in ((RETURN, "R"), (NOTIFY, "N"), (RETURN | TRACE, "RT"), (NOTIFY | TRACE, "NT")):
            got, told, said = ask(rig, knows, mode, 1000)
            assert got == (DELIVERED, "2.0.0") and told == ("T" in letters), (letters, got, told)
            found = re.fullmatch(rf"MAIL FROM:<alice@example.org> BY=(\d+);{letters}", said)
            assert found and 600 < int(found.group(1)) < 1000, said
        # The time of N may be short, or over; R is given back.
        assert re.search(r" BY=-\d+;N$", ask(rig, knows, NOTIFY, -100)[2])
        assert re.search(r" BY=(-)?\d+;N$", ask(rig, knows, NOTIFY, 30)[2])
        taken = len(knows.mails)
        assert ask(rig, knows, RETURN, 100)[0] == (FAILED, "5.4.7")
        assert ask(rig, knows, RETURN, -100)[::2] == ((FAILED, "5.4.7"), None)
        assert len(knows.mails) == taken
        # A server that promises nothing.
        assert ask(rig, old, RETURN, 1000)[0] == (FAILED, "5.3.3") and not old.mails
        got, told, said = ask(rig, old, NOTIFY, 1000)
        assert (got, told, said) == ((DELIVERED, "2.0.0"), 1, "MAIL FROM:<alice@example.org>"), (got, told, said)
        got, told, said = ask(rig, old, 0, 1000)
        assert got == (DELIVERED, "2.0.0") and not told
        # Neither a mailbox by LMTP nor a filter is a relay.
        with NextServer(["PIPELINING"], lmtp=True) as store:
            assert ask(rig, store, RETURN, 1000)[:2] == ((DELIVERED, "2.0.0"), 0)
        assert ask(rig, old, RETURN, 1000, client={"ip": b"192.0.2.1"})[:2] == ((DELIVERED, "2.0.0"), 0)


def case_large_messages_from_a_file(t):
    """A body that comes as a descriptor arrives octet by octet; bare line ends within do not leave us."""
    body = b"Subject: large\r\n\r\n" + b"".join(b".line %d\r\n" % i for i in range(200000))
    with Rig(t) as rig, NextServer(FULL) as other:
        reply = rig.send(other.nexthop, body=b"", file=memfd(body), size=len(body))
        assert outcomes(reply)[0][0] == DELIVERED and other.mails[0].data == b"Received: x\r\n" + body
        reply = rig.send(other.nexthop, body=b"a\n.\nb\r.\rc\r\n.\nMAIL FROM:<x@y>\n")
        assert outcomes(reply)[0][0] == DELIVERED
        assert other.mails[1].data == b"Received: x\r\na\r\n.\r\nb\r\n.\r\nc\r\n.\r\nMAIL FROM:<x@y>\r\n", other.mails[1].data
        # One that is shorter than was said is not ended as if it were whole.
        reply = rig.send(other.nexthop, body=b"", file=memfd(b"short"), size=1000000)
        assert outcomes(reply)[0][:2] == (DEFERRED, "4.3.0") and len(other.mails) == 2, reply


def case_what_a_server_does_not_take(t):
    """Too large, REQUIRETLS without it, an address that SMTP cannot say: refused without troubling the server."""
    with Rig(t) as rig, NextServer(["SIZE 20"]) as other:
        for fields, status in (({}, "5.3.4"), ({"requiretls": 1, "body": b"", "prefix": b""}, "5.7.10"),
                               ({"to": ("a b@example.net",), "body": b"", "prefix": b""}, "5.1.3"),
                               ({"to": ("a@b>\r\nDATA",), "body": b"", "prefix": b""}, "5.1.3")):
            reply = rig.send(other.nexthop, **fields)
            assert outcomes(reply)[0][:2] == (FAILED, status), (fields, reply)
        assert not other.mails and all(not line.startswith("MAIL") for lines in other.lines() for line in lines)
        reply = rig.send("discard:")
        assert outcomes(reply)[0][:2] == (FAILED, "5.1.2"), reply


def case_xforward(t):
    """A filter hears whom the message is from, when queue says so, and nobody else does."""
    client = {"ip": "192.0.2.9", "rdns": "spike.example", "helo": "spike", "esmtp": 1}
    with Rig(t) as rig, NextServer(["XFORWARD NAME ADDR HELO PROTO"]) as other:
        rig.send(other.nexthop)
        rig.send(other.nexthop, client=client)
        assert [m for m in other.lines()[0] if m.startswith("XFORWARD")] == \
            ["XFORWARD NAME=spike.example ADDR=192.0.2.9 PROTO=ESMTP HELO=spike"], other.lines()


def case_a_queue_that_forgot(t):
    """Asked again about what another server has taken, or is taking, relay gives the answer and no second copy."""
    with Rig(t) as rig, NextServer(FULL, say={"RCPT": lambda s, line: "450 4.2.0 later" if "later" in line else "250 ok"}) as other:
        both = ("bob@example.net", "later@example.net")
        assert [o[0] for o in outcomes(rig.send(other.nexthop, to=both, number=99, arrival_us=5))] == [DELIVERED, DEFERRED]
        other.say["RCPT"] = "250 ok"
        assert [o[0] for o in outcomes(rig.send(other.nexthop, to=both, number=99, arrival_us=5))] == [DELIVERED, DELIVERED]
        assert [m.rcpts for m in other.mails] == [["<bob@example.net>"], ["<later@example.net>"]], other.mails
        # Another spool's number 99 is another message.
        assert outcomes(rig.send(other.nexthop, number=99, arrival_us=6))[0][0] == DELIVERED and len(other.mails) == 3
        # While the first one is on its way the second one waits.
        go = threading.Event()
        other.say["end"] = lambda session, line: "250 2.0.0 taken" if go.wait(20) else None
        with concurrent.futures.ThreadPoolExecutor() as pool:
            two = [pool.submit(rig.send, other.nexthop, number=100) for _ in range(2)]
            t.until(lambda: any("DATA" in lines for lines in other.lines()[-1:]), what="the message on its way")
            go.set()
            assert [outcomes(f.result())[0][0] for f in two] == [DELIVERED, DELIVERED]
        assert len(other.mails) == 4


def case_a_server_of_seven_bits(t):
    """Without 8BITMIME the message goes in quoted-printable; without SMTPUTF8 it goes when nothing in it needs that."""
    body = "Subject: hello\r\n\r\nf\u00fcr dich\r\n".encode()
    with Rig(t) as rig, NextServer(["PIPELINING"]) as other:
        for fields in ({"body": body}, {"body": b"", "file": memfd(body), "size": len(body)}):
            reply = rig.send(other.nexthop, eightbit=1, smtputf8=1, **fields)
            assert outcomes(reply)[0][0] == DELIVERED, reply
            assert b"quoted-printable" in other.mails[-1].data and b"f=C3=BCr dich" in other.mails[-1].data, other.mails[-1].data
        assert not any("BODY=" in line or "SMTPUTF8" in line for line in other.lines()[0])
        for fields in ({"to": ("j\u00fcrgen@example.net",)}, {"body": "Subject: f\u00fcr\r\n\r\nx\r\n".encode()}):
            reply = rig.send(other.nexthop, smtputf8=1, **fields)
            assert outcomes(reply)[0][:2] == (FAILED, "5.6.7"), reply
        assert len(other.mails) == 2
    with Rig(t) as rig, NextServer(FULL) as other:
        assert outcomes(rig.send(other.nexthop, eightbit=1, body=body))[0][0] == DELIVERED
        assert other.mails[0].data.endswith(body)

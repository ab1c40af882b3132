# SPDX-License-Identifier: Apache-2.0
"""An edge that somebody has taken over: it has edge's channels and says what it likes. What passes through it is lost;
nothing else is, and nobody else's session ends. Edge 1 is the test itself (tests/harness/impostor.py), edge 0 is true.
"""
import os
import re
import struct
import time

from harness import wire
from harness.impostor import Intruded
from harness.ipc import SCHEMA, SPILLED, memfd

NEXT_CONTINUE, NEXT_CLOSE, NEXT_AUTH = 0, 1, 9
PEER = {"ip": "192.0.2.66", "port": 4711, "local_ip": "192.0.2.1", "local_port": 993, "tls": True,
        "tls_text": "TLSv1.3", "ems": True}
MINE, OTHERS = 1 << 56, 0 << 56
ALICE, BOB = "user1@example.test", "user2@example.test"


class Edge:
    """The hostile edge, and what an honest one would do where the attack needs it."""

    def __init__(self, server):
        self.server = server
        self.me = server.impostor("edge 1")
        self.next = 1000

    def peer(self, name):
        return self.me.peer(name)

    def session(self, edge=1):
        self.next += 1
        return edge << 56 | self.next

    def login(self, user, password="secret", session=None, service="imaps", **more):
        session = session or self.session()
        reply = self.peer("dir 0").ask("login", session=session, service=service, peer=PEER, username=user,
                                       password=password, mechanism="PLAIN", **more)
        return session, reply

    def open(self, role, session, service, state=b"", timeout=20.0, ticket=b"", **peer):
        """session_open; the answer to it."""
        channel = self.peer(role)
        channel.send("session_open", session=session, service=service, peer={**PEER, **peer}, state=state, ticket=ticket)
        return channel.take("session_done", timeout=timeout, match=lambda p: p["session"] == session)

    def imap(self, user):
        """A session that the owner opened through this edge: (shard, session, state)."""
        session, reply = self.login(user)
        assert reply and reply.name == "login_reply" and reply["granted"], reply
        self.ticket = reply["ticket"]
        role = f"user {reply['shard']}"
        done = self.open(role, session, "imaps")
        assert done and done["next"] == NEXT_CONTINUE and done["state"], done
        return role, session, done["state"]

    def command(self, role, session, text, seq=1, timeout=20.0):
        """All that comes back for one IMAP command."""
        channel = self.peer(role)
        channel.send("session_command", session=session, seq=seq, input=text.removesuffix(b"\r\n"))
        out = b""
        while True:
            p = channel.take("session_out", "session_done", timeout=timeout, match=lambda p: p["session"] == session)
            if p is None:
                return None
            if p.name == "session_done":
                self.last = p
                return out + p["out"]
            out += p["text"]

    def smtp(self, session, lines, role="mta 0", seq=1, timeout=20.0):
        """A batch of SMTP lines; the answer."""
        channel = self.peer(role)
        batch = b"".join(b"L" + line + b"\n" for line in lines.split(b"\r\n") if line)
        channel.send("session_command", session=session, seq=seq, input=batch + b"\0")
        return channel.take("session_done", timeout=timeout, match=lambda p: p["session"] == session)

    def submission(self, user, password="secret"):
        """A session that may send as its owner: (session, its answer)."""
        session = self.session()
        self.open("mta 0", session, "submission")
        self.smtp(session, b"EHLO x\r\n")
        assert self.smtp(session, b"AUTH PLAIN\r\n", seq=2)["next"] == NEXT_AUTH
        _, reply = self.login(user, password, session=session, service="submission")
        assert reply["granted"], reply
        self.ticket = reply["ticket"]
        self.peer("mta 0").send("session_auth", session=session, seq=3, outcome=0)
        done = self.peer("mta 0").take("session_done", match=lambda p: p["session"] == session)
        assert done["out"].startswith(b"235"), done
        return session, done["state"]

    def close(self, role, session):
        self.peer(role).send("session_close", session=session)


class Witness:
    """Somebody else's sessions, through the true edge: they go on whatever the hostile one does."""

    def __init__(self, t, server):
        self.t, self.server = t, server
        self.imap = wire.Imap(server, BOB)
        self.imap.select("INBOX")
        self.idle = wire.Imap(server, BOB)
        self.idle.select("INBOX")
        self.restarts = server.restarts()

    def check(self, what):
        assert self.imap.command(b"NOOP"), what
        assert self.idle.command(b"NOOP"), what
        now = self.server.restarts()
        died = {role for role, n in now.items() if n != self.restarts.get(role)}
        assert not died, f"{what}: {died} was restarted\n{self.server.log_tail(30)}"
        smtp = wire.Smtp(self.server)
        smtp.message("a@example.org", [BOB], b"Subject: x\r\n\r\nstill served\r\n")
        smtp.close()


class Rig:
    def __init__(self, t, **options):
        self.t = t
        self.server = Intruded(["edge 1"], build=t.build, users=4, **options)

    def __enter__(self):
        self.server.start()
        self.edge = Edge(self.server)
        self.witness = Witness(self.t, self.server)
        return self.server, self.edge, self.witness

    def __exit__(self, kind, value, trace):
        return self.server.__exit__(kind, value, trace)


def logged(t, server, before, pattern, what):
    t.until(lambda: re.search(pattern, server.log_text()[before:]), what=f"a log line about {what}", timeout=10)


def refused(t, server, edge, what, attempt, pattern):
    """The attempt comes to nothing, and stands in the log."""
    before = len(server.log_text())
    outcome = attempt()
    assert outcome is None or outcome["next"] == NEXT_CLOSE, f"{what}: {outcome}"
    logged(t, server, before, pattern, what)


def case_no_session_without_a_login(t):
    """Sessions need dir's grant, or state that was sealed for them; nothing that edge makes up does."""
    with Rig(t) as (server, edge, witness):
        role, session, state = edge.imap(ALICE)
        answer = edge.command(role, session, b"a SELECT INBOX\r\n")
        assert b"a OK" in answer, answer
        state = edge.last["state"] or state
        flipped = bytes([state[40] ^ 1])
        bad = r"event=(imap.cannot-open|ipc.refused)"
        for what, blob in (("no grant", b""), ("garbage", os.urandom(200)), ("a short state", b"x" * 7),
                           ("a changed state", state[:40] + flipped + state[41:]), ("a cut state", state[:-1]),
                           ("state of another session", state), ("a long state", b"y" * 200000)):
            refused(t, server, edge, what, lambda: edge.open(role, edge.session(), "imaps", blob), bad)
        other = "user 1" if role == "user 0" else "user 0"
        refused(t, server, edge, "state of another shard", lambda: edge.open(other, session, "imaps", state), bad)
        for what, blob in (("unsealed state for mta", b"\0" * 100), ("state of user", state)):
            refused(t, server, edge, what, lambda: edge.open("mta 0", session, "submission", blob),
                    r"event=(mta.resume-failed|ipc.refused)")
        witness.check("made up sessions")


def case_no_service_that_is_off(t):
    """What asks no login is there only while it listens, and for whom it is meant: edge cannot claim it else."""
    with Rig(t, env={"BARID_DEMO_CONF": "[sendmail]\nlisten =\n"}) as (server, edge, witness):
        bad = r"event=mta.no-such-service"
        for what, service, peer in (("the command sendmail, switched off", "sendmail", {"user": "0"}),
                                    ("a filter that is no trusted client", "reinject", {"trusted_client": False}),
                                    ("a service that there never was", "anything", {"trusted_client": True})):
            refused(t, server, edge, what, lambda: edge.open("mta 0", edge.session(), service, **peer), bad)
        witness.check("services that are off")


def case_no_account_but_the_ones_that_logged_in(t):
    """Forged and replayed grants: a grant comes from dir alone, and is for its session."""
    with Rig(t) as (server, edge, witness):
        role, session, _ = edge.imap(ALICE)
        # A grant is used up by the opening of its session.
        edge.close(role, session)
        refused(t, server, edge, "a used grant", lambda: edge.open(role, session, "imaps"), "imap.cannot-open")
        # Of another one.
        granted, reply = edge.login(ALICE)
        assert reply["granted"]
        refused(t, server, edge, "another session's grant", lambda: edge.open(role, edge.session(), "imaps"),
                "imap.cannot-open")
        # One that edge writes itself.
        for to in ("user 0", "user 1", "mta 0"):
            fresh = edge.session()
            before = len(server.log_text())
            reply = edge.peer(to).ask("grant", timeout=5, session=fresh, account=2, service="imaps", address=BOB)
            assert reply is None or reply.name == "fail", reply
            logged(t, server, before, "event=ipc.refused", "a forged grant")
        # SMTP: that somebody has logged in is dir's word, too.
        sub = edge.session()
        done = edge.open("mta 0", sub, "submission")
        assert done["out"].startswith(b"220"), done
        edge.smtp(sub, b"EHLO x\r\n")
        done = edge.smtp(sub, b"AUTH PLAIN\r\n", seq=2)
        assert done["next"] == NEXT_AUTH, done
        for outcome in (0, 1, 2, 3, 4, 5, 255, 77):
            edge.peer("mta 0").send("session_auth", session=sub, seq=3, outcome=outcome)
            done = edge.peer("mta 0").take("session_done", match=lambda p: p["session"] == sub, timeout=5)
            assert done is None or not done["out"].startswith(b"235"), done
        # It is out of step by now, and closed; one that never asked is told to.
        for sub in (sub, edge.session()):
            edge.open("mta 0", sub, "submission", timeout=3)
            edge.smtp(sub, b"EHLO x\r\n", seq=4)
            done = edge.smtp(sub, b"MAIL FROM:<user1@example.test>\r\n", seq=5)
            assert done["out"].startswith((b"530", b"421", b"503")), done
        assert granted
        witness.check("forged grants")


def case_logins_are_dirs(t):
    """Claims of a proxy, other users' names and wrong passwords open nothing, whatever peer edge claims."""
    with Rig(t) as (server, edge, witness):
        proxy = {**PEER, "ip": "127.0.0.1", "source": 2, "proxy_ip": "127.0.0.1", "may_xclient_login": True,
                 "trusted": True, "login": BOB}
        dir_ = edge.peer("dir 0")
        for service in ("imaps", "submission"):
            reply = dir_.ask("login", session=edge.session(), service=service, peer=proxy, username=BOB,
                             mechanism="XCLIENT", claimed=True)
            assert reply.name == "fail" or not reply["granted"], reply
        for user, password, authzid in ((BOB, "", ""), (BOB, "guess", ""), (ALICE, "secret", BOB), ("", "secret", BOB)):
            reply = dir_.ask("login", session=edge.session(), service="imaps", peer=PEER, username=user,
                             password=password, authzid=authzid, mechanism="PLAIN")
            assert reply.name == "fail" or not reply["granted"], (user, password, authzid, reply)
        witness.check("logins")


def case_refused_pop3_sessions_take_no_commands(t):
    """A POP3 session that was refused (another one has the mailbox) has no mailbox to ask about."""
    with Rig(t) as (server, edge, witness):
        nexts = []
        for _ in range(2):
            session, reply = edge.login(ALICE, service="pop3s")
            role, ticket = f"user {reply['shard']}", reply["ticket"]
            nexts.append(edge.open(role, session, "pop3s", ticket=ticket)["next"])
        assert nexts == [NEXT_CONTINUE, NEXT_CLOSE], nexts
        for seq, line in enumerate((b"LIST", b"UIDL", b"STAT", b"TOP 1 1", b"QUIT"), 1):
            done = edge.smtp(session, line, role=role, seq=seq)
            assert done and done["next"] == NEXT_CLOSE, (line, done)
        witness.check("commands for a refused POP3 session")


def case_other_edges_sessions_are_theirs(t):
    """Ids of sessions that another edge has: nothing about them is taken from this one."""
    with Rig(t) as (server, edge, witness):
        ids = [int(m, 16) for m in re.findall(r"event=session.begin trace=\S+ session=([0-9a-f]+)", server.log_text())]
        assert ids and all(i >> 56 == 0 for i in ids), ids
        before = len(server.log_text())
        for session in ids:
            for role in ("user 0", "user 1", "mta 0"):
                channel = edge.peer(role)
                channel.send("session_close", session=session)
                channel.send("session_command", session=session, seq=9, input=b"x LOGOUT\r\n")
                channel.send("session_resume", session=session)
                channel.send("session_auth", session=session, seq=9)
                channel.send("session_tls", session=session, seq=9)
                channel.send("session_body", session=session, seq=9, body=b"x", size=1)
                channel.send("session_open", session=session, service="imaps", peer=PEER)
                reply = channel.ask("body_open", timeout=3, session=session, size=100)
                assert reply is None or reply.name == "fail", reply
            dir_ = edge.peer("dir 0")
            for name in ("login_over", "login_drop"):
                dir_.send(name, session=session)
            reply = dir_.ask("login", session=session, service="imaps", peer=PEER, username=ALICE, password="secret")
            assert reply.name == "fail", reply
        logged(t, server, before, "dir.*event=ipc.refused", "others' sessions at dir")
        logged(t, server, before, "event=ipc.refused", "others' sessions at user and mta")
        # The right of those sessions is still watched: a changed password ends them.
        witness.check("others' sessions")
        server.cli("user", "set", BOB, "--password", "another")
        t.until(lambda: ended(witness.imap), what="the end of sessions after a changed password")


def case_ended_sessions_stay_ended(t):
    """State and ticket of a session whose client has left, or whose password was changed, open nothing any more."""
    with Rig(t) as (server, edge, witness):
        server.advance_clock(100)  # dir remembers all sessions by now
        role, session, state = edge.imap(ALICE)
        ticket = edge.ticket
        edge.close(role, session)
        edge.peer("dir 0").send("login_again", tickets=[{"session": session, "ticket": ticket}])
        for with_ticket in (b"", ticket, ticket[:-1], b"x" * 160):
            refused(t, server, edge, "a session that was closed",
                    lambda: edge.open(role, session, "imaps", state, ticket=with_ticket), "imap.cannot-open")
            edge.close(role, session)
        sub, sub_state = edge.submission(ALICE)
        for _ in range(20):  # at once, again and again: the news of the end and the question do not pass each other
            edge.close("mta 0", sub)
            done = edge.open("mta 0", sub, "submission", sub_state, ticket=edge.ticket)
            assert done and done["next"] == NEXT_CLOSE and done["out"].startswith(b"421"), done
        # The same with an old state of a session that goes on, of a user and an mta that have ended meanwhile.
        role, session, state = edge.imap(ALICE)
        ticket = edge.ticket
        sub, sub_state = edge.submission(ALICE)
        sub_ticket = edge.ticket
        for name in ("user", "mta"):
            server.kill(name)
            server.await_role(name)
        done = edge.open(role, session, "imaps", state, ticket=ticket)
        assert done["next"] == NEXT_CONTINUE, done
        edge.peer("mta 0").send("session_open", session=sub, service="submission", peer=PEER, state=sub_state, ticket=sub_ticket)
        done = edge.smtp(sub, b"MAIL FROM:<user1@example.test>\r\n", seq=4)
        assert done["out"].startswith(b"250"), done
        server.cli("user", "set", ALICE, "--password", "another")
        for name in ("user", "mta"):
            server.kill(name)
            server.await_role(name)
        refused(t, server, edge, "a session of before the password was changed",
                lambda: edge.open(role, session, "imaps", state, ticket=ticket), "login.not-renewed")
        done = edge.open("mta 0", sub, "submission", sub_state, ticket=sub_ticket)
        assert done["next"] == NEXT_CLOSE and done["out"].startswith(b"421"), done
        witness.restarts = server.restarts()
        witness.check("ended sessions")  # its own were opened again, by dir's leave
        server.kill("dir")
        server.kill("user")
        for name in ("dir", "user"):
            server.await_role(name)
        witness.restarts = server.restarts()
        witness.check("sessions that a new dir and a new user take over")


def case_edge_cannot_hide_a_session_from_dir(t):
    """dir forgets a session when the role that has it open says so, and not when edge does."""
    with Rig(t) as (server, edge, witness):
        role, session, _ = edge.imap(ALICE)
        sub, _ = edge.submission(ALICE)
        for _ in range(3):
            edge.peer("dir 0").send("login_over", session=session)
            edge.peer("dir 0").send("login_over", session=sub)
        assert b"a OK" in edge.command(role, session, b"a NOOP")
        for held, service in ((session, "imaps"), (sub, "submission")):
            _, reply = edge.login("user3@example.test", session=held, service=service)
            assert reply.name == "fail", f"a session changes its owner: {reply}"
        server.cli("user", "set", ALICE, "--password", "another")

        def over(answer, sign):
            return answer is not None and sign in answer

        t.until(lambda: over(edge.command(role, session, b"b NOOP", timeout=3), b"BYE"), what="the end of the IMAP session")
        t.until(lambda: over((edge.smtp(sub, b"NOOP\r\n", timeout=3) or {"out": b"421"})["out"], b"421"),
                what="the end of the submission session")
        witness.check("sessions that edge declared over")


def case_messages_of_other_roles_are_refused(t):
    """Every type of message there is, to every peer: what is not edge's to say has no effect and no good answer."""
    with Rig(t) as (server, edge, witness):
        good = {("user", "body_open"), ("mta", "body_open"), ("dir", "login"), ("dir", "login_sasl"), ("admin", "metrics")}
        before = len(server.log_text())
        for place in ("mta 0", "user 0", "user 1", "dir 0", "admin 0"):
            channel = edge.peer(place)
            asked = {}
            for name in SCHEMA.messages:
                channel.requests += 1
                asked[channel.requests] = name
                assert channel.send(name, request=channel.requests), (place, name)
                assert channel.send(name), (place, name)
            for request, name in asked.items():
                # The last one was answered, or dropped: then so was everything before it.
                reply = channel.reply(request, timeout=2 if name == "ok" else 0.05)
                if reply and (place.split(" ")[0], name) not in good:
                    assert reply.name == "fail", (place, name, reply)
            assert channel.open, place
        for role in ("mta", "user", "dir", "admin"):
            logged(t, server, before, rf"{role}\[\d+\].*event=ipc.refused role=edge index=1", f"refusals by {role}")
        witness.check("all messages")


def case_broken_datagrams_end_edge_alone(t):
    """Sizes, counts, types and descriptors that break a rule: edge is ended and started afresh, and nobody else."""
    with Rig(t) as (server, edge, witness):
        number = SCHEMA.number
        huge = struct.pack("<I", 0xffffffff)
        server.advance_clock(3)  # master takes no complaint about a process that is younger than 2 s
        broken = (
            ("an unknown type", "user 0", (len(SCHEMA.messages) + 1, b"")),
            ("type none", "user 1", (0, b"")),
            ("descriptors that did not come", "mta 0", (number("session_close"), b"\0" * 8, (), 0, 0, 3)),
            ("a spilled body that is not there", "dir 0", (number("login"), b"", (), SPILLED)),
            ("a spilled body that is not sealed", "user 0", (number("session_command"), b"", (memfd(b"x" * 100, False),), SPILLED)),
            ("a file instead of sealed memory", "mta 0", (number("session_command"), b"", (os.open("/dev/null", os.O_RDONLY),), SPILLED)),
        )
        me = edge.me
        for what, place, datagram in broken:
            before = len(server.log_text())
            channel = me.peer(place)
            channel.raw(*datagram)
            assert channel.closed(), what
            assert me.killed(), f"{what}: nobody ended this edge"
            logged(t, server, before, "role.broke-protocol role=edge index=1", what)
            me = edge.me = server.impostor("edge 1", after=me)
            witness.check(what)
            server.advance_clock(3)
        # What only does not decode is refused, and the connection stays.
        before = len(server.log_text())
        for place in ("mta 0", "user 0", "dir 0", "admin 0"):
            for name in ("session_command", "session_open", "login", "login_again", "metrics", "session_close"):
                for body in (b"", b"\xff" * 7, huge * 4, b"\0" * 300, b"\0" * 8 + huge + b"x" * 50, os.urandom(900)):
                    assert me.peer(place).raw(number(name), body, request=0)
        logged(t, server, before, "event=ipc.refused", "bodies that do not decode")
        witness.check("bodies that do not decode")


def case_lies_to_master_end_edge_alone(t):
    """Edge cannot have others killed by saying that it lost them, nor start over by a second hello."""
    with Rig(t) as (server, edge, witness):
        server.advance_clock(3)
        for _ in range(20):
            for role, index in (("user", 0), ("user", 1), ("mta", 0), ("dir", 0), ("admin", 0), ("edge", 0), ("queue", 0),
                                ("scan", 0), ("master", 0), ("nobody", 7)):
                edge.me.control.send("lost", role=role, index=index)
        for name in SCHEMA.messages:
            if name not in ("hello", "lost"):
                edge.me.control.send(name)
                edge.me.control.send(name, request=77)
        edge.me.control.send("note", text="\x1b[2Jall is well\r\nreally")
        time.sleep(1)
        witness.check("lies about others")
        before = len(server.log_text())
        edge.me.control.send("hello", **{k: server.about[k] for k in ("version", "schema")}, build_id=server.about["build"],
                             role="edge", index=1)
        assert edge.me.killed(), "a second hello is taken"
        logged(t, server, before, "role.broke-protocol role=edge index=1", "a second hello")
        server.impostor("edge 1", after=edge.me)
        witness.check("a second hello")


def case_flood_fills_nobody(t):
    """Messages without credit, sessions without end, answers that are not read: bounded, and others are served."""
    with Rig(t) as (server, edge, witness):
        server.advance_clock(3)
        sizes = {r["pid"]: rss(r["pid"]) for r in server.roles() if r["role"] in ("mta", "user", "dir")}
        me = edge.me
        # More than its window: the connection ends.
        channel = me.peer("dir 0")
        for i in range(5000):
            if not channel.send("login", session=MINE + i + 1, service="imaps", peer=PEER, username=BOB, password=f"guess {i}"):
                break
        assert channel.closed(), "dir takes questions without credit"
        assert me.killed()
        edge.me = me = server.impostor("edge 1", after=me)
        witness.check("a flood of logins")
        # With credit, and without end. connections_max is 20,000.
        channel = me.peer("mta 0")
        before = len(server.log_text())
        for i in range(25000):
            if not channel.send("session_open", session=MINE + i + 1, service="smtp", peer=PEER):
                me = edge.me = server.impostor("edge 1", after=me)
                break
            while i % 400 == 0 and channel.take("session_done", timeout=0.001):
                pass
        if channel.open:
            logged(t, server, before, "more sessions than there can be clients", "sessions without end")
        witness.check("a flood of sessions")
        grown = {pid: rss(pid) - size for pid, size in sizes.items()}
        assert max(grown.values()) < 200 << 20, grown
        t.note(f"grown by {max(grown.values()) >> 20} MiB at most")


def case_edge_that_reads_nothing_holds_nobody(t):
    """Output that edge does not take fills its queue and stops user's threads; then edge is ended, and others go on."""
    with Rig(t) as (server, edge, witness):
        server.advance_clock(3)
        owner = wire.Imap(server, ALICE)
        for _ in range(40):
            owner.append("INBOX", b"Subject: much\r\n\r\n" + (b"y" * 76 + b"\r\n") * 500)
        role, first, _ = edge.imap(ALICE)
        others = [edge.imap(ALICE)[1] for _ in range(40)]
        readers = [first, *others[:15]]  # a session alone is given a few MiB before it has to take them
        for session in readers:
            assert b"a OK" in edge.command(role, session, b"a SELECT INBOX")
        channel = edge.peer(role)
        channel.may_read.clear()
        channel.send("session_command", session=first, seq=2, input=b"b NOOP")  # the reader takes one more
        for i in range(7):
            for session in readers:
                channel.send("session_command", session=session, seq=3 + i, input=b"c FETCH 1:* BODY.PEEK[]")
                for _ in range(3):
                    channel.send("session_resume", session=session)
        for session in others[15:]:
            channel.send("session_command", session=session, seq=2, input=b"d NOOP")
        begun = time.monotonic()
        assert edge.me.killed(timeout=60), "an edge that reads nothing goes on"
        took = time.monotonic() - begun
        server.impostor("edge 1", after=edge.me)
        witness.check("an edge that reads nothing")
        t.note(f"ended after {took:.1f} s")


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def ended(imap):
    try:
        imap.command(b"NOOP")
        return False
    except (wire.Closed, wire.Refused):
        return True

# SPDX-License-Identifier: Apache-2.0
"""The relay role in a small Internet (tests/harness/internet.py): who is asked, in which order, with which TLS and login,
and what comes of it. The test is queue and asks relay itself, as in relay.py."""
import re
import subprocess
import threading
import time

from e2e.relay import CONTACT, DEFERRED, DELIVERED, FAILED, NO_CONTACT, NOT_TRIED, Rig, outcomes
from harness.case import alone
from harness.internet import Internet
from harness.mxhost import EXTENSIONS
from harness.nextserver import NextServer


def status(reply):
    return outcomes(reply)[0][:2]


def case_mail_exchangers_in_their_order(t):
    """The best one takes it; when it is away the next one; equal ones share; a host that puts off leads to the next one."""
    with Internet() as net:
        best = net.host("mx1.far.test", cert=None)
        second = net.host("mx2.far.test", cert=None)
        net.domain("far.test", mx=[(20, "mx2"), (10, "mx1")])
        twins = [net.host(f"mx{i}.twin.test", cert=None) for i in (1, 2)]
        net.domain("twin.test", mx=[(10, "mx1"), (10, "mx2")])
        net.domain("plain.test", a=[best.address])
        with Rig(t, net, idle="0 s") as rig:
            for _ in range(3):
                assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")
            assert len(net.mail()) == 3 and not second.transactions
            best.close()
            reply = rig.send("far.test")
            assert status(reply) == (DELIVERED, "2.0.0") and reply["server"] == b"mx2.far.test", reply
            best.open()
            best.replies["RCPT"] = "450 4.2.1 later"
            reply = rig.send("far.test")
            assert status(reply) == (DELIVERED, "2.0.0") and len(second.transactions) == 2, reply
            best.replies["RCPT"] = "550 5.1.1 nobody"
            assert status(rig.send("far.test")) == (FAILED, "5.1.1") and len(second.transactions) == 2
            del best.replies["RCPT"]
            # A message whose end was not answered may be there: nobody else is asked.
            best.drop = "END"
            assert status(rig.send("far.test")) == (DEFERRED, "4.4.2") and len(second.transactions) == 2
            best.drop = None
            for _ in range(20):
                assert status(rig.send("twin.test")) == (DELIVERED, "2.0.0")
            assert all(len(h.transactions) > 0 for h in twins), [len(h.transactions) for h in twins]
            # No MX: the name's own address. The next hop may be empty: the recipient's domain.
            assert status(rig.send("plain.test")) == (DELIVERED, "2.0.0")
            assert status(rig.send("", to=("x@plain.test",))) == (DELIVERED, "2.0.0")
            assert status(rig.send("[mx2.far.test]")) == (DELIVERED, "2.0.0")
            assert second.transactions[-1].accepted


def case_where_no_mail_goes(t):
    """No such domain, null MX, MX without addresses, ourselves: refused for good; what is not known now is put off."""
    with Internet() as net:
        net.domain("none.test", mx=[(0, ".")])
        net.domain("empty.test", mx=[(10, "mx.empty.test")])
        net.domain("nothing.test", txt=["x"])
        net.domain("self.test", mx=[(10, "mail.example.test"), (20, "mx.empty.test")])
        net.domain("bogus.test", mx=[(10, "mx.far.test")], signed="bogus")
        net.domain("dead.test", signed="dead")
        mirror = net.host("mx.mirror.test", cert=None, replies={"BANNER": "220 mail.example.test ESMTP"})
        net.domain("mirror.test", mx=[(10, "mx")])
        net.host("mx.away.test", refuse=True)
        net.domain("away.test", mx=[(10, "mx")])
        with Rig(t, net) as rig:
            # What the operator wrote, not the sender: that is mended, and the mail waits for it.
            for hop, wanted in (("[nothing.test]", (DEFERRED, "4.4.4")), ("[no.such.test]", (DEFERRED, "4.4.4")),
                                ("no.such.test", (DEFERRED, "4.1.2")), ("none.test", (DEFERRED, "4.1.10"))):
                reply = rig.send(hop, timeout=60)
                assert (status(reply), reply["contact"]) == (wanted, NOT_TRIED), (hop, reply)
            for hop, wanted, contact in (("no.such.test", (FAILED, "5.1.2"), NOT_TRIED), ("none.test", (FAILED, "5.1.10"), NOT_TRIED),
                                         ("empty.test", (FAILED, "5.4.4"), NOT_TRIED), ("nothing.test", (FAILED, "5.4.4"), NOT_TRIED),
                                         ("self.test", (FAILED, "5.4.6"), NOT_TRIED), ("mirror.test", (FAILED, "5.4.6"), NO_CONTACT),
                                         ("bogus.test", (DEFERRED, "4.4.3"), NOT_TRIED), ("dead.test", (DEFERRED, "4.4.3"), NOT_TRIED),
                                         ("away.test", (DEFERRED, "4.4.1"), NO_CONTACT)):
                reply = rig.send(hop, to=(f"bob@{hop}",), timeout=60)
                assert (status(reply), reply["contact"]) == (wanted, contact), (hop, reply)
            assert not mirror.transactions


def case_tls_where_it_is_offered(t):
    """Encrypted where that is possible, with any certificate; where TLS fails, in the clear, by a new connection."""
    with Internet() as net:
        for name, options in (("good", {}), ("expired", {"cert": "expired"}), ("own", {"cert": "self-signed"}),
                              ("broken", {"tls_fail": True}), ("refusing", {"replies": {"STARTTLS": "454 4.7.0 not now"}}),
                              ("old", {"tls_max": "1.2"}), ("none", {"cert": None})):
            net.host(f"mx.{name}.test", **options)
            net.domain(f"{name}.test", mx=[(10, "mx")])
        with Rig(t, net) as rig:
            for name, tls in (("good", b"TLSv1.3"), ("expired", b"TLSv1.3"), ("own", b"TLSv1.3"), ("broken", b""),
                              ("refusing", b""), ("old", b"TLSv1.2"), ("none", b"")):
                for _ in range(2):  # the second time by the connection that is there
                    reply = rig.send(f"{name}.test")
                    assert status(reply) == (DELIVERED, "2.0.0") and reply["tls_text"].startswith(tls), (name, reply)
                    assert bool(reply["tls_text"]) == bool(tls), (name, reply)
            for name in ("good", "none"):
                host = net.hosts[f"mx.{name}.test"]
                assert len(host.sessions) == 1, name
            assert net.hosts["mx.good.test"].sessions[0].sni == "mx.good.test"
            assert len(net.hosts["mx.broken.test"].sessions) == 2
            t.until(lambda: "event=relay.tls-failed" in rig.server.log_text(), what="the log")
        # Where nothing may leave in the clear, nothing does.
        with Rig(t, net, tls="must") as rig:
            for name, wanted in (("good", (DELIVERED, "2.0.0")), ("own", (DELIVERED, "2.0.0")), ("broken", (DEFERRED, "4.7.5")),
                                 ("refusing", (DEFERRED, "4.7.4")), ("none", (DEFERRED, "4.7.4"))):
                before = len(net.hosts[f"mx.{name}.test"].transactions)
                reply = rig.send(f"{name}.test")
                assert status(reply) == wanted or (name, status(reply)) == ("broken", (DEFERRED, "4.4.2")), (name, reply)
                assert len(net.hosts[f"mx.{name}.test"].transactions) - before == (wanted[0] == DELIVERED)
        with Rig(t, net, tls="off") as rig:
            assert rig.send("good.test")["tls_text"] == b""


def case_both_families(t):
    """IPv6 and IPv4 addresses of one host: the preferred one first, the other one when it is away."""
    with Internet() as net:
        four = net.host("mx.far.test", cert=None)
        net.record("mx.far.test", "AAAA", "::1")
        net.domain("far.test", mx=[(10, "mx")])
        with NextServer(address="::1", port=net.port) as six:
            for prefer, families in (("ipv6", {6}), ("ipv4", {4}), ("any", {4, 6}), ("ipv6-only", {6}), ("ipv4-only", {4})):
                with Rig(t, net, prefer=prefer, idle="0 s") as rig:
                    seen = set()
                    for _ in range(16 if prefer == "any" else 2):
                        reply = rig.send("far.test")
                        assert status(reply) == (DELIVERED, "2.0.0"), reply
                        seen.add(6 if b":" in reply["server_ip"] else 4)
                    assert seen == families, (prefer, seen)
        with Rig(t, net, prefer="ipv6", idle="0 s") as rig:
            assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")
        with Rig(t, net, prefer="ipv6-only", idle="0 s") as rig:
            assert status(rig.send("far.test")) == (DEFERRED, "4.4.1")
        assert four.transactions


def case_from_a_chosen_address(t):
    """relay.source is where connections come from."""
    with Internet() as net:
        host = net.host("mx.far.test", cert=None)
        net.domain("far.test", mx=[(10, "mx")])
        with Rig(t, net, source="127.77.0.1") as rig:
            assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")
            assert host.sessions[0].peer[0] == "127.77.0.1", host.sessions[0].peer


def case_logins(t):
    """At a relay host with a login of its own: only by TLS with a good certificate, only for whom it is, never in the log."""
    word = "s3cret-word"
    with Internet() as net:
        good = net.host("smart.far.test", users={"joe": word}, auth_needed=True)
        fake = net.host("fake.far.test", cert="self-signed", users={"joe": word}, auth_needed=True)
        bare = net.host("bare.far.test", cert=None, users={"joe": word}, auth_needed=True)
        wrong = net.host("wrong.far.test", users={"joe": "another"}, auth_needed=True)
        open_ = net.host("open.far.test", users={"joe": word})
        net.domain("far.test")
        with Rig(t, net, idle="5 min") as rig:
            def relayhost(sender, hop):
                subprocess.run([f"{rig.server.build}/barid", "relayhost", "set", sender, hop, "--user", "joe", "--dir",
                                rig.server.dir], input=word + "\n", text=True, check=True, env=rig.server.env, timeout=30,
                               capture_output=True)

            def send(sender, hop):
                return status(rig.send(hop, sender=sender))

            for i, name in enumerate(("smart", "fake", "bare", "wrong")):
                relayhost(f"user{i}@example.test", f"[{name}.far.test]")
            relayhost("user5@example.test", "[open.far.test]")
            for _ in range(2):
                assert send("user0@example.test", "[smart.far.test]") == (DELIVERED, "2.0.0")
            assert len(good.sessions) == 1 and good.transactions[0].login == "joe"
            # Nobody else goes by this login, nor by its connection.
            assert send("user9@example.test", "[smart.far.test]") == (FAILED, "5.7.0")
            assert send("user1@example.test", "[fake.far.test]") == (DEFERRED, "4.7.5")
            assert send("user2@example.test", "[bare.far.test]") == (DEFERRED, "4.7.4")
            assert send("user3@example.test", "[wrong.far.test]") == (DEFERRED, "4.7.8")
            assert not any(b"AUTH" in s.received for h in (fake, bare) for s in h.sessions)
            assert not wrong.transactions
            # A server that takes logins, and mail without: each by a connection of its own.
            for sender, login in (("user5@example.test", "joe"), ("user9@example.test", None)) * 2:
                assert send(sender, "[open.far.test]") == (DELIVERED, "2.0.0")
                assert open_.transactions[-1].login == login
            assert len(open_.sessions) == 2
            assert word not in rig.server.log_text() and "am9l" not in rig.server.log_text()


def case_more_exchangers_than_are_tried(t):
    """Of many MX records the best ones count, wherever they stand in the answer."""
    with Internet() as net:
        best = net.host("mx.best.test", cert=None)
        net.host("mx.other.test", refuse=True)
        net.domain("many.test", mx=[(20 + i, f"mx{i}.other.test") for i in range(60)] + [(10, "mx.best.test")], signed=False)
        for i in range(60):
            net.record(f"mx{i}.other.test", "A", net.hosts["mx.other.test"].address)
        with Rig(t, net, idle="0 s") as rig:
            for _ in range(4):
                reply = rig.send("many.test", to=("x@many.test",), timeout=60)
                assert status(reply) == (DELIVERED, "2.0.0") and reply["server"] == b"mx.best.test", reply
            assert len(best.transactions) == 4


def case_silent_name_servers(t):
    """Name service may take so long in all, however many names of a domain lead to servers that say nothing."""
    with Internet() as net:
        deaf = net.deafen("mute")
        net.domain("slow.test", mx=[(i, f"mute{i}.slow.test") for i in range(10)], signed=False)
        with Rig(t, net) as rig:
            over = threading.Event()

            def hurry():
                seen = 0
                while not over.is_set():
                    if len(deaf.asked) > seen:
                        seen = len(deaf.asked)
                        time.sleep(0.3)  # so that the question waits
                    rig.server.advance_clock(5)

            bender = threading.Thread(target=hurry)
            bender.start()
            try:
                reply = rig.send("slow.test", to=("x@slow.test",), timeout=110)
            finally:
                over.set()
                bender.join()
            assert status(reply) == (DEFERRED, "4.4.3"), reply
            assert len(deaf.asked) <= 6, deaf.asked  # ten names, two questions each, 20 s for each question


@alone
def case_a_stop_waits_for_nobody(t):
    """Name servers, policy servers and hosts that say nothing do not hold a stop up."""
    with Internet() as net:
        deaf = net.deafen("mute")
        net.domain("slow.test", mx=[(10, "mute.slow.test")], signed=False)
        net.host("mx.sts.test")
        net.domain("sts.test", mx=[(10, "mx")], signed=False)
        policy = net.sts("sts.test", mx=["mx.sts.test"], delay=40)
        host = net.host("mx.quiet.test", hang="BANNER")
        net.domain("quiet.test", mx=[(10, "mx")], signed=False)
        rig = Rig(t, net)
        with rig:
            for name in ("slow", "sts", "quiet"):
                rig.number += 1
                threading.Thread(target=ask_and_forget, args=(rig, f"{name}.test", rig.number), daemon=True).start()
            t.until(lambda: deaf.asked and policy.requests and host.sessions, what="all three to wait", timeout=60)
            rig.server.stop()
            killed = [line for line in rig.server.log_text().splitlines() if "event=role.kill" in line and "role=relay" in line]
            assert not killed, killed  # by master, which waits for 1.2 s


def ask_and_forget(rig, hop, number):
    try:
        rig.relay.ask("relay", timeout=60, number=number, nexthop=hop, sender="a@example.org", prefix=b"", body=b"x\r\n", file=-1, size=3,
                      priority=9, rcpts=[{"rcpt": 0, "address": f"x@{hop}"}])
    except (OSError, EOFError, AssertionError):
        pass  # the server went


def case_an_address_with_a_certificate(t):
    """A relay host by its address: its certificate has to name the address."""
    with Internet() as net:
        for name, names in (("good", None), ("other", "127.99.0.1")):
            address = net.address()
            net.host(f"mx.{name}.test", address=address, cert_name=names or address, users={"joe": "w0rd"}, auth_needed=True)
        with Rig(t, net, idle="0 s") as rig:
            for i, (name, wanted) in enumerate((("good", (DELIVERED, "2.0.0")), ("other", (DEFERRED, "4.7.5")))):
                # On loopback nobody asks for TLS at a login: REQUIRETLS does.
                hop = f"[{net.hosts[f'mx.{name}.test'].address}]"
                net.hosts[f"mx.{name}.test"].extensions = EXTENSIONS + ["REQUIRETLS"]
                subprocess.run([f"{rig.server.build}/barid", "relayhost", "set", f"user{i}@example.test", hop, "--user", "joe", "--dir",
                                rig.server.dir], input="w0rd\n", text=True, check=True, env=rig.server.env, timeout=30, capture_output=True)
                reply = rig.send(hop, sender=f"user{i}@example.test", requiretls=True)
                assert (status(reply)[0], status(reply)[1]) == wanted or (wanted[0], status(reply)) == (DEFERRED, (FAILED, "5.7.10")), reply
                if wanted[0] == DELIVERED:
                    assert b"verified" in reply["tls_text"], reply


def case_scram(t):
    """At a relay host that knows SCRAM the password is not shown: bound to the connection; a wrong one does not pass."""
    with Internet() as net, t.own_server(users=2, env={"BARID_DEMO_CONF": "[auth]\nscram = on\nscram_sha1 = on\n"}) as host:
        host.cli("user", "passwd", "user1@example.test", "secret")
        hop = f"[127.0.0.1]:{host.ports['submission']}"
        with Rig(t, net, idle="0 s") as rig:
            for i, word in enumerate(("secret", "wrong")):
                subprocess.run([f"{rig.server.build}/barid", "relayhost", "set", f"user{i}@example.test", hop, "--user", "user1@example.test",
                                "--dir", rig.server.dir], input=word + "\n", text=True, check=True, env=rig.server.env, timeout=30,
                               capture_output=True)
            reply = rig.send(hop, to=("user0@example.test",), sender="user0@example.test")
            assert status(reply)[0] in (DELIVERED, FAILED), reply  # user1 may not send as user0
            logins = [line for line in host.log_text().splitlines() if "event=login" in line and "user1@example.test" in line]
            assert logins and "SCRAM-SHA-256-PLUS" in logins[-1], logins
            assert status(rig.send(hop, to=("user0@example.test",), sender="user1@example.test"))[0] == DEFERRED
            # The second connection went on with the TLS session of the first one.
            assert int(re.search(r"^relay\.resumed\s+(\d+)", rig.server.cli("counters"), re.M).group(1)) >= 1

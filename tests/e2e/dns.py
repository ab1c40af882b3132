# SPDX-License-Identifier: Apache-2.0
"""The dns role in a small signed Internet (tests/harness/internet.py): what it finds, what it proves, what it survives."""
import concurrent.futures
import json

from e2e.relay import DELIVERED, Rig, outcomes
from harness.internet import Internet

EXPECTED = [
    ("far.test", "MX", "found", "secure", ["10 mx1.far.test", "20 mx2.far.test"]),
    ("far.test", "TXT", "found", "secure", ['"v=spf1 -all"']),
    ("far.test", "AAAA", "nodata", "secure", []),
    ("alias.far.test", "A", "found", "secure", ["192.0.2.7"]),
    ("nobody.far.test", "A", "nxdomain", "secure", []),
    ("elsewhere.example", "A", "nxdomain", "secure", []),
    ("plain.test", "MX", "found", "insecure", ["10 mx1.far.test"]),
    ("nobody.plain.test", "A", "nxdomain", "insecure", []),
    ("none.test", "MX", "found", "secure", ["0 ."]),
    ("bogus.test", "MX", "bogus", "bogus", []),
    ("nobody.bogus.test", "A", "bogus", "bogus", []),
    ("dead.test", "MX", "failed", "insecure", []),
    ("9.0.0.127.list.test", "A", "found", "insecure", ["127.0.0.4"]),
    ("9.2.0.127.in-addr.arpa", "PTR", "found", "insecure", ["nine.far.test"]),
]


def world():
    net = Internet()
    net.domain("far.test", mx=[(10, "mx1"), (20, "mx2")], txt=["v=spf1 -all"])
    net.record("alias.far.test", "CNAME", "real.far.test.")
    net.record("real.far.test", "A", "192.0.2.7")
    net.domain("plain.test", mx=[(10, "mx1.far.test")], signed=False)
    net.domain("none.test", mx=[(0, ".")])
    net.domain("bogus.test", mx=[(10, "mx1.far.test")], signed="bogus")
    net.domain("dead.test", signed="dead")
    net.listed("list.test", "127.0.0.9", "127.0.0.4")
    net.ptr("127.0.2.9", "nine.far.test")
    return net


def look(server, name, kind):
    rows = json.loads(server.cli("dns", "lookup", name, kind, "--json"))["rows"]
    if rows[0]["outcome"] == "found":
        return "found", rows[0]["dnssec"], sorted(row["record"] for row in rows), rows[0]["name"]
    return rows[0]["outcome"], rows[0]["dnssec"], [], rows[0]["name"]


def case_answers_are_what_the_zones_say(t):
    """Found, none of that type, no such name, failed; secure, insecure and bogus are told apart, absence too."""
    with world() as net:
        with t.own_server(env={"BARID_DEMO_CONF": net.conf()}) as server:
            wrong = []
            for name, kind, outcome, dnssec, records in EXPECTED:
                got = look(server, name, kind)
                if got[:3] != (outcome, dnssec, records):
                    wrong.append(f"{name} {kind}: {got}")
            assert not wrong, "\n".join(wrong)
            assert look(server, "alias.far.test", "A")[3] == "real.far.test", "the name behind the alias"
            assert "not a name" in server.cli("dns", "lookup", "a..b")


def case_no_anchor_proves_nothing(t):
    """trust_anchor = none: nothing is validated, so nothing is secure, and nothing bogus. A file that holds no anchor is
    refused, not passed over."""
    with world() as net:
        conf = net.conf().replace(net.anchor, "none")
        with t.own_server(env={"BARID_DEMO_CONF": conf}) as server:
            assert look(server, "far.test", "MX")[:2] == ("found", "insecure")
            assert look(server, "bogus.test", "MX")[:2] == ("found", "insecure")
        server = t.own_server(env={"BARID_DEMO_CONF": net.conf().replace(net.anchor, net.anchor + "-wrong")})
        with open(net.anchor + "-wrong", "w", encoding="ascii") as f:
            f.write("this is no anchor\n")
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                starting = pool.submit(server.start)
                t.until(lambda: "trust_anchor" in server.log_text(), what="the complaint about the anchor")
                server.kill_all()
                assert starting.exception() is not None, "a server without a usable anchor started"
        finally:
            server.close()


def case_silence_has_an_end(t):
    """Name servers that say nothing at all: the question ends in its time, others are answered again afterwards."""
    with world() as net:
        with t.own_server(env={"BARID_DEMO_CONF": net.conf()}) as server:
            assert look(server, "far.test", "MX")[0] == "found"
            net.freeze()
            try:
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    waiting = pool.submit(look, server, "plain.test", "MX")
                    t.until(lambda: counter(server, "dns.under-way") == 1, what="the question under way")
                    server.advance_clock(21)
                    assert waiting.result(30 * server.slow)[0] in ("timeout", "failed")
            finally:
                net.freeze(False)
            t.until(lambda: look(server, "none.test", "MX")[0] == "found", what="an answer again", timeout=60)
            assert counter(server, "dns.under-way") == 0


def case_it_dies_and_is_back(t):
    """kill -9 of dns between and under questions: it is there again, and answers."""
    with world() as net:
        with t.own_server(env={"BARID_DEMO_CONF": net.conf()}) as server:
            for _ in range(5):
                server.kill("dns")
                server.await_role("dns")
                assert look(server, "far.test", "MX")[:2] == ("found", "secure")


def counter(server, name):
    rows = json.loads(server.cli("counters", "--json"))["rows"]
    return sum(int(r["value"]) for r in rows if r["counter"] == name)


def case_who_asks_does_not_notice(t):
    """dns dies with the answer in its hands: the question is asked again, and the message goes out."""
    with world() as net:
        net.host("mx1.far.test")
        with Rig(t, net, idle="0 s") as rig:
            for _ in range(3):
                rig.server.cli("debug", "crash-point", "dns", "dns.before-reply")
                restarts = rig.server.restarts()[("dns", 0)]
                reply = rig.send("far.test")
                assert outcomes(reply)[0][:2] == (DELIVERED, "2.0.0"), reply
                assert rig.server.restarts()[("dns", 0)] == restarts + 1
                rig.server.await_role("dns")

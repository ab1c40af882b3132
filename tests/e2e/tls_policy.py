# SPDX-License-Identifier: Apache-2.0
"""What a destination demands of TLS, and that it gets it: DANE (RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689), and
the figures about it (RFC 8460). The test is queue and asks relay, in a small signed Internet."""
import email
import gzip
import json
import time

from e2e.relay import DEFERRED, DELIVERED, FAILED, Rig, outcomes
from harness import wire
from harness.internet import Internet


def status(reply):
    return outcomes(reply)[0][:2]


def report(rig, *words):
    """{(domain, policy, result): count}"""
    rows = json.loads(rig.server.cli("tls-report", *words, "--json"))["rows"]
    found = {}
    for row in rows:
        key = (row["domain"], row["policy"], row["result"])
        found[key] = found.get(key, 0) + int(row["count"])
    return found


def expect_rows(rig, rows):
    """rows: (domain, outcome and status, tls or b"", what is in the text)."""
    wrong = []
    for domain, wanted, tls, words in rows:
        reply = rig.send(domain, timeout=90)
        text = outcomes(reply)[0][2]
        got = status(reply)
        if (got[0], got[1][:len(wanted[1])]) != wanted or not reply["tls_text"].startswith(tls) or words not in text:
            wrong.append(f"{domain}: {outcomes(reply)[0]} {reply['tls_text']}")
        if wanted[0] == DELIVERED and bool(tls) != bool(reply["tls_text"]):
            wrong.append(f"{domain}: TLS {reply['tls_text']}")
    assert not wrong, "\n".join(wrong)


def dane_world(net):
    for name, options in (("good", {"tlsa": "good", "cert": "self-signed"}), ("authority", {"tlsa": "ca"}),
                          ("othername", {"tlsa": "ca", "cert_name": "somebody.else.test"}),
                          ("expired", {"tlsa": "good", "cert": "expired"}), ("mismatch", {"tlsa": "wrong"}),
                          ("stripped", {"tlsa": ["3 1 1 " + "11" * 32], "cert": None}),
                          ("unusable", {"tlsa": ["1 1 1 " + "11" * 32], "cert": "self-signed"}),
                          ("unusableclear", {"tlsa": ["1 1 1 " + "11" * 32], "cert": None}),
                          ("none", {"cert": "self-signed"}), ("insecure", {"tlsa": "wrong"}), ("broken", {"tlsa": "good", "tls_fail": True})):
        net.host(f"mx.{name}.test", **options)
        net.domain(f"{name}.test", mx=[(10, "mx")], signed=name != "insecure")
    # The MX is not proved, though the host's records are: RFC 7672 2.2.1.
    net.domain("outside.test", mx=[(10, "mx.mismatch.test")], signed=False)
    # What DNS says about the certificate is bogus: a zone below that host.
    net.domain(f"_{net.port}._tcp.mx.lied.test", signed="bogus")
    net.host("mx.lied.test")
    net.domain("lied.test", mx=[(10, "mx")])
    net.record(f"_{net.port}._tcp.mx.lied.test", "TLSA", "3 1 1 " + "22" * 32)
    # A host that is an alias: the records of the name behind it.
    net.domain("alias.test", mx=[(10, "also")])
    net.record("also.alias.test", "CNAME", "mx.good.test.")


DANE = [("good.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""), ("authority.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
        ("expired.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),  # RFC 7672 3.1.1: dates do not count
        ("alias.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
        ("othername.test", (DEFERRED, "4.7.5"), b"", "certificate"), ("mismatch.test", (DEFERRED, "4.7.5"), b"", "certificate"),
        ("stripped.test", (DEFERRED, "4.7.4"), b"", "not offered"), ("unusable.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
        ("unusableclear.test", (DEFERRED, "4.7.4"), b"", "not offered"), ("broken.test", (DEFERRED, "4"), b"", "TLS"),
        ("none.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""), ("insecure.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
        ("outside.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""), ("lied.test", (DEFERRED, "4.7.5"), b"", "TLSA")]


def case_dane(t):
    """TLSA records that DNSSEC proves are obeyed: good and bad certificates, no STARTTLS, aliases; bogus puts off; what is
    not proved counts for nothing."""
    with Internet() as net:
        dane_world(net)
        with Rig(t, net, idle="0 s") as rig:
            expect_rows(rig, DANE)
            for name in ("mx.stripped.test", "mx.unusableclear.test", "mx.broken.test", "mx.othername.test"):
                assert not net.hosts[name].transactions, name
            assert len(net.hosts["mx.mismatch.test"].transactions) == 1, "outside.test's alone"
            assert b"verified" in rig.send("good.test")["tls_text"]
            # RFC 8689: a message may say that it would rather arrive.
            for domain in ("mismatch.test", "stripped.test", "broken.test", "lied.test"):
                assert status(rig.send(domain, tls_optional=True)) == (DELIVERED, "2.0.0"), domain
            found = report(rig)
            assert found[("good.test", "tlsa", "ok")] == 2, found
            assert found[("othername.test", "tlsa", "certificate-host-mismatch")] == 1, found
            assert found[("mismatch.test", "tlsa", "validation-failure")] == 2, found
            assert found[("stripped.test", "tlsa", "starttls-not-supported")] == 2, found
            assert found[("lied.test", "tlsa", "dnssec-invalid")] == 2, found
            assert found[("none.test", "no-policy-found", "ok")] == 1, found
        with Rig(t, net, dane="off") as rig:
            assert status(rig.send("mismatch.test")) == (DELIVERED, "2.0.0")


def sts_world(net):
    for name, options, policy in (
            ("good", {}, {"mx": ["mx.good.test"]}), ("wild", {}, {"mx": ["*.wild.test"]}),
            ("own", {"cert": "self-signed"}, {"mx": ["mx.own.test"]}), ("expired", {"cert": "expired"}, {"mx": ["mx.expired.test"]}),
            ("wrongname", {"cert_name": "mx.good.test"}, {"mx": ["mx.wrongname.test"]}),
            ("stripped", {"cert": None}, {"mx": ["mx.stripped.test"]}), ("other", {}, {"mx": ["mx.good.test"]}),
            ("testing", {"cert": "self-signed"}, {"mx": ["mx.testing.test"], "mode": "testing"}),
            ("testingclear", {"cert": None}, {"mx": ["mx.testingclear.test"], "mode": "testing"}),
            ("none", {"cert": None}, {"mode": "none"}),
            # Policies that cannot be had: nothing is demanded.
            ("badcert", {"cert": None}, {"mx": ["mx.badcert.test"], "cert": "self-signed"}),
            ("badname", {"cert": None}, {"mx": ["mx.badname.test"], "cert_name": "mta-sts.good.test"}),
            ("redirect", {"cert": None}, {"mx": ["mx.redirect.test"], "status": 302, "location": "https://mta-sts.good.test/"}),
            ("html", {"cert": None}, {"mx": ["mx.html.test"], "content_type": "text/html"}),
            ("huge", {"cert": None}, {"mx": ["mx.huge.test"], "size": 200000}),
            ("nonsense", {"cert": None}, {"policy": "hello\r\n"}), ("away", {"cert": None}, {"refuse": True})):
        net.host(f"mx.{name}.test", **options)
        net.domain(f"{name}.test", mx=[(10, "mx")], signed=False)
        net.sts(f"{name}.test", **policy)


STS = [("good.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""), ("wild.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
       ("own.test", (DEFERRED, "4.7.5"), b"", "certificate"), ("expired.test", (DEFERRED, "4.7.5"), b"", "certificate"),
       ("wrongname.test", (DEFERRED, "4.7.5"), b"", "certificate"), ("stripped.test", (DEFERRED, "4.7.4"), b"", "not offered"),
       ("other.test", (DEFERRED, "4.7.5"), b"", "MTA-STS"), ("testing.test", (DELIVERED, "2.0.0"), b"TLSv1.3", ""),
       ("testingclear.test", (DELIVERED, "2.0.0"), b"", ""), ("none.test", (DELIVERED, "2.0.0"), b"", "")]
STS += [(f"{name}.test", (DELIVERED, "2.0.0"), b"", "") for name in ("badcert", "badname", "redirect", "html", "huge", "nonsense", "away")]


def case_mta_sts(t):
    """enforce, testing and none; certificates that are not good enough; policies that cannot be had demand nothing."""
    with Internet() as net:
        sts_world(net)
        with Rig(t, net, idle="0 s") as rig:
            expect_rows(rig, STS)
            for name in ("own", "expired", "wrongname", "stripped", "other"):
                assert not net.hosts[f"mx.{name}.test"].transactions, name
            assert net.policies["mta-sts.redirect.test"].requests == ["GET /.well-known/mta-sts.txt HTTP/1.1"]
            assert not any(" / " in line for line in net.policies["mta-sts.good.test"].requests), "a redirect was followed"
            # Who failed is not asked again at once, who was asked is remembered.
            before = {name: len(host.requests) for name, host in net.policies.items()}
            expect_rows(rig, STS)
            assert {name: len(host.requests) for name, host in net.policies.items()} == before
            assert status(rig.send("own.test", tls_optional=True)) == (DELIVERED, "2.0.0")
            found = report(rig)
            for key, n in ((("good.test", "sts", "ok"), 2), (("own.test", "sts", "certificate-not-trusted"), 3),
                           (("wrongname.test", "sts", "certificate-host-mismatch"), 2), (("expired.test", "sts", "certificate-expired"), 2),
                           (("stripped.test", "sts", "starttls-not-supported"), 2), (("other.test", "sts", "validation-failure"), 2),
                           (("testing.test", "sts", "certificate-not-trusted"), 2), (("badcert.test", "sts", "sts-webpki-invalid"), 2),
                           (("nonsense.test", "sts", "sts-policy-invalid"), 2), (("away.test", "sts", "sts-policy-fetch-error"), 2)):
                assert found.get(key) == n, (key, n, found)
            assert set(d for d, _, _ in report(rig, "good.test")) == {"good.test"}


def case_many_hosts_and_a_long_policy(t):
    """However long the policy is and however many hosts come first, it counts for each of them (who can forge MX records can
    name twenty)."""
    text = "version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\nmx: mx.many.test\r\n" + f"x-more: {'m' * 100}\r\n" * 270
    names = [f"h{i}" for i in range(8)]
    with Internet() as net:
        for name in names:
            net.host(f"{name}.many.test", cert=None)
        net.domain("many.test", mx=[(i, name) for i, name in enumerate(names)], signed=False)
        net.sts("many.test", policy=text)
        with Rig(t, net, idle="0 s") as rig:
            assert status(rig.send("many.test")) == (DEFERRED, "4.7.5")
            assert not any(net.hosts[f"{name}.many.test"].transactions for name in names), "a policy was passed over"


def case_policies_are_remembered(t):
    """A policy counts until it expires, though its servers and its record are gone, after restarts of roles and server; a
    new id brings the new one; what has expired is forgotten."""
    with Internet() as net:
        net.host("mx.far.test")
        net.domain("far.test", mx=[(10, "mx")], signed=False)
        policy = net.sts("far.test", mx=["mx.far.test"], max_age=10 * 86400)
        with Rig(t, net, idle="0 s") as rig:
            assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")
            listed = json.loads(rig.server.cli("tls-policies", "--json"))["rows"]
            assert [row["domain"] for row in listed] == ["far.test"] and "mode: enforce" in listed[0]["policy"], listed
            # A downgrade: no record, no policy server, no STARTTLS.
            policy.close()
            net.forget("_mta-sts.far.test")
            net.publish()
            net.hosts["mx.far.test"].files = None
            assert status(rig.send("far.test")) == (DEFERRED, "4.7.4")
            for role in ("dir", "dns"):
                rig.server.kill(role)
                rig.server.await_role(role)
                assert status(rig.send("far.test")) == (DEFERRED, "4.7.4"), role
            # Another id: the new policy, which asks for nothing.
            net.sts("far.test", mode="none")
            net.publish()
            assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")
            net.sts("far.test", mx=["mx.far.test"], max_age=86400)
            net.publish()
            assert status(rig.send("far.test")) == (DEFERRED, "4.7.4")
            policy.close()
            net.forget("_mta-sts.far.test")
            net.publish()
            rig.server.advance_clock(2 * 86400)
            assert status(rig.send("far.test")) == (DELIVERED, "2.0.0")


def case_requiretls(t):
    """Only where the host's name is proved, its certificate is good, and it says REQUIRETLS; else back to the sender."""
    from harness.mxhost import EXTENSIONS
    offers = EXTENSIONS + ["REQUIRETLS"]
    with Internet() as net:
        for name, options, signed in (("good", {"extensions": offers, "tlsa": "good"}, True), ("plain", {"extensions": offers}, True),
                                      ("without", {"tlsa": "good"}, True), ("stripped", {"cert": None}, True),
                                      ("own", {"extensions": offers, "cert": "self-signed"}, True),
                                      ("unproved", {"extensions": offers}, False), ("policy", {"extensions": offers}, False)):
            net.host(f"mx.{name}.test", **options)
            net.domain(f"{name}.test", mx=[(10, "mx")], signed=signed)
        net.sts("policy.test", mx=["mx.policy.test"], mode="testing")
        with Rig(t, net) as rig:
            for name, wanted in (("good", (DELIVERED, "2.0.0")), ("plain", (DELIVERED, "2.0.0")), ("policy", (DELIVERED, "2.0.0")),
                                 ("without", (FAILED, "5.7.30")), ("stripped", (FAILED, "5.7.10")), ("unproved", (FAILED, "5.7.10")),
                                 ("own", (FAILED, "5.7.10"))):
                reply = rig.send(f"{name}.test", requiretls=True)
                assert status(reply) == wanted, (name, reply)
                took = [x for x in net.hosts[f"mx.{name}.test"].transactions if x.accepted]
                assert bool(took) == (wanted[0] == DELIVERED), name
                assert all(" REQUIRETLS" in x.mail for x in took), name
            # RFC 8689 5: a report says it where that is understood, and goes out where it is not.
            for name, said in (("good", True), ("without", False), ("stripped", False)):
                assert status(rig.send(f"{name}.test", requiretls=True, sender="")) == (DELIVERED, "2.0.0"), name
                assert (" REQUIRETLS" in net.hosts[f"mx.{name}.test"].transactions[-1].mail) == said, name


def case_all_the_way(t):
    """From SMTP through the queue: what is good enough goes out, the rest waits with its reason, goes out when it is mended,
    and the figures are there after a restart."""
    with Internet() as net:
        for name, tlsa in (("good", "good"), ("bad", "wrong")):
            net.host(f"mx.{name}.test", tlsa=tlsa)
            net.domain(f"{name}.test", mx=[(10, "mx")])
        with t.own_server(env={"BARID_DEMO_CONF": net.conf("[smtp]\nrelay_from = 127.0.0.0/8\n")}) as server:
            smtp = wire.Smtp(server)
            smtp.message("a@example.org", ["x@good.test", "x@bad.test"], b"Subject: x\r\n\r\nHi.\r\n")
            smtp.close()
            assert net.await_mail("x@good.test").tls
            t.until(lambda: "certificate is not good enough" in server.cli("queue", "list"), what="the reason in the queue", timeout=30)
            assert not net.mail("x@bad.test")
            # "TLS-Required: No" of a large message, too, which is a file.
            smtp = wire.Smtp(server)
            smtp.message("a@example.org", ["large@bad.test"], b"Subject: x\r\nTLS-Required:\r\n No\r\n\r\n" + b"0123456789\r\n" * 20000)
            smtp.close()
            net.await_mail("large@bad.test")
            server.restart()
            rows = json.loads(server.cli("tls-report", "--json"))["rows"]
            assert {(r["domain"], r["result"]) for r in rows} == {("good.test", "ok"), ("bad.test", "validation-failure")}, rows
            net.tlsa("mx.bad.test", "good")
            net.publish()
            server.cli("queue", "flush")
            assert net.await_mail("x@bad.test").tls


def case_reports(t):
    """RFC 8460: the day after, domains that ask for it get a report, by mail or by HTTPS; once; and none about the reports."""
    with Internet() as net:
        for name, tlsa in (("good", "good"), ("bad", "wrong"), ("rep", None), ("silent", None)):
            net.host(f"mx.{name}.test", tlsa=tlsa)
            net.domain(f"{name}.test", mx=[(10, "mx")])
        policy = net.sts("post.test", mx=["mx.post.test"], max_age=10 * 86400)
        net.host("mx.post.test", cert=None)
        net.domain("post.test", mx=[(10, "mx")])
        place = f"https://mta-sts.post.test:{net.https_port}/v1/tlsrpt"
        net.txt("_smtp._tls.good.test", "v=TLSRPTv1; rua=mailto:reports@rep.test")
        net.txt("_smtp._tls.bad.test", "v=TLSRPTv1; rua=mailto:reports@rep.test,mailto:user1@example.test")
        net.txt("_smtp._tls.post.test", f"v=TLSRPTv1; rua={place}")
        net.txt("_smtp._tls.rep.test", "v=TLSRPTv1; rua=mailto:reports@rep.test")
        conf = net.conf("[smtp]\nrelay_from = 127.0.0.0/8\n").replace("[relay]\n", "[relay]\ntls_reports = on\n")
        with t.own_server(users=1, env={"BARID_DEMO_CONF": conf}) as server:
            smtp = wire.Smtp(server)
            domains = ("good", "bad", "post", "silent")
            smtp.message("a@example.org", [f"x@{d}.test" for d in domains], b"Subject: x\r\n\r\nHi.\r\n")
            smtp.close()
            net.await_mail("x@good.test")
            net.await_mail("x@silent.test")
            t.until(lambda: len(json.loads(server.cli("queue", "list", "--json")).get("rows", [])) == 2, what="two that wait")
            server.cli("queue", "delete", "all")
            policy.values["status"] = 503
            server.advance_clock(29 * 3600)
            letters = [net.await_mail("reports@rep.test", n=n, timeout=60) for n in (1, 2)]
            found = {}
            for letter in letters:
                mail = email.message_from_bytes(letter.content)
                assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt", letter.content
                part = mail.get_payload(1)
                assert part.get_content_type() == "application/tlsrpt+gzip" and part.get_filename().endswith(".json.gz")
                found[mail["TLS-Report-Domain"]] = json.loads(gzip.decompress(part.get_payload(decode=True)))
                assert letter.sender == "" and mail["TLS-Required"] == "No", letter.mail
            assert set(found) == {"good.test", "bad.test"}, found
            good, bad = found["good.test"], found["bad.test"]
            assert [p["summary"] for p in good["policies"]] == [{"total-successful-session-count": 1, "total-failure-session-count": 0}], good
            assert bad["policies"][0]["policy"]["policy-type"] == "tlsa", bad
            assert bad["policies"][0]["failure-details"][0]["result-type"] == "validation-failure", bad
            assert bad["policies"][0]["failure-details"][0]["receiving-mx-hostname"] == "mx.bad.test", bad
            # Refused at first: tried again after 5 minutes, then 10.
            t.until(lambda: len(policy.posted) == 1, what="the report by HTTPS", timeout=30)
            server.advance_clock(6 * 60)
            t.until(lambda: len(policy.posted) == 2, what="the second try", timeout=30)
            server.advance_clock(6 * 60)
            time.sleep(1)
            assert len(policy.posted) == 2
            policy.values["status"] = 200
            server.advance_clock(15 * 60)
            t.until(lambda: len(policy.posted) == 3, what="the third try", timeout=30)
            path, kind, body = policy.posted[0]
            posted = json.loads(gzip.decompress(body))
            assert (path, kind) == ("/v1/tlsrpt", "application/tlsrpt+gzip")
            assert posted["policies"][0]["policy"]["mx-host"] == ["mx.post.test"], posted
            assert posted["policies"][0]["failure-details"][0]["result-type"] == "starttls-not-supported", posted
            imap = wire.Imap(server, "user1@example.test")
            t.until(lambda: imap.messages("INBOX") == 1, what="the report in a mailbox of ours")
            imap.close()
            # Once, and the way of the reports themselves is not news.
            rows = json.loads(server.cli("tls-report", "--json"))["rows"]
            assert "rep.test" not in {r["domain"] for r in rows}, rows
            server.kill("dir")
            server.await_role("dir")
            server.advance_clock(24 * 3600)
            time.sleep(1)
            assert len(net.mail("reports@rep.test")) == 2 and len(policy.posted) == 3

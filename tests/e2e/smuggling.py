# SPDX-License-Identifier: Apache-2.0
"""Nothing is smuggled in, and nothing that a peer could misread goes out: ends of messages that are none, commands in addresses
and parameters, line ends in what is made of them (replies, IMAP answers, reports, Received fields, log lines)."""
import re
import time

from harness import fleet, milter, wire
from harness.mxhost import EXTENSIONS, MailHost
from harness.server import Serve

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\n\r.\r\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n",
        b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\r\0\n", b"\n\n.\r\n", b"\r\n\x0b.\r\n", b"\r\n.\x85\r\n"]
SECOND = b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<user2@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
FIRST = b"Subject: first\r\n\r\nx"


def opened(server, tls):
    smtp = wire.Smtp(server)
    if tls:
        smtp.start_tls()
    return smtp


def replies(smtp, most=2.0):
    """All that the server still says, and whether it closed; NOOP shows that it waits for no more."""
    found = []
    try:
        while True:
            found.append(smtp.reply(most))
    except wire.Timeout:
        return found, False
    except (wire.Closed, OSError):
        return found, True


def pieces(how, text, at):
    """The text in the ways in which a network may cut it."""
    if how == "whole":
        return [text]
    if how == "around":
        return [text[:at + 1], text[at + 1:at + 2], text[at + 2:at + 3], text[at + 3:]]
    return [text[:at], text[at:]]


def case_ends_that_are_none(t):
    """Sixteen ways to confuse the end of a message, by DATA, whole and in pieces, with TLS and without: never two messages."""
    server = t.server(users=4)
    waiting = []
    for n, end in enumerate(ENDS):
        for how in ("whole", "around", "before"):
            smtp = opened(server, tls=(n + len(how)) % 3 == 0)
            for line in (b"MAIL FROM:<a@client.example>", b"RCPT TO:<user1@example.test>"):
                smtp.command(line)
            smtp.command(b"DATA", b"354")
            for piece in pieces(how, FIRST + end + SECOND, len(FIRST)):
                smtp.wire.send(piece)
                time.sleep(0.002)
            waiting.append((end, how, smtp))
    for end, how, smtp in waiting:
        said, closed = replies(smtp, 1.0 if end == ENDS[0] else 0.05)
        assert len(said) <= 1, (end, how, said)
        bare = re.search(rb"(?<!\r)\n|\r(?!\n)", end)
        if bare:
            assert said and said[0].startswith(b"550 5.5.2") and closed, (end, how, said)
        smtp.close()
    victim = wire.Imap(server, "user2@example.test")
    assert victim.messages("INBOX") == 0, "a message was smuggled"
    first = wire.Imap(server, "user1@example.test")
    for _, body in first.bodies("INBOX"):
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", body), "a bare line end was taken in"
    assert fleet.counters(server)["offence.smuggling"] > 0
    t.note(f"{len(waiting)} attempts")


def case_chunks_hide_nothing(t):
    """BDAT: bare line ends over the edges of chunks, ends of messages in chunks, commands behind short and long ones."""
    server = t.server(users=4)
    for chunks in ([b"Subject: x\r", b"\rx\r\n"], [b"Subject: x\n", b"y\r\n"], [b"a\r\n\r\nx\r\n.\n", b"z\r\n"], [b"a: b\r", b"x\n"],
                   [b"a: b\r\n\r\n\nMAIL FROM:<x@y.example>\r\n"]):
        smtp = wire.Smtp(server)
        smtp.command(b"MAIL FROM:<a@client.example>")
        smtp.command(b"RCPT TO:<user3@example.test>")
        for i, chunk in enumerate(chunks):
            last = b" LAST" if i == len(chunks) - 1 else b""
            smtp.wire.send(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
        said, _ = replies(smtp, 0.3)
        assert said[-1].startswith(b"550 5.5.2"), (chunks, said)
        smtp.close()
    smtp = wire.Smtp(server)  # what looks like an end, and like commands, is content
    smtp.command(b"MAIL FROM:<a@client.example>")
    smtp.command(b"RCPT TO:<user3@example.test>")
    data = b"Subject: quoted\r\n\r\nx\r\n.\r\n" + SECOND
    smtp.wire.send(b"BDAT %d LAST\r\n" % len(data) + data)
    assert smtp.reply().startswith(b"250")
    smtp.close()
    imap = wire.Imap(server, "user3@example.test")
    t.until(lambda: imap.messages("INBOX") == 1, what="the message")
    assert imap.bodies("INBOX")[0][1].endswith(data)
    assert wire.Imap(server, "user2@example.test").messages("INBOX") == 0


def strict(raw, tag):
    """Raises unless the bytes are lines as RFC 3501 has them: CRLF alone ends, no NUL, literals of their exact length."""
    at = 0
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        line = raw[at:end]
        assert not re.search(rb"[\r\n\0]", line), f"a bare line end or NUL outside of a literal: {line[:200]!r}"
        literal = re.search(rb"~?\{(\d+)\}$", line)
        at = end + 2 + (int(literal.group(1)) if literal else 0)
        if not literal and line.startswith(tag):
            assert at == len(raw), "more behind the tagged line"
            return
    raise AssertionError("no tagged line")


EVIL = [
    b"Subject: =?utf-8?q?a=0D=0A*_BYE_gone?=\r\nFrom: =?utf-8?b?YQ0KeCBPSyB5?= <a@b.example>\r\n\r\nx\r\n",
    b"Subject: bare\rcr and\nlf\r\nFrom: \"a\\\r\\\nb\" <x@y.example>\r\n\r\nx\r\n",
    b"Subject: nul\0byte\r\nTo: \"q\0\" <\"a\0b\"@c.example>\r\n\r\nx\0y\r\n",
    b"Content-Type: text/plain; name*=utf-8''a%0D%0A%00b; x=\"c\rd\ne\"\r\nContent-Disposition: attachment; filename=\"\r\"\r\n\r\nx\r\n",
    b"Message-ID: <a\r@b\n>\r\nIn-Reply-To: {10}\r\nReply-To: {5+}\r\n\r\nx\r\n",
    b"Content-ID: <x\"\\y>\r\nContent-Description: a{3}\r\nContent-Language: (\"a\", b)\r\nContent-MD5: \"\r\n\r\nx\r\n",
    b"Subject: \xff\xfe\x80 8-bit\r\nFrom: \xe2\x80\xa8line@sep.example\r\nCc: \xc2\x85nel@x.example\r\n\r\nx\r\n",
    b"Subject: x\r\n folded\r\n\r\n* 1 FETCH (FLAGS ())\r\nz OK done\r\n)\r\n",
    b"From: \"\r\n\r\n" + b"x" * 3000 + b"{9}\r\n", b"\r\n", b"", b"\n\n\r\r", b"Content-Type: multipart/mixed; boundary=\"a\rb\"\r\n\r\n--a\rb\r\n\r\nx\r\n--a\rb--",
]
ITEMS = [b"ENVELOPE", b"BODYSTRUCTURE", b"BODY", b"BODY.PEEK[HEADER]", b"BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", b"BODY.PEEK[]",
         b"BODY.PEEK[TEXT]", b"BODY.PEEK[1]", b"BODY.PEEK[1.MIME]", b"BODY.PEEK[]<1.7>", b"RFC822.SIZE", b"FLAGS"]


def raw_command(imap, text, tag):
    """The bytes of an answer."""
    imap.wire.send(tag + b" " + text + b"\r\n")
    whole = b""
    while True:
        line = imap.wire.line()
        whole += line
        literal = re.search(rb"~?\{(\d+)\}\r\n$", line)
        if literal:
            whole += imap.wire.exactly(int(literal.group(1)))
        elif line.startswith(tag + b" "):
            return whole


def case_answers_cannot_be_misread(t):
    """Messages full of line ends, NULs and braces: each IMAP answer about them is lines and literals of the right length."""
    server = t.server(users=4)
    imap = wire.Imap(server, "user4@example.test")
    kept = 0
    for data in EVIL:
        try:
            imap.append("INBOX", data)
            kept += 1
        except wire.Refused as e:
            assert b" NO " in e.args[0] or b" BAD " in e.args[0], e
    imap.select("INBOX")
    for n, item in enumerate(ITEMS):
        tag = b"z%d" % n
        strict(raw_command(imap, b"FETCH 1:* (UID " + item + b")", tag), tag)
    for n, text in enumerate([b'SEARCH SUBJECT "x"', b"THREAD REFERENCES UTF-8 ALL", b"SORT (SUBJECT) UTF-8 ALL", b'LIST "" "*"']):
        tag = b"y%d" % n
        strict(raw_command(imap, text, tag), tag)
    t.note(f"{kept} of {len(EVIL)} taken")
    for name in (b"a\r\nb", b"a\nb", b"\0", b"a\rb"):  # names that would break a LIST
        try:
            imap.command(b"CREATE", name)
            raise AssertionError(f"a mailbox named {name!r} was made")
        except wire.Refused:
            pass
        except wire.Closed:
            imap = wire.Imap(server, "user4@example.test")
    strict(raw_command(imap, b'LIST "" "*"', b"x"), b"x")


HOSTILE_MAIL = [
    b"MAIL FROM:<user1@example.test> ENVID=a+0D+0ABcc:+20evil@x.example", b"MAIL FROM:<user1@example.test> ENVID=a+00b",
    b"MAIL FROM:<\"a+0D\"@client.example>", b"MAIL FROM:<\"a b\\\"c\"@client.example>", b"MAIL FROM:<a@client.example> AUTH=+0D+0A",
]
HOSTILE_RCPT = [
    b" NOTIFY=SUCCESS ORCPT=rfc822;a+0D+0ASubject:+20evil", b" NOTIFY=SUCCESS ORCPT=utf-8;a\\x{0D}\\x{0A}Evil:yes@x.example",
    b" NOTIFY=SUCCESS ORCPT=rfc822;+41@b.example", b" NOTIFY=SUCCESS ORCPT=x+0Ay;z@b.example",
]


def case_reports_and_logs_are_clean(t):
    """CR LF hidden in ENVID, ORCPT, EHLO names and quoted addresses: refused, or never a line of its own in a report, a Received
    field or the log."""
    with t.own_server(users=2) as server:
        taken = 0
        for hello in (b"client.example.net", b"[IPv6:::1]", b"a(b)c", b"x;y\\z", b"\xc3\xa4.example"):
            for mail in HOSTILE_MAIL:
                for rcpt in HOSTILE_RCPT:
                    taken += one_report(server, hello, mail, rcpt)
        imap = wire.Imap(server, "user1@example.test")
        t.until(lambda: wire.Imap(server, "user2@example.test").messages("INBOX") >= taken, what="deliveries")
        time.sleep(0.5)
        for user in ("user1", "user2"):
            imap = wire.Imap(server, f"{user}@example.test")
            for _, body in imap.bodies("INBOX"):
                assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", body), body
                assert not re.search(rb"^(evil|bcc):", body, re.I | re.M), body
        t.note(f"{taken} taken, {imap.messages('INBOX')} delivered")
        for line in server.log_text().splitlines():
            assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \w+ \w+\[\d+\] event=", line) or " event=" not in line, line


def one_report(server, hello, mail, rcpt):
    """1 when the message was taken."""
    try:
        smtp = wire.Smtp(server, hello=hello)
        smtp.command(mail)
        smtp.command(b"RCPT TO:<user2@example.test>" + rcpt)
        smtp.command(b"DATA", b"354")
        smtp.wire.send(b"Subject: plain\r\n\r\nx\r\n.\r\n")
        smtp.expect(b"250", smtp.reply())
        return 1
    except wire.Refused as e:
        assert e.args[0][:1] in b"45", e
        return 0


def case_other_protocols(t):
    """HTTP, SSH and TLS spoken to ports of mail, mail spoken to ports of TLS and HTTP: ended at once, counted, nothing done."""
    server = t.server(users=4)
    post = b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<user2@example.test>\r\nDATA\r\nevil\r\n.\r\n"
    for port in ("smtp", "submission", "imap"):
        for text in (post, b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600 + b"\r\n"):
            w = wire.Wire(server.host, server.ports[port], timeout=5.0)
            w.send(text)
            said = b""
            try:
                while said.count(b"\n") < 40:
                    said += w.line(0.5)
            except (wire.Closed, wire.Timeout, OSError):
                pass
            assert b"354" not in said and b"queued" not in said, (port, text, said)
            w.close()
    for port in ("imaps", "submissions"):
        for text in (b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n", post):
            w = wire.Wire(server.host, server.ports[port], timeout=5.0)
            w.send(text)
            try:
                while True:
                    w.line(2.0)
            except (wire.Closed, OSError):
                w.close()
    assert wire.Imap(server, "user2@example.test").messages("INBOX") == 0
    counted = fleet.counters(server)
    assert counted["offence.not_smtp"] >= 6 and counted["offence.not_tls"] >= 4, counted


OUTWARD = [b".", b"..", b".\r\n", b"a\r\n.", b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n", b".\r\nMAIL FROM:<evil@client.example>\r\n", b"", b"\r\n.\r\n.\r\n.\r\n",
           b"no line end", b"x" * 70000 + b"\r\n.\r\ny\r\n", b"a.\r\n.b\r\n..c\r\n"]
REPLACED = [b"a\n.\nMAIL FROM:<evil@client.example>\nb", b"a\r.\rb", b"a\r\n.\n\r\n", b"\n.\r\n", b"a\r\r\n.\r\r\nb\n", b"x" * 65534 + b"\r" + b"\n.\r\n"]


def case_nothing_smuggled_goes_out(t):
    """What is handed to the next server, byte by byte as a sink sees it, by DATA and by BDAT: one message each, CRLF alone, every dot at the
    beginning of a line doubled; also where a milter has replaced body and header by what nobody should send."""
    orders = []
    filter_ = milter.Milter({"eom": lambda said: orders + [milter.CONTINUE]})
    for extensions in ([e for e in EXTENSIONS if e != "CHUNKING"], EXTENSIONS):
        sink = MailHost("sink.test", "127.0.0.1", 0, None, extensions=extensions)
        port = sink.listener.getsockname()[1]
        def conf(server):
            return (f"[smtp]\nlisten = 127.0.0.1:{server.ports['smtp']}\nmilters = {filter_.address}\n"
                    f"content_filter = smtp:[127.0.0.1]:{port}\n"
                    + "".join(f"[{name}]\nlisten =\n" for name in ("submission", "submissions", "imap", "imaps")))  # pylint: disable=cell-var-from-loop
        with Serve(build=t.build, users=2, conf=conf) as server:
            smtp = wire.Smtp(server)
            sent = []
            for n, text in enumerate(OUTWARD + REPLACED):
                given = b"Subject: %d\r\n\r\n" % n + (text if n < len(OUTWARD) else b"x\r\n")
                orders[:] = [] if n < len(OUTWARD) else milter.replace_body(text) + [
                    milter.add_header("X-Evil", "a\n.\nb\r\n\r\nDATA\r.\rc"), milter.change_header(1, "Subject", f"{n}\r\n.\r\n")]
                smtp.message("s@client.example", ["user1@example.test"], given)
                sent.append(given)
            smtp.close()
            count = len(OUTWARD) + len(REPLACED)
            t.until(lambda: len([x for x in sink.transactions if x.accepted]) >= count, 30, what="all of it")
            assert len(sink.transactions) == count, "a message more than was sent"
            for x in sink.transactions:
                assert not re.search(rb"(?<!\r)\n|\r(?!\n)", x.raw), x.raw[-300:]
                n = int(re.search(rb"Subject: ?(\d+)", x.content).group(1))
                if not x.chunked:
                    assert not re.search(rb"\r\n\.(?!\.)", x.raw[:-3]), x.raw[-300:]
                head = x.content.split(b"\r\n\r\n", 1)[0]
                assert all(re.match(rb"[\x21-\x39\x3b-\x7e]+:|[ \t]", line) for line in head.split(b"\r\n")), head
                if n < len(OUTWARD):
                    want = OUTWARD[n] if OUTWARD[n].endswith(b"\r\n") or not OUTWARD[n] else OUTWARD[n] + b"\r\n"
                    assert x.content.endswith(b"\r\n\r\n" + want), (n, x.content[-200:], want[-200:])
            for session in sink.sessions:
                said = [line for side, line in session.lines if side == "C"]
                assert not any("evil" in line for line in said), said
        sink.close()
    filter_.close()

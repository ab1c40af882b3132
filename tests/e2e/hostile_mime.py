# SPDX-License-Identifier: Apache-2.0
"""Messages that are made to break who reads them: delivered byte for byte, analysed in bounded time and memory, shown by IMAP in
answers that are whole; the process that reads them neither dies nor keeps what it took."""
import time

from harness import fleet, wire

MIB = 1 << 20
HEAD = b"From: a@example.net\r\nTo: user1@example.test\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"
# A plain message of the same size is the measure; small ones are noise.
FACTOR, FLOOR = 12.0, 2.0
SCAN_MIB = 96


def nested(levels):
    """A multipart in a multipart in a multipart."""
    lines = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(levels)]
    return b"".join(lines) + b"\r\nend\r\n"


def prefixes(n):
    """Each boundary begins the next one, and each line could be any of them."""
    text = b"".join(b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n' % (b"a" * i, b"a" * i) for i in range(1, n))
    return text + b"".join(b"--%s\r\n\r\nx\r\n" % (b"a" * (i * 7 % 70 + 1)) for i in range(20_000))


def monsters():
    """{name: message}"""
    mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return {
        "20,000 levels": HEAD % b"deep" + nested(20_000),
        "500,000 parts": HEAD % b"wide" + mixed + b"--b\r\n\r\nx\r\n" * 500_000 + b"--b--\r\n",
        "1,000,000 empty lines": HEAD % b"empty" + b"\r\n" * 1_000_000,
        "1,000,000 empty fields": HEAD % b"fields" + b"X:\r\n" * 1_000_000 + b"\r\nx\r\n",
        "a field of 10 MB": HEAD % b"long" + b"X: " + b"y" * 10_000_000 + b"\r\n\r\nx\r\n",
        "100,000 fields": HEAD % b"many" + b"".join(b"X-%d: y\r\n" % i for i in range(100_000)) + b"\r\nx\r\n",
        "100,000 addresses": HEAD % b"to" + b"Cc: " + b",\r\n ".join(b"a%d@b.example" % i for i in range(100_000)) + b"\r\n\r\nx\r\n",
        "folded 100,000 times": HEAD % b"a" + b"X-Folded: a" + b"\r\n a" * 100_000 + b"\r\n\r\nx\r\n",
        "100,000 encoded words": HEAD % (b"=?utf-8?q?=41?=" + b"\r\n =?utf-8?b?QQ==?=" * 100_000) + b"\r\nx\r\n",
        "prefixes of each other": HEAD % b"prefix" + prefixes(64),
        "5,000 messages in each other": HEAD % b"rfc822" + b"Content-Type: message/rfc822\r\n\r\n" * 5_000 + b"\r\nx\r\n",
        "base64 that is none": HEAD % b"b64" + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                               (b"=A\x80B===" * 10 + b"\r\n") * 40_000,
        "parameters": HEAD % b"p" + b"Content-Type: text/plain" + b"".join(b";\r\n n*%d*=%%0D%%0A" % i for i in range(50_000)) +
                      b"\r\n\r\nx\r\n",
        "comments in comments": HEAD % b"c" + b"Cc: " + b"(" * 400_000 + b"\r\n\r\nx\r\n",
    }


def deliver(server, imap, data):
    """Send it to user1; the seconds until 250, and until it is there."""
    before = imap.messages("INBOX")
    smtp = wire.Smtp(server, source="127.0.0.80", timeout=60.0)
    begun = time.monotonic()
    smtp.message("a@client.example.net", ["user1@example.test"], data)
    accepted = time.monotonic() - begun
    smtp.close()
    while imap.messages("INBOX") == before:
        assert time.monotonic() - begun < 60, "it did not arrive"
        time.sleep(0.01)
    return accepted


def case_monsters_are_delivered(t):
    """Each arrives byte for byte; analysis takes no more than twelve times a plain message's time; scan stays small."""
    server = t.server(users=2)
    imap = wire.Imap(server, "user1@example.test", timeout=120.0)
    plain = {}
    slowest = ("", 0.0, 0.0)
    for name, data in monsters().items():
        size = 1 + len(data) // (2 * MIB)
        if size not in plain:
            plain[size] = deliver(server, imap, HEAD % b"plain" + b"\r\n" + (b"x" * 76 + b"\r\n") * (size * 2 * MIB // 78))
        took = deliver(server, imap, data)
        if took > slowest[1]:
            slowest = (name, took, plain[size])
        assert took < FACTOR * plain[size] + FLOOR * server.slow, f"{name}: {took:.2f} s, a plain one {plain[size]:.2f} s"
        exists, _ = imap.select("INBOX")
        got = imap.fetch(str(exists), "(BODY.PEEK[])")[exists]["BODY[]"]
        assert got.endswith(data), f"{name}: it came out differently"
        looked = time.monotonic()
        shown = b"\n".join(imap.command(b"FETCH %d (ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (SUBJECT)])" % exists))
        assert b"BODYSTRUCTURE" in shown and len(shown) < len(data) + 4 * MIB, name
        imap.command(b"SEARCH %d TEXT nowhere SUBJECT nothing" % exists)
        assert time.monotonic() - looked < FACTOR * plain[size] + FLOOR * server.slow, f"{name}: slow to look at"
    if fleet.may_see_memory():
        sizes = fleet.memory(server)
        t.note(f"scan {sizes['scan']:.1f} MiB, user {sizes['user']:.1f} MiB")
        assert sizes["scan"] < SCAN_MIB and sizes["user"] < 2 * SCAN_MIB, sizes
    t.note(f"slowest: {slowest[0]} {slowest[1]:.2f} s, a plain one {slowest[2]:.2f} s")
    imap.close()


def case_monsters_are_appended(t):
    """The same by APPEND, for those that are hard to analyse."""
    server = t.server(users=2)
    imap = wire.Imap(server, "user2@example.test", timeout=120.0)
    all_of_them = monsters()
    for name in ("20,000 levels", "prefixes of each other", "100,000 encoded words", "comments in comments"):
        data = all_of_them[name]
        imap.append("INBOX", data)
        exists, _ = imap.select("INBOX")
        assert imap.fetch(str(exists), "(BODY.PEEK[])")[exists]["BODY[]"] == data, name
        imap.command(b"FETCH %d (ENVELOPE BODYSTRUCTURE)" % exists)
    imap.close()

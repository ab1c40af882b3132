# SPDX-License-Identifier: Apache-2.0
"""URLAUTH in IMAP and BURL in submission (RFC 4467, RFC 4468): mail is sent out of a mailbox, by whom it is meant for."""
import imaplib
import re
import smtplib

from harness import wire

PASSWORD = "secret"
DRAFT = (b"From: user1@example.test\r\nTo: user2@example.test\r\nSubject: burl %d\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
         b"Message-ID: <burl%d@example.test>\r\n\r\n.a line with a dot\r\n%s\r\n")


def imap(t, user):
    client = imaplib.IMAP4_SSL("127.0.0.1", t.server().ports["imaps"], ssl_context=wire.tls_context())
    client.login(f"{user}@example.test", PASSWORD)
    return client


def submission(t, user):
    client = smtplib.SMTP("127.0.0.1", t.server().ports["submission"], timeout=60)
    client.starttls(context=wire.tls_context())
    client.login(f"{user}@example.test", PASSWORD)
    client.ehlo()
    return client


def say(client, name, args):
    imaplib.Commands.setdefault(name, ("AUTH", "SELECTED"))
    status, data = client.xatom(name, args)
    found, client.untagged_responses = client.untagged_responses, {}
    return status, data, found


def draft(client, number, filling=b"short"):
    body = DRAFT % (number, number, filling)
    status, data = client.append("Drafts", r"(\Draft)", None, body)
    assert status == "OK", data
    validity, uid = re.search(rb"APPENDUID (\d+) (\d+)", data[0]).groups()
    return body, f"Drafts;UIDVALIDITY={validity.decode()}/;UID={uid.decode()}"


def sign(client, place, access, expire="", section="", owner="user1"):
    url = f"imap://{owner}%40example.test@mail.example.test/{place}{section}{expire};URLAUTH={access}"
    status, data, found = say(client, "GENURLAUTH", f'"{url}" INTERNAL')
    assert status == "OK", data
    return found["GENURLAUTH"][0].decode().strip('"')


def envelope(client, to="user2"):
    client.rset()
    assert client.mail(f"{client.user}@example.test")[0] == 250
    assert client.rcpt(f"{to}@example.test")[0] == 250


def burl(client, *lines):
    envelope(client)
    for line in lines:
        answer = client.docmd(line)
    return answer[0], answer[1].split(b" ")[0].decode()


def arrived(t, user, text):
    def find():
        reader = wire.Imap(t.server(), f"{user}@example.test")
        try:
            return [body for _, body in reader.bodies("INBOX") if text in body]
        finally:
            reader.close()
    found = t.until(find, what=f"delivery of {text!r}")
    assert len(found) == 1, f"{len(found)} copies of {text!r}"
    return found[0]


def case_drafts_are_sent_as_they_are(t):
    """BURL LAST, of a small and of a large draft: what is delivered is the draft, octet for octet."""
    mailbox, sender = imap(t, "user1"), submission(t, "user1")
    sender.user = "user1"
    assert "imap" in sender.esmtp_features["burl"].split(), sender.esmtp_features
    for number, filling in ((1, b"short"), (2, b"0123456789\r\n" * 100000)):
        body, place = draft(mailbox, number, filling)
        url = sign(mailbox, place, "submit+user1%40example.test")
        assert burl(sender, f"BURL {url} LAST") == (250, "2.0.0")
        got = arrived(t, "user2", b"Subject: burl %d\r\n" % number)
        assert got.endswith(body), f"{len(got)} octets, not {len(body)} behind the trace"
    sender.quit()
    mailbox.logout()


def case_burl_and_bdat_mix(t):
    """Octets of the client and of a mailbox, in the order in which they were given."""
    mailbox, sender = imap(t, "user1"), submission(t, "user1")
    sender.user = "user1"
    body, place = draft(mailbox, 3)
    text = sign(mailbox, place, "submit+user1%40example.test", section="/;SECTION=TEXT")
    part = sign(mailbox, place, "authuser", section="/;SECTION=TEXT/;PARTIAL=1.6")
    nothing = sign(mailbox, place, "authuser", section="/;PARTIAL=4000000.6")
    head = b"From: user1@example.test\r\nSubject: mixed\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <m@x>\r\n\r\n"
    envelope(sender)
    sender.send(b"BDAT %d\r\n" % len(head) + head)
    assert sender.getreply()[0] == 250
    assert sender.docmd(f"BURL {text}")[0] == 250
    assert sender.docmd(f"BURL {part}")[0] == 250
    assert sender.docmd(f"BURL {nothing}")[0] == 250
    sender.send(b"BDAT 8 LAST\r\n the end")
    assert sender.getreply()[0] == 250
    got = arrived(t, "user2", b"Subject: mixed")
    assert got.endswith(head + body.split(b"\r\n\r\n", 1)[1] + b"a line the end"), got
    sender.quit()
    mailbox.logout()


def case_others_get_nothing(t):
    """The wrong user, a wrong token, a time that is over, a key that was reset, a message that is not there: refused."""
    mailbox, sender, other = imap(t, "user1"), submission(t, "user1"), submission(t, "user3")
    sender.user, other.user = "user1", "user3"
    _, place = draft(mailbox, 4)
    url = sign(mailbox, place, "submit+user1%40example.test")
    refused = (554, "5.6.6")
    assert burl(other, f"BURL {url} LAST") == refused
    assert burl(sender, f"BURL {url[:-1]}{'0' if url[-1] != '0' else '1'} LAST") == refused
    assert burl(sender, "BURL imap://nonsense LAST") == refused
    foreign = url.replace("user1%40example.test@", "nobody%40elsewhere.test@")
    assert burl(sender, f"BURL {foreign} LAST") == (554, "5.7.14")
    past = sign(mailbox, place, "submit+user1%40example.test", expire=";EXPIRE=2020-01-01T00:00:00Z")
    assert burl(sender, f"BURL {past} LAST") == refused
    future = sign(mailbox, place, "submit+user1%40example.test", expire=";EXPIRE=2199-01-01T00:00:00Z")
    missing = sign(mailbox, "Drafts/;UID=4000000", "submit+user1%40example.test")
    assert burl(sender, f"BURL {missing} LAST") == refused
    assert say(mailbox, "RESETKEY", "Drafts INTERNAL")[0] == "OK"
    assert burl(sender, f"BURL {url} LAST") == refused
    assert burl(sender, f"BURL {future} LAST") == refused
    sender.quit()
    other.quit()
    mailbox.logout()


def case_fetched_by_whom_it_is_for(t):
    """URLFETCH of another user's message, wherever the two accounts are kept; submit+ is not for it."""
    mailbox = imap(t, "user1")
    body, place = draft(mailbox, 5)
    for reader in ("user2", "user3", "user4", "user5"):
        client = imap(t, reader)
        for access, allowed in ((f"user+{reader}%40example.test", True), ("authuser", True), ("anonymous", True),
                                ("user+user1%40example.test", False), (f"submit+{reader}%40example.test", False)):
            url = sign(mailbox, place, access)
            status, data, found = say(client, "URLFETCH", f'"{url}"')
            assert status == "OK", data
            found = found["URLFETCH"]
            if allowed:
                assert found[0][1] == body, (access, found)
            else:
                assert found[0].endswith(b" NIL"), (access, found)
        client.logout()
    mailbox.logout()

# SPDX-License-Identifier: Apache-2.0
"""Programs of others use what IMAP offers beyond RFC 3501: what they say is taken, what they get they can read."""
import imaplib
import re

from harness import wire

PASSWORD = "secret"


def login(t, user):
    client = imaplib.IMAP4_SSL("127.0.0.1", t.server().ports["imaps"], ssl_context=wire.tls_context())
    client.login(f"{user}@example.test", PASSWORD)
    return client


def say(client, name, *args, state=("AUTH", "SELECTED")):
    """A command that imaplib does not know; returns its status and all untagged responses."""
    imaplib.Commands.setdefault(name, state)
    status, data = client.xatom(name, *args)
    found, client.untagged_responses = client.untagged_responses, {}
    return status, data, found


def case_imaplib_under_imap4rev2(t):
    """imaplib: ENABLE IMAP4rev2, SEARCH RETURN and "$", LIST with STATUS, names in UTF-8."""
    client = login(t, "user6")
    _, data = client.capability()
    assert {b"IMAP4rev1", b"IMAP4rev2", b"ESEARCH", b"SEARCHRES", b"LIST-EXTENDED", b"LIST-STATUS"} <= set(data[0].split())
    for i in range(3):
        status, _ = client.append("INBOX", r"(\Seen)" if i == 1 else None, None, b"Subject: %d\r\n\r\nbody\r\n" % i)
        assert status == "OK"
    status, found = client.enable("IMAP4rev2")
    assert status == "OK", found
    status, _, found = say(client, "SELECT", "INBOX")
    assert status == "OK" and "RECENT" not in found and found["LIST"] == [b'() "/" INBOX'], found
    client.state = "SELECTED"
    status, _, found = say(client, "SEARCH", "UNSEEN")
    assert status == "OK" and re.fullmatch(rb'\(TAG "[A-Z0-9]+"\) ALL 1,3', found["ESEARCH"][0]), found
    status, _, found = say(client, "SEARCH", "RETURN (SAVE COUNT)", "UNSEEN")
    assert status == "OK" and found["ESEARCH"][0].endswith(b"COUNT 2"), found
    status, data = client.store("$", "+FLAGS", "$Forwarded")
    assert status == "OK" and len(data) == 2, data
    status, data = client.copy("$", "Archive")
    assert status == "OK", data
    client._encoding = "utf-8"
    status, data = client.create('"Größe & mehr"')
    assert status == "OK", data
    status, _, found = say(client, "LIST", '""', "(Archive Gr%)", "RETURN (STATUS (MESSAGES SIZE DELETED))")
    assert status == "OK" and found["LIST"][1] == '(\\HasNoChildren) "/" "Größe & mehr"'.encode(), found
    assert found["STATUS"][0].startswith(b"Archive (MESSAGES 2 DELETED 0 SIZE "), found
    client.logout()


def case_curl_asks_with_extensions(t):
    """curl with requests of its user's: SEARCH RETURN, LIST with options, STATUS SIZE."""
    server, curl = t.server(), t.program("curl")

    def ask(request, path=""):
        return t.run([curl, "-sSk", "-u", f"user7@example.test:{PASSWORD}", "-X", request,
                      f"imaps://127.0.0.1:{server.ports['imaps']}/{path}"]).stdout

    client = login(t, "user7")
    client.append("INBOX", None, None, b"Subject: x\r\n\r\nbody\r\n")
    client.logout()
    assert b"MIN 1 COUNT 1\r\n" in ask("SEARCH RETURN (MIN COUNT) YOUNGER 3600", "INBOX")
    out = ask('LIST (SPECIAL-USE) "" % RETURN (SUBSCRIBED)')
    assert out.count(b"* LIST (\\HasNoChildren \\Subscribed \\") == 5, out
    assert b"* STATUS INBOX (MESSAGES 1 SIZE 20)" in ask("STATUS INBOX (MESSAGES SIZE)")


def case_imaplib_under_utf8_accept(t):
    """imaplib: names and headers in UTF-8; what it puts around an uploaded message is taken off, of large ones too."""
    client = login(t, "user7")
    status, found = client.enable("UTF8=ACCEPT")
    assert status == "OK" and client.utf8_enabled, found
    status, data = client.create('"Größe"')
    assert status == "OK", data
    for number, text in enumerate((b"short", b"0123456789\r\n" * 20000), 1):
        message = "Subject: Größe\r\n\r\n".encode() + text
        status, data = client.append('"Größe"', r"(\Seen)", None, message)
        assert status == "OK", data
        status, data = client.select('"Größe"')
        assert status == "OK" and data == [b"%d" % number], data
        status, data = client.fetch(str(number), "(BODY.PEEK[])")
        assert data[0][1] == message, data[0][1][:100]
    status, data = client.search(None, "SUBJECT", '"größe"')
    assert data == [b"1 2"], data
    client.logout()


def case_imaplib_searches_loosely_and_widely(t):
    """imaplib: FUZZY with scores and SORT by them, ESEARCH in several mailboxes, and then nothing but UIDs."""
    client = login(t, "user8")
    _, data = client.capability()
    assert {b"SEARCH=FUZZY", b"MULTISEARCH", b"UIDONLY"} <= set(data[0].split()), data
    for box, subject in (("INBOX", b"invoices of May"), ("INBOX", b"lunch"), ("INBOX", b"the invoice"), ("Archive", b"an invioce")):
        status, _ = client.append(box, None, None, b"Subject: " + subject + b"\r\n\r\nbody\r\n")
        assert status == "OK"
    status, _, found = say(client, "ESEARCH", "IN (personal)", "RETURN (COUNT)", "FUZZY SUBJECT invoice")
    answers = [re.fullmatch(rb'\(TAG "\w+" MAILBOX (\w+) UIDVALIDITY \d+\) UID COUNT (\d)', one).groups() for one in found["ESEARCH"]]
    assert status == "OK" and sorted(answers) == [(b"Archive", b"1"), (b"INBOX", b"2")], found
    status, data = client.select("INBOX")
    assert status == "OK" and data == [b"3"], data
    status, data = client.search(None, "FUZZY", "SUBJECT", "inovice")
    assert status == "OK" and data == [b"1 3"], data
    status, data = client.sort("(RELEVANCY)", "UTF-8", "FUZZY", "SUBJECT", "invoice")
    assert status == "OK" and data == [b"3 1"], data
    status, _, found = say(client, "SEARCH", "RETURN (ALL RELEVANCY)", "FUZZY SUBJECT invoice")
    scores = re.search(rb"ALL 1,3 RELEVANCY \((\d+) 100\)$", found["ESEARCH"][0])
    assert status == "OK" and scores and 1 <= int(scores[1]) < 100, found
    client.unselect()
    status, found = client.enable("UIDONLY")
    assert status == "OK", found
    client.select("INBOX")
    status, data = client.uid("FETCH", "3", "(RFC822.SIZE)")
    assert status == "OK", data
    # imaplib has no word for UIDFETCH; it keeps the response under its name
    assert client.untagged_responses["UIDFETCH"] == [b"3 (RFC822.SIZE 30)"], client.untagged_responses
    try:
        client.fetch("1", "(FLAGS)")
        raise AssertionError("a message number was taken")
    except imaplib.IMAP4.error as e:
        assert "UIDREQUIRED" in str(e), e
    client.logout()

# SPDX-License-Identifier: Apache-2.0
"""SORT and THREAD give the answers that Dovecot gives, on mail that is as odd as mail gets."""
import imaplib
import os
import random
import re
import tempfile

from harness import wire
from harness.dovecot import Dovecot

MESSAGES = int(os.environ.get("BARID_SORT_MESSAGES", "250"))
SEED = int(os.environ.get("BARID_SORT_SEED", "0")) or 1

WORDS = ["lunch", "Lunch", "plan", "holiday", "[list]", "report (fwd)", "Ärger", "ärger", "Zürich", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "東京", "a", "B", "x y",
         "", "re", "[a] [b]"]
LEADERS = ["", "", "", "Re: ", "RE:", "Fwd: ", "fw: ", "[list] ", "Re[2]: ", "[list] Re: ", "[Fwd: ", "AW: ", "re :  "]
NAMES = ["", "Anna", "anna", "Bob B.", "Émile", "Zoe"]
BOXES = ["anna", "Anna", "bob", "b", "zoe", "info", '"a b"']


def word(r, text):
    """As a mail program writes it: encoded where it has to be."""
    if text.isascii():
        return text
    import base64
    return "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="


def address(r):
    box, name = r.choice(BOXES), r.choice(NAMES)
    spec = f"{box}@{r.choice(['example.org', 'example.net'])}"
    if not name:
        return r.choice([spec, f"<{spec}>"])
    return f'{word(r, name) if not name.isascii() else chr(34) + name + chr(34)} <{spec}>'


def addresses(r):
    if r.random() < 0.05:
        return "friends: " + ", ".join(address(r) for _ in range(r.randrange(3))) + ";"
    return ", ".join(address(r) for _ in range(r.randrange(1, 3)))


def subject(r):
    lead, text = r.choice(LEADERS), r.choice(WORDS)
    end = "]" if lead.startswith("[Fwd") else r.choice(["", "", " (fwd)"])
    return f"{lead}{word(r, text)}{end}"


def date(r):
    zone = r.choice(["+0000", "-0800", "+0530", "GMT", "EST"])
    return f"{r.randrange(1, 28)} {r.choice(['Jan', 'Feb', 'Mar'])} 2024 {r.randrange(24):02}:{r.randrange(2) * 30:02}:{r.choice([0, 0, 30]):02} {zone}"


def references(r, ids):
    """Some of the ids so far, ids of nobody, and what is no id."""
    some = []
    for _ in range(r.choice([1, 1, 2, 3, 6])):
        one = r.choice(ids[-30:]) if ids and r.random() < 0.8 else f"<lost{r.randrange(12)}@x>"
        some.append(one.replace("<", '<"').replace("@x", '"@x') if r.random() < 0.1 else one)
    # What holds another "<" is no id here, as RFC 5322 has it; Dovecot takes all up to the next ">" for one.
    if r.random() < 0.1:
        some.insert(r.randrange(len(some) + 1), r.choice(["no-id", "(comment)", "<nothing>"]))
    return " ".join(some)


def message(r, ids):
    fields = []
    own = f"<m{len(ids)}@x>" if r.random() < 0.97 or not ids else r.choice(ids)
    for chance, name, value in ((0.95, "From", addresses(r)), (0.9, "To", addresses(r)), (0.3, "Cc", addresses(r)),
                                (0.95, "Subject", subject(r)), (0.95, "Date", date(r)), (0.97, "Message-ID", own),
                                (0.45, "References", references(r, ids)), (0.4, "In-Reply-To", references(r, ids))):
        if r.random() < chance:
            fields.append(f"{name}: {value}\r\n")
    ids.append(own)
    r.shuffle(fields)
    return ("".join(fields) + "\r\n" + "x" * r.randrange(5) + "\r\n").encode()


def ask(client, *command):
    status, data = client.uid(*command)
    assert status == "OK", (command, status, data)
    return (data[0] or b"").decode()


def append_all(client, mailbox, messages):
    """In few APPEND commands (RFC 3502); (flags, date, text) each."""
    if len(messages) > 50:
        append_all(client, mailbox, messages[:50])
        append_all(client, mailbox, messages[50:])
        return
    parts = b"".join(b" %s %s {%d+}\r\n%s" % (flags, at.encode(), len(text), text) for flags, at, text in messages)
    tag = client._new_tag()
    client.send(tag + b" APPEND " + mailbox.encode() + parts + b"\r\n")
    status, data = client._command_complete("APPEND", tag)
    assert status == "OK", data


def mailbox_of(r):
    ids = []
    return [(r.choice([b"()", b"(\\Seen)", b"(\\Flagged)"]), imaplib.Time2Internaldate(1700000000 + r.randrange(50)), message(r, ids))
            for _ in range(MESSAGES)]


def fill(client, messages):
    client.create("Sorted")
    append_all(client, "Sorted", messages)
    client.select("Sorted")
    client.store(f"3,{MESSAGES // 2}:{MESSAGES // 2 + 5}", "+FLAGS", "\\Deleted")
    client.expunge()


def both(t):
    """The same mail in both; (barid's client, Dovecot's client)."""
    folder = tempfile.mkdtemp(prefix="barid-sort-")
    os.chmod(folder, 0o755)
    t.cleanup.append(folder)
    theirs = Dovecot(t, folder, os.path.join(folder, "mail")).open()
    ours = imaplib.IMAP4_SSL("127.0.0.1", t.server().ports["imaps"], ssl_context=wire.tls_context())
    ours.login("user8@example.test", "secret")
    messages = mailbox_of(random.Random(SEED))
    for client in (ours, theirs):
        fill(client, messages)
    return ours, theirs


def threads(text):
    """The threads of a response, one a line."""
    depth, one, found = 0, "", []
    for c in text:
        depth += (c == "(") - (c == ")")
        one += c
        if depth == 0:
            found.append(one.strip())
            one = ""
    return [f for f in found if f]


def case_sort_and_thread_as_dovecot(t):
    """SORT by every criterion, THREAD by every algorithm, on random mail: the same answers."""
    ours, theirs = both(t)
    r = random.Random(SEED + 1)
    names = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]
    wanted = [f"({way}{n})" for n in names for way in ("", "REVERSE ")]
    wanted += ["(" + " ".join(r.choice(["", "REVERSE "]) + n for n in r.sample(names, 3)) + ")" for _ in range(12)]
    wrong = []
    for by in wanted:
        for keys in ("ALL", "UNSEEN", "SUBJECT lunch"):
            a, b = (ask(c, "SORT", by, "UTF-8", keys) for c in (ours, theirs))
            if a != b:
                wrong.append((by, keys, a, b))
    for how in ("ORDEREDSUBJECT", "REFERENCES", "REFS"):
        for keys in ("ALL", "UNSEEN", "NOT FLAGGED"):
            a, b = (ask(c, "THREAD", how, "UTF-8", keys) for c in (ours, theirs))
            if a != b:
                x, y = threads(a), threads(b)
                wrong.append((how, keys, [i for i in x if i not in y], [i for i in y if i not in x], x == y or sorted(x) == sorted(y)))
    ours.logout()
    theirs.logout()
    assert not wrong, f"seed {SEED}: {len(wrong)} differ, first: {wrong[0]}, all: {[w[:2] for w in wrong]}"

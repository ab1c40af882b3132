# SPDX-License-Identifier: Apache-2.0
"""Real and odd messages go in by SMTP and come out by IMAP byte for byte, with a BODYSTRUCTURE that agrees with
Python's email package (harness/bodystructure.py says which differences are accepted)."""
import collections
import hashlib
import re
import threading
import time

from harness import bodystructure, corpora, wire
from harness.case import Skip

SENDERS = 4
PREFIX = re.compile(rb"(Return-Path|Delivered-To|Received):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.I)

MBOX = re.compile(rb"\A((?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*)>?From [^\r\n]*\r\n")


def without_trace(body):
    """The message below the server's prefix: one Received, one Return-Path, one Delivered-To, in any order."""
    seen, at = set(), 0
    while True:
        m = PREFIX.match(body, at)
        if not m or m.group(1).lower() in seen:
            return body[at:]
        seen.add(m.group(1).lower())
        at = m.end()


def send_all(server, user, messages, refused):
    """Send them over one connection, reconnecting after a refusal that closed it."""
    smtp = None
    for name, data in messages:
        try:
            smtp = smtp or wire.Smtp(server)
            smtp.message("sender@example.org", [f"{user}@example.test"], data)
        except (wire.Refused, wire.Closed, wire.Timeout) as e:
            refused.append(f"{name}: {e!r}"[:300])
            smtp.close()
            smtp = None
    if smtp:
        smtp.close()


def judge(user, messages, server):
    """Compare what the user's INBOX has with what was sent; (problems, accepted classes)."""
    wanted = {}
    for name, data in messages:
        wanted.setdefault(hashlib.sha256(data).digest(), []).append(name)
    imap = wire.Imap(server, f"{user}@example.test", timeout=120)
    have, since = 0, time.monotonic()
    while have < len(messages) and time.monotonic() - since < 10:
        time.sleep(0.1)
        now = imap.messages("INBOX")
        if now != have:
            have, since = now, time.monotonic()
    exists, _ = imap.select("INBOX")
    problems, classes = [], collections.Counter()
    for first in range(1, exists + 1, 50):
        got = imap.fetch(f"{first}:{min(first + 49, exists)}", "(BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])")
        for _, values in sorted(got.items()):
            one_message(values, wanted, problems, classes)
    imap.close()
    problems += [f"{name}: not there, or changed" for names in wanted.values() for name in names]
    return problems, classes


def one_message(values, wanted, problems, classes):
    body = values["BODY[]"]
    names = wanted.get(hashlib.sha256(without_trace(body)).digest())
    if not names:
        problems.append(f"a message that nobody sent: {body[:300]!r}")
        return
    name = names.pop()
    if not names:
        del wanted[hashlib.sha256(without_trace(body)).digest()]
    if int(values["RFC822.SIZE"]) != len(body):
        problems.append(f"{name}: RFC822.SIZE {values['RFC822.SIZE']}, has {len(body)}")
    # Some files begin with an mbox's "From " line. The server passes over it like over any line that is no field;
    # Python would end the header there.
    different, accepted = bodystructure.compare(values["BODYSTRUCTURE"], MBOX.sub(rb"\1", body, count=1))
    problems += [f"{name}: {d}" for d in different]
    classes.update(accepted)


def round_trip(t, messages):
    with t.own_server(users=SENDERS) as server:
        shares = [messages[i::SENDERS] for i in range(SENDERS)]
        refused = []
        begun = time.monotonic()
        threads = [threading.Thread(target=send_all, args=(server, f"user{i + 1}", share, refused))
                   for i, share in enumerate(shares)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        t.note(f"{len(messages)} messages in {time.monotonic() - begun:.1f} s")
        assert not refused, "refused:\n" + "\n".join(refused[:20])
        problems, classes = [], collections.Counter()
        for i, share in enumerate(shares):
            found, accepted = judge(f"user{i + 1}", share, server)
            problems += found
            classes += accepted
        if classes:
            t.note("accepted " + ", ".join(f"{k} {n}" for k, n in sorted(classes.items())))
        assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:30])


def case_mime(t):
    """The MIME corpus: attachments, encodings, broken messages."""
    messages = corpora.mime()
    if messages is None:
        raise Skip("../shared/corpus/mime is not here")
    round_trip(t, messages)


def case_spam_assassin(t):
    """The SpamAssassin corpus: 6,000 messages of real senders and of spammers' programs."""
    messages, why = corpora.spam_assassin()
    if messages is None:
        raise Skip(why)
    round_trip(t, messages)

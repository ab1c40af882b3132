# SPDX-License-Identifier: Apache-2.0
"""SEARCH, SORT and THREAD over 20,000 messages of 4 KB, SEARCH over 100,000, beside Dovecot (mdbox), over TLS.

The texts are words made by chance, so that a piece from the middle of a word is in some messages and not in others; what is
searched for is such a piece, never the same twice. Dovecot has no index of texts. barid has one, or not: two servers.
"""
import os
import random
import re
import statistics
import subprocess
import time

from .. import imap, place, side
from .end_to_end import turns

MESSAGES, MANY, BATCH = 20000, 100000, 40
EAGER = "[search]\nindex_cpu = 100\n"  # what comes while the mailboxes are filled is in the index soon
ASKED = 8  # searches of a kind in a round; the median counts


class Corpus:
    """Messages in threads: made again alike for each side."""

    def __init__(self, n):
        chance = random.Random(n)
        letters = "aaabcdeeeefghiiijklmnnoooprrssttuuvwz"
        self.words = sorted({"".join(chance.choices(letters, k=chance.randint(3, 11))) for _ in range(30000)})
        self.n = n

    def message(self, i):
        chance = random.Random(i)
        parent = chance.randrange(i) if i % 5 and i else None
        subject = " ".join(chance.choices(self.words, k=4)) if parent is None else f"Re: thread {parent % 997}"
        day, minute = i % 28 + 1, i % 60
        head = (f"From: \"{chance.choice(self.words)}\" <{chance.choice(self.words)}@load.test>\r\nTo: user1@example.test\r\n"
                f"Subject: {subject}\r\nDate: {day} Jan 2025 {i % 24:02}:{minute:02}:{chance.randrange(60):02} +0000\r\n"
                f"Message-ID: <{i}@load.test>\r\n" + (f"In-Reply-To: <{parent}@load.test>\r\nReferences: <{parent}@load.test>\r\n" if parent is not None else ""))
        lines, size = [], len(head)
        while size < 4000:
            line = " ".join(chance.choices(self.words, k=9))
            lines.append(line)
            size += len(line) + 2
        return (head + "\r\n" + "\r\n".join(lines) + "\r\n").encode()

    def needle(self, chance):
        """A piece of a word, without its first and last letter."""
        while True:
            word = chance.choice(self.words)
            if len(word) >= 8:
                return word[1:-1]


def fill(s, corpus, box):
    place.say(f"  {s.name}: {corpus.n} messages of words made by chance into {box}")
    with imap.Imap(s.port("imaps"), "user1") as session:
        session.command(f"CREATE {box}")
        for first in range(0, corpus.n, BATCH):
            parts = [corpus.message(i) for i in range(first, min(first + BATCH, corpus.n))]
            session.command(f"APPEND {box}", b"".join(b" {%d+}\r\n%s" % (len(p), p) for p in parts))


def caught_up(b, n, limit=100):
    """Wait until the index has taken everything in; seconds, and the index's CPU seconds."""
    begun = time.monotonic()
    while time.monotonic() - begun < limit:
        out = subprocess.run([b.environment["BARID"], "counters", "--dir", os.path.join(b.dir, "state")], capture_output=True,
                             text=True, check=False).stdout
        found = dict(re.findall(r"(search\.[a-z-]+)\D*?(\d+)", out))
        if int(found.get("search.indexed", 0)) >= n and int(found.get("search.index-missing", 0)) == 0:
            return time.monotonic() - begun, int(found.get("search.index-cpu-us", 0)) / 1e6
        time.sleep(0.5)
    raise place.Failure("bench: the search index does not catch up")


def asked(s, corpus, chance):
    """Medians in ms of SEARCH BODY and TEXT for pieces of words, in a session that has the mailbox open."""
    took, found = {"BODY": [], "TEXT": []}, 0
    with imap.Imap(s.port("imaps"), "user1") as session:
        session.command("SELECT Words")
        for _ in range(ASKED):
            for key, times in took.items():
                times.append(1000 * session.command(f'SEARCH {key} "{corpus.needle(chance)}"'))
                found += session.numbers
    return {"messages": corpus.n, **{f"{key.lower()}_ms": round(statistics.median(t), 3) for key, t in took.items()},
            "found": round(found / 2 / ASKED, 1)}


def ordered(s):
    """SORT and THREAD of everything, in ms, each by a session of its own."""
    data = {}
    for key, command in (("sort", "SORT (REVERSE DATE) UTF-8 ALL"), ("subject", "SORT (SUBJECT) UTF-8 ALL"), ("thread", "THREAD REFERENCES UTF-8 ALL")):
        with imap.Imap(s.port("imaps"), "user1") as session:
            session.command("SELECT Words")
            data[f"{key}_ms"] = round(1000 * session.command(command), 3)
    return data


def indexed(record, corpus, b):
    """Wait for the index, and what it has cost."""
    took, cpu = caught_up(b, corpus.n)
    record.add("index", b.name, {"seconds_behind": round(took, 1), "cpu_s_per_1000": round(1000 * cpu / corpus.n, 3)})


def without_index(record, size, corpus, chance, b):
    b.environment["BARID_DEMO_CONF"] = "[search]\nindex = off\n"
    side.restart(b)
    for i in range(size.rounds):
        record.add("search", "barid, no index", asked(b, corpus, chance), round=i + 1)


def measure(record, size):
    """IMAP: SEARCH BODY and TEXT for pieces of words with and without the index, SORT and THREAD, in 20,000 messages."""
    corpus, chance = Corpus(size.of(MESSAGES)), random.Random(time.monotonic_ns())
    with side.Classic(FORMAT="mdbox", users=2) as c, side.Barid(users=2, BARID_DEMO_CONF=EAGER) as b:
        for s in (c, b):
            fill(s, corpus, "Words")
        indexed(record, corpus, b)
        turns(record, size, [c, b], "search", lambda s: asked(s, corpus, chance))
        for s in (c, b):
            record.add("order, first", s.name, ordered(s))  # what it keeps of the messages is made
        turns(record, size, [c, b], "order", ordered)
        without_index(record, size, corpus, chance, b)


def many(record, size):
    """IMAP: SEARCH BODY and TEXT for pieces of words with and without the index, in 100,000 messages."""
    corpus, chance = Corpus(size.of(MANY)), random.Random(time.monotonic_ns())
    with side.Classic(FORMAT="mdbox", users=2) as c, side.Barid(users=2, BARID_DEMO_CONF=EAGER) as b:
        for s in (c, b):
            fill(s, corpus, "Words")
        indexed(record, corpus, b)
        turns(record, size, [c, b], "search", lambda s: asked(s, corpus, chance))
        without_index(record, size, corpus, chance, b)

# SPDX-License-Identifier: Apache-2.0
"""What clients of a server were told, and a judge of what is there afterwards.

A *ledger* notes what a test's clients heard: each transaction with a 250 (a digest of the message, per recipient), each
UID, MODSEQ, UIDVALIDITY and set of flags that a session was shown, each change of a mailbox that was answered OK. The
judge compares that with the server, and finds by itself what nobody should find: messages that nobody sent or that are
there in part, a queue that does not become empty, names of bodies that nobody needs, counts that `barid` corrects.

    ledger = Ledger(server)
    send(ledger, smtp, ["user1"], letter("a1"))                 a transaction by SMTP
    writer = Writer(ledger, "user1", "w1")                      a client of IMAP with mailboxes of its own
    writer.append("w1", letter("b1")); writer.move("w1", key, "w1-done")
    ... deaths, full disks ...
    Judge(ledger).final()                                       raises AssertionError with all that is wrong

A change that was not answered, or answered with NO or 4xx, may have happened wholly or not at all: the ledger then knows
several *worlds*, and what a session sees later decides which one it was; from then on it must stay so. NO is not taken
for "nothing happened", as a commit that failed may have reached the disk.
"""
import collections
import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import time

from . import wire
from .verdict import Evidence

GONE = (wire.Closed, wire.Timeout, wire.Refused, OSError, ValueError)
BODY = b"X-Letter: "  # the first field of a letter: what stands before it was added on its way
SPLITS = 4096         # more worlds than this are a mistake of the test
PIECE = 1000          # so many UIDs are fetched at once
LATE_S = 3.0          # so long after the end of its connection a command may still be carried out
DOMAIN = "example.test"


def letter(key, size=300, sender="s@example.org"):
    """A message that nobody else sends: its bytes say whose it is, and every line which one."""
    line = hashlib.sha256(key.encode()).hexdigest().encode() + b"\r\n"
    head = (f"X-Letter: {key}\r\nFrom: {sender}\r\nTo: all@example.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            f"Subject: {key}\r\nMessage-ID: <{key}@ledger.example>\r\n\r\n").encode()
    return head + line * (1 + max(0, size - len(head)) // len(line))


def key_of(data):
    """The letter's key, and a digest of the letter as it was sent. (None, ...) is not a letter."""
    at = data.find(BODY, 0, data.find(b"\r\n\r\n"))
    if at < 0 or (at > 0 and data[at - 1:at] != b"\n"):
        return None, hashlib.sha256(data).hexdigest()
    m = re.match(rb"X-Letter: (\S+)\r\n", data[at:])
    return m.group(1).decode() if m else None, hashlib.sha256(data[at:]).hexdigest()


class Ledger:
    """What was heard. Thread-safe."""

    def __init__(self, server):
        self.server = server
        self.mutex = threading.RLock()
        self.problems = []
        self.digests = {}                              # key -> digest of what was sent, or tried to
        self.sent = collections.defaultdict(dict)      # user -> {key: acknowledged?}
        self.told = collections.defaultdict(Told)      # (user, mailbox) -> what sessions were shown
        self.writers = []
        self.reports = []                              # (sender, recipient, key): a report of this delivery is due
        self.passwords = {}
        self.acknowledged = 0

    def acquit(self, what=""):
        """Raise what is wrong so far."""
        if self.problems:
            raise Evidence("\n".join([what] * bool(what) + self.problems[:40]))

    def problem(self, text):
        with self.mutex:
            if text not in self.problems:
                self.problems.append(text)

    def know(self, data):
        key, digest = key_of(data)
        with self.mutex:
            if key in self.digests:
                raise ValueError(f"letter {key} twice")
            self.digests[key] = digest
        return key

    def trying(self, users, data):
        key = self.know(data)
        with self.mutex:
            for user in users:
                self.sent[user][key] = False
        return key

    def accepted(self, users, key):
        with self.mutex:
            self.acknowledged += 1
            for user in users:
                self.sent[user][key] = True

    def report_for(self, sender, recipient, key):
        """The sender wants a report when this letter is delivered."""
        with self.mutex:
            self.reports.append((sender, recipient, key))

    def imap(self, user, timeout=30.0):
        return wire.Imap(self.server, f"{user}@{DOMAIN}", self.passwords.get(user, self.server.password), timeout=timeout)

    def users(self):
        with self.mutex:
            return sorted(set(self.sent) | {u for u, _ in self.told} | {w.user for w in self.writers}
                          | {sender for sender, _, _ in self.reports})


def send(ledger, smtp, users, data, options=b"", rcpt_options=b""):
    """One transaction; raises what the client saw. The reply to the final dot."""
    key = ledger.trying(users, data)
    addresses = [f"{user}@{DOMAIN}" for user in users]
    head = [b"MAIL FROM:<s@example.org>" + options]
    head += [b"RCPT TO:<%s>%s" % (a.encode(), rcpt_options) for a in addresses] + [b"DATA"]
    smtp.wire.send(b"".join(line + b"\r\n" for line in head))
    replies = [smtp.reply() for _ in head]
    for reply in replies[:-1]:
        smtp.expect(b"250", reply)
    smtp.expect(b"354", replies[-1])
    smtp.wire.send(wire.dot_stuffed(data))
    reply = smtp.reply()
    smtp.expect(b"250", reply)
    ledger.accepted(users, key)
    return reply


# --- what sessions were shown ------------------------------------------------------------------------------------------


class Told:
    """A mailbox as sessions were shown it: facts that may never be taken back."""

    def __init__(self):
        self.validity = None
        self.uidnext = 1
        self.modseq = 0
        self.keys = {}     # uid -> key of the letter
        self.states = {}   # uid -> (modseq, flags)
        self.gone = set()  # uids that were expunged by somebody who was told so
        self.deleted = False

    def forget(self):
        """The name went and came again: only UIDVALIDITY goes on rising."""
        self.uidnext, self.modseq, self.keys, self.states, self.gone, self.deleted = 1, 0, {}, {}, set(), False

    def look(self, validity, uidnext, modseq, rows, above=0):
        """Problems of what a session was shown now: rows are (uid, key, modseq, flags), of all UIDs above one."""
        found = []
        if self.validity is not None and validity != self.validity:
            if not self.deleted:
                found.append(f"UIDVALIDITY was {self.validity} and is {validity}")
            elif validity < self.validity:
                found.append(f"UIDVALIDITY of a name that came again fell from {self.validity} to {validity}")
            self.forget()
        self.validity = validity
        if uidnext < self.uidnext:
            found.append(f"UIDNEXT fell from {self.uidnext} to {uidnext}")
        if modseq < self.modseq:
            found.append(f"HIGHESTMODSEQ fell from {self.modseq} to {modseq}")
        uids = [row[0] for row in rows]
        if uids != sorted(set(uids)):
            found.append(f"UIDs do not rise: {uids}")
        for uid, key, changed, flags in rows:
            found += self.look_at(uid, key, changed, flags, modseq)
        for uid in set(self.keys) - set(uids):
            if uid > above:
                self.gone.add(uid)  # whether it may be is the affair of the worlds
        self.uidnext, self.modseq = max(self.uidnext, uidnext), max(self.modseq, modseq)
        return found

    def look_at(self, uid, key, changed, flags, modseq):
        found = []
        known = self.keys.get(uid)
        if known is not None and known != key:
            found.append(f"UID {uid} was {known} and is {key}")
        if known is None and uid < self.uidnext:
            found.append(f"UID {uid} ({key}) is new, and UIDNEXT was {self.uidnext} already")
        if uid in self.gone:
            found.append(f"UID {uid} ({key}) is back")
        if changed > modseq:
            found.append(f"UID {uid} has MODSEQ {changed} above HIGHESTMODSEQ {modseq}")
        was = self.states.get(uid)
        if was and (changed < was[0] or (changed == was[0] and flags != was[1])):
            found.append(f"UID {uid} had MODSEQ {was[0]} {sorted(was[1])} and has {changed} {sorted(flags)}")
        self.keys[uid] = key
        self.states[uid] = (changed, flags)
        return found


def look(ledger, imap, user, mailbox, news=False):
    """SELECT and FETCH everything, or only the news since the last look: [(key, uid, flags)] of what is there."""
    text = b"\n".join(imap.command(b"SELECT " + wire.quote(mailbox) + b" (CONDSTORE)"))
    def number(pattern):
        return int(re.search(pattern, text).group(1))
    with ledger.mutex:
        first = max(ledger.told[user, mailbox].keys, default=0) if news else 0
    rows, found, uidnext = [], [], number(rb"UIDNEXT (\d+)")
    for at in range(first + 1, uidnext, PIECE):
        uids = f"{at}:{min(at + PIECE, uidnext) - 1}"
        for _, v in sorted(imap.fetch(uids, "(UID FLAGS MODSEQ BODY.PEEK[])", uid=True).items()):
            key, digest = key_of(v["BODY[]"])
            flags = frozenset(f for f in v["FLAGS"] if f.lower() != "\\recent")
            rows.append((int(v["UID"]), key or f"report-{digest[:8]}", int(v["MODSEQ"][0]), flags))
            if key is None and not re.search(rb"^Content-Type: multipart/report", v["BODY[]"], re.M | re.I):
                found.append(f"UID {v['UID']} is no letter: {v['BODY[]'][:200]!r}")
            if key is not None and ledger.digests.get(key) != digest:
                found.append(f"UID {v['UID']} ({key}) is not as it was sent, or nobody sent it: {len(v['BODY[]'])} bytes")
    with ledger.mutex:
        found += ledger.told[user, mailbox].look(number(rb"UIDVALIDITY (\d+)"), uidnext,
                                                 number(rb"HIGHESTMODSEQ (\d+)"), rows, first)
    for text in found:
        ledger.problem(f"{user} {mailbox}: {text}")
    return [(key, uid, flags) for uid, key, _, flags in rows]


# --- changes of mailboxes ----------------------------------------------------------------------------------------------


class Writer:
    """A client of IMAP that alone changes its own mailboxes: those whose names begin with its own.

    A world is a frozenset of facts: ("box", name), ("sub", name), ("msg", mailbox, key, flags). Each change maps worlds
    to worlds. `worlds` are those that agree with all that was heard.
    """

    def __init__(self, ledger, user, name, timeout=30.0):
        self.ledger, self.user, self.name, self.timeout = ledger, user, name, timeout
        self.worlds = {frozenset()}
        self.connection = None
        self.changes = self.unanswered = 0
        self.history = collections.deque(maxlen=400)  # what was asked, and what came of it
        self.late = []  # (until, effect) of changes whose connection ended before their answer
        with ledger.mutex:
            ledger.writers.append(self)

    # the connection

    def imap(self):
        if self.connection is None:
            self.connection = self.ledger.imap(self.user, self.timeout)
        return self.connection

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    # worlds

    def change(self, what, effect, action):
        """Do it; note the effect. True when it was answered OK. One that was not leaves the connection closed."""
        after = {effect(w) for w in self.worlds}
        self.later()
        try:
            imap = self.imap()
        except GONE:
            self.close()
            return False  # it was not even asked
        self.history.append([time.monotonic(), what, "?"])
        try:
            action(imap)
        except GONE as e:
            self.worlds = self.worlds | after
            self.unanswered += 1
            self.history[-1][2] = f"{time.monotonic():.3f} {type(e).__name__} {str(e)[:60]}"
            if isinstance(e, wire.Refused) and re.match(rb"\S+ BAD ", bytes(e.args[0])):
                self.ledger.problem(f"{self.user} {self.name}: {e.args[0]!r}")
            if not isinstance(e, wire.Refused):
                self.close()
                self.late.append((time.monotonic() + LATE_S * self.ledger.server.slow, effect))
            self.later()
            return False
        self.worlds = after
        self.history[-1][2] = f"{time.monotonic():.3f} OK"
        self.later()
        self.changes += 1
        return True

    def later(self):
        """What was under way when the connection ended may still happen a little later."""
        self.late = [(until, effect) for until, effect in self.late if until > time.monotonic()]
        for _, effect in self.late:
            self.worlds = self.worlds | {effect(w) for w in self.worlds}
        if len(self.worlds) > SPLITS:
            raise AssertionError(f"{self.name}: too much is unknown")

    def settle(self, imap=None):
        """Look at everything that is ours. What is seen is the one world from now on; none fits: a problem."""
        own = imap is None
        imap = imap or self.imap()
        seen = set()
        for name in self.listed(imap, b"LIST"):
            seen.add(("box", name))
            for key, _, flags in look(self.ledger, imap, self.user, name):
                if ("msg", name, key, flags) in seen or any(f[0] == "msg" and f[1:3] == (name, key) for f in seen):
                    self.ledger.problem(f"{self.user} {name}: {key} is there twice; {self.story(key)}")
                seen.add(("msg", name, key, flags))
        for name in self.listed(imap, b"LSUB"):
            seen.add(("sub", name))
        with contextlib.suppress(*GONE):
            imap.command(b"UNSELECT")
        world = frozenset(seen)
        if world not in self.worlds:
            self.ledger.problem(f"{self.user} {self.name}: {self.difference(world)}")
        self.worlds = {world}
        self.later()
        if own:
            self.connection = imap
        return world

    def difference(self, world):
        nearest = min(self.worlds, key=lambda w: len(w ^ world))
        keys = sorted(f[2] for f in nearest ^ world if f[0] == "msg")[:3]
        stories = " | ".join(self.story(key) for key in keys)
        return f"missing {sorted(map(str, nearest - world))[:6]}, unexpected {sorted(map(str, world - nearest))[:6]}" \
               + (f" ({stories})" if stories else "")

    def story(self, key):
        """What was done with a message lately."""
        return "; ".join(f"{at:.3f} {what} -> {came}" for at, what, came in self.history if key in what)

    def listed(self, imap, command):
        names = []
        for line in imap.command(command + b' "" ' + wire.quote(self.name + "*"))[:-1]:
            m = re.match(rb"\* (?:LIST|LSUB) (\([^)]*\)) \S+ (.*)", line)
            if m and (command == b"LSUB" or b"noselect" not in m.group(1).lower()):
                names.append(m.group(2).strip(b'"').decode())
        return names

    def boxes(self):
        return sorted(f[1] for f in min(self.worlds, key=len) if f[0] == "box")

    def messages(self, mailbox):
        """{key: flags} as far as it is known for sure."""
        sure = frozenset.intersection(*self.worlds)
        return {f[2]: f[3] for f in sure if f[0] == "msg" and f[1] == mailbox}

    def possible(self, mailbox):
        """Keys that may be there, for all that is known."""
        return {f[2] for w in self.worlds for f in w if f[0] == "msg" and f[1] == mailbox}

    # changes

    def create(self, name):
        return self.change(f"CREATE {name}", lambda w: w | {("box", name)}, lambda imap: imap.command(b"CREATE " + wire.quote(name)))

    def delete(self, name):
        def effect(w):
            return frozenset(f for f in w if not (f[0] in ("box", "msg") and f[1] == name))

        with self.ledger.mutex:
            self.ledger.told[self.user, name].deleted = True
        return self.change(f"DELETE {name}", effect, lambda imap: imap.command(b"DELETE " + wire.quote(name)))

    def rename(self, old, new):
        def effect(w):
            return frozenset((f[0], new) + f[2:] if f[0] in ("box", "msg") and f[1] == old else f for f in w)

        with self.ledger.mutex:
            self.ledger.told[self.user, old].deleted = True
            self.ledger.told[self.user, new].deleted = True
        return self.change(f"RENAME {old} {new}", effect, lambda imap: imap.command(b"RENAME " + wire.quote(old) + b" " + wire.quote(new)))

    def subscribe(self, name, on=True):
        fact = {("sub", name)}
        verb = b"SUBSCRIBE " if on else b"UNSUBSCRIBE "
        return self.change(f"{verb.decode()}{name}", (lambda w: w | fact) if on else (lambda w: w - fact),
                           lambda imap: imap.command(verb + wire.quote(name)))

    def append(self, mailbox, data, flags=frozenset(), more=()):
        """APPEND; with `more`, several messages in one command (RFC 3502). The UIDs that were told are noted."""
        all_data = [data, *more]
        keys = [self.ledger.know(d) for d in all_data]
        facts = frozenset(("msg", mailbox, key, frozenset(flags)) for key in keys)
        flag_text = b" (%s)" % " ".join(sorted(flags)).encode() if flags else b""

        def action(imap):
            parts = [b"APPEND " + wire.quote(mailbox) + flag_text]
            tag = next(imap.tags)
            imap.wire.send(tag + b" " + parts[0])
            untagged = []
            for i, one in enumerate(all_data):
                imap.wire.send((flag_text if i else b"") + b" {%d}\r\n" % len(one))
                while True:
                    line = wire.imap_line(imap.wire)
                    if line.startswith(b"+"):
                        break
                    if line.startswith(tag):
                        raise wire.Refused(line)
                    if line.startswith(b"* BYE"):
                        raise wire.Closed(line)
                imap.wire.send(one)
            imap.wire.send(b"\r\n")
            answer = imap.finish(tag, untagged)[-1]
            m = re.search(rb"\[APPENDUID (\d+) ([\d:,]+)\]", answer)
            if not m:
                self.ledger.problem(f"{self.name}: APPEND without APPENDUID: {answer!r}")
                return
            self.note_uids(mailbox, int(m.group(1)), m.group(2).decode(), keys)

        return self.change(f"APPEND {mailbox} {' '.join(keys)}", lambda w: w | facts, action)

    def note_uids(self, mailbox, validity, uids, keys):
        with self.ledger.mutex:
            told = self.ledger.told[self.user, mailbox]
            if told.validity not in (None, validity) and not told.deleted:
                self.ledger.problem(f"{self.user} {mailbox}: UIDVALIDITY {validity} in an answer, was {told.validity}")
            for uid, key in zip(expand(uids), keys):
                if told.keys.get(uid, key) != key or uid in told.gone:
                    self.ledger.problem(f"{self.user} {mailbox}: UID {uid} was told for {key}, and for another before")
                told.keys[uid] = key
            told.validity = validity

    def uids_of(self, imap, mailbox, keys):
        """UIDs by what was told of them; the mailbox is selected."""
        imap.command(b"SELECT " + wire.quote(mailbox))
        with self.ledger.mutex:
            told = self.ledger.told[self.user, mailbox]
            by_key = {key: uid for uid, key in told.keys.items() if uid not in told.gone}
        return ",".join(str(by_key[key]) for key in keys)

    def store(self, mailbox, keys, flags, how="+"):
        """STORE on several messages at once: all of them, or none."""
        flags, keys = frozenset(flags), set(keys)

        def effect(w):
            def one(f):
                if f[0] != "msg" or f[1] != mailbox or f[2] not in keys:
                    return f
                new = {"+": f[3] | flags, "-": f[3] - flags, "": flags}[how]
                return (*f[:3], new)
            return frozenset(map(one, w))

        return self.change(f"STORE {mailbox} {how}{sorted(flags)} {' '.join(sorted(keys))}", effect, lambda imap: imap.command(
            f"UID STORE {self.uids_of(imap, mailbox, keys)} {how}FLAGS.SILENT ({' '.join(sorted(flags))})".encode()))

    def copy(self, mailbox, keys, target, move=False):
        keys = sorted(keys)

        def effect(w):
            moved = {f for f in w if f[0] == "msg" and f[1] == mailbox and f[2] in keys}
            new = w | {("msg", target, f[2], f[3]) for f in moved}
            return frozenset(new - moved if move else new)

        def action(imap):
            verb = "MOVE" if move else "COPY"
            uids = self.uids_of(imap, mailbox, keys)
            lines = imap.command(f"UID {verb} {uids} ".encode() + wire.quote(target))
            for line in lines:
                m = re.search(rb"\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]", line)
                if m:
                    with self.ledger.mutex:
                        source = dict(self.ledger.told[self.user, mailbox].keys)
                    self.note_uids(target, int(m.group(1)), m.group(3).decode(),
                                   [source[uid] for uid in expand(m.group(2).decode())])
                    return
            self.ledger.problem(f"{self.name}: {verb} without COPYUID: {lines!r}")

        return self.change(f"{'MOVE' if move else 'COPY'} {mailbox} {target} {' '.join(keys)}", effect, action)

    def move(self, mailbox, keys, target):
        return self.copy(mailbox, keys, target, move=True)

    def expunge(self, mailbox, keys):
        """UID EXPUNGE of messages that have \\Deleted: those that are named, at once."""
        keys = set(keys)
        return self.change(
            f"EXPUNGE {mailbox} {' '.join(sorted(keys))}",
            lambda w: frozenset(f for f in w if not (f[0] == "msg" and f[1] == mailbox and f[2] in keys)),
            lambda imap: imap.command(f"UID EXPUNGE {self.uids_of(imap, mailbox, keys)}".encode()))


def expand(text):
    for part in text.split(","):
        first, _, last = part.partition(":")
        a, b = int(first), int(last or first)
        yield from range(min(a, b), max(a, b) + 1)


# --- the judge ---------------------------------------------------------------------------------------------------------


class Judge:
    def __init__(self, ledger):
        self.ledger, self.server = ledger, ledger.server

    def await_queue(self, timeout=60.0):
        """Until nothing waits for a mailbox of ours."""
        deadline = time.monotonic() + timeout * self.server.slow
        while True:
            try:
                rows = json.loads(self.server.cli("queue", "list", "--json"))["rows"]
                waiting = [row for row in rows if row["to"].endswith("@" + DOMAIN)]
                if not waiting:
                    return
                if any(row["state"] == "deferred" for row in waiting):
                    self.server.cli("queue", "flush")
            except (RuntimeError, OSError):
                waiting = "(no answer)"
            if time.monotonic() > deadline:
                self.ledger.problem(f"the queue does not become empty:\n{waiting}"[:2000])
                return
            time.sleep(0.1)

    def inboxes(self):
        """Each acknowledged message is there exactly once, and nothing else is."""
        there = {user: self.inbox(user) for user in self.ledger.users()}
        for sender in {r[0] for r in self.ledger.reports}:
            due = sum(there[recipient][key] for who, recipient, key in self.ledger.reports if who == sender)
            have = sum(n for key, n in there[sender].items() if key.startswith("report-"))
            if have != due:
                self.ledger.problem(f"{sender} INBOX: {have} delivery reports, {due} are due")

    def inbox(self, user):
        imap = self.ledger.imap(user, 60.0)
        try:
            there = look(self.ledger, imap, user, "INBOX")
        finally:
            imap.close()
        sent = self.ledger.sent[user]
        counts = collections.Counter(key for key, _, _ in there)
        lost = [key for key, acknowledged in sent.items() if acknowledged and not counts[key]]
        doubled = [key for key, n in counts.items() if n > 1]
        strange = [key for key in counts if key not in sent and not key.startswith("report-")]
        for what, keys in (("lost", lost), ("there more than once", doubled), ("there, and nobody sent them", strange)):
            if keys:
                self.ledger.problem(f"{user} INBOX: {len(keys)} messages are {what}: {sorted(keys)[:5]}")
        return counts

    def mailboxes(self):
        for writer in self.ledger.writers:
            writer.close()
            imap = self.ledger.imap(writer.user, 60.0)
            try:
                writer.settle(imap)
            finally:
                imap.close()

    def counts(self):
        """barid counts again and finds nothing to correct."""
        text = self.server.cli("quota", "recount", "all")
        wrong = [line for line in text.splitlines() if "was counted as" in line]
        if wrong or " 0 corrected" not in text:
            self.ledger.problem("barid quota recount:\n" + "\n".join(wrong[:10] or [text]))

    def now(self):
        """With the server running."""
        self.await_queue()
        self.inboxes()
        self.mailboxes()
        self.counts()

    def final(self):
        """As it runs, after an orderly restart, and on its disk. Leaves the server stopped."""
        self.now()
        self.server.restart()
        self.inboxes()
        self.mailboxes()
        self.files()
        self.ledger.acquit()

    # on the disk

    def files(self):
        """The databases are sound, and every body's name is somebody's."""
        for again in range(2):
            self.server.stop()
            self.databases()
            orphans = self.orphans()
            if not orphans:
                return
            if again:
                self.ledger.problem(f"{len(orphans)} names of bodies stay that nobody needs: {orphans[:5]}")
                return
            self.server.start()  # the sweep after a start takes them
            deadline = time.monotonic() + 20 * self.server.slow
            while time.monotonic() < deadline and any(os.path.exists(path) for path in orphans):
                time.sleep(0.1)

    def stores(self):
        folder = os.path.join(self.server.dir, "store")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".db")]

    def databases(self):
        spool = os.path.join(self.server.dir, "spool", "spool.db")
        for path in [spool, os.path.join(self.server.dir, "dir", "vmail.db"), *self.stores()]:
            with opened(path) as db:
                said = db.execute("PRAGMA integrity_check").fetchall()
            if said != [("ok",)]:
                self.ledger.problem(f"{os.path.basename(path)}: {said[:3]}")
        for path in self.stores():
            with opened(path) as db:
                self.rows(os.path.basename(path), db)
        with opened(spool) as db:
            n = db.execute("SELECT count(*) FROM message WHERE NOT EXISTS"
                           " (SELECT 1 FROM rcpt WHERE rcpt.number = message.number)").fetchone()[0]
            if n:
                self.ledger.problem(f"{n} messages without recipients stay in the spool")

    def rows(self, name, db):
        """Nothing in the store refers to what is not there."""
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return  # its first use failed: it is made when it is needed again
        for what, sql in (
                ("entries without their message",
                 "SELECT count(*) FROM entry LEFT JOIN message ON message.id = entry.message WHERE message.id IS NULL"),
                ("messages without an entry",
                 "SELECT count(*) FROM message WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.message = message.id)"),
                ("messages without their body",
                 "SELECT count(*) FROM message LEFT JOIN body ON body.id = message.body WHERE body.id IS NULL"),
                ("entries at or above UIDNEXT",
                 "SELECT count(*) FROM entry JOIN mailbox ON mailbox.account = entry.account AND mailbox.id = entry.mailbox"
                 " WHERE entry.uid >= mailbox.uidnext"),
                ("mailboxes that miscount",
                 "SELECT count(*) FROM mailbox WHERE deleted_modseq = 0 AND num_exists <> (SELECT count(*) FROM entry WHERE"
                 " entry.account = mailbox.account AND entry.mailbox = mailbox.id AND expunged = 0)")):
            n = db.execute(sql).fetchone()[0]
            if n:
                self.ledger.problem(f"{name}: {n} {what}")

    def needed(self):
        names = {}
        for path in self.stores():
            with opened(path) as db:
                for account, body, size in db.execute("SELECT account, file, stored_size FROM body WHERE file IS NOT NULL"):
                    names[f"{body.hex()}.{account:x}"] = size
        with opened(os.path.join(self.server.dir, "spool", "spool.db")) as db:
            for body, size in db.execute("SELECT body_id, body_size FROM message WHERE body_id IS NOT NULL"):
                names[f"{body.hex()}.q"] = size
        return names

    def orphans(self):
        """Names that no row has. A row without its name is a problem at once."""
        needed = self.needed()
        there = {}
        for folder, _, names in os.walk(os.path.join(self.server.dir, "blob")):
            for name in names:
                if name != "format":
                    there[name] = os.path.join(folder, name)
        for name, size in needed.items():
            if name not in there:
                self.ledger.problem(f"the body {name} is missing")
            elif os.path.getsize(there[name]) != size:
                self.ledger.problem(f"the body {name} has {os.path.getsize(there[name])} of {size} bytes")
        return sorted(path for name, path in there.items() if name not in needed)


@contextlib.contextmanager
def opened(path):
    """A database of a server that has stopped, with what stands in its log: a copy, so that nothing is changed."""
    with tempfile.TemporaryDirectory(prefix="barid-ledger-") as folder:
        for end in ("", "-wal"):
            if os.path.exists(path + end):
                shutil.copy(path + end, os.path.join(folder, "copy.db" + end))
        db = sqlite3.connect(os.path.join(folder, "copy.db"))
        try:
            yield db
        finally:
            db.close()

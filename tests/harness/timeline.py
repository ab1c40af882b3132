# SPDX-License-Identifier: Apache-2.0
"""A load of all kinds of changes whose every answer is placed in the log of changes, and a judge for any moment of it.

Moments are positions in the log of harness.disk. Each transaction is noted with the position before it was sent and the one
after it was answered; a power cut at position P must have kept what was answered by P, may have kept what was sent by P,
and knows nothing of the rest.

    line = Timeline(log)
    Load(server, line, seed).run(seconds)
    Judge(server, line, position).judge()          the server was started on what the cut left

Accounts: r1 to r3 only receive, and sessions look at them; m receives while a session moves and removes; w1 and w2 change
mailboxes of their own, one client each, so that what is there is known after each change; d gets delivery reports. People of
the command line make, change and remove accounts and aliases.
"""
import base64
import collections
import contextlib
import hashlib
import json
import random
import re
import threading
import time

from . import wire

DOMAIN = "example.test"
RECEIVERS = ("r1", "r2", "r3")
WRITERS = ("w1", "w2")
USERS = RECEIVERS + WRITERS + ("m", "d")
GONE = (wire.Closed, wire.Timeout, wire.Refused, OSError)
LARGE = 90_000  # a file of the blob tree


def letter(key, size):
    """A message that nobody else sends; what comes before X-Letter was added on its way."""
    line = hashlib.sha256(key.encode()).hexdigest().encode() + b"\r\n"
    head = (f"X-Letter: {key}\r\nFrom: s@example.org\r\nTo: all@example.test\r\n"
            f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{key}@line.example>\r\n\r\n").encode()
    return head + line * (1 + max(0, size - len(head)) // len(line))


def known(data):
    """(key, digest of the letter as it was sent) of a message in a mailbox; key None: it is no letter."""
    at = data.find(b"X-Letter: ")
    if at < 0 or at > data.find(b"\r\n\r\n"):
        return None, hashlib.sha256(data).hexdigest()
    return data[at + 10:data.index(b"\r\n", at)].decode(), hashlib.sha256(data[at:]).hexdigest()


class PlainImap(wire.Imap):
    """Without TLS, which these servers allow from here: a judge logs in thousands of times."""

    def __init__(self, server, user, timeout=30.0):
        self.wire = wire.Wire(server.host, server.ports["imap"], timeout=timeout)
        self.tags = (b"p%d" % n for n in range(1, 1 << 30))
        if not wire.imap_line(self.wire).startswith(b"* OK"):
            raise wire.Refused("no greeting")
        self.command(b"LOGIN %s@%s secret" % (user.encode(), DOMAIN.encode()))


# --- what was heard, and when --------------------------------------------------------------------------------------------

Mail = collections.namedtuple("Mail", "key digest sent users report")
State = collections.namedtuple("State", "sent heard what value")


class Timeline:
    def __init__(self, log):
        self.log = log
        self.mutex = threading.Lock()
        self.mails = {}                             # key -> Mail
        self.accepted = {}                          # key -> position
        self.remote = {}                            # key -> position: to elsewhere; fails in the end, and d gets a report
        self.states = collections.defaultdict(list)  # writer or "accounts" -> [State]
        self.told = collections.defaultdict(list)   # user -> [(position, validity, uid, key)]
        self.moves = collections.defaultdict(dict)  # key -> {"move"/"expunge": [sent, answered or None]}
        self.digests = {}                           # of appended letters, by key

    def now(self):
        return self.log.position()

    def counts(self):
        return (f"{len(self.accepted)} messages, {sum(len(v) - 1 for v in self.states.values())} changes, "
                f"{sum(len(v) for v in self.moves.values())} moves")


class Lmtp(wire.Smtp):
    """The same by LMTP: each recipient has a reply to the message."""

    def __init__(self, server):  # pylint: disable=super-init-not-called
        self.wire = wire.Wire(server.host, server.ports["lmtp"])
        self.expect(b"220", self.reply())
        self.features = self.command(b"LHLO client.example.net", b"250")


# --- the load ----------------------------------------------------------------------------------------------------------


class Load:
    def __init__(self, server, line, seed):
        self.server, self.line, self.seed = server, line, seed
        self.number = 0
        self.until = 0
        self.problems = []
        self.writers = [Writer(server, line, name, seed) for name in WRITERS]
        self.people = People(server, line)

    def run(self, seconds, part):
        """All clients at once for so long; raises what went wrong."""
        self.until = time.monotonic() + seconds
        jobs = [lambda i=i: self.send(f"{part}{i}") for i in range(3)]
        jobs += [lambda w=w: w.run(self.going_on) for w in self.writers]
        jobs += [self.move, self.watch, lambda: self.people.run(self.going_on)]
        threads = [threading.Thread(target=self.guarded, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.problems:
            raise AssertionError("\n".join(self.problems))

    def going_on(self):
        return time.monotonic() < self.until

    def guarded(self, job):
        try:
            job()
        except Exception as e:  # pylint: disable=broad-except  (a thread's failure is the test's)
            self.problems.append(f"{type(e).__name__}: {e}")

    def send(self, name):
        rng = random.Random(f"{self.seed}/{name}")
        smtp, n = None, 0
        lmtp = name.endswith("2")  # one of the three: another server's last hop (RFC 2033)
        while self.going_on():
            n += 1
            if rng.random() < 0.05:
                self.send_away(f"{name}-{n}")
                continue
            users = rng.choice((["r1"], ["r2"], ["m"], ["r1", "r3"], ["r1", "r2", "m"]))
            report = rng.random() < 0.15
            key = f"{name}-{n}"
            data = letter(key, LARGE if rng.random() < 0.12 else rng.choice((200, 2000, 20000)))
            try:
                smtp = smtp or (Lmtp(self.server) if lmtp else wire.Smtp(self.server))
                self.one(smtp, key, data, users, report)
            except GONE:
                smtp = smtp and smtp.close()
                time.sleep(0.02)
        if smtp:
            smtp.close()

    def one(self, smtp, key, data, users, report):
        head = [b"MAIL FROM:<d@example.test> RET=HDRS ENVID=" + key.encode() if report else b"MAIL FROM:<s@example.org>"]
        notify = b" NOTIFY=SUCCESS,FAILURE" if report else b""
        head += [f"RCPT TO:<{u}@{DOMAIN}>".encode() + notify for u in users] + [b"DATA"]
        smtp.wire.send(b"".join(x + b"\r\n" for x in head))
        replies = [smtp.reply() for _ in head]
        for reply in replies[:-1]:
            smtp.expect(b"250", reply)
        smtp.expect(b"354", replies[-1])
        self.line.mails[key] = Mail(key, known(data)[1], self.line.now(), users, report)
        smtp.wire.send(wire.dot_stuffed(data))
        for _ in users if isinstance(smtp, Lmtp) else users[:1]:
            smtp.expect(b"250", smtp.reply())
        self.line.accepted[key] = self.line.now()

    def send_away(self, key):
        """To a domain elsewhere: deferred until the clock has gone so far that the sender gets a report."""
        with contextlib.suppress(*GONE):
            smtp = wire.Smtp(self.server, port="submission")
            smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0d@example.test\0secret"))
            smtp.message("d@example.test", [f"{key}@example.org"], letter(key, 300), options=b" ENVID=" + key.encode())
            self.line.remote[key] = self.line.now()
            smtp.close()

    # m's mailboxes

    def move(self):
        rng = random.Random(f"{self.seed}/move")
        imap = None
        while self.going_on():
            try:
                imap = imap or self.mover()
                imap.command(b"NOOP")
                rows = imap.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (X-LETTER)])")
            except wire.Refused:
                time.sleep(0.05)  # nothing is there yet
                continue
            except GONE:
                imap = imap and imap.close()
                time.sleep(0.02)
                continue
            keys = {int(v["UID"]): v["BODY[HEADER.FIELDS (X-LETTER)]"].split()[1].decode() for v in rows.values()}
            chosen = rng.sample(sorted(keys), min(len(keys), rng.randint(1, 3)))
            if not chosen:
                time.sleep(0.02)
                continue
            uids = ",".join(map(str, chosen)).encode()
            try:
                self.change_some(imap, uids, [keys[u] for u in chosen], "move" if rng.random() < 0.6 else "expunge")
            except GONE:
                imap = imap.close()
        if imap:
            imap.close()

    def mover(self):
        imap = PlainImap(self.server, "m")
        if b"Archive" not in b"".join(imap.command(b'LIST "" *')):
            imap.command(b"CREATE Archive")
        imap.command(b"SELECT INBOX")
        return imap

    def change_some(self, imap, uids, keys, what):
        if what == "expunge":
            imap.command(b"UID STORE " + uids + b" +FLAGS.SILENT (\\Deleted)")
        sent = self.line.now()
        for key in keys:
            self.line.moves[key][what] = [sent, None]
        imap.command(b"UID MOVE " + uids + b" Archive" if what == "move" else b"UID EXPUNGE " + uids)
        heard = self.line.now()
        for key in keys:
            self.line.moves[key][what][1] = heard

    # r's mailboxes are only looked at

    def watch(self):
        seen = collections.defaultdict(int)
        imaps = {}
        while self.going_on():
            for user in RECEIVERS:
                try:
                    imap = imaps.get(user) or PlainImap(self.server, user)
                    imaps[user] = imap
                    exists, validity = imap.select("INBOX")
                    if not exists:
                        continue
                    items = "(UID BODY.PEEK[HEADER.FIELDS (X-LETTER)])"
                    for v in imap.fetch(f"{seen[user] + 1}:*", items, uid=True).values():
                        key = v["BODY[HEADER.FIELDS (X-LETTER)]"].split()[1].decode()
                        self.line.told[user].append((self.line.now(), validity, int(v["UID"]), key))
                        seen[user] = max(seen[user], int(v["UID"]))
                except GONE:
                    if imaps.get(user):
                        imaps.pop(user).close()
            time.sleep(0.05)
        for imap in imaps.values():
            imap.close()


class Writer:
    """Changes its account step by step; after each, what is there is known."""

    def __init__(self, server, line, user, seed):
        self.server, self.line, self.user = server, line, user
        self.rng = random.Random(f"{seed}/{user}")
        self.imap = None
        self.numbers = 0
        self.marked = None  # (mailbox, UIDs) that are to be expunged
        self.digests = {}  # (validity, uid) -> (key, digest)

    def run(self, going_on):
        if not self.line.states[self.user]:
            self.note(0, "start")
        while going_on():
            sent, what = self.line.now(), "nothing"
            try:
                what = self.step()
            except GONE as e:
                what = f"{what}: {e}"  # the state says what became of it
                self.close()
            self.note(sent, what)
        self.close()

    def close(self):
        if self.imap:
            self.imap.close()
        self.imap = None

    def note(self, sent, what):
        for attempt in range(100):
            try:
                self.imap = self.imap or PlainImap(self.server, self.user)
                value = state_of(self.imap, self.digests)
                break
            except GONE:
                self.close()
                if attempt == 99:
                    raise
                time.sleep(0.05)
        self.line.states[self.user].append(State(sent, self.line.now(), what, value))

    def letter(self):
        self.numbers += 1
        key = f"{self.user}-{self.numbers}"
        data = letter(key, LARGE if self.rng.random() < 0.15 else 400)
        self.line.digests[key] = known(data)[1]
        return data

    def step(self):
        """One change, answered OK when this returns."""
        value = self.line.states[self.user][-1].value
        names = sorted(n for n in value if n != "INBOX")
        full = [n for n in names if value[n][3]]
        choice = self.rng.random()
        self.imap = self.imap or PlainImap(self.server, self.user)
        if self.marked:
            return self.expunge()
        if len(names) < 2 or (choice < 0.1 and len(names) < 5):
            return self.say(b"CREATE " + f"box{self.rng.randrange(1000)}".encode())
        if not full or choice < 0.35:
            return self.append(self.rng.choice(names))
        box = self.rng.choice(full)
        if choice < 0.40:
            return self.say(b"RENAME %s box%d" % (box.encode(), self.rng.randrange(1000, 2000)))
        if choice < 0.44:
            return self.say(b"DELETE " + box.encode())
        self.imap.command(b"SELECT " + box.encode())
        uids = sorted(value[box][3])
        some = ",".join(map(str, self.rng.sample(uids, self.rng.randint(1, min(3, len(uids)))))).encode()
        return self.change(box, names, some, choice)

    def change(self, box, names, some, choice):
        target = self.rng.choice([n for n in names if n != box]).encode()
        if choice < 0.60:
            flag = self.rng.choice((b"\\Seen", b"\\Flagged", b"$one", b"\\Answered"))
            return self.say(b"UID STORE %s %sFLAGS (%s)" % (some, self.rng.choice((b"+", b"-", b"")), flag))
        if choice < 0.72:
            return self.say(b"UID MOVE %s %s" % (some, target))
        if choice < 0.84:
            return self.say(b"UID COPY %s %s" % (some, target))
        self.marked = box, some
        return self.say(b"UID STORE %s +FLAGS (\\Deleted)" % some)

    def expunge(self):
        box, some = self.marked
        self.marked = None
        self.imap.command(b"SELECT " + box.encode())
        return self.say(b"UID EXPUNGE " + some)

    def say(self, command):
        self.imap.command(command)
        return command.decode()

    def append(self, box):
        several = self.rng.choice((1, 1, 1, 3))
        parts, literals = [b"APPEND " + box.encode() + b" (\\Seen $two)"], []
        for _ in range(several):
            literals.append(self.letter())
        if several == 1:
            self.imap.append(box, literals[0], flags="\\Seen $two")
        else:
            self.multiappend(parts[0], literals)
        return f"APPEND {several} to {box}"

    def multiappend(self, head, literals):
        imap = self.imap
        tag = next(imap.tags)
        imap.wire.send(tag + b" " + head)
        for data in literals:
            imap.wire.send(b" {%d}\r\n" % len(data))
            line = wire.imap_line(imap.wire)
            while not line.startswith(b"+"):
                if line.startswith(tag):
                    raise wire.Refused(line)
                line = wire.imap_line(imap.wire)
            imap.wire.send(data)
        imap.wire.send(b"\r\n")
        imap.finish(tag)


def state_of(imap, digests=None):
    """{mailbox: (UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, {uid: (key, digest, flags, modseq)})} of the whole account."""
    digests = {} if digests is None else digests
    value = {}
    for row in imap.command(b'LIST "" *')[:-1]:
        name = row.split()[-1].strip(b'"').decode()
        text = b"\n".join(imap.command(b"EXAMINE %s (CONDSTORE)" % name.encode()))
        numbers = [int(re.search(p, text).group(1)) for p in
                   (rb"UIDVALIDITY (\d+)", rb"UIDNEXT (\d+)", rb"HIGHESTMODSEQ (\d+)", rb"\* (\d+) EXISTS")]
        entries = {}
        if numbers[3]:
            for v in imap.fetch("1:*", "(UID FLAGS MODSEQ)").values():
                flags = tuple(sorted(f for f in v["FLAGS"] if f.lower() != "\\recent"))
                entries[int(v["UID"])] = (flags, int(v["MODSEQ"][0]))
            fresh = [uid for uid in entries if (numbers[0], uid) not in digests]
            if fresh:
                for v in imap.fetch(",".join(map(str, fresh)), "(UID BODY.PEEK[])", uid=True).values():
                    digests[numbers[0], int(v["UID"])] = known(v["BODY[]"])
        value[name] = (*numbers[:3], {uid: (*digests[numbers[0], uid], *e) for uid, e in entries.items()})
    with contextlib.suppress(*GONE):
        imap.command(b"UNSELECT")
    return value


class People:
    """Who changes accounts by the command line."""

    def __init__(self, server, line):
        self.server, self.line = server, line
        self.number = 0

    def run(self, going_on):
        if not self.line.states["accounts"]:
            self.note(0, "start")
        while going_on():
            self.number += 1
            name = f"u{self.number}"
            for order in (("user", "add", f"{name}@{DOMAIN}", "--password-hash", "{PLAIN}x"),
                          ("alias", "add", f"a{self.number}@{DOMAIN}", f"r1@{DOMAIN}"),
                          ("user", "set", f"{name}@{DOMAIN}", "--quota", "7m"),
                          ("user", "del", f"{name}@{DOMAIN}") if self.number % 2 else
                          ("alias", "del", f"a{self.number}@{DOMAIN}")):
                sent = self.line.now()
                self.server.cli(*order)
                self.note(sent, " ".join(order))

    def note(self, sent, what):
        self.line.states["accounts"].append(State(sent, self.line.now(), what, accounts_of(self.server)))


def accounts_of(server):
    users = json.loads(server.cli("user", "list", "--json"))["rows"]
    aliases = json.loads(server.cli("alias", "list", "--json"))["rows"]
    return (tuple(sorted((u["user"], u["id"], u["quota-mb"]) for u in users)),
            tuple(sorted(json.dumps(a, sort_keys=True) for a in aliases)))


# --- the judge ---------------------------------------------------------------------------------------------------------


class Judge:
    def __init__(self, server, line, position):
        self.server, self.line, self.position = server, line, position
        self.found = []

    def judge(self):
        """What is wrong, in words."""
        self.await_queue()
        boxes = {user: self.look(user) for user in USERS}
        self.mails(boxes)
        self.uids(boxes)
        self.reports(boxes)
        for user in WRITERS:
            self.agrees(user, boxes[user])
        self.agrees("accounts", accounts_of(self.server))
        self.counts()
        self.goes_on(boxes)
        return self.found

    def look(self, user):
        imap = PlainImap(self.server, user)
        try:
            return state_of(imap)
        finally:
            imap.close()

    def await_queue(self):
        deadline = time.monotonic() + 30 * self.server.slow
        while True:
            rows = json.loads(self.server.cli("queue", "list", "--json"))["rows"]
            if not [r for r in rows if r["to"].endswith("@" + DOMAIN)]:
                return
            if time.monotonic() > deadline:
                self.found.append(f"the queue does not become empty: {rows}")
                return
            if any(r["state"] == "deferred" for r in rows):
                self.server.cli("queue", "flush")
            time.sleep(0.05)

    def past(self, position):
        return position is not None and position <= self.position

    def mails(self, boxes):
        """Each acknowledged message exactly once for each recipient; the others wholly, or not at all."""
        there = {user: collections.defaultdict(list) for user in boxes}
        for user in RECEIVERS + ("m",):
            for name, (_, _, _, entries) in boxes[user].items():
                for key, digest, _, _ in entries.values():
                    there[user][key].append((name, digest))
        for user in RECEIVERS + ("m",):
            for key, copies in there[user].items():
                mail = self.line.mails.get(key)
                if mail is None or user not in mail.users or not self.past(mail.sent):
                    self.found.append(f"{user}: {key} was not sent to it by then")
                elif any(digest != mail.digest for _, digest in copies):
                    self.found.append(f"{user}: {key} is not as it was sent")
        for key, mail in self.line.mails.items():
            counts = {user: self.allowed(user, key, there[user][key]) for user in mail.users}
            wrong = {user: n for user, n in counts.items() if n not in (0, 1)}
            if wrong:
                self.found.append(f"{key}: copies by user {wrong}")
            elif self.past(self.line.accepted.get(key)) and 0 in counts.values():
                self.found.append(f"{key} was acknowledged and is lost: {counts}")
            elif len(set(counts.values())) > 1:
                self.found.append(f"{key} reached only some of its recipients: {counts}")

    def allowed(self, user, key, copies):
        """How often the user has the message; one that was removed by a session counts as there."""
        if user != "m":
            return len(copies)
        moves = self.line.moves.get(key, {})
        move, expunge = moves.get("move", (None, None)), moves.get("expunge", (None, None))
        where = [name for name, _ in copies]
        if self.past(expunge[1]) and copies:
            self.found.append(f"m: {key} was expunged and is there: {where}")
        if self.past(move[1]) and copies and where != ["Archive"]:
            self.found.append(f"m: {key} was moved and is in {where}")
        if not self.past(move[0]) and "Archive" in where:
            self.found.append(f"m: {key} is in Archive before it was moved")
        return 1 if not copies and self.past(expunge[0]) else len(copies)

    def uids(self, boxes):
        for user in RECEIVERS:
            validity, _, _, entries = boxes[user]["INBOX"]
            for at, told_validity, uid, key in self.line.told[user]:
                if not self.past(at):
                    continue
                if told_validity != validity:
                    self.found.append(f"{user}: UIDVALIDITY was {told_validity} and is {validity}")
                    return
                if entries.get(uid, (None,))[0] != key:
                    self.found.append(f"{user}: UID {uid} was {key} and is {entries.get(uid)}")

    def reports(self, boxes):
        """A report for each delivery for which one was asked, and none besides."""
        wanted, have = collections.Counter(), collections.Counter()
        for key, mail in self.line.mails.items():
            if mail.report:
                for user in mail.users:
                    wanted[key, user] = self.delivered(boxes, user, key)
        waiting = {r["to"] for r in json.loads(self.server.cli("queue", "list", "--json"))["rows"]}
        for key, accepted in self.line.remote.items():
            wanted[key, key] = 1 if self.past(accepted) else None
            have[key, key] = int(f"{key}@example.org" in waiting)
        for text in self.reports_of_d():
            envelope = re.search(rb"^Original-Envelope-Id: (\S+)", text, re.M)
            key = envelope.group(1).decode() if envelope else "?"
            if key in self.line.mails or key in self.line.remote:
                for user in re.findall(rb"^Final-Recipient: rfc822; ?([\w-]+)@", text, re.M):
                    have[key, user.decode()] += 1
        for what in wanted:
            if wanted[what] is not None and wanted[what] != have[what]:
                self.found.append(f"{what}: {have[what]} reports for {wanted[what]} deliveries")

    def delivered(self, boxes, user, key):
        """None: it may have been removed since."""
        n = sum(key == e[0] for _, _, _, entries in boxes[user].values() for e in entries.values())
        return None if user == "m" and not n and self.past(self.line.moves.get(key, {}).get("expunge", (None,))[0]) else n

    def reports_of_d(self):
        imap = PlainImap(self.server, "d")
        try:
            return [body for _, body in imap.bodies("INBOX")]
        finally:
            imap.close()

    def agrees(self, who, value):
        states = self.line.states[who]
        possible = [s for i, s in enumerate(states)
                    if self.past(s.sent) and not (i + 1 < len(states) and self.past(states[i + 1].heard))]
        if not possible or any(s.value == value for s in possible):
            return
        last = possible[0]
        self.found.append(f"{who}: not as after {[s.what for s in possible]}: {difference(last.value, value)}")

    def counts(self):
        text = self.server.cli("quota", "recount", "all")
        if " 0 corrected" not in text:
            self.found.append("barid quota recount: " + text.strip())

    def goes_on(self, boxes):
        """New mail comes, under a UID and a MODSEQ that nobody was given before."""
        smtp = wire.Smtp(self.server)
        smtp.message("s@example.org", [f"{u}@{DOMAIN}" for u in ("r1", "m")], letter("after-the-cut", 300))
        smtp.close()
        for user in ("r1", "m"):
            deadline = time.monotonic() + 20 * self.server.slow
            while True:
                _, _, modseq, entries = self.look(user)["INBOX"]
                mine = [uid for uid, e in entries.items() if e[0] == "after-the-cut"]
                if mine or time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            _, uidnext, before, _ = boxes[user]["INBOX"]
            told = max([t[2] for t in self.line.told[user] if self.past(t[0])], default=0)
            if len(mine) != 1 or mine[0] < max(uidnext, told + 1) or modseq <= before:
                self.found.append(f"{user}: a new message came as {mine}, UIDNEXT was {uidnext}, MODSEQ {before} -> {modseq}")


def difference(a, b):
    if not isinstance(a, dict):
        return f"missing {sorted(set(a[0] + a[1]) - set(b[0] + b[1]), key=str)}, " \
               f"unexpected {sorted(set(b[0] + b[1]) - set(a[0] + a[1]), key=str)}"
    found = [f"missing {n}" for n in sorted(set(a) - set(b))] + [f"unexpected {n}" for n in sorted(set(b) - set(a))]
    for name in sorted(set(a) & set(b)):
        if a[name][:3] != b[name][:3]:
            found.append(f"{name}: {a[name][:3]} became {b[name][:3]}")
        for uid in sorted(set(a[name][3]) | set(b[name][3])):
            if a[name][3].get(uid) != b[name][3].get(uid):
                found.append(f"{name} UID {uid}: {a[name][3].get(uid)} became {b[name][3].get(uid)}")
    return "; ".join(found[:8])

# SPDX-License-Identifier: Apache-2.0
"""barid's routing beside a real Postfix with the reference's maps, over one random directory.

BARID_ROUTE_ADDRESSES (300) is how many addresses are asked for, BARID_ROUTE_SEED which directory is made.
"""
import concurrent.futures
import json
import os
import random
import sqlite3
import subprocess

from harness.postfixroute import PostfixRoute

HOPS = ("relay:[192.0.2.1]:25", "smtp:[mail.away.test]:2525", "lmtp:[192.0.2.2]:24", "smtp:other.test", "relay:[2001:db8::1]:25")


class Directory:
    """Rows as panels write them: every mailbox has its own row or a forwarding."""

    def __init__(self, db, seed):
        self.db, self.r = db, random.Random(seed)
        self.users, self.others = [], []
        self.domains = [f"d{i}.test" for i in range(6)]
        self.backup = ["backup0.test", "backup1.test", "backup2.test"]
        # The last but one has a gateway, the last is switched off; the first ones have copies and no alias domain.
        transports = ["dovecot"] * 4 + ["relay:[192.0.2.9]:25", "dovecot"]
        for i, (d, t) in enumerate(zip(self.domains, transports)):
            self.add("domain", domain=d, transport=t, active=int(i < 5))
        for d, t in zip(self.backup, ("relay:[192.0.2.1]:25", "smtp:[192.0.2.3]", "smtp:")):
            self.add("domain", domain=d, transport=t, backupmx=1)
        self.add("domain", domain="error.test", transport="error:5.1.6 moved away", backupmx=1)
        self.aliases = ["al0.test", "al1.test", "al2.test", "al3.test"]
        for a, target, active in zip(self.aliases, ("d2.test", "d3.test", "d5.test", "d3.test"), (1, 1, 1, 0)):
            self.add("alias_domain", alias_domain=a, target_domain=target, active=active)
        for d in self.domains:
            for i in range(25):
                self.user(f"u{i}@{d}", d)
        for d in self.domains:
            for i in range(12):
                self.alias(f"list{i}@{d}", d)
        for d in ("d1.test", "d3.test"):
            self.forward(d, self.anybody(), d, {})
            self.domains_with_catch_all = ("d1.test", "d3.test")
        for i in range(3):
            self.add("maillists", address=f"ml{i}@d0.test", domain="d0.test", transport=f"mlmmj:d0.test/ml{i}", mlid=f"m{i}")
            self.forward(f"ml{i}@d0.test", f"ml{i}@d0.test", "d0.test", {"is_maillist": 1})
        # Copies and relay hosts.
        for i in range(0, 25, 3):
            self.add("recipient_bcc_user", username=f"u{i}@d0.test", bcc_address=self.anybody(), domain="d0.test", active=self.r.randint(0, 1))
            self.add("sender_bcc_user", username=f"u{i}@d1.test", bcc_address=self.anybody(), domain="d1.test", active=self.r.randint(0, 1))
        self.add("recipient_bcc_domain", domain="d1.test", bcc_address="u1@d2.test")
        self.add("sender_bcc_domain", domain="d0.test", bcc_address="archive@away.example")
        for account, host in (("u1@d0.test", "[relay.one.test]:587"), ("@d0.test", "relay.two.test"), ("u2@d2.test", "[192.0.2.77]:26"),
                              ("<>", "[null.test]")):
            self.add("sender_relayhost", account=account, relayhost=host)
        # Whoever is switched off is so as a member, too.
        db.execute("UPDATE forwardings SET active = 0 WHERE forwarding IN (SELECT username FROM mailbox WHERE active = 0)")
        db.commit()

    def add(self, table, **row):
        names = ", ".join(row)
        self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))

    def forward(self, address, to, domain, flags):
        row = {"address": address, "forwarding": to, "domain": domain, "dest_domain": to.rpartition("@")[2], **flags}
        names = ", ".join(row)
        self.db.execute(f"INSERT OR IGNORE INTO forwardings ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))

    def anybody(self):
        """A target: mostly somebody of ours, with or without detail, sometimes nobody, sometimes far away."""
        r = self.r
        d = r.choice(self.domains[:5])
        user = f"u{r.randrange(25)}@{d}"
        return r.choice([user, user, user, f"u{r.randrange(25)}@{r.choice(self.aliases[:2])}", f"far{r.randrange(9)}@away.example",
                         f"x{r.randrange(9)}@{r.choice(self.backup)}", f"list{r.randrange(12)}@{d}", f"u{r.randrange(25)}+in@{d}", f"nobody@{d}"])

    def user(self, address, domain):
        r = self.r
        off = r.random() < 0.08 and domain not in ("d1.test", "d3.test", "d4.test")
        no_mail = not off and r.random() < 0.04 and domain not in ("d1.test", "d3.test", "d4.test")
        transport = r.choice(HOPS) if r.random() < 0.1 else "dovecot" if r.random() < 0.1 else ""
        self.add("mailbox", username=address, domain=domain, transport=transport, active=int(not off), enabledeliver=int(not no_mail),
                 maildir=f"{address}/")
        self.users.append(address)
        flags = {"is_forwarding": 1, "active": int(not off)}
        kind = r.random()
        if kind < 0.85 or domain in ("d1.test", "d3.test"):  # where the reference's catch-all would take it
            self.forward(address, address, domain, flags)
        if kind > 0.6:
            self.forward(address, self.anybody(), domain, flags)
        for i in range(r.choice((0, 0, 0, 1, 2))):
            alias = f"a{i}.{address}" if r.random() < 0.7 else f"a{i}.{address.partition('@')[0]}@al0.test"
            self.forward(alias, address, alias.partition("@")[2] if "al0" not in alias else domain, {"is_alias": 1, "active": int(not off)})
            self.others.append(alias)

    def alias(self, address, domain):
        r = self.r
        self.add("alias", address=address, domain=domain)
        # Beside others Postfix reads "@domain" as the beginning of a source route.
        if r.random() < 0.1:
            self.forward(address, f"@{r.choice(self.domains)}", domain, {"is_list": 1})
        else:
            for _ in range(r.choice((0, 1, 2, 3, 6))):
                self.forward(address, self.anybody(), domain, {"is_list": 1, "active": int(r.random() < 0.9)})
        self.others.append(address)

    def question(self):
        r = self.r
        address = r.choice([r.choice(self.users), r.choice(self.users), r.choice(self.others), self.anybody(), f"u{r.randrange(30)}@{r.choice(self.aliases)}",
                            f"list{r.randrange(12)}@{r.choice(self.aliases)}", f"ml{r.randrange(3)}@d0.test", f"any@{r.choice(self.backup)}",
                            f"any@{r.choice(self.domains)}", "x@error.test", "far@away.example"])
        user, _, domain = address.rpartition("@")
        if r.random() < 0.3 and "+" not in user:
            user += r.choice(("+box", "+a+b", "+Upper"))
        if r.random() < 0.2:
            user, domain = user.title(), domain.upper()
        sender = r.choice(["", "x@stranger.example", r.choice(self.users), f"u1@{r.choice(self.domains[:3])}", "u1+d@d0.test", "U2@D2.test"])
        return sender, f"{user}@{domain}"

    def copies(self, question):
        """Who is to get a copy, as the rows say."""
        found = set()
        for table, address in zip(("sender", "recipient"), question):
            user, _, domain = address.lower().partition("@")
            rows = []
            for name in (f"{user}@{domain}", f"{user.partition('+')[0]}@{domain}"):
                rows = rows or self.db.execute(f"SELECT bcc_address FROM {table}_bcc_user WHERE username = ? AND active = 1", (name,)).fetchall()
            rows = rows or self.db.execute(f"SELECT bcc_address FROM {table}_bcc_domain WHERE domain = ?", (domain,)).fetchall()
            found |= {a for a, in rows}
        return found

    def takes_mail(self, address):
        """Postfix gives its delivery agent whatever came out; the agent knows who exists."""
        user, _, domain = address.partition("@")
        for name in (address, f"{user.partition('+')[0]}@{domain}"):
            if self.db.execute("SELECT 1 FROM mailbox m JOIN domain d ON d.domain = m.domain WHERE m.username = ? AND m.active = 1 "
                               "AND m.enabledeliver = 1 AND d.active = 1 AND d.backupmx = 0", (name,)).fetchone():
                return True
        return False


# Postfix takes them for domains of others, which they are not.
SWITCHED_OFF = ("d5.test", "al2.test", "al3.test")


def switched_off(address):
    return address.lower().rpartition("@")[2] in SWITCHED_OFF


def of_postfix(directory, address, answer):
    """("refused", code) or a set of ends, as of_barid has them."""
    if isinstance(answer, tuple) or switched_off(address):
        return ("refused", answer[0] if isinstance(answer, tuple) else 550)
    ends = set()
    for service, nexthop, recipient in answer:
        if switched_off(recipient):
            continue
        if service == "dovecot":
            if directory.takes_mail(recipient):
                ends.add(("mailbox", recipient))
            continue
        hop = nexthop if service in ("smtp", "relay") else f"{service}:{nexthop}"
        ends.add(("mx", recipient) if hop == recipient.rpartition("@")[2] else (hop, recipient))
    return ends


def of_barid(rows):
    reply = rows[-1]["result"]
    if reply.startswith(("4", "5")):
        return ("refused", int(reply[:3]))
    ends = set()
    for row in rows:
        if row["step"] not in ("end", "copy"):
            continue
        key, result = row["key"].lower(), row["result"]
        if row["table"] == "mailbox":
            user, _, domain = key.partition("@")
            detail = result.partition(", detail ")[2]
            ends.add(("mailbox", f"{user}+{detail}@{domain}" if ", detail " in result else key))
            continue
        hop = result.lower().removeprefix("smtp:").removeprefix("relay:")
        if hop.startswith("mx of "):
            domain = hop.removeprefix("mx of ")
            hop = "mx" if domain == key.rpartition("@")[2] else domain
        ends.add((hop, key))
    return ends


def route(barid, folder, question):
    sender, address = question
    done = subprocess.run([barid, "--dir", folder, "--json", "route", address, "--sender", sender or "<>"], capture_output=True, check=False)
    assert done.returncode == 0, (question, done.stderr)
    return of_barid(json.loads(done.stdout)["rows"])


def differs(theirs, ours, copies):
    """None, or what is wrong. `copies` gives the ends of the copies alone."""
    if theirs == ours:
        return None
    # An alias that leads nowhere: Postfix takes the message, sends its copies, and finds out later; we refuse the recipient.
    if isinstance(theirs, set) and ours == ("refused", 550) and theirs <= copies():
        return None
    # Aliases that name each other: Postfix gives up, also when some of them lead somewhere.
    if isinstance(theirs, tuple) and theirs[1] in (451, 452):
        return None if ours in (("refused", 451), ("refused", 550)) or isinstance(ours, set) else "loop"
    return "other"


def copies(barid, folder, directory, question):
    """Where the copies of this message go. (That a copy has copies of its own adds to what is allowed here, not to what is asked.)"""
    ends = set()
    for address in directory.copies(question):
        found = route(barid, folder, (question[0], address))
        ends |= found if isinstance(found, set) else set()
    return ends


def case_routes_are_those_of_postfix(t):
    """Some hundred addresses lead where Postfix takes them with the reference's maps, by the same ways."""
    barid = os.path.abspath(os.path.join("build", "barid"))
    folder = t.scratch()
    os.chmod(folder, 0o755)
    state = os.path.join(folder, "state")
    t.run([barid, "--dir", state, "domain", "add", "first.test"])
    database = os.path.join(state, "dir", "vmail.db")
    for part in ("state", "state/dir"):
        os.chmod(os.path.join(folder, part), 0o755)
    db = sqlite3.connect(database)
    directory = Directory(db, int(os.environ.get("BARID_ROUTE_SEED", "1")))
    count = int(os.environ.get("BARID_ROUTE_ADDRESSES", "300"))
    questions = sorted({directory.question() for _ in range(count)})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda q: route(barid, state, q), questions))
    db.execute("PRAGMA journal_mode = DELETE")  # so that readers without the right to write can open it
    db.commit()
    with PostfixRoute(folder, database) as postfix:
        theirs = [of_postfix(directory, q[1], a) for q, a in zip(questions, postfix.ask(questions))]
    wrong, loops, nowhere = [], 0, 0
    for question, a, b in zip(questions, theirs, ours):
        loops += isinstance(a, tuple) and a[1] in (451, 452)
        nowhere += not isinstance(a, tuple) and not a
        if differs(a, b, lambda q=question: copies(barid, state, directory, q)):
            wrong.append((question, a, b))
    t.note(f"{len(questions)} addresses, {sum(isinstance(a, tuple) for a in theirs)} refused, {nowhere} lead nowhere, {loops} loop; {len(wrong)} differ")
    assert not wrong, "\n".join(f"{q}\n  Postfix: {a}\n  barid:   {b}" for q, a, b in wrong[:10])
    assert loops < len(questions) / 4 and nowhere < len(questions) / 3

# SPDX-License-Identifier: Apache-2.0
"""A milter on Debian's python3-milter, and so on libmilter itself: it does what the message's X-Do fields say.

    /usr/bin/python3 -I pymilter.py SOCKET    # "inet:PORT@127.0.0.1", or a path
"""
import sys

import Milter


class Obedient(Milter.Base):
    def __init__(self):
        self.orders, self.seen = [], []

    @Milter.noreply
    def connect(self, hostname, family, hostaddr):
        return Milter.CONTINUE

    def hello(self, hostname):
        self.seen.append(f"helo={hostname}")
        return Milter.CONTINUE

    def envfrom(self, mailfrom, *params):
        self.orders, self.seen = [], self.seen[:1] + [f"from={mailfrom}", *params]
        return Milter.REJECT if "refused-sender" in mailfrom else Milter.CONTINUE

    def envrcpt(self, to, *params):
        self.seen.append(f"to={to}")
        if "user3" in to:
            self.setreply("550", "5.1.1", "user3 has moved 100%%", "for good")
            return Milter.REJECT
        return Milter.CONTINUE

    @Milter.noreply
    def header(self, name, value):
        if name.lower() == "x-do":
            self.orders.append(value)
        return Milter.CONTINUE

    def eoh(self):
        return Milter.REJECT if "reject-at-eoh" in self.orders else Milter.CONTINUE

    def body(self, chunk):
        self.seen.append(f"body={len(chunk)}")
        return Milter.SKIP if "skip" in self.orders else Milter.CONTINUE

    def eom(self):
        for order in self.orders:
            what, *args = order.split("|")
            if what in ("addheader", "chgheader", "addrcpt", "delrcpt", "chgfrom", "replacebody", "quarantine"):
                numbers = {2} if what in ("addheader",) and len(args) > 2 else {1} if what == "chgheader" else set()
                getattr(self, what)(*[int(a) if i in numbers else a for i, a in enumerate(args)])
            elif what == "progress":
                self.progress()
        self.addheader("X-Seen", ",".join(self.seen))
        self.addheader("X-Queue", self.getsymval("i") or "none")
        for word, verdict in (("reject", Milter.REJECT), ("tempfail", Milter.TEMPFAIL), ("discard", Milter.DISCARD),
                              ("accept", Milter.ACCEPT)):
            if word in self.orders:
                return verdict
        return Milter.CONTINUE


Milter.factory = Obedient
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM | Milter.QUARANTINE)
Milter.runmilter("obedient", sys.argv[1], 60)

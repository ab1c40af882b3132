# SPDX-License-Identifier: Apache-2.0
"""Rules about mail: edits of other programs count, refusals can be traced, and a database that is locked or broken holds up nothing."""
import os
import re
import smtplib
import socket
import sqlite3
import time

CONF = "[]\nxclient_from = 127.0.0.0/8\n"


class Asker:
    """A connection to port 7777."""

    def __init__(self, server):
        self.s = socket.create_connection((server.host, server.ports["policy"]), timeout=30)
        self.rest = b""

    def ask(self, **attributes):
        request = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "client_address": "192.0.2.7", **attributes}
        self.s.sendall("".join(f"{k}={v}\n" for k, v in request.items()).encode() + b"\n")
        while b"\n\n" not in self.rest:
            more = self.s.recv(4096)
            assert more, "the connection ended"
            self.rest += more
        answer, self.rest = self.rest.split(b"\n\n", 1)
        return answer.decode().removeprefix("action=")


def database(server):
    return sqlite3.connect(os.path.join(server.dir, "policy", "policy.db"), timeout=30)


def black(server, sender):
    with database(server) as db:
        db.execute("INSERT OR IGNORE INTO mailaddr (priority, email) VALUES (10, ?)", (sender,))
        db.execute("INSERT INTO wblist SELECT users.id, mailaddr.id, 'B' FROM users, mailaddr"
                   " WHERE users.email = '@.' AND mailaddr.email = ?", (sender,))


def case_rows_of_others_count_and_refusals_are_traced(t):
    with t.own_server(users=1, env={"BARID_DEMO_CONF": CONF}) as server:
        asker = Asker(server)
        mail = {"sender": "evil@far.test", "recipient": "user1@example.test"}
        assert asker.ask(**mail) == "DUNNO"
        black(server, "evil@far.test")
        t.until(lambda: asker.ask(**mail).startswith("REJECT Blacklisted"), what="the row of another program")
        number = re.search(r"\(([0-9a-f]+)\)", asker.ask(**mail))[1]
        t.until(lambda: "wblist" in server.cli("trace", number), what="the story of a refusal")
        # The same rows count on port 25.
        s = smtplib.SMTP(server.host, server.ports["smtp"], timeout=30)
        s.ehlo("mx.far.test")
        assert s.docmd("XCLIENT", "ADDR=192.0.2.7 NAME=mx.far.test HELO=mx.far.test PROTO=ESMTP")[0] == 220
        assert s.docmd("MAIL FROM:<evil@far.test>")[0] == 250
        code, text = s.docmd("RCPT TO:<user1@example.test>")
        assert code == 554 and b"Recipient address rejected: Blacklisted (" in text, (code, text)
        s.close()

        def noted():
            with database(server) as db:
                return db.execute("SELECT count(*) FROM smtp_sessions WHERE action = 'REJECT'").fetchone()[0] >= 3

        t.until(noted, what="rows of smtp_sessions")


def case_a_locked_database_holds_up_nothing(t):
    with t.own_server(users=1, env={"BARID_DEMO_CONF": CONF}) as server:
        asker = Asker(server)
        black(server, "evil@far.test")
        mail = {"sender": "evil@far.test", "recipient": "user1@example.test"}
        t.until(lambda: asker.ask(**mail).startswith("REJECT"), what="the row")
        db = database(server)
        db.isolation_level = None
        db.execute("BEGIN EXCLUSIVE")
        slowest = 0.0
        for _ in range(50):
            begun = time.monotonic()
            assert asker.ask(**mail).startswith("REJECT")
            assert asker.ask(sender="a@far.test", recipient="user1@example.test") == "DUNNO"
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 5 * server.slow, slowest
        db.execute("ROLLBACK")
        t.until(lambda: db.execute("SELECT count(*) FROM smtp_sessions").fetchone()[0] >= 50, what="what was to be written")
        db.close()


def case_mta_dies_and_is_asked_again(t):
    with t.own_server(users=1, env={"BARID_DEMO_CONF": CONF}) as server:
        asker = Asker(server)
        mail = {"sender": "a@far.test", "recipient": "user1@example.test"}
        assert asker.ask(**mail) == "DUNNO"
        server.kill("mta")
        assert asker.ask(**mail) == "DUNNO"

# SPDX-License-Identifier: Apache-2.0
"""What was expunged comes back by `barid undelete`, and a mailbox is shown as it was; also where a process dies meanwhile."""
import datetime
import imaplib
import json
import math
import time

from harness import wire


def login(server, user):
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=wire.tls_context())
    client.login(user, "secret")
    return client


def put(client, mailbox, *subjects):
    for subject in subjects:
        status, _ = client.append(mailbox, r"(\Flagged)", None, b"Subject: %s\r\n\r\nbody of %s\r\n" % (subject, subject))
        assert status == "OK"


def subjects(client):
    """Of the selected mailbox, in its order."""
    _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [item[1].split()[1].decode() for item in data if isinstance(item, tuple)]


def expunge(client, mailbox, numbers):
    client.select(mailbox)
    client.store(numbers, "+FLAGS.SILENT", r"(\Deleted)")
    client.expunge()


def moment():
    """The next full second: everything before is older, everything after is not."""
    now = time.time()
    time.sleep(math.ceil(now) - now + 0.02)
    return datetime.datetime.fromtimestamp(math.ceil(now), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def case_a_mailbox_as_it_was(t):
    """imaplib selects INBOX@TIME: what was there then, read-only, in no LIST; COPY takes out of it; a new process knows it."""
    with t.own_server(users=1) as server:
        client = login(server, "user1@example.test")
        before = moment()
        put(client, "INBOX", b"one", b"two", b"three")
        then = moment()
        expunge(client, "INBOX", "1:2")
        put(client, "INBOX", b"four")
        after = moment()
        status, data = client.select(f"INBOX@{before}", readonly=True)
        assert status == "OK" and data == [b"0"], data
        client.select(f"INBOX@{then}", readonly=True)
        assert subjects(client) == ["one", "two", "three"]
        _, data = client.search(None, "BODY", '"body of tw"')
        assert data == [b"2"], data
        assert client.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
        server.kill("user")
        assert subjects(client) == ["one", "two", "three"], "after its process was killed"
        assert client.copy("2", "INBOX")[0] == "OK"
        client.select(f"INBOX@{after}", readonly=True)
        assert subjects(client) == ["three", "four"]
        client.select("INBOX")
        assert subjects(client) == ["three", "four", "two"]
        _, data = client.list('""', "*")
        assert not any(b"@" in line for line in data), data
        assert client.select("INBOX@2026-99-01T00:00:00Z")[0] == "NO"
        client.select("INBOX")
        client.logout()


def case_undelete_of_a_moment(t):
    """--at brings what was there then and went since, into a mailbox of one's choice, and nothing twice; --json tells."""
    with t.own_server(users=1) as server:
        user = "user1@example.test"
        client = login(server, user)
        put(client, "INBOX", b"old")
        expunge(client, "INBOX", "1")
        put(client, "INBOX", b"a", b"b")
        client.create("Work")
        put(client, "Work", b"w")
        then = moment()
        expunge(client, "INBOX", "1")
        put(client, "INBOX", b"late")
        expunge(client, "INBOX", "2")
        client.delete("Work")
        rows = json.loads(server.cli("undelete", user, "--json", "--list"))["rows"]
        assert {r["mailbox"][0]: r["messages"] for r in rows} == {"I": "3", "#": "1"}, rows
        rows = json.loads(server.cli("undelete", user, "--at", then, "--json"))["rows"]
        assert {r["mailbox"][0]: r["messages"] for r in rows} == {"I": "1", "#": "1"}, rows
        out = json.loads(server.cli("undelete", user, "INBOX", "--at", then, "--into", "INBOX", "--json"))["rows"]
        assert out == [{"mailbox": "INBOX", "into": "INBOX", "messages": "1"}], out
        assert "Undeleted/#" in server.cli("undelete", user, "--all", "--at", then)
        client.select("INBOX")
        assert subjects(client) == ["b", "a"]
        assert server.cli("undelete", user, "--at", then).startswith("Nothing")
        client.logout()


def case_killed_while_it_brings_back(t):
    """The process dies before or after the commit of an undelete: said again, it is done, and done once."""
    with t.own_server(users=2) as server:
        for user, point in (("user1@example.test", "store.before-commit"), ("user2@example.test", "store.after-commit")):
            client = login(server, user)
            put(client, "INBOX", b"x", b"y", b"z")
            expunge(client, "INBOX", "1:*")
            client.logout()
            server.expect_restart("user")
            server.cli("debug", "crash-point", "user", point)
            undelete = ("undelete", user, "INBOX", "--into", "INBOX")
            code, _ = server.cli(*undelete, check=False)
            assert code != 0, "it should have died"
            for _ in range(200):
                server.cli(*undelete, check=False)
                code, out = server.cli("undelete", user, check=False)
                if code == 0 and out.startswith("Nothing"):
                    break
                time.sleep(0.1)
            client = login(server, user)
            client.select("INBOX")
            assert sorted(subjects(client)) == ["x", "y", "z"], point
            client.logout()

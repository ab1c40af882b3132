# SPDX-License-Identifier: Apache-2.0
"""The search index in a running server: answers are right before, while and after it is made, whatever happens to it."""
import glob
import imaplib
import json
import os
import shutil
import time

from harness import wire

USER = "user1@example.test"
WORDS = ["Holiday", "Grüße", "日本語", "Привет", "invoice", "café"]
NEEDLES = ["oliday", "grüß", "本", "本語", "ПРИВ", "cafe", "nvoice 7", "x", "e7", "not there", "invoice 11"]


def login(server):
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=wire.tls_context())
    client.login(USER, "secret")
    client.select("INBOX")
    return client


def put(client, first, n):
    """So many messages, number i with some of WORDS and its number."""
    for start in range(first, first + n, 25):
        command = b"APPEND INBOX"
        for i in range(start, min(start + 25, first + n)):
            text = f"{WORDS[i % len(WORDS)]} {i} {WORDS[i * 7 % 5]} e{i}"
            message = f"Subject: s{i}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
            command += b" {%d+}\r\n" % len(message) + message
        tag = client._new_tag()
        client.send(tag + b" " + command + b"\r\n")
        while not (line := client.readline()).startswith(tag):
            pass
        assert b" OK " in line, line


def search(client, needle):
    client.literal = needle.encode()
    _, data = client.search("UTF-8", "BODY")
    return [int(n) for n in data[0].split()]


def answers(server):
    client = login(server)
    found = {needle: search(client, needle) for needle in NEEDLES}
    client.logout()
    return found


def complete(server):
    for _ in range(600):
        row = json.loads(server.cli("search-index", "status", USER, "--json"))["rows"][0]
        if row["state"] == "complete":
            return row
        time.sleep(0.05)
    raise AssertionError(row)


def case_right_whatever_happens_to_the_index(t):
    """Killed while it works, its folder taken away, damaged, switched off, made again: SEARCH says the same."""
    with t.own_server(users=1) as server:
        client = login(server)
        put(client, 0, 300)
        client.logout()
        expected = answers(server)
        assert expected["oliday"] and expected["not there"] == [] and len(expected["本"]) >= 50
        row = complete(server)
        assert int(row["files"]) == 1 and int(row["bytes"]) > 10000, row
        assert answers(server) == expected
        for point in ("search.signing", "search.after-append"):
            server.expect_restart("user")
            server.cli("debug", "crash-point", "user", point)
            server.cli("search-index", "rebuild", USER)
            complete_after_death(server)
            assert answers(server) == expected, point
        root = os.path.join(server.dir, "store", "search")
        shutil.rmtree(root)
        assert answers(server) == expected
        server.kill("user")
        complete_after_death(server)
        assert answers(server) == expected
        for path in glob.glob(root + "/*/tail"):
            with open(path, "r+b") as f:
                f.seek(500)
                f.write(b"damage")
        assert answers(server) == expected
        server.kill("user")
        complete_after_death(server)
        assert answers(server) == expected


def complete_after_death(server):
    for _ in range(200):
        code, out = server.cli("search-index", "status", USER, "--json", check=False)
        if code == 0 and json.loads(out)["rows"][0]["state"] == "complete":
            return
        time.sleep(0.05)
    raise AssertionError(out)

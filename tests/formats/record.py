#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record.py BUILD FOLDER - keep what the barid in BUILD writes to disk, as a fixture for all later versions.

Run once per release: it fills a server with a little of everything, stops it in order, and writes FOLDER:

    NAME.sql       each database below the state folder as text, with its numbers (application id, version)
    files.json     every other file: path, mode, content (zlib, base64)
    manifest.json  what a client saw before the stop, and so must see in any later version

`tests/e2e/formats.py` starts the present server on it. A fixture is never changed after its release.
"""
import hashlib
import json
import os
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)

from harness import formats, wire  # noqa: E402  (needs the path above)
from harness.server import Server  # noqa: E402

# {SSHA512}: what a panel of the reference would have written for "Carol's own".
SALT = b"barid-fx"
CAROL_PASSWORD = "Carol's own"


def ssha512(password):
    import base64  # pylint: disable=import-outside-toplevel
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + SALT).digest() + SALT).decode()


def mail(subject, size=200):
    """A message of about `size` octets that compresses well."""
    head = (f"From: Sender <sender@example.org>\r\nTo: someone@example.test\r\nSubject: {subject}\r\n"
            f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\n")
    line = f"{subject}: a line that comes again and again, so that a large message is a small file.\r\n"
    return (head + line * (1 + size // len(line))).encode()


MULTIPART = wire.crlf(b"""From: Sender <sender@example.org>
To: alice@example.test
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= with a picture
Date: Sat, 21 Nov 2026 11:00:00 +0000
Message-ID: <multipart@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Gr\xc3\xbc\xc3\x9fe.
--b1
Content-Type: image/png; name="dot.png"
Content-Transfer-Encoding: base64

iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
--b1--
""")


def wait(condition, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not happen in {seconds} s")
        time.sleep(0.1)


def add_accounts(server):
    for words in (["domain", "add", "example.net", "--description", "the second domain"],
                  ["domain", "alias-add", "example.com", "example.test"],
                  ["user", "add", "carol@example.net", "--password-hash", ssha512(CAROL_PASSWORD), "--name", "Carol Ö.",
                   "--quota", "100"],
                  ["user", "set", "bob@example.test", "--forward", "carol@example.net"],
                  ["user", "set", "alice@example.test", "--alias", "al@example.test"],
                  ["alias", "add", "team@example.test", "alice@example.test", "carol@example.net"],
                  ["domain", "catch-all", "example.net", "carol@example.net"]):
        server.cli(*words)


def fill(server):
    smtp = wire.Smtp(server)
    smtp.message("sender@example.org", ["alice@example.test"], mail("first"))
    smtp.message("sender@example.org", ["al@example.com", "bob@example.test"], mail("large for two", 70000))
    smtp.message("sender@example.org", ["team@example.test"], mail("for the team"))
    smtp.message("sender@example.org", ["alice+Work@example.test"], mail("with a detail"))
    smtp.message("sender@example.org", ["anyone@example.net"], mail("caught"))
    smtp.message("", ["alice@example.test"], mail("null sender"))
    smtp.close()
    alice = wire.Imap(server, "alice@example.test")
    wait(lambda: alice.messages("INBOX") == 5, "delivery to alice")
    for name in ("Work", "Work/2026", "Gr&APwA3w-e", "Gone"):
        alice.command(b"CREATE " + wire.quote(name))
    alice.command(b"SUBSCRIBE Work")
    alice.command(b"DELETE Gone")
    alice.append("INBOX", MULTIPART, "\\Seen $Forwarded", "21-Nov-2026 11:00:00 +0100")
    alice.append("Work/2026", mail("appended and large", 90000), "\\Flagged", "01-Jan-2026 00:00:00 +0000")
    alice.append("Gr&APwA3w-e", mail("in a folder with a name"))
    alice.select("INBOX")
    alice.command(b"UID STORE 1 +FLAGS (\\Answered \\Seen)")
    alice.command(b"UID STORE 2 +FLAGS ($Label1 important)")
    alice.command(b"UID COPY 2 Work")
    alice.command(b"UID MOVE 4 Work/2026")
    alice.command(b"UID STORE 3 +FLAGS (\\Deleted)")
    alice.command(b"EXPUNGE")
    alice.command(b"UID STORE 5 +FLAGS (\\Deleted)")
    alice.close()


def keep_in_queue(server):
    """Three that wait: one deferred, one held, one held and large. (A delivery is given up for now after two minutes.)

    Returns {number: {"to": address, "sha256": of what was sent}}.
    """
    server.freeze("user")
    smtp = wire.Smtp(server)
    waiting = {}
    for subject, size in (("deferred", 200), ("held", 200), ("held and large", 70000)):
        to, data = "bob@example.test" if subject == "held" else "alice@example.test", mail(subject, size)
        number = smtp.message("sender@example.org", [to], data).decode().split()[-1]
        waiting[number] = {"to": to, "sha256": hashlib.sha256(data).hexdigest()}
    smtp.close()
    wait(lambda: server.cli("queue", "list").count("deferred") == 4, "the delivery given up for now", 150)
    for number in list(waiting)[1:]:
        server.cli("queue", "hold", number)
    server.kill("user")
    server.await_role("user")
    return waiting


def mailboxes_of(imap):
    names = []
    for line in imap.command(b'LIST "" "*"')[:-1]:
        values = wire.imap_tokens(line[len(b"* LIST "):])
        name = values[2]
        names.append(name.decode() if isinstance(name, bytes) else name)
    return sorted(names)


def seen_by_client(server, manifest):
    """What IMAP shows of every account."""
    for user, entry in manifest["users"].items():
        imap = wire.Imap(server, user, entry["password"])
        entry["subscribed"] = sorted(line.decode().split()[-1].strip('"') for line in imap.command(b'LSUB "" "*"')[:-1])
        entry["mailboxes"] = {name: formats.look(imap, name) for name in mailboxes_of(imap)}
        imap.close()


def record(build, folder):
    os.environ["BARID_DEMO_CONF"] = "[store]\npartitions = 4\n"
    version = subprocess.run([os.path.join(build, "barid"), "version"], capture_output=True, text=True, check=True)
    manifest = {"version": version.stdout.split()[-1], "partitions": 4, "users": {
        "alice@example.test": {"password": "secret"}, "bob@example.test": {"password": "secret"},
        "carol@example.net": {"password": CAROL_PASSWORD}, "postmaster@example.test": {"password": "secret"}}}
    server = Server(build=build)
    try:
        server.start()
        add_accounts(server)
        fill(server)
        wait(lambda: "@" not in server.cli("queue", "list"), "an empty queue")
        manifest["waiting"] = keep_in_queue(server)
        seen_by_client(server, manifest)
        manifest["queue"] = json.loads(server.cli("queue", "list", "--json"))["rows"]
        for what in ("domain", "alias", "user"):
            manifest[what] = json.loads(server.cli(what, "list", "--json"))["rows"]
        server.stop()
        formats.write(server.dir, folder, manifest)
    finally:
        server.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    record(os.path.abspath(sys.argv[1]), sys.argv[2])

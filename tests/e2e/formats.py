# SPDX-License-Identifier: Apache-2.0
"""State folders of all released versions: this version serves them with every message, flag, UID and password, also
when it is killed while it brings them forward; and it refuses what a later version wrote.

tests/formats/VERSION are the fixtures, tests/formats/record.py makes one at a release.
"""
import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import time

from harness import formats, wire
from harness.case import Skip

NEWER = 999


class Old:
    """A server on a copy of a fixture."""

    def __init__(self, t, version):
        self.manifest = formats.manifest_of(version)
        self.server = t.own_server(env={"BARID_DEMO_CONF": f"[store]\npartitions = {self.manifest['partitions']}\n"})
        formats.restore(version, self.server.dir)

    def close(self):
        self.server.stop()
        problems = self.server.problems()
        self.server.close(keep=bool(problems))
        assert not problems, "\n".join(problems)


def as_sent(body):
    return body[body.index(b"From: Sender"):]


def mailbox_is_there(imap, name, old, where):
    new = formats.look(imap, name)
    if "refused" in old:
        assert "refused" in new, f"{where}: could not be selected, and now can"
        return
    assert new["uidvalidity"] == old["uidvalidity"], f"{where}: UIDVALIDITY {new['uidvalidity']}, was {old['uidvalidity']}"
    assert new["uidnext"] >= old["uidnext"], f"{where}: UIDNEXT fell to {new['uidnext']}"
    assert new["highestmodseq"] >= old["highestmodseq"], f"{where}: HIGHESTMODSEQ fell to {new['highestmodseq']}"
    for uid, message in old["messages"].items():
        assert new["messages"].get(uid) == message, f"{where}, UID {uid}: {new['messages'].get(uid)}, was {message}"
    extra = [uid for uid in new["messages"] if uid not in old["messages"] and int(uid) < old["uidnext"]]
    assert not extra, f"{where}: UIDs {extra} came back"


def everything_is_there(server, manifest):
    """What IMAP showed of each account before it was kept is what it shows now."""
    for user, account in manifest["users"].items():
        imap = wire.Imap(server, user, account["password"])
        subscribed = sorted(line.decode().split()[-1].strip('"') for line in imap.command(b'LSUB "" "*"')[:-1])
        assert subscribed == account["subscribed"], f"{user}: subscribed to {subscribed}, was {account['subscribed']}"
        for name, old in account["mailboxes"].items():
            mailbox_is_there(imap, name, old, f"{user} {name}")
        imap.close()


def accounts_are_there(server, manifest):
    import json  # pylint: disable=import-outside-toplevel
    for what in ("domain", "alias"):
        rows = json.loads(server.cli(what, "list", "--json"))["rows"]
        for old in manifest[what]:
            assert any(all(new.get(k) == v for k, v in old.items()) for new in rows), f"{what} {old} is not among {rows}"


def wrong_password_is_wrong(server, manifest):
    user, account = next(iter(manifest["users"].items()))
    try:
        wire.Imap(server, user, account["password"] + "x").close()
    except wire.Refused:
        return
    raise AssertionError(f"{user}: a wrong password is good")


def modseq_grows(server, manifest):
    """A change after the upgrade is later than all before."""
    user, account = next((u, a) for u, a in manifest["users"].items() if a["mailboxes"]["INBOX"]["messages"])
    old = account["mailboxes"]["INBOX"]
    uid = next(iter(old["messages"]))
    imap = wire.Imap(server, user, account["password"])
    imap.select("INBOX")
    imap.command(b"UID STORE %s +FLAGS (later)" % uid.encode())
    got = imap.fetch(uid, "(UID FLAGS MODSEQ)", uid=True)
    values = next(iter(got.values()))
    assert "later" in values["FLAGS"] and int(values["MODSEQ"][0]) > old["highestmodseq"], f"{values}: not later than {old}"
    imap.close()


def queue_goes_on(t, server, manifest):
    """What was held can be released, what was deferred comes by itself; each arrives once, as it was sent."""
    server.cli("queue", "release", "all")
    for number, entry in manifest["waiting"].items():
        password = manifest["users"][entry["to"]]["password"]

        def arrived(entry=entry, password=password):
            imap = wire.Imap(server, entry["to"], password)
            first = manifest["users"][entry["to"]]["mailboxes"]["INBOX"]["uidnext"]
            found = [body for uid, body in imap.bodies("INBOX") if uid >= first]
            imap.close()
            return [b for b in found if hashlib.sha256(as_sent(b)).hexdigest() == entry["sha256"]]

        t.until(arrived, what=f"delivery of {number} to {entry['to']}")
        assert len(arrived()) == 1, f"{number} came more than once"
    t.until(lambda: "@" not in server.cli("queue", "list"), what="an empty queue")


def case_released_formats_are_served(t):
    """Each released version's state folder: accounts, mail, flags, UIDs, MODSEQs, passwords and the queue are all there."""
    for version in formats.versions():
        old = Old(t, version)
        try:
            old.server.start()
            everything_is_there(old.server, old.manifest)
            accounts_are_there(old.server, old.manifest)
            wrong_password_is_wrong(old.server, old.manifest)
            queue_goes_on(t, old.server, old.manifest)
            everything_is_there(old.server, old.manifest)
            modseq_grows(old.server, old.manifest)
            old.server.restart()
            databases_are_sound(old.server)
        finally:
            old.close()
    t.note(", ".join(formats.versions()))


def databases_are_sound(server):
    """Read beside the running server where that is allowed: here, after it has stopped."""
    server.stop()
    for top, _, names in os.walk(server.dir):
        for name in names:
            if name.endswith(".db"):
                db = sqlite3.connect(os.path.join(top, name))
                found = db.execute("PRAGMA integrity_check").fetchall()
                db.close()
                assert found == [("ok",)], f"{name}: {found[:3]}"


def case_killed_while_it_migrates(t):
    """SIGKILL of everything at random moments of the first starts on an old state: nothing is missing afterwards."""
    seed = random.randrange(1, 10**6)
    rng = random.Random(seed)
    kills = 0
    for version in formats.versions():
        old = Old(t, version)
        server = old.server
        try:
            for _ in range(12):
                with open(server.log, "ab") as log:
                    server.proc = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=subprocess.STDOUT, env=server.env, cwd=server.scratch)
                time.sleep(rng.uniform(0.005, 0.25))
                server.kill_all()
                kills += 1
            server.start()
            everything_is_there(server, old.manifest)
            queue_goes_on(t, server, old.manifest)
            databases_are_sound(server)
        finally:
            old.close()
    t.note(f"{kills} kills, seed {seed}")


def refused(server, wanted):
    """The server ends by itself, in time, with the status for that, and says why."""
    with open(server.log, "ab") as log:
        done = subprocess.run(server.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                              env=server.env, cwd=server.scratch, timeout=20, check=False)
    assert done.returncode == 78, f"ended with {done.returncode}, not 78\n{server.log_tail()}"
    for words in wanted:
        assert words in server.log_text(), f"the log does not say {words!r}\n{server.log_tail()}"
    assert "ready\n" not in server.log_text().splitlines(), "it served all the same"


def case_a_later_format_is_refused(t):
    """A file of a later version: the server does not start, says which barid made it, and leaves it alone."""
    version = formats.versions()[-1]
    for short in formats.manifest_of(version)["databases"]:
        old = Old(t, version)
        try:
            path = os.path.join(old.server.dir, short)
            if short.startswith("dir/"):  # `barid demo` itself would refuse: the role is asked in a running server
                continue
            db = sqlite3.connect(path, isolation_level=None)
            db.executescript(f"""CREATE TABLE IF NOT EXISTS barid_format (version INTEGER PRIMARY KEY, writer TEXT NOT NULL,
                made DATETIME NOT NULL, position INTEGER);
                INSERT INTO barid_format VALUES ({NEWER}, '42.0.0', datetime('now'), NULL);
                PRAGMA user_version = {NEWER};""")
            db.close()
            with open(path, "rb") as f:
                before = hashlib.sha256(f.read()).digest()
            refused(old.server, [os.path.basename(short), f"has format {NEWER}, made by barid 42.0.0", "install that barid"])
            with open(path, "rb") as f:
                assert hashlib.sha256(f.read()).digest() == before, f"{short} was changed"
        finally:
            old.close()


def case_a_later_directory_is_refused(t):
    """The same of the accounts database, by the command line too."""
    old = Old(t, formats.versions()[-1])
    try:
        db = sqlite3.connect(os.path.join(old.server.dir, "dir/vmail.db"), isolation_level=None)
        db.execute(f"PRAGMA user_version = {NEWER}")
        db.close()
        code, text = old.server.cli("user", "list", check=False)
        assert code == 1 and f"has format {NEWER}, made by a newer barid" in text, text
    finally:
        old.close()


def case_a_foreign_or_later_tree_is_refused(t):
    """Bodies of a later format, and a folder that is not barid's, are refused before anything is opened."""
    for text, wanted in (("barid-blob 2\n", "blob has format 2"), ("something\n", "is not barid's")):
        old = Old(t, formats.versions()[-1])
        try:
            with open(os.path.join(old.server.dir, "blob", "format"), "w", encoding="ascii") as f:
                f.write(text)
            refused(old.server, [wanted])
        finally:
            old.close()


def case_a_full_disk_leaves_the_old_state(t):
    """No room to bring a state forward: the server says so, and with room again everything is there."""
    if os.getuid() != 0 or not shutil.which("mount"):
        raise Skip("needs root, to mount a small file system")
    folder = t.scratch()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False).returncode:
        raise Skip("may not mount a file system here")
    try:
        full_disk(t, folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def full_disk(t, folder):
    old = Old(t, formats.versions()[0])
    server = old.server
    try:
        shutil.move(server.dir, os.path.join(folder, "state"))
        server.dir = os.path.join(folder, "state")
        filler = os.path.join(folder, "filler")
        fill = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fill, b"x" * 4096)
        except OSError:
            os.close(fill)
        with open(server.log, "ab") as log:
            server.proc = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, env=server.env, cwd=server.scratch)
        time.sleep(2)
        if server.proc.poll() is None:
            server.kill_all()
        os.unlink(filler)
        server.start()
        everything_is_there(server, old.manifest)
        databases_are_sound(server)
    finally:
        old.close()

# SPDX-License-Identifier: Apache-2.0
"""The restore drill: backups under load, one of them killed, one damaged; the machine is lost and comes back; a mailbox
and a user come back into a running server."""
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from harness import wire

READERS = ("user1", "user2", "user3")


def message(sender, number, size):
    head = (f"From: s{sender}@example.org\r\nTo: all@example.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            f"Subject: {sender}/{number}\r\nMessage-ID: <{sender}.{number}@drill.example>\r\n\r\n")
    line = hashlib.sha256(f"{sender}/{number}".encode()).hexdigest() + "\r\n"
    return (head + line * (1 + size // len(line))).encode()


class Load:
    """Senders; what was answered with 250, and when."""

    def __init__(self, server, senders=4):
        self.server, self.stopping = server, False
        self.mutex = threading.Lock()
        self.acknowledged = []  # (user, digest)
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(senders)]
        for thread in self.threads:
            thread.start()

    def send(self, sender):
        rng = random.Random(sender)
        smtp, number = wire.Smtp(self.server), 0
        while not self.stopping:
            user = READERS[number % len(READERS)]
            data = message(sender, number, rng.choice((100, 1000, 5000, 5000, 20000, 100000)))
            smtp.message(f"s{sender}@example.org", [f"{user}@example.test"], data)
            with self.mutex:
                self.acknowledged.append((user, hashlib.sha256(data).digest()))
            number += 1
        smtp.close()

    def so_far(self):
        with self.mutex:
            return list(self.acknowledged)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)


def contents(server, user):
    """How often each message is in INBOX."""
    imap = wire.Imap(server, f"{user}@example.test", timeout=60)
    found = collections.Counter(hashlib.sha256(body[body.index(b"From: s"):]).digest()
                                for _, body in imap.bodies("INBOX"))
    imap.close()
    return found


def validities(server):
    imap = wire.Imap(server, "user1@example.test")
    found = {box: imap.status(box, "UIDVALIDITY") for box in ("INBOX", "Sent", "Trash")}
    imap.close()
    return found


def generations(server, folder):
    return [g["generation"] for g in json.loads(server.cli("backup", folder, "--list", "--json"))["generations"]]


def kill_one(server, folder):
    """A backup that is killed somewhere."""
    running = subprocess.Popen([os.path.join(server.build, "barid"), "backup", folder, "--dir", server.dir],
                               env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.04)
    running.send_signal(signal.SIGKILL)
    running.wait()


def damage(folder):
    """One byte of the largest body changes."""
    bodies = [os.path.join(top, name) for top, _, names in os.walk(os.path.join(folder, "bodies")) for name in names]
    victim = max(bodies, key=lambda p: (os.path.getsize(p), p))
    with open(victim, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    return os.path.basename(victim)


def case_restore_drill(t):
    """Whatever was accepted before a backup began is there exactly once after the machine was lost."""
    folder = os.path.join(t.scratch(), "backups")
    with t.own_server(users=4) as server:
        load = Load(server)
        try:
            time.sleep(1.5)
            server.cli("backup", folder)
            kill_one(server, folder)
            first = generations(server, folder)
            assert len(first) >= 1, first
            time.sleep(0.5)
            before = load.so_far()
            begun = time.monotonic()
            server.cli("backup", folder)
            took = time.monotonic() - begun
            name = generations(server, folder)[-1]
            time.sleep(0.5)
        finally:
            load.stop()
        assert name not in first and len(before) > 50, (name, first, len(before))
        told = validities(server)
        incremental = server.cli("backup", folder)
        assert "unchanged" in incremental, incremental
        check_verification(server, folder)
        server.kill_all()
        shutil.rmtree(server.dir)
        server.cli("restore", folder, "--generation", name)
        code, text = server.cli("restore", folder, check=False)
        assert code == 1 and "not empty" in text, (code, text)
        check_interrupted_restore(server, folder, name)
        server.start()
        check_all_there(t, server, before)
        again = validities(server)
        assert all(again[box] > told[box] for box in told), (told, again)
    t.note(f"{len(before)} messages before a backup of {took:.1f} s under load")


def check_interrupted_restore(server, folder, name):
    """A restore that was killed has left logs with an epoch that nobody knows any more: the next begins from nothing."""
    path = os.path.join(server.dir, "spool", "spool.db")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE spool SET epoch = randomblob(16)")
        db.commit()
        shutil.copy(path + "-wal", path + ".log")
    db.close()
    os.rename(path + ".log", path + "-wal")
    with open(os.path.join(server.dir, "restoring"), "w", encoding="ascii"):
        pass
    stale = os.path.getsize(path + "-wal")
    server.cli("restore", folder, "--generation", name)
    assert stale > 0 and not os.path.exists(path + "-wal")
    db = sqlite3.connect(path)
    pending = db.execute("SELECT number, rcpt FROM rcpt").fetchall()
    epoch, = db.execute("SELECT epoch FROM spool").fetchone()
    db.close()
    epochs = set()
    for part in sorted(os.listdir(os.path.join(server.dir, "store"))):
        if part.endswith(".db"):
            db = sqlite3.connect(os.path.join(server.dir, "store", part))
            epochs |= {e for e, n, r in db.execute("SELECT epoch, number, rcpt FROM receipt") if (n, r) in pending}
            db.close()
    assert epochs <= {epoch}, "deliveries would be repeated: their receipts are in another epoch"


def check_verification(server, folder):
    server.cli("backup", folder, "--verify")
    victim = damage(folder)
    code, text = server.cli("backup", folder, "--verify", check=False)
    assert code == 4 and victim in text and "@example.test" in text, (code, text)
    elsewhere = os.path.join(os.path.dirname(folder), "elsewhere")
    done = subprocess.run([os.path.join(server.build, "barid"), "restore", folder, "--dir", elsewhere], env=server.env,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4 and victim in done.stderr, (done.returncode, done.stdout, done.stderr)
    code, text = server.cli("backup", folder, "--verify", "--repair", check=False)
    assert code == 4, text
    server.cli("backup", folder, "--keep", "3")
    server.cli("backup", folder, "--verify")
    assert len(generations(server, folder)) == 3


def reads_a_partition(pid):
    try:
        return any("part-" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def stopped_behind_the_spool(server, folder):
    """A backup that has copied the spool, stopped among the partitions; None: it was too fast."""
    running = subprocess.Popen([os.path.join(server.build, "barid"), "backup", folder, "--dir", server.dir],
                               env=server.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while running.poll() is None and not reads_a_partition(running.pid):
        time.sleep(0.0005)
    running.send_signal(signal.SIGSTOP)
    if running.poll() is None and reads_a_partition(running.pid):
        return running
    running.send_signal(signal.SIGCONT)
    running.communicate(timeout=30)
    return None


def case_a_backup_ends_with_its_hold(t):
    """queue ends after the spool was copied: the next queue lets receipts go that the copy needs, so it is no backup."""
    folder = os.path.join(t.scratch(), "backups")
    with t.own_server(users=2) as server:
        imap = wire.Imap(server, "user1@example.test")
        for i in range(40):
            imap.append("INBOX", message(1, i, 50000))
        imap.close()
        running = None
        for _ in range(20):
            running = running or stopped_behind_the_spool(server, folder)
        assert running, "no backup could be stopped"
        before = os.listdir(os.path.join(folder, "generations"))
        server.kill("queue")
        server.await_role("queue")
        running.send_signal(signal.SIGCONT)
        text = running.communicate(timeout=30)[0]
        assert running.returncode == 1 and "begin again" in text, (running.returncode, text)
        assert os.listdir(os.path.join(folder, "generations")) == before
        server.cli("backup", folder)
        server.cli("backup", folder, "--verify")


def check_all_there(t, server, before):
    t.until(lambda: "empty" in server.cli("queue", "list"), what="the queue becomes empty")
    lost = 0
    found = {user: contents(server, user) for user in READERS}
    for user in READERS:
        twice = [d for d, n in found[user].items() if n > 1]
        assert not twice, f"{len(twice)} messages of {user} are there more than once"
    for user, digest in before:
        lost += digest not in found[user]
    assert lost == 0, f"{lost} of {len(before)} messages are lost"


def case_mailbox_comes_back_while_a_client_watches(t):
    """One mailbox, out of a backup into the running server: IDLE tells, flags and dates are kept, nothing twice."""
    folder = os.path.join(t.scratch(), "backups")
    with t.own_server(users=2) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.command(b"CREATE Work")
        for i in range(6):
            imap.append("Work", message(1, i, 90000 if i == 3 else 500), flags="\\Flagged $Label2",
                        date="05-Nov-2026 10:20:30 +0000")
        kept = imap.bodies("Work")
        server.cli("backup", folder)
        imap.command(b"SELECT Work")
        imap.command(b"STORE 1:4 +FLAGS (\\Deleted)")
        imap.command(b"EXPUNGE")
        validity = imap.select("Work")[1]
        imap.wire.send(b"i IDLE\r\n")
        while not wire.imap_line(imap.wire).startswith(b"+"):
            pass
        restore = ("restore", folder, "--account", "user1@example.test", "--mailbox", "Work", "--in-place")
        assert "4 messages restored, 2 were there" in server.cli(*restore)
        seen = b""
        while b"6 EXISTS" not in seen:
            seen += wire.imap_line(imap.wire, 5)
        imap.wire.send(b"DONE\r\n")
        imap.finish(b"i")
        assert "0 messages restored, 6 were there" in server.cli(*restore)
        exists, now = imap.select("Work")
        assert (exists, now) == (6, validity), (exists, now, validity)
        rows = imap.fetch("1:*", "(UID FLAGS INTERNALDATE)", uid=False)
        assert sorted(int(r["UID"]) for r in rows.values()) == [5, 6, 7, 8, 9, 10], rows
        assert all(b"$Label2" in repr(r["FLAGS"]).encode() for r in rows.values()), rows
        assert all(b"5-Nov-2026 10:20:30" in r["INTERNALDATE"] for r in rows.values()), rows
        assert sorted(b for _, b in imap.bodies("Work")) == sorted(b for _, b in kept)
        imap.command(b"SELECT INBOX")
        imap.command(b"DELETE Work")
        server.cli(*restore)
        exists, later = imap.select("Work")
        assert exists == 6 and later > validity, (exists, later, validity)
        imap.close()
        check_deleted_user(server, folder)


def case_undelete(t):
    """Expunged messages and a deleted mailbox come back within their time; moved ones are not lost; nothing twice."""
    server = t.server(users=4)
    imap = wire.Imap(server, "user4@example.test")
    imap.command(b"CREATE Old")
    for i in range(4):
        imap.append("INBOX", message(7, i, 500), flags="\\Flagged $Label3")
    for i in range(2):
        imap.append("Old", message(8, i, 80000))
    imap.command(b"DELETE Old")
    imap.select("INBOX")
    imap.command(b"MOVE 1 Archive")
    imap.command(b"STORE 1:2 +FLAGS (\\Deleted)")
    imap.command(b"EXPUNGE")
    undelete = ("undelete", "--account", "user4@example.test")
    rows = json.loads(server.cli(*undelete, "--json"))["rows"]
    assert sorted(r["messages"] for r in rows) == ["2", "2"], rows
    gone = [r["mailbox"] for r in rows if r["mailbox"].startswith("#")]
    server.cli(*undelete, "--mailbox", "INBOX", "--into", "INBOX")
    server.cli(*undelete, "--mailbox", gone[0], "--into", "Old")
    assert imap.messages("INBOX") == 3 and imap.messages("Old") == 2
    imap.select("INBOX")
    flags = imap.fetch("1:*", "(FLAGS)")
    assert all(b"$Label3" in repr(r["FLAGS"]).encode() and b"Deleted" not in repr(r["FLAGS"]).encode()
               for r in flags.values()), flags
    assert "Nothing" in server.cli(*undelete)
    imap.close()


def case_no_room_for_another_keyword(t):
    """A mailbox that has given all its keywords takes a large message all the same, with those that it has."""
    folder = os.path.join(t.scratch(), "backups")
    with t.own_server(users=1) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.command(b"CREATE Other")
        imap.append("Other", message(1, 1, 90000), flags="\\Flagged k7 extra")
        imap.append("Other", message(1, 2, 500), flags="k8")
        kept = imap.bodies("Other")
        server.cli("backup", folder)
        imap.command(b"CREATE Work")
        imap.append("Work", message(2, 1, 500))
        imap.select("Work")
        imap.command(b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % i for i in range(58)) + b")")
        out = server.cli("restore", folder, "--account", "user1@example.test", "--mailbox", "Other", "--into", "Work")
        assert "2 messages restored" in out, out
        assert sorted(b for _, b in imap.bodies("Work"))[:2] == sorted(b for _, b in kept)
        imap.select("Work")
        flags = [repr(r["FLAGS"]) for r in imap.fetch("2:3", "(FLAGS)", uid=False).values()]
        assert "k7" in flags[0] and "Flagged" in flags[0] and "extra" not in flags[0] and "k8" in flags[1], flags
        imap.close()


def check_deleted_user(server, folder):
    server.cli("user", "del", "user1@example.test")
    out = server.cli("restore", folder, "--account", "user1@example.test")
    assert "the user is back" in out, out
    imap = wire.Imap(server, "user1@example.test")
    boxes = b"\n".join(imap.command(b'LIST "" "Restored/*"'))
    assert b"/Work" in boxes, boxes
    imap.close()


def case_backup_of_a_stopped_server_and_one_account(t):
    """Without a server, and one account alone; a move keeps UIDVALIDITY when asked to."""
    folder, single = os.path.join(t.scratch(), "all"), os.path.join(t.scratch(), "one")
    server = t.own_server(users=2)
    try:
        server.start()
        imap = wire.Imap(server, "user2@example.test")
        imap.append("INBOX", message(9, 1, 70000))
        told = imap.status("INBOX", "UIDVALIDITY")
        imap.close()
        server.cli("backup", single, "--account", "user2@example.test", "--mailbox", "INBOX")
        server.stop()
        begun = next(p for i in range(16) if not os.path.exists(p := os.path.join(server.dir, "store", f"part-{i:03}.db")))
        with open(begun, "wb"):
            pass  # the server died before it had written into it
        server.cli("backup", folder)
        server.cli("backup", folder, "--verify")
        server.cli("backup", single, "--verify")
        # A role owns its folder, and root reads it: a link there brings nothing of the machine into a backup.
        os.symlink("/etc/passwd", os.path.join(server.dir, "dir", "leak"))
        code, text = server.cli("backup", os.path.join(t.scratch(), "leak"), check=False)
        assert code == 4 and "dir/leak cannot be read" in text, (code, text)
        shutil.rmtree(server.dir)
        server.cli("restore", folder, "--keep-uidvalidity")
        server.start()
        imap = wire.Imap(server, "user2@example.test")
        assert imap.status("INBOX", "UIDVALIDITY") == told
        out = server.cli("restore", single, "--account", "user2@example.test", "--into", "Old")
        assert "1 messages restored" in out, out
        assert imap.messages("Old/INBOX") == 1
        imap.close()
        server.stop()
    finally:
        server.close()
    assert not server.problems(), server.problems()

# SPDX-License-Identifier: Apache-2.0
"""Mail to many other servers, some of which are away: a burst of it, and a queue that is full of it."""
import hashlib
import multiprocessing
import os
import re
import socket
import sqlite3
import subprocess
import time

from .. import drive, place, side

SINK, CLOSED = 2599, 2598  # where every destination listens, and where none does
DOMAINS = 1000
BODY = b"From: a@client.example\r\nSubject: news\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56 + b".\r\n"


def hop(i):
    """Every third destination is away; each is a host of its own."""
    return f"[127.9.{i // 250}.{i % 250 + 1}]:{CLOSED if i % 3 == 2 else SINK}"


def tell_barid(b):
    for i in range(DOMAINS):
        done = subprocess.run([b.environment["BARID"], "domain", "add", f"d{i}.example", "--backupmx", "on", "--transport",
                               f"relay:{hop(i)}", "--dir", os.path.join(b.dir, "state")], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise place.Failure(f"bench: domain d{i}.example: {done.stderr}{done.stdout}")


def tell_postfix(c):
    etc = os.path.join(c.dir, "etc")
    with open(os.path.join(etc, "transport"), "w", encoding="ascii") as f:
        f.writelines(f"d{i}.example smtp:{hop(i)}\n" for i in range(DOMAINS))
    with open(os.path.join(etc, "relay"), "w", encoding="ascii") as f:
        f.writelines(f"d{i}.example ok\n" for i in range(DOMAINS))
    for name in ("transport", "relay"):
        subprocess.run(["postmap", "-c", etc, f"hash:{etc}/{name}"], check=True)
    with open(os.path.join(etc, "main.cf"), "a", encoding="ascii") as f:
        f.write(f"relay_domains = hash:{etc}/relay\ntransport_maps = hash:{etc}/transport\nrelay_recipient_maps =\n")
    with open(os.path.join(etc, "master.cf"), encoding="ascii") as f:
        master = f.read()
    if not re.search(r"^relay ", master, re.M):
        with open(os.path.join(etc, "master.cf"), "a", encoding="ascii") as f:
            f.write("relay unix - - n - - smtp\n")
    subprocess.run(["postfix", "-c", etc, "reload"], check=True, capture_output=True)


def push(port, first, last, step):
    """A client's share of the burst: one connection, a message after the other."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        f = s.makefile("rb")

        def reply(n=1):
            for _ in range(n):
                while (line := f.readline())[3:4] == b"-":
                    pass
                if line[:1] not in b"23":
                    raise place.Failure(f"bench: {line}")
        reply()
        s.sendall(b"EHLO client.example\r\n")
        reply()
        for i in range(first, last, step):
            s.sendall(b"MAIL FROM:<a%d@client.example>\r\nRCPT TO:<u%d@d%d.example>\r\nDATA\r\n" % (i % 50, i, i % DOMAINS))
            reply(3)
            s.sendall(BODY)
            reply()
        s.sendall(b"QUIT\r\n")


class Sink:
    """smtp-sink on every loopback address, which counts what it gets."""

    def __enter__(self):
        self.out = open(os.path.join(place.scratch(), "sink.out"), "w+b")
        self.process = subprocess.Popen(["smtp-sink", "-u", "nobody", "-c", f"0.0.0.0:{SINK}", "1000"], stdout=self.out, stderr=subprocess.STDOUT)
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise place.Failure("bench: smtp-sink does not start")
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()
        self.out.close()

    def count(self):
        size = os.fstat(self.out.fileno()).st_size
        tail = os.pread(self.out.fileno(), 200, max(0, size - 200))
        found = re.findall(rb"mesg=(\d+)", tail)
        return int(found[-1]) if found else 0


def peak_kib(s, name):
    """The most memory that the queue's process has had."""
    for pid in s.pids():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if name not in f.read():
                    continue
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])
        except OSError:
            continue
    return 0


def one_burst(s, n, name, limit=1500):
    want = sum(1 for i in range(n) if i % DOMAINS % 3 != 2)
    with Sink() as sink:
        cpu, begun = s.cpu(), time.monotonic()
        clients = [multiprocessing.Process(target=push, args=(s.port("smtp"), k, n, 20)) for k in range(20)]
        for c in clients:
            c.start()
        while sink.count() < want:
            if time.monotonic() - begun > limit:
                raise place.Failure(f"bench: {s.name} delivered {sink.count()} of {want} in {limit} s")
            time.sleep(0.05)
        took = time.monotonic() - begun
        for c in clients:
            c.join()
        return {"seconds": round(took, 2), "delivered": want, "rate": round(want / took), "cpu_s": round(s.cpu() - cpu, 2),
                "queue_mib": round(peak_kib(s, name) / 1024, 1)}


def burst(record, size):
    """100,000 messages to 1,000 domains of which a third cannot be reached, until all others are delivered."""
    n = size.of(100000)
    for kind, tell, name in ((side.Barid, tell_barid, b"barid-queue"), (side.Classic, tell_postfix, b"qmgr")):
        with kind() as s:
            tell(s)
            record.add("burst", s.name, one_burst(s, n, name))


def fill(path, n):
    """Deferred mail to 1,000 domains, due in half an hour and later, as the queue keeps it (docs/formats/spool.md)."""
    body = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 4
    sha, now = hashlib.sha256(body).digest(), int(time.time() * 1e6)
    db = sqlite3.connect(path, isolation_level=None)
    base = (db.execute("SELECT max(number) FROM message").fetchone()[0] or 0) + 1
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    db.executemany("INSERT INTO message (number, trace, sender, envid, ret, smtputf8, eightbit, auth_account, arrival, body_size,"
                   " sha256, prefix, map, body, given) VALUES (?, ?, ?, '', 0, 0, 0, 0, ?, ?, ?, x'', x'', ?, 1)",
                   ((base + i, i + 1, f"s{i % 5000}@from{i % 700}.example", now, len(body), sha, body) for i in range(n)))
    db.executemany("INSERT INTO rcpt (number, rcpt, state, account, address, transport, original, orcpt, notify, attempts, crashes,"
                   " warned, due, status, text, nexthop) VALUES (?, 0, 1, 0, ?, '', ?, '', 0, 1, 0, 0, ?, '4.4.1', 'away', ?)",
                   ((base + i, f"u{i}@d{i % 1000}.example", f"u{i}@d{i % 1000}.example", now + 1800 * 10**6 + i * 1000,
                     f"d{i % 1000}.example") for i in range(n)))
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def first_page(b):
    begun = time.monotonic()
    subprocess.run([b.environment["BARID"], "queue", "list", "--dir", os.path.join(b.dir, "state")], check=True,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def million(record, size):
    """1,000,000 deferred messages: start, rate of acceptance beside an empty queue, the first page of the list, memory."""
    n = size.of(1000000)
    with side.Barid() as b:
        for what, queued in (("empty", 0), ("full", n)):
            if queued:
                path = os.path.join(b.dir, "state", "spool", "spool.db")
                owner = os.stat(path)
                b.halt()
                fill(path, queued)
                for end in ("", "-wal", "-shm"):
                    if os.path.exists(path + end):
                        os.chown(path + end, owner.st_uid, owner.st_gid)
                b.again()
                side.ready(b)
            start = side.restart(b)
            drive.accepted(b, 20, size.of(2000), 4096)
            for i in range(size.rounds):
                data = drive.accepted(b, 20, size.of(5000), 4096)
                record.add("deferred", f"barid, {what}", {"rate": data["rate"], "start_s": round(start, 3),
                                                          "page_ms": round(1000 * first_page(b), 1), "messages": queued,
                                                          "queue_mib": round(peak_kib(b, b"barid-queue") / 1024, 1)}, round=i + 1)

# SPDX-License-Identifier: Apache-2.0
"""Memory: of an idle IMAP client, and of everything while nothing happens."""
import os
import re
import subprocess
import time

from .. import drive, place, side

MESSAGES = 1000


def strangers(sides):
    """Processes of other mail servers on this machine: they share pages of libraries, and make a side look smaller."""
    ours = {p for s in sides for p in s.pids()}
    n = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        except OSError:
            continue
        n += int(pid) not in ours and name.startswith(("barid", "dovecot", "master", "amavis", "rspamd", "mariadbd"))
    return n


def fill(s, users):
    """Each mailbox gets its messages by IMAP."""
    place.say(f"  {s.name}: {MESSAGES} messages into each of {users} mailboxes")
    for i in range(1, users + 1):
        drive.run("imapload", "-p", s.port("imaps"), "-T", "fill", "-U", f"user{i}", "-m", "INBOX", "-n", MESSAGES, "-s", 700, "-b", 500)


def fill_maildirs(s, users):
    """The first mailbox by IMAP, the others as copies of its files: Dovecot would need minutes."""
    fill(s, 1)
    folder = os.path.join(s.dir, "vmail", "example.test")
    for i in range(2, users + 1):
        subprocess.run(["cp", "-a", f"{folder}/user1", f"{folder}/user{i}"], check=True)


def settle(s, seconds):
    """Until memory stops falling: idle sessions are put away after a moment."""
    last, until = s.memory_kib(), time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(2)
        kib = s.memory_kib()
        if kib > last - 16:
            return kib
        last = kib
    return last


def idle(record, s, name, users, wait):
    """Memory that one more idle client costs: all processes before and while each account has one."""
    side.restart(s)
    time.sleep(2)
    before = s.memory_kib()
    with drive.Program("imapload", "-p", s.port("imaps"), "-T", "-u", users, "idle", "-k", users) as clients:
        clients.line()
        time.sleep(wait)
        after = settle(s, 20)
        clients.process.stdin.close()
        clients.process.wait()
    record.add("idle client", name, {"clients": users, "kib": round((after - before) / users, 2), "all_mib": round(after / 1024, 1)})


def hibernating(text):
    """What the shared script writes for HIBERNATE=2s."""
    text = re.sub(r"imap_hibernate_timeout = \S+", "imap_hibernate_timeout = 2s", text)
    return re.sub(r"service_count = 256\n  process_min_avail = 4", "service_count = 1\n  process_min_avail = 0", text)


def client(record, size):
    """Memory of one idle IMAP client over TLS, each in its own account with 1,000 messages."""
    users = 60 if size.quick else 300
    with side.Classic(users=users, FSYNC="never") as c:
        fill_maildirs(c, users)
        for _ in range(size.rounds):
            idle(record, c, c.name, users, 4)
        c.configure_dovecot(hibernating)
        for _ in range(size.rounds):
            idle(record, c, "hibernated", users, 8)
    with side.Barid(users=users) as b:
        fill(b, users)
        for _ in range(size.rounds):
            idle(record, b, b.name, users, 4)


def everything(record, size):
    """Memory of everything while nothing happens."""
    for i in range(size.rounds):
        with side.Barid() as b:
            side.restart(b)
            time.sleep(3)
            record.add("idle", b.name, {"mib": round(b.memory_kib() / 1024, 1), "processes": len(b.pids()), "strangers": strangers([b])}, round=i + 1)
        with side.Classic() as c:
            time.sleep(3)
            record.add("idle", c.name, {"mib": round(c.memory_kib() / 1024, 1), "processes": len(c.pids()), "strangers": strangers([c])}, round=i + 1)
    with side.Side("MariaDB, LDAP, memcached", "stack") as stack, side.Side("Amavisd", "amavis", FORWARD=2526) as amavis, \
            side.Side("policy", "policy") as policy, side.Classic(CONTENT_FILTER="127.0.0.1:21024") as c:
        drive.run("smtpload", *drive.smtp_arguments(c, 2, 20, 4096))  # its filters have loaded what they use
        parts = (c, amavis, policy, stack)
        time.sleep(3)
        for i in range(size.rounds):
            mib = {s.name: round(s.memory_kib() / 1024, 1) for s in parts}
            record.add("idle", "everything classic", {"mib": round(sum(mib.values()), 1), "parts": mib}, round=i + 1)
            time.sleep(1)

# SPDX-License-Identifier: Apache-2.0
"""Memory: of an idle IMAP client, and of everything while nothing happens."""
import contextlib
import os
import re
import subprocess
import time

from .. import drive, imap, place, side
from .searching import EAGER, caught_up

MESSAGES = 1000
REST_SECONDS = 60  # barid: a session rests after 10 s, caches go after 30, what is free goes back after 90 at most


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
        drive.run("imapload", "-p", s.port("imaps"), "-T", "fill", "-U", f"user{i}", "-m", "INBOX", "-n", MESSAGES, "-s", 700, "-b", 50)


def fill_maildirs(s, users):
    """The first mailbox by IMAP, the others as copies of its files: Dovecot would need minutes."""
    fill(s, 1)
    folder = os.path.join(s.dir, "vmail", "example.test")
    for i in range(2, users + 1):
        subprocess.run(["cp", "-a", f"{folder}/user1", f"{folder}/user{i}"], check=True)


def settle(s, quiet):
    """Memory once it has not fallen for so many seconds: sessions are put away, threads end and caches go."""
    least, since = s.memory_kib(), time.monotonic()
    while time.monotonic() - since < quiet:
        time.sleep(1)
        kib = s.memory_kib()
        if kib < 0.99 * least:
            least, since = kib, time.monotonic()
    return kib


def held(s, users, clients, quiet):
    """Memory of a fresh server while so many clients idle."""
    side.restart(s)
    with drive.Program("imapload", "-p", s.port("imaps"), "-T", "-u", users, "idle", "-k", clients) as program:
        program.line()
        kib = settle(s, quiet)
        program.process.stdin.close()
        program.process.wait()
    return kib


def idle(record, s, name, users, quiet):
    """What one more idle client costs: each is in an account of its own; a fifth of them beside all of them, because
    the first bring in code and tables that all share."""
    few = users // 5
    some, all_ = held(s, users, few, quiet), held(s, users, users, quiet)
    record.add("idle client", name, {"clients": users, "kib": round((all_ - some) / (users - few), 2), "all_mib": round(all_ / 1024, 1)})


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
            idle(record, b, b.name, users, 15 if size.quick else REST_SECONDS)


ONE, MANY = 1, 50


def resting(b, mailbox, quiet):
    """Memory with ONE, then with MANY sessions in IDLE that are silent for so many seconds; with the mailbox selected and
    its newest messages looked at, or in no mailbox at all. In KiB."""
    side.restart(b)
    found = []
    with contextlib.ExitStack() as stack:
        for more in (ONE, MANY - ONE):
            for _ in range(more):
                session = stack.enter_context(imap.Imap(b.port("imaps"), "user1"))
                if mailbox:
                    session.command("SELECT INBOX")
                    session.command("UID FETCH *:* (UID FLAGS)")
                session.idle()
            time.sleep(quiet)
            found.append(b.memory_kib())
    return found


def sessions(record, size):
    """Memory of 1, then 50 sessions on one mailbox of 100,000 messages, beyond that of as many in no mailbox."""
    n = size.of(100000)
    with side.Barid(users=1, BARID_DEMO_CONF=EAGER) as b:
        place.say(f"  {b.name}: {n} messages into one mailbox")
        drive.run("imapload", "-p", b.port("imaps"), "-T", "fill", "-U", "user1", "-m", "INBOX", "-n", n, "-s", 700, "-b", 50)
        caught_up(b, n)
        for i in range(size.rounds):
            plain, selected = (resting(b, mailbox, 15 if size.quick else REST_SECONDS + 1) for mailbox in (False, True))
            for count, without, with_ in zip((ONE, MANY), plain, selected):
                record.add(f"sessions, {count}", b.name, {"messages": n, "without_kib": without, "with_kib": with_, "kib": with_ - without},
                           round=i + 1)


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

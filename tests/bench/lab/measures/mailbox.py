# SPDX-License-Identifier: Apache-2.0
"""IMAP beside Dovecot, over TLS on both sides, with the same mails. Both servers are up, and take turns.

Dovecot keeps its mail as mdbox, its faster format, except in the mix. "First after start" is the first command of its kind
after a restart, by one session (the system's page cache is warm on both sides); "warm" is the same again, by a new session.
No command is asked twice in a row by one session where an answer kept from the last time would do.
"""
import os
import statistics

from .. import drive, place, side
from . import growth
from .searching import EAGER, caught_up
from .end_to_end import turns

BIG, MID, SOME = 100000, 20000, 10000
FETCHES = {"FLAGS": "FETCH 1:* (UID FLAGS)", "ENVELOPE": "FETCH 1:* (ENVELOPE)",
           "BODYSTRUCTURE": "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE BODYSTRUCTURE)"}


def arguments(s, *more):
    return ["-p", s.port("imaps"), "-T", *more]


def session(s, *commands, user="user1"):
    """One session's commands: how long each took, in ms."""
    return [line["first_ms"] for line in drive.lines("imapload", *arguments(s, "cmd", "-U", user), *commands)]


def fill(s, box, n, size, user="user1", batch=50):
    place.say(f"  {s.name}: {n} messages into {box} of {user}")
    return drive.run("imapload", *arguments(s, "fill", "-U", user, "-m", box, "-n", n, "-s", size, "-b", batch))


def mix(record, size):
    """IMAP: a realistic mix of commands, 20 sessions over TLS, Dovecot with maildir."""
    with side.Classic(FORMAT="maildir") as c, side.Barid() as b:
        for s in (c, b):
            for i in range(1, 21):
                drive.run("imapload", *arguments(s, "fill", "-U", f"user{i}", "-n", 100, "-s", 4096, "-b", 50))

        def run(s):
            s.quiet()
            cpu = s.cpu()
            data = drive.run("imapload", *arguments(s, "-u", 20, "mix", "-c", 20, "-t", size.seconds(8)))
            return {"ops_s": data["ops_s"], "sessions_s": data["sessions_s"], "cpu_s_per_1000": round((s.cpu() - cpu) * 1000 / data["ops"], 4),
                    **{f"{k}_p50_ms": v["p50_ms"] for k, v in data.items() if isinstance(v, dict)}}
        for s in (c, b):
            drive.run("imapload", *arguments(s, "-u", 20, "mix", "-c", 20, "-t", 1))
        turns(record, size, [c, b], "mix", run)


def plain_passwords(c):
    """Dovecot's users with a password that costs nothing to compare."""
    path = os.path.join(c.dir, "etc", "passwd")
    with open(path, encoding="ascii") as f:
        names = [line.split(":", 1)[0] for line in f]
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{name}:{{PLAIN}}secret::::::\n" for name in names)


def login(record, size):
    """IMAP: connection, TLS handshake, LOGIN and LOGOUT, 20 at once; passwords are kept as they are on both sides."""
    with side.Classic(FORMAT="mdbox", users=20) as c, side.Barid(users=1) as b:
        plain_passwords(c)
        growth.add_accounts(b, 20)
        n = {c.name: size.of(2000), b.name: size.of(4000)}

        def run(s):
            s.quiet()
            cpu = s.cpu()
            data = drive.run("imapload", *arguments(s, "-u", 20, "login", "-c", 20, "-n", n[s.name]))
            return {"rate": data["rate"], "p50_ms": data["p50_ms"], "p99_ms": data["p99_ms"],
                    "cpu_s_per_1000": round((s.cpu() - cpu) * 1000 / n[s.name], 4),
                    "driver_cpu_s_per_1000": round(data["driver_cpu_s"] * 1000 / n[s.name], 4)}
        for s in (c, b):
            drive.run("imapload", *arguments(s, "-u", 20, "login", "-c", 20, "-n", 100))
        turns(record, size, [c, b], "login", run)


def big_round(s, n):
    """SELECT and FETCH of everything, first after a start and warm."""
    data = {"messages": n}
    for what, command in FETCHES.items():
        side.restart(s)
        selected, fetched = session(s, "SELECT Big", command)
        data.setdefault("select_first_ms", selected)
        data[f"{what}_first_ms"] = fetched
        data[f"{what}_warm_ms"] = session(s, "SELECT Big", command)[1]
    data["select_warm_ms"] = statistics.median(session(s, *["SELECT Small", "SELECT Big"] * 30)[1::2])
    return data


def big(record, size):
    """IMAP: SELECT, and FETCH of flags, envelopes and structures of 100,000 messages."""
    n = size.of(BIG)
    with side.Classic(FORMAT="mdbox", users=2) as c, side.Barid(users=2, BARID_DEMO_CONF=EAGER) as b:
        for s in (c, b):
            fill(s, "Small", 10, 2000)
            fill(s, "Big", n, 2000)
        caught_up(b, n)
        turns(record, size, [c, b], "big", lambda s: big_round(s, n))


def mid_round(s, mid, some):
    """Bodies, flags and moves."""
    data = {"messages": mid}
    bodies = f"FETCH 1:{mid // 10} (BODY.PEEK[])"
    side.restart(s)
    data["bodies_first_ms"] = session(s, "SELECT Mid", bodies)[1]
    data["bodies_warm_ms"] = session(s, "SELECT Mid", bodies)[1]
    for sign in "-+":
        data["store_ms"] = session(s, "SELECT Mid", f"STORE 1:{some} {sign}FLAGS (\\Flagged)")[1]
    data["copy_ms"] = session(s, "CREATE To1", "SELECT Mid", f"COPY 1:{some} To1")[2]
    data["move_ms"] = session(s, "CREATE To2", "SELECT To1", f"MOVE 1:{some} To2")[2]
    data["expunge_ms"] = session(s, "SELECT To2", f"STORE 1:{some} +FLAGS.SILENT (\\Deleted)", "EXPUNGE")[2]
    session(s, "DELETE To1", "DELETE To2")
    return data


def mid(record, size):
    """IMAP: FETCH of bodies, STORE, COPY, MOVE and EXPUNGE in a mailbox of 20,000 messages of 4 KB."""
    n, some = size.of(MID), size.of(SOME)
    with side.Classic(FORMAT="mdbox", users=2) as c, side.Barid(users=2, BARID_DEMO_CONF=EAGER) as b:
        for s in (c, b):
            fill(s, "Mid", n, 4000)
        caught_up(b, n)
        turns(record, size, [c, b], "mid", lambda s: mid_round(s, n, some))


def append(record, size):
    """IMAP: APPEND of 4 KB, durable, by 1 session and by 20."""
    with side.Classic(FORMAT="mdbox") as c, side.Barid() as b:
        for conns, n in ((1, {c.name: 1000, b.name: 2000}), (20, {c.name: 3000, b.name: 8000})):
            def run(s):
                s.quiet()
                data = drive.run("imapload", *arguments(s, "-u", 20, "append", "-c", conns, "-n", size.of(n[s.name]), "-s", 4096))
                return {"rate": data["rate"], "p50_ms": data["p50_ms"], "p99_ms": data["p99_ms"]}
            for s in (c, b):
                drive.run("imapload", *arguments(s, "-u", 20, "append", "-c", conns, "-n", 200, "-s", 4096))
            turns(record, size, [c, b], f"append, {conns}", run)

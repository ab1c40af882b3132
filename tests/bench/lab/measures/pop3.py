# SPDX-License-Identifier: Apache-2.0
"""POP3 beside Dovecot with mdbox, over TLS on both sides, with the same mails; passwords that cost nothing on either side."""
from .. import drive, side
from . import growth
from .end_to_end import turns
from .mailbox import arguments as imap, plain_passwords

SESSIONS, USERS, MESSAGES = 20, 200, 200  # nobody has two sessions at a time


def popload(s, *more):
    return drive.run("popload", "-p", s.port("pop3s"), "-T", "-u", USERS, "-c", SESSIONS, *more)


def measure(record, size):
    """POP3: login, STAT, UIDL and RETR of 200 messages of 4 KB, 20 sessions at once; the same without RETR."""
    with side.Classic(FORMAT="mdbox", users=USERS) as c, side.Barid(users=1) as b:
        plain_passwords(c)
        growth.add_accounts(b, USERS)
        for s in (c, b):
            for i in range(1, USERS + 1):
                drive.run("imapload", *imap(s, "fill", "-U", f"user{i}", "-n", MESSAGES, "-s", 4096, "-b", 50))

        def fetch(s):
            s.quiet()
            cpu = s.cpu()
            data = popload(s, "-n", size.of(200))
            return {"messages_s": data["messages_s"], "mb_s": data["mb_s"],
                    "cpu_s_per_1000": round((s.cpu() - cpu) * 1000 / data["messages"], 4),
                    "driver_cpu_s_per_1000": round(data["driver_cpu_s"] * 1000 / data["messages"], 4)}

        def look(s):
            s.quiet()
            cpu = s.cpu()
            data = popload(s, "-n", size.of(2000), "-m", 0)
            return {"sessions_s": data["sessions_s"], "p50_ms": data["p50_ms"], "p99_ms": data["p99_ms"],
                    "cpu_s_per_1000": round((s.cpu() - cpu) * 1000 / data["sessions"], 4)}
        for s in (c, b):
            popload(s, "-n", USERS)
        turns(record, size, [c, b], "fetch", fetch)
        turns(record, size, [c, b], "look", look)

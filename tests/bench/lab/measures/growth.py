# SPDX-License-Identifier: Apache-2.0
"""What more accounts and longer mailboxes cost barid: the same work on few and on many."""
import os
import random
import statistics
import subprocess

from .. import drive, imap, place, side

SMALL, LARGE = "barid, small", "barid, large"

# What a client asks of one message or one mailbox; {n} is a message in the middle. Commands that change something take
# turns with what changes it back, or make something each time.
COMMANDS = {
    "NOOP": ["NOOP"],
    "SELECT": ["SELECT {box}"],
    "STATUS": ["STATUS {box} (MESSAGES UNSEEN UIDNEXT)"],
    "FETCH of one envelope": ["FETCH {n} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"],
    "FETCH of one body": ["FETCH {n} (BODY.PEEK[])"],
    "STORE of one": ["STORE {n} +FLAGS (\\Answered)", "STORE {n} -FLAGS (\\Answered)"],
    "COPY of one": ["COPY {n} Aside"],
    "SEARCH of one UID": ["UID SEARCH UID {n}"],
}


def add_accounts(b, n):
    """user1 to userN in an order of chance: one after the other in the driver is then any of them in the store."""
    path = os.path.join(place.scratch(), "users.csv")
    users = list(range(1, n + 1))
    random.Random(n).shuffle(users)
    with open(path, "w", encoding="ascii") as f:
        f.write("address,password-hash\n")
        f.writelines(f"user{i}@example.test,{{PLAIN}}secret\n" for i in users)
    done = subprocess.run([b.environment["BARID"], "user", "add", "--file", path, "--skip-existing", "--dir",
                           os.path.join(b.dir, "state")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise place.Failure(f"bench: accounts are not added: {done.stderr.strip()[-500:]}")


def accounts(record, size):
    """The same messages to few accounts and to many, each time after a restart."""
    few, many, n = 100, size.of(10000), size.of(10000)
    with side.Barid(users=1) as b:
        add_accounts(b, many)
        drive.accepted(b, 20, many, 4096, "-u", many)  # each has its mailbox
        for i in range(size.rounds):
            for users, who in ((few, SMALL), (many, LARGE)):
                side.restart(b)
                data = drive.accepted(b, 20, n, 4096, "-u", users)
                record.add("a message, hit at random after a restart", who, dict(data, cost=data["cpu_s_per_1000"], accounts=users), round=i + 1)


def timed(sessions, commands, repeats):
    """Medians in ms of the first command and of all, of each session; they take turns, so that noise meets both."""
    took = [[] for _ in sessions]
    for i in range(repeats):
        for (session, words), into in zip(sessions, took):
            into.append(1000 * session.command(commands[i % len(commands)].format(**words)))
    return [{"cost": round(statistics.median(t), 4), "first_ms": round(t[0], 3)} for t in took]


def mailboxes(record, size):
    """The same commands in a short mailbox and in a long one."""
    boxes = [("user1", "Short", 10, SMALL), ("user2", "Long", size.of(100000), LARGE)]
    with side.Barid() as b:
        for who, box, n, _ in boxes:
            place.say(f"  {n} messages into {box}")
            drive.run("imapload", "-p", b.port("imaps"), "-T", "fill", "-U", who, "-m", box, "-n", n, "-s", 700, "-b", 50)
        for i in range(size.rounds):
            side.restart(b)
            with imap.Imap(b.port("imaps"), "user1") as short, imap.Imap(b.port("imaps"), "user2") as long:
                sessions = [(s, {"box": box, "n": n // 2}) for s, (_, box, n, _) in zip((short, long), boxes)]
                for s, words in sessions:
                    if i == 0:
                        s.command("CREATE Aside")
                    s.command(f"SELECT {words['box']}")
                for what, commands in COMMANDS.items():
                    for (_, _, n, name), data in zip(boxes, timed(sessions, commands, size.of(1000))):
                        record.add(what, name, dict(data, messages=n), round=i + 1)


def measure(record, size):
    """Cost per message and per command as accounts and mailboxes grow."""
    accounts(record, size)
    mailboxes(record, size)

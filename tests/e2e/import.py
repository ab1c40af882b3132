# SPDX-License-Identifier: Apache-2.0
"""Mail goes from a real Dovecot to barid and back: UIDs, flags, keywords, dates and bytes stay."""
import hashlib
import imaplib
import os
import pwd
import re
import shutil
import tempfile
import time

from harness import wire
from harness.dovecot import Dovecot

ACCOUNT = "user1@example.test"


def scratch(t):
    folder = tempfile.mkdtemp(prefix="barid-import-")
    os.chmod(folder, 0o755)
    t.cleanup.append(folder)
    return folder


def content(imap):
    """{mailbox: (uidvalidity, uidnext, {uid: (flags, date, digest)})}"""
    found = {}
    for line in imap.list()[1]:
        name = re.match(rb'.*\) "/" (.*)', line).group(1).decode().strip('"')
        if b"\\Noselect" in line or b"\\NonExistent" in line:
            continue
        status = imap.status(f'"{name}"', "(UIDNEXT UIDVALIDITY MESSAGES)")[1][0]
        numbers = {k: int(v) for k, v in re.findall(rb"(UIDNEXT|UIDVALIDITY|MESSAGES) (\d+)", status)}
        if numbers[b"MESSAGES"]:
            found[name] = (numbers[b"UIDVALIDITY"], numbers[b"UIDNEXT"], messages(imap, name))
    return found


def messages(imap, name):
    rows = {}
    imap.select(f'"{name}"', True)
    data = imap.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
    for i, part in enumerate(data):
        if not isinstance(part, tuple):
            continue
        tail = data[i + 1] if i + 1 < len(data) and isinstance(data[i + 1], bytes) else b""
        text = (part[0] + tail).decode()
        flags = sorted(f for f in re.search(r"FLAGS \(([^)]*)\)", text).group(1).split() if f != "\\Recent")
        rows[int(re.search(r"UID (\d+)", text).group(1))] = (
            flags, re.search(r'INTERNALDATE "([^"]*)"', text).group(1), hashlib.sha256(part[1]).hexdigest())
    return rows


def barid(server, user=ACCOUNT):
    imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=wire.tls_context())
    imap.login(user, "secret")
    return imap


def fill(imap):
    for name in ("Work/2026", "Entw&APw-rfe"):
        imap.create(name)
    imap.subscribe("Work/2026")
    flags = ("(\\Seen $Label1)", "(\\Flagged Junky)", None)
    for i in range(30):
        imap.append("INBOX", flags[i % 3], imaplib.Time2Internaldate(1700000000 + i * 1000),
                    f"From: a@example.org\r\nSubject: m{i}\r\n\r\nFrom here\r\n>From there {i}\r\n".encode())
    imap.select("INBOX")
    imap.store("3,5,7,30", "+FLAGS", "\\Deleted")
    imap.expunge()
    for i in range(3):
        imap.append("Work/2026", "(\\Answered \\Draft $Forwarded)", None,
                    b"Subject: large\r\n\r\n" + (b"y" * 70 + b"\r\n") * 2000 + b"%d\r\n" % i)


def case_from_dovecot_and_back(t):
    """A Maildir that Dovecot wrote comes in with its UIDs; what goes out, Dovecot serves with the same."""
    server, folder = t.server(), scratch(t)
    there = Dovecot(t, folder, os.path.join(folder, "Maildir"))
    imap = there.open()
    fill(imap)
    want = content(imap)
    imap.logout()
    out = server.cli("import", "--account", ACCOUNT, "maildir", there.mail)
    assert "UIDs kept" in out and "29 messages imported" in out, out
    again = server.cli("import", "--account", ACCOUNT, "maildir", there.mail)
    assert "0 messages imported, 29 were imported before" in again, again
    imap = barid(server)
    assert content(imap) == want, (content(imap), want)
    assert b"Work/2026" in b"".join(imap.lsub()[1])
    # What comes later is all that comes.
    with open(os.path.join(there.mail, "new", "1800000000.M1.late"), "wb") as f:
        f.write(b"Subject: late\n\nlate\n")
        os.fchown(f.fileno(), os.stat(there.mail).st_uid, -1)
    assert "1 messages imported, 29 were" in server.cli("import", "--account", ACCOUNT, "maildir", there.mail)
    want = content(imap)
    imap.logout()
    back = Dovecot(t, folder, os.path.join(folder, "Back"))
    server.cli("export", "--account", ACCOUNT, "maildir", back.mail)
    assert "0 messages exported, 30 were there" in server.cli("export", "--account", ACCOUNT, "maildir", back.mail)
    imap = back.open()
    assert content(imap) == want, (content(imap), want)
    imap.logout()


def case_mbox_out_and_in(t):
    """mbox: quoting, flags, keywords and UIDs survive the way out and in again."""
    server, folder = t.server(), scratch(t)
    imap = barid(server, "user2@example.test")
    fill(imap)
    want = content(imap)
    server.cli("export", "--account", "user2@example.test", "mbox", os.path.join(folder, "out"))
    for name, box in (("INBOX.mbox", "INBOX"), ("Work.2026.mbox", "Work/2026")):
        server.cli("import", "--account", "user3@example.test", "mbox", os.path.join(folder, "out", name), "--mailbox", box)
        again = server.cli("import", "--account", "user3@example.test", "mbox", os.path.join(folder, "out", name),
                           "--mailbox", box)
        assert "0 messages imported" in again, again
    other = barid(server, "user3@example.test")
    assert content(other) == want, (content(other), want)
    for m in (imap, other):
        m.logout()


def case_one_file_for_many(t):
    """The same file for more accounts than there are partitions: each has it once."""
    path = os.path.join(scratch(t), "welcome")
    with open(path, "wb") as f:
        f.write(b"From a@example.org Sat Nov 21 10:00:00 2026\nSubject: welcome\n\nto everybody\n\n")
    with t.own_server(users=17) as server:
        for i in range(1, 18):
            for wanted in ("1 imported, 0 were", "0 imported, 1 were"):
                out = server.cli("import", "--account", f"user{i}@example.test", "mbox", path, "--mailbox", "INBOX")
                assert wanted in out, (i, out)


def case_strange_mbox_files(t):
    """Content-Length right and wrong, equal messages, CRLF, no end of line at the end, a long line."""
    server, folder = t.server(), scratch(t)
    line = b"From a@x Thu Nov  5 10:20:30 2026\n"
    body = b"one\n\nFrom b@x Thu Nov  5 10:20:30 2026\nis text\n"
    text = (line + b"Subject: cl2\nContent-Length: %d\n\n" % len(body) + body + b"\n"
            + line + b"Subject: wrong\nContent-Length: 7\n\n>From quoted\nFrom not a separator\n\n"
            + line + b"Subject: same\n\nx\n\n" + line + b"Subject: same\n\nx\n\n"
            + line + b"Subject: long\n\n" + b"z" * 200000 + b"\n\n" + line + b"Subject: crlf\r\n\r\nlast\r\n\r\nline")
    path = os.path.join(folder, "mbox")
    with open(path, "wb") as f:
        f.write(text)
    out = server.cli("import", "--account", "user4@example.test", "mbox", path)
    assert "6 messages imported" in out, out
    imap = barid(server, "user4@example.test")
    imap.select("INBOX")
    got = [part[1] for part in imap.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    assert got[0] == b"Subject: cl2\r\n\r\n" + body.replace(b"\n", b"\r\n"), got[0]
    assert got[1] == b"Subject: wrong\r\n\r\nFrom quoted\r\nFrom not a separator\r\n", got[1]
    assert got[2] == got[3] == b"Subject: same\r\n\r\nx\r\n", got[2:4]
    assert got[4] == b"Subject: long\r\n\r\n" + b"z" * 200000 + b"\r\n", len(got[4])
    assert got[5] == b"Subject: crlf\r\n\r\nlast\r\n\r\nline", got[5]
    imap.logout()
    with open(path, "wb") as f:
        f.write(b"This is a text.\n")
    code, text = server.cli("import", "--account", "user4@example.test", "mbox", path, check=False)
    assert code == 2 and "no mbox" in text, (code, text)


def case_what_cannot_be_read(t):
    """Files that are no messages are named at the end; the others are imported; a used mailbox gives new UIDs."""
    server, folder = t.server(), scratch(t)
    imap = barid(server, "user5@example.test")
    imap.append("INBOX", None, None, b"Subject: was here\r\n\r\n")
    for sub in ("cur", "new", "tmp"):
        os.mkdir(os.path.join(folder, sub))
    for name, data in (("1.good:2,S", b"Subject: good\n\nx\n"), ("2.zip", b"\x1f\x8b\x08rest"), ("3.empty", b"")):
        with open(os.path.join(folder, "cur", name), "wb") as f:
            f.write(data)
    os.mkdir(os.path.join(folder, "cur", "4.folder"))
    with open(os.path.join(folder, "dovecot-uidlist"), "w", encoding="utf-8") as f:
        f.write("3 V1000 N8\n7 :1.good\n")
    code, text = server.cli("import", "--account", "user5@example.test", "maildir", folder, check=False)
    assert code == 4 and "2.zip" in text and "4.folder" in text and "new UIDs" in text, (code, text)
    imap.select("INBOX")
    assert imap.uid("SEARCH", "SUBJECT", "good")[1] == [b"2"]
    imap.logout()
    code, text = server.cli("import", "--account", "user5@example.test", "maildir", folder + "/none", check=False)
    assert code == 1 and "no Maildir" in text, (code, text)


def case_links_lead_nowhere(t):
    """Users own their Maildirs: what one puts there does not lead root to other people's files."""
    server, folder = t.server(), scratch(t)
    secret = os.path.join(scratch(t), "secret")
    with open(secret, "wb") as f:
        f.write(b"Subject: secret\n\nof somebody else\n")
    nobody = pwd.getpwnam("nobody").pw_uid
    for sub in ("", "cur", "new", "tmp", ".Theirs"):
        path = os.path.join(folder, sub)
        if sub:
            os.mkdir(path)
        if os.geteuid() == 0:
            os.chown(path, nobody, -1)
    os.symlink(secret, os.path.join(folder, "cur", "1.link:2,S"))
    wanted = ["1.link"]
    if os.geteuid() == 0:
        os.mkdir(os.path.join(os.path.dirname(secret), "cur"))
        os.link(secret, os.path.join(os.path.dirname(secret), "cur", "2.folder:2,S"))
        os.symlink(os.path.join(os.path.dirname(secret), "cur"), os.path.join(folder, ".Theirs", "cur"))
        os.link(secret, os.path.join(folder, "cur", "3.name:2,S"))
        wanted += ["2.folder", "3.name"]
    code, text = server.cli("import", "--account", "user5@example.test", "maildir", folder, check=False)
    assert code == 4 and all(w in text for w in wanted) and "0 messages imported" in text, (code, text)


def case_speed(t):
    """2,000 small messages in a second or two."""
    server, folder = t.server(), scratch(t)
    for sub in ("cur", "new", "tmp"):
        os.mkdir(os.path.join(folder, sub))
    for i in range(4000):
        with open(os.path.join(folder, "cur", f"{1700000000 + i}.M{i}.h:2,S"), "wb") as f:
            f.write(b"From: a@example.org\nSubject: message %d\n\n" % i + b"A line of text.\n" * 40)
    begun = time.monotonic()
    server.cli("import", "--account", "user6@example.test", "maildir", folder, timeout=120)
    took = time.monotonic() - begun
    t.note(f"{4000 / took:.0f} messages/s")
    assert took < 4 * server.slow, took
    shutil.rmtree(folder, ignore_errors=True)

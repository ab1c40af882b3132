# SPDX-License-Identifier: Apache-2.0
"""POP3 with the programs that people use: poplib, curl, fetchmail, getmail, mpop, mutt, and Thunderbird's way of saying it."""
import hashlib
import os
import poplib
import re
import shutil
import socket
import ssl
import time

from harness.server import DOMAIN
from harness.wire import Imap, Smtp

PASSWORD = "secret"
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%s line %d\r\n" % (b"." if i % 1000 == 0 else b"", i) for i in range(400000))
SMALL = b"From: a@example.net\r\nSubject: small\r\n\r\n.dot\r\n..\r\n.\r\nthe end\r\n"


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def login(server, user):
    p = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=trusting(), timeout=30 * server.slow)
    p.user(f"{user}@{DOMAIN}")
    p.pass_(PASSWORD)
    return p


def account(server, user, *messages):
    """A user with these messages in INBOX, uploaded by IMAP: their bytes are these, without a prefix."""
    server.cli("user", "add", f"{user}@{DOMAIN}", "--password", PASSWORD)
    imap = Imap(server, f"{user}@{DOMAIN}", PASSWORD)
    for m in messages:
        imap.append("INBOX", m, "", "")
    imap.close()


def body(p, number):
    return b"".join(line + b"\r\n" for line in p.retr(number)[1])


def case_poplib(t):
    """Python's poplib: a whole session; a message of 6 MB comes as ranges of its file, with doubled dots, and is the same."""
    server = t.server()
    account(server, "poplib", SMALL, BIG)
    p = login(server, "poplib")
    assert p.stat() == (2, len(SMALL) + len(BIG)), p.stat()
    assert body(p, 1) == SMALL
    assert hashlib.sha256(body(p, 2)).digest() == hashlib.sha256(BIG).digest()
    assert p.top(2, 3)[1] == BIG.split(b"\r\n")[:5]
    assert len(p.top(2, 200000)[1]) == 200002
    names = p.uidl()[1]
    p.dele(1)
    p.quit()
    p = login(server, "poplib")
    assert p.uidl()[1] == [b"1 " + names[1].split()[1]]
    assert "UTF8" in p.capa() and "LANG" in p.capa()
    p.quit()


def case_stls(t):
    """poplib and curl by STLS; curl lists, fetches and deletes."""
    server = t.server()
    account(server, "stls", SMALL, SMALL)
    p = poplib.POP3(server.host, server.ports["pop3"], timeout=30 * server.slow)
    p.stls(trusting())
    p.utf8()
    p.user(f"stls@{DOMAIN}")
    p.pass_(PASSWORD)
    assert p.stat()[0] == 2
    p.quit()
    curl, base = t.program("curl"), f"pop3://127.0.0.1:{server.ports['pop3']}/"

    def ask(path, *more):
        return t.run([curl, "-sS", "-k", "--ssl-reqd", "-u", f"stls@{DOMAIN}:{PASSWORD}", *more, base + path]).stdout
    assert ask("").split() == [b"1", b"%d" % len(SMALL), b"2", b"%d" % len(SMALL)], ask("")
    assert ask("2").rstrip() == SMALL.rstrip()
    assert b"small" in ask("1", "--login-options", "AUTH=PLAIN")
    ask("1", "-X", "DELE", "-l")
    assert ask("").split()[:1] == [b"2"] or ask("").split()[:1] == [b"1"]


def case_fetchmail(t):
    """fetchmail: by UIDL, leaving mail on the server; then all of it, deleting it."""
    server, program = t.server(), t.program("fetchmail")
    account(server, "fetch", SMALL, SMALL.replace(b"small", b"other"))
    home = t.scratch()
    got = os.path.join(home, "got")
    rc = os.path.join(home, "rc")

    def fetch(*options):
        with open(rc, "w", encoding="ascii") as f:
            f.write(f'poll 127.0.0.1 protocol pop3 port {server.ports["pop3s"]} uidl\n'
                    f'user "fetch@{DOMAIN}" password "{PASSWORD}" ssl no sslcertck mda "cat >>{got}"\n')
        os.chmod(rc, 0o600)
        return t.run([program, "-f", rc, "--nosyslog", "--pidfile", os.path.join(home, "pid"), "-i", os.path.join(home, "ids"), "-v",
                      *options], check=False, env=dict(os.environ, HOME=home, HOME_ETC=home, FETCHMAILHOME=home)).returncode
    assert fetch("--keep") == 0
    assert fetch("--keep") == 1  # there is nothing new
    with open(got, "rb") as f:
        text = f.read()
    assert text.count(b"the end") == 2 and text.count(b"\n.dot\n") == 2, text
    assert fetch("--all", "--nokeep") == 0
    p = login(server, "fetch")
    assert p.stat()[0] == 0, p.stat()
    p.quit()


def case_getmail(t):
    """getmail6 fetches and deletes."""
    server, program = t.server(), t.program("getmail")
    account(server, "getmail", SMALL)
    home = t.scratch()
    with open(os.path.join(home, "getmailrc"), "w", encoding="ascii") as f:
        f.write(f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = 127.0.0.1\nport = {server.ports['pop3s']}\n"
                f"username = getmail@{DOMAIN}\npassword = {PASSWORD}\n[destination]\ntype = MDA_external\n"
                f'path = /usr/bin/tee\narguments = ("-a", "{home}/got")\nallow_root_commands = true\n'
                "[options]\ndelete = true\n")
    t.run([program, "--getmaildir", home])
    with open(os.path.join(home, "got"), "rb") as f:
        assert f.read().count(b"\n.dot\n") == 1
    p = login(server, "getmail")
    assert p.stat()[0] == 0
    p.quit()


def case_mpop(t):
    """mpop, which pipelines."""
    server, program = t.server(), t.program("mpop")
    account(server, "mpop", *[SMALL] * 20)
    home = t.scratch()
    for name in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(home, "box", name))
    with open(os.path.join(home, "rc"), "w", encoding="ascii") as f:
        f.write(f"account default\nhost 127.0.0.1\nport {server.ports['pop3s']}\nuser mpop@{DOMAIN}\npassword {PASSWORD}\n"
                f"tls on\ntls_starttls off\ntls_certcheck off\npipelining on\nkeep off\nuidls_file {home}/uidls\ndelivery maildir {home}/box\n")
    os.chmod(os.path.join(home, "rc"), 0o600)
    t.run([program, "-C", os.path.join(home, "rc")])
    assert len(os.listdir(os.path.join(home, "box", "new"))) == 20
    p = login(server, "mpop")
    assert p.stat()[0] == 0
    p.quit()


def case_thunderbird(t):
    """What Thunderbird says: AUTH, CAPA, STAT, LIST, UIDL, XTND, TOP, RETR, DELE and QUIT, each after the other."""
    server = t.server()
    account(server, "bird", SMALL, SMALL)
    raw = socket.create_connection((server.host, server.ports["pop3s"]), 30 * server.slow)
    with trusting().wrap_socket(raw) as s, s.makefile("rb") as f:
        def say(line, long=False):
            s.sendall(line.encode("ascii") + b"\r\n")
            out = [f.readline()]
            while long and out[0].startswith(b"+OK") and out[-1] != b".\r\n":
                out.append(f.readline())
            return out
        assert f.readline().startswith(b"+OK")
        assert b"PLAIN\r\n" in say("AUTH", True)
        assert b"UIDL\r\n" in say("CAPA", True)
        assert say("AUTH PLAIN")[0] == b"+ \r\n"
        assert say("AGJpcmRAZXhhbXBsZS50ZXN0AHNlY3JldA==")[0].startswith(b"+OK")
        assert say("STAT")[0] == b"+OK 2 %d\r\n" % (2 * len(SMALL))
        assert len(say("LIST", True)) == 4 and len(say("UIDL", True)) == 4
        assert say("XTND XLST Message-Id")[0].startswith(b"-ERR")
        assert len(say("TOP 1 0", True)) == 5
        assert say("RETR 1", True)[-2] == b"the end\r\n"
        assert say("DELE 1")[0].startswith(b"+OK") and say("QUIT")[0].startswith(b"+OK")
        assert f.readline() == b""


def case_many_messages(t):
    """A mailbox of 20,000 messages: the greeting and STAT cost no more than those of a small one; the list is whole."""
    server = t.server()
    account(server, "many", SMALL)
    imap = Imap(server, f"many@{DOMAIN}", PASSWORD)
    imap.command(b"SELECT INBOX")
    n = 1
    while n < 20000:
        m = min(n, 20000 - n)
        imap.command(b"COPY 1:%d INBOX" % m)
        n += m
    imap.close()
    begun = time.monotonic()
    p = login(server, "many")
    count, size = p.stat()
    t.note(f"login and STAT of {count} messages: {(time.monotonic() - begun) * 1000:.0f} ms")
    assert (count, size) == (20000, 20000 * len(SMALL))
    begun = time.monotonic()
    lines = p.uidl()[1]
    t.note(f"UIDL: {(time.monotonic() - begun) * 1000:.0f} ms")
    assert len(lines) == 20000 and len({x.split()[1] for x in lines}) == 20000
    assert p.list()[1][-1] == b"20000 %d" % len(SMALL)
    assert body(p, 20000) == SMALL
    p.quit()


def case_stays_after_restarts(t):
    """UIDL says the same after a restart of the server, and of a mailbox that mail went through."""
    with t.own_server() as server:
        account(server, "stay", SMALL, SMALL)
        p = login(server, "stay")
        before = [x.split()[1] for x in p.uidl()[1]]
        assert all(re.fullmatch(rb"[0-9A-F]{16}", x) for x in before), before
        p.dele(1)
        p.quit()
        server.restart()
        smtp = Smtp(server)
        smtp.message("a@example.net", [f"stay@{DOMAIN}"], SMALL)
        smtp.close()

        def names():
            session = login(server, "stay")
            found = [x.split()[1] for x in session.uidl()[1]]
            session.quit()
            return found if len(found) == 2 else None
        after = t.until(names, what="delivery")
        assert after[0] == before[1] and after[1] not in before, (before, after)


def case_names_after_a_restore(t):
    """A backup put back: what was in it has the names that clients know; what comes then has others than what was lost."""
    folder = os.path.join(t.scratch(), "backup")
    server = t.own_server()

    def names():
        p = login(server, "back")
        found = [x.split()[1] for x in p.uidl()[1]]
        p.quit()
        return found
    try:
        server.start()
        account(server, "back", SMALL, SMALL)
        for i in range(2):  # a second restore remembers the first
            known = names()
            server.stop()
            server.cli("backup", folder + str(i))
            server.start()
            imap = Imap(server, f"back@{DOMAIN}", PASSWORD)
            imap.append("INBOX", SMALL)
            imap.close()
            lost = names()[len(known):]
            server.stop()
            shutil.rmtree(server.dir)
            server.cli("restore", folder + str(i))
            server.start()
            assert names() == known, (names(), known)
            imap = Imap(server, f"back@{DOMAIN}", PASSWORD)
            imap.append("INBOX", SMALL)
            imap.close()
            assert names()[:-1] == known and names()[-1] not in known + lost, (names(), known, lost)
        server.stop()
    finally:
        server.close()
    assert not server.problems(), server.problems()

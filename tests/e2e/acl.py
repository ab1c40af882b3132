# SPDX-License-Identifier: Apache-2.0
"""Rights (RFC 4314): every right and every command, for whoever can be given it; and mail programs with shared mailboxes."""
import imaplib
import os
import re

from harness import wire
from harness.server import Serve

LETTERS = "lrswipkxtea"
BOX, CHILD = "Box", "Box/child"


def has(rights, letters):
    return set(letters) <= set(rights)


# Section 4 of the RFC as it reads, not as the server has it: what a command needs, by name.
NAMED = {
    "SELECT {box}": lambda r: has(r, "r"),
    "EXAMINE {box}": lambda r: has(r, "r"),
    "STATUS {box} (MESSAGES)": lambda r: has(r, "r"),
    "GETQUOTAROOT {box}": lambda r: has(r, "r"),
    "MYRIGHTS {box}": lambda r: bool(set("lrikxa") & set(r)),
    "GETACL {box}": lambda r: has(r, "a"),
    "LISTRIGHTS {box} bob@example.test": lambda r: has(r, "a"),
    "SETACL {box} -alice@example.test \"\"": lambda r: has(r, "a"),
    "DELETEACL {box} -alice@example.test": lambda r: has(r, "a"),
    "GETMETADATA {box} /private/note": lambda r: has(r, "l") and bool(set("rswip") & set(r)),
    "SETMETADATA {box} (/private/note \"x\")": lambda r: has(r, "l") and bool(set("rswip") & set(r)),
    "APPEND {box} {{7+}}\r\na: b\r\n\r": lambda r: has(r, "i"),
    "CREATE {box}/fresh": lambda r: has(r, "k"),
    "RENAME {child} {box}/renamed": lambda r: has(r, "kx"),
    "DELETE {doomed}": lambda r: has(r, "x"),
}
# From another mailbox of one's own into this one, and (with it selected) out of it.
INTO = {"COPY 1 {box}": lambda r: has(r, "i"), "MOVE 1 {box}": lambda r: has(r, "i")}
SELECTED = {
    "FETCH 1 (FLAGS BODY.PEEK[])": lambda r: True,
    "SEARCH ALL": lambda r: True,
    "STORE 1 +FLAGS (\\Seen)": lambda r: has(r, "s"),
    "STORE 1 +FLAGS (\\Flagged)": lambda r: has(r, "w"),
    "STORE 1 -FLAGS (\\Answered word)": lambda r: has(r, "w"),
    "STORE 1 -FLAGS (\\Deleted)": lambda r: has(r, "t"),
    "UID EXPUNGE 999": lambda r: has(r, "e"),
    "COPY 1 Archive": lambda r: True,
    "UID MOVE 999 Archive": lambda r: has(r, "te"),
}
SETS = ["", LETTERS] + list(LETTERS) + ["lr" + x for x in LETTERS[2:]] + [LETTERS.replace(x, "") for x in LETTERS] + ["lrkx", "lrte"]


class Who:
    """Somebody who looks at alice's mailboxes, and how a right is given to him."""

    def __init__(self, server, name, give, owner=False):
        self.name, self.give, self.owner = name, give, owner
        self.place = "" if owner else "Shared/alice@example.test/"
        self.imap = wire.Imap(server, f"{name}@example.test")

    def rights(self, rights):
        return set(rights) | set("la") if self.owner else set(rights)

    def say(self, command):
        """True, or the code of the refusal."""
        names = {"box": self.place + BOX, "child": self.place + CHILD, "doomed": self.place + BOX + "/doomed"}
        try:
            self.imap.command(command.format(**names).encode())
        except wire.Refused as refused:
            found = re.search(rb"^\S+ NO \[([\w-]+)", refused.args[0])
            return found[1].decode() if found else refused.args[0]
        return True


def people(server):
    """Each way to have rights: by one's address, by a group, by anyone, less what "-" takes, and as the owner."""
    everything = LETTERS
    return [
        Who(server, "bob", lambda box, r: [(box, "bob@example.test", r)]),
        Who(server, "carol", lambda box, r: [(box, "$team@example.test", r)]),
        Who(server, "david", lambda box, r: [(box, "anyone", r)]),
        Who(server, "erin", lambda box, r: [(box, "authenticated", everything), (box, "-erin@example.test", set(everything) - set(r))]),
        Who(server, "frank", lambda box, r: [(box, "frank@example.test", everything), (box, "-$others@example.test", set(everything) - set(r))]),
        Who(server, "alice", lambda box, r: [(box, "alice@example.test", r)], owner=True),
    ]


def prepare(alice, who, rights):
    """The mailboxes as new, and these rights to all of them."""
    alice.command(b"SETACL %s alice@example.test %s" % (BOX.encode(), LETTERS.encode()))
    for name in ("child", "fresh", "renamed", "doomed"):
        box = f"{BOX}/{name}".encode()
        try:
            alice.command(b"SETACL %s alice@example.test %s" % (box, LETTERS.encode()))
            alice.command(b"DELETE " + box)
        except wire.Refused:
            pass
    for line in alice.command(b"GETACL " + BOX.encode()):
        for identifier in re.findall(rb"(\S+@example\.test|anyone|authenticated) ", line):
            alice.command(b"DELETEACL %s %s" % (BOX.encode(), identifier))
    for name in ("child", "doomed"):
        alice.command(f"CREATE {BOX}/{name}".encode())
    for box in (f"{BOX}/child", f"{BOX}/doomed", BOX):
        for _, identifier, given in who.give(box, rights):
            letters = "".join(x for x in LETTERS if x in given) or '""'
            alice.command(f"SETACL {box} {identifier} {letters}".encode())


def judge(who, command, rights, wanted, named):
    said = who.say(command)
    where = f"{who.name} with {''.join(sorted(rights)) or 'no rights'}: {command}: {said}"
    if wanted:
        assert said is True, where
    else:
        # Section 6: what may not be looked up is as if it were not there.
        allowed = ("NOPERM", "READ-ONLY")[:1 if named else 2] if not named or "l" in rights else ("NONEXISTENT", "TRYCREATE")
        assert said in allowed, where


def try_all(server, alice, who, given):
    rights = who.rights(given)
    prepare(alice, who, given)
    listed = any(f'{who.place}{BOX}\r'.encode() in line + b"\r" for line in
                 who.imap.command(b'LIST "" "%s%s"' % (who.place.encode(), BOX.encode())))
    assert listed == ("l" in rights), f"{who.name} with {rights}: LIST {listed}"
    n = 0
    for command, needs in NAMED.items():
        judge(who, command, rights, needs(rights), True)
        n += 1
    who.imap.append("Own", b"a: b\r\n\r\nc\r\n")
    who.imap.select("Own")
    for command, needs in INTO.items():
        judge(who, command, rights, needs(rights), True)
        n += 1
    if "r" not in rights:
        return n
    line = who.imap.command(f"SELECT {who.place}{BOX}".encode())[-1]
    writes = set("iewt") | (set("s") if who.owner else set())
    assert (b"READ-WRITE" in line) == bool(writes & rights), f"{who.name} with {rights}: {line}"
    for command, needs in SELECTED.items():
        judge(who, command, rights, needs(rights), False)
        n += 1
    who.imap.command(b"UNSELECT")
    return n


def case_every_right_and_command(t):
    """Each right alone, beside "lr" and missing, for who has it by address, group, anyone, less "-", and for the owner."""
    def conf(server):
        return f"[imap]\nlisten =\nshare_with_anyone = yes\n[imaps]\nlisten = 127.0.0.1:{server.ports['imaps']}\n"

    with Serve(build=t.build, conf=conf) as server:
        for user in ("carol", "david", "erin", "frank"):
            server.cli("user", "add", f"{user}@example.test", "--password", "secret")
        server.cli("alias", "add", "team@example.test", "carol@example.test")
        server.cli("alias", "add", "others@example.test", "frank@example.test")
        alice = wire.Imap(server, "alice@example.test")
        alice.command(f"CREATE {BOX}".encode())
        alice.append(BOX, b"Subject: first\r\n\r\nbody\r\n")
        tried = 0
        for who in people(server):
            who.imap.command(b"CREATE Own")
            for given in SETS:
                tried += try_all(server, alice, who, given)
        t.note(f"{tried} commands with {len(SETS)} sets of rights in 6 ways")


def share(server, user="alice", guest="bob", rights="lrswite"):
    """A mailbox of alice with three messages, for bob."""
    imap = wire.Imap(server, f"{user}@example.test")
    imap.command(b"CREATE Team")
    for i in range(3):
        imap.append("Team", b"From: a@client.example\r\nMessage-ID: <team%d@client.example>\r\nSubject: paper %d\r\n\r\nbody\r\n" % (i, i))
    imap.command(f"SETACL Team {guest}@example.test {rights}".encode())
    return imap


def subjects(imap, box):
    """The subjects of a mailbox, with the flags."""
    if imap.select(box)[0] == 0:
        return {}
    lines = imap.command(b"FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found = b"".join(lines)
    return {m[2].decode(): {f for f in m[1].decode().split() if f != "\\Recent"}
            for m in re.finditer(rb"FLAGS \(([^)]*)\).*?Subject: ([^\r]*)", found, re.S)}


def case_imaplib_in_a_shared_mailbox(t):
    """imaplib: finds a shared mailbox, reads, flags, uploads, copies out and in, moves, expunges, sees its rights, and loses them."""
    with t.own_server() as server:
        alice = share(server)
        box = "Shared/alice@example.test/Team"
        bob = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=wire.tls_context())
        bob.login("bob@example.test", "secret")
        assert bob.namespace()[1] == [b'(("" "/")) (("Shared/" "/")) NIL'], bob.namespace()
        assert any(box.encode() in line for line in bob.list('""', "Shared/*")[1])
        assert bob.myrights(box)[1][0].split()[1] == b"lrswited"
        assert bob.select(box) == ("OK", [b"3"])
        assert bob.store("1:2", "+FLAGS", r"(\Seen \Flagged)")[0] == "OK"
        assert bob.append(box, r"(\Seen)", None, b"Subject: by bob\r\n\r\nx\r\n")[0] == "OK"
        assert bob.copy("1:3", "Archive")[0] == "OK"
        assert bob.search(None, "SUBJECT", '"by bob"')[1] == [b"4"]
        assert bob.store("2", "+FLAGS", r"(\Deleted)")[0] == "OK" and bob.expunge() == ("OK", [b"2"])
        assert bob._simple_command("MOVE", "1", "Archive")[0] == "OK"
        assert bob.getacl(box)[0] == "NO" and bob.delete(box)[0] == "NO" and bob.setacl(box, "bob@example.test", "lra")[0] == "NO"
        assert bob.select("Archive")[1] == [b"4"]
        assert bob.copy("1:2", box)[0] == "OK" and bob.copy("1", "Shared/alice@example.test/INBOX")[0] == "NO"
        # What bob has seen is his own; what he flagged is everybody's.
        assert subjects(alice, "Team") == {"paper 2": set(), "by bob": set(), "paper 0": {"\\Flagged"}, "paper 1": {"\\Flagged"}}
        assert bob.select(box)[1] == [b"4"]
        alice.command(b"DELETEACL Team bob@example.test")
        assert bob.noop()[0] == "OK" and bob.select(box)[0] == "NO"
        assert bob.list('""', "Shared/*")[1] == [None]
        bob.logout()


def certificate(t, server, folder):
    path = os.path.join(folder, "server.pem")
    out = t.run([t.program("openssl"), "s_client", "-connect", f"127.0.0.1:{server.ports['imaps']}"], stdin=b"").stdout
    with open(path, "wb") as f:
        f.write(re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", out, re.S)[0])
    return path


def case_mutt_in_a_shared_mailbox(t):
    """mutt: opens a shared mailbox, flags, copies a message home, saves another one there, deletes one, and leaves."""
    mutt, script = t.program("mutt"), t.program("script")
    with t.own_server() as server:
        alice = share(server)
        folder = t.scratch()
        with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
            f.write(f'set imap_user="bob@example.test"\nset imap_pass="secret"\nset folder="imaps://localhost:{server.ports["imaps"]}/"\n'
                    # By default mutt takes every "." in a name for a separator, and so finds nobody's mailboxes.
                    'set imap_delim_chars="/"\nset spoolfile="+Shared/alice@example.test/Team"\nset ssl_verify_host=no\nset ssl_verify_dates=no\nset ssl_force_tls=yes\n'
                    f'set certificate_file="{certificate(t, server, folder)}"\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\n'
                    'set confirmcreate=no\nset sleep_time=0\nset wait_key=no\nset mark_old=no\nset sort=mailbox-order\n'
                    'push "<first-entry><flag-message><first-entry><copy-message>+Archive<enter><first-entry><search>~s paper.1<enter>'
                    '<save-message>+Archive<enter><first-entry><search>~s paper.2<enter><delete-message><sync-mailbox><quit>"\n')
        t.run([script, "-qec", f"{mutt} -F {folder}/rc -n", "/dev/null"], cwd=folder,
              env={"HOME": folder, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        bob = wire.Imap(server, "bob@example.test")
        assert set(subjects(bob, "Archive")) == {"paper 0", "paper 1"}, subjects(bob, "Archive")
        there = subjects(alice, "Team")
        assert set(there) == {"paper 0"} and "\\Flagged" in there["paper 0"], there

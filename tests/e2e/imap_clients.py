# SPDX-License-Identifier: Apache-2.0
"""Mail clients of others work for a while: they synchronise both ways, move, flag, search and idle, and what is there
afterwards is exactly what it must be."""
import email
import imaplib
import json
import os
import random
import re
import subprocess
import threading
import time

from harness import wire
from harness.case import Skip
from harness.programs import mbsync_connection

PASSWORD = "secret"


def note(name, text="body", subject=None):
    return (f"From: a@client.example\r\nTo: b@example.test\r\nSubject: {subject or name}\r\n"
            f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@client.example>\r\n\r\n{text}\r\n").encode()


def identity(message):
    return re.search(rb"^Message-ID: <([^@>]+)@", message, re.M | re.I)[1].decode()


def content(server, user, box):
    """{name: flags without \\Recent} of a mailbox; a name that is there twice fails."""
    imap = wire.Imap(server, f"{user}@example.test")
    try:
        found = {}
        imap.select(box)
        for line in imap.command(b"FETCH 1:* (FLAGS BODY.PEEK[])") if imap.status(box, "MESSAGES") else []:
            if b"FETCH (" not in line:
                continue
            name = identity(line)
            assert name not in found, f"{name} is there twice in {box}"
            flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()
            found[name] = {f for f in flags if f != "\\Recent"}
        return found
    finally:
        imap.close()


def certificate(t, folder):
    path = os.path.join(folder, "server.pem")
    out = t.run([t.program("openssl"), "s_client", "-connect", f"127.0.0.1:{t.server().ports['imaps']}"], stdin=b"").stdout
    with open(path, "wb") as f:
        f.write(re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", out, re.S)[0])
    return path


def maildir(path):
    """{name: (flag letters, file)} of a Maildir folder."""
    found = {}
    for sub in ("cur", "new"):
        for file in os.listdir(os.path.join(path, sub)):
            full = os.path.join(path, sub, file)
            with open(full, "rb") as f:
                name = identity(f.read())
            assert name not in found, f"{name} is there twice in {path}"
            found[name] = (set(file.partition(":2,")[2]), full)
    return found


class Mbsync:
    """A mailbox of a user, and a Maildir that follows it both ways, expunges included."""

    def __init__(self, t, user):
        self.t, self.program, self.folder = t, t.program("mbsync"), t.scratch()
        self.box = os.path.join(self.folder, "mail", "INBOX")
        os.makedirs(os.path.join(self.folder, "mail"))
        with open(os.path.join(self.folder, "rc"), "w", encoding="utf-8") as f:
            f.write(f'IMAPAccount a\n{mbsync_connection(t, self.folder)}\nUser {user}@example.test\nPass {PASSWORD}\n\nIMAPStore far\nAccount a\n\n'
                    f"MaildirStore near\nPath {self.folder}/mail/\nInbox {self.box}\nSubFolders Verbatim\n\n"
                    "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync All\nExpunge Both\nSyncState *\n")

    def run(self):
        self.t.run([self.program, "-c", os.path.join(self.folder, "rc"), "c"], env={"HOME": self.folder})

    def put(self, name):
        with open(os.path.join(self.box, "cur", f"{name}.near.test:2,"), "wb") as f:
            f.write(note(name).replace(b"\r\n", b"\n"))

    def flag(self, name, letters):
        _, path = maildir(self.box)[name]
        base = path.partition(":2,")[0].replace("/new/", "/cur/")
        os.rename(path, f"{base}:2,{''.join(sorted(letters))}")


def case_mbsync_both_ways_under_changes(t):
    """mbsync while the mailbox changes under it, and the Maildir between its runs: nothing is lost or doubled."""
    server, sync, chance = t.server(), Mbsync(t, "user1"), random.Random(6)
    imap = wire.Imap(server, "user1@example.test")
    for i in range(30):
        imap.append("INBOX", note(f"first{i}"))
    sync.run()
    gone, kept, stop = set(), {f"first{i}" for i in range(30)}, threading.Event()
    far = []

    def others():
        """Another client appends, flags and expunges all the time."""
        busy = wire.Imap(server, "user1@example.test")
        try:
            for i in range(60):
                if stop.is_set():
                    break
                busy.append("INBOX", note(f"far{i}"))
                far.append(f"far{i}")
                busy.select("INBOX")
                busy.command(b"UID STORE %d +FLAGS.SILENT (\\Flagged)" % (i % 10 + 1))
                time.sleep(0.03)
        finally:
            busy.close()

    worker = threading.Thread(target=others)
    worker.start()
    try:
        for turn in range(5):
            for i in range(4):
                sync.put(f"near{turn}-{i}")
                kept.add(f"near{turn}-{i}")
            victim = chance.choice(sorted(n for n in kept if n.startswith("first") and n in maildir(sync.box)))
            sync.flag(victim, "ST")  # expunged on both sides
            kept.discard(victim)
            gone.add(victim)
            sync.run()
    finally:
        stop.set()
        worker.join()
    imap.close()
    for _ in range(2):  # what the last change left, and that a further run changes nothing
        sync.run()
    here, there = maildir(sync.box), content(server, "user1", "INBOX")
    want = kept | set(far)
    assert set(there) == want, f"missing {sorted(want - set(there))}, too many {sorted(set(there) - want)}"
    assert set(here) == want, f"missing near {sorted(want - set(here))}, too many {sorted(set(here) - want)}"
    for name, flags in there.items():
        assert ("F" in here[name][0]) == ("\\Flagged" in flags), (name, flags, here[name])
        assert ("S" in here[name][0]) == ("\\Seen" in flags), (name, flags, here[name])
    t.note(f"{len(want)} messages on both sides, {len(far)} of them came during the runs, {len(gone)} were deleted")


def case_offlineimap_both_ways(t):
    """offlineimap: down, up, flags and deletions both ways, a folder of its own."""
    server, folder, program = t.server(), t.scratch(), t.program("offlineimap")
    imap = wire.Imap(server, "user2@example.test")
    imap.command(b"CREATE Work")
    for i in range(5):
        imap.append("INBOX", note(f"down{i}"))
        imap.append("Work", note(f"work{i}"))
    rc = os.path.join(folder, "rc")
    with open(rc, "w", encoding="utf-8") as f:
        f.write(f"[general]\naccounts = a\nmetadata = {folder}/meta\nui = quiet\n[Account a]\nlocalrepository = near\n"
                f"remoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = {folder}/mail\nsep = /\n"
                f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {server.ports['imaps']}\nssl = yes\n"
                f"sslcacertfile = {certificate(t, folder)}\nremoteuser = user2@example.test\nremotepass = {PASSWORD}\n"
                "folderfilter = lambda f: f in ('INBOX', 'Work')\n")

    def run():
        t.run([program, "-o", "-c", rc], env={"HOME": folder}, timeout=120)

    run()
    inbox, work = (os.path.join(folder, "mail", b) for b in ("INBOX", "Work"))
    assert set(maildir(inbox)) == {f"down{i}" for i in range(5)} and set(maildir(work)) == {f"work{i}" for i in range(5)}
    with open(os.path.join(inbox, "new", "1.up.test"), "wb") as f:
        f.write(note("up").replace(b"\r\n", b"\n"))
    os.unlink(maildir(inbox)["down1"][1])
    seen = maildir(inbox)["down2"][1]
    os.rename(seen, re.sub(r"(:2,.*)?$", "", seen).replace("/new/", "/cur/") + ":2,FS")
    imap.select("Work")
    imap.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    imap.command(b"STORE 2 +FLAGS.SILENT (\\Answered)")
    imap.command(b"EXPUNGE")
    imap.close()
    run()
    run()
    there = content(server, "user2", "INBOX")
    assert set(there) == {"down0", "down2", "down3", "down4", "up"}, there
    assert there["down2"] >= {"\\Flagged", "\\Seen"}, there
    assert set(maildir(inbox)) == set(there)
    here = maildir(work)
    assert set(here) == set(content(server, "user2", "Work")) == {f"work{i}" for i in range(1, 5)}, here
    assert "R" in here["work1"][0], here


def in_terminal(t, command, folder):
    """Run a full-screen program in a terminal of its own, until it ends by itself."""
    script = t.program("script")
    t.run([script, "-qec", command, "/dev/null"], timeout=60, cwd=folder,
          env={"HOME": folder, "TERM": "xterm", "LC_ALL": "C.UTF-8"})


def case_mutt_files_and_deletes(t):
    """mutt: opens a mailbox, flags, copies to a new folder, moves, deletes, searches by the server, and leaves."""
    server, folder, mutt = t.server(), t.scratch(), t.program("mutt")
    imap = wire.Imap(server, "user3@example.test")
    for i in range(4):
        imap.append("INBOX", note(f"mutt{i}", subject=f"paper {i}"))
    imap.append("INBOX", note("needle", text="a word like haystack-needle inside"))
    imap.command(b"CREATE Filed")
    imap.close()
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f'set imap_user="user3@example.test"\nset imap_pass="{PASSWORD}"\nset folder="imaps://localhost:'
                f'{server.ports["imaps"]}/"\nset spoolfile="+INBOX"\nset ssl_verify_host=no\nset ssl_verify_dates=no\n'
                f'set certificate_file="{certificate(t, folder)}"\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\n'
                'set confirmcreate=no\nset sleep_time=0\nset wait_key=no\nset mark_old=no\nset sort=mailbox-order\n'
                # Flag the first; copy what the server finds; move one and delete one.
                'push "<first-entry><flag-message><tag-pattern>=b haystack-needle<enter><tag-prefix><copy-message>+Filed<enter>'
                '<untag-pattern>.<enter><first-entry><search>~s paper.1<enter><save-message>+Filed<enter>'
                '<first-entry><search>~s paper.2<enter><delete-message><sync-mailbox><quit>"\n')
    in_terminal(t, f"{mutt} -F {folder}/rc -n", folder)
    there, filed = content(server, "user3", "INBOX"), content(server, "user3", "Filed")
    assert set(there) == {"mutt0", "mutt3", "needle"}, there
    assert set(filed) == {"mutt1", "needle"}, filed
    assert "\\Flagged" in there["mutt0"], there


def case_aerc_flags_and_archives(t):
    """aerc: lists, opens, flags and moves, and sees a message that comes while it is open."""
    server, folder, aerc = t.server(), t.scratch(), t.program("aerc")
    imap = wire.Imap(server, "user4@example.test")
    imap.command(b"CREATE Filed")
    for i in range(3):
        imap.append("INBOX", note(f"aerc{i}"))
    conf = os.path.join(folder, "aerc")
    os.mkdir(conf)
    with open(os.path.join(conf, "accounts.conf"), "w", encoding="utf-8") as f:
        f.write(f"[a]\nsource = imaps+insecure://user4%40example.test:{PASSWORD}@localhost:{server.ports['imaps']}\n"
                "default = INBOX\nfrom = A <user4@example.test>\ncache-headers = false\n")
    os.chmod(os.path.join(conf, "accounts.conf"), 0o600)
    with open(os.path.join(conf, "aerc.conf"), "w", encoding="utf-8") as f:
        f.write("[ui]\nindex-format=%s\n[general]\n")
    with open(os.path.join(conf, "binds.conf"), "w", encoding="utf-8") as f:
        f.write("[messages]\nF = :flag<Enter>\nM = :move Filed<Enter>\nq = :quit<Enter>\nj = :next<Enter>\n")
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(HOME=folder, TERM="xterm", XDG_CONFIG_HOME=folder, XDG_RUNTIME_DIR=folder, SSL_CERT_FILE=certificate(t, folder))
        os.execv(aerc, [aerc])
    shown, ended = [], threading.Event()

    def read():
        try:
            while data := os.read(terminal, 65536):
                shown.append(data)
        except OSError:
            pass
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        t.until(lambda: b"aerc2" in b"".join(shown), timeout=20, what="the list")
        os.write(terminal, b"F")
        t.until(lambda: any("\\Flagged" in f for f in content(server, "user4", "INBOX").values()), what="a flag")
        os.write(terminal, b"M")
        t.until(lambda: len(content(server, "user4", "Filed")) == 1, what="a move")
        imap.append("INBOX", note("arrives"))
        t.until(lambda: b"arrives" in b"".join(shown), timeout=30, what="the new message on the screen")
        os.write(terminal, b"q")
        t.until(ended.is_set, what="the end of aerc")
    finally:
        subprocess.run(["kill", str(pid)], check=False, capture_output=True)
        os.waitpid(pid, 0)
        os.close(terminal)
        imap.close()
    filed = content(server, "user4", "Filed")
    assert len(content(server, "user4", "INBOX")) == 3 and all("\\Flagged" in f for f in filed.values()), filed


def case_imaplib_a_day(t):
    """Python's imaplib: folders, APPEND with flags and date, SEARCH by text, COPY, MOVE, STORE, EXPUNGE, quota."""
    server = t.server()
    imap = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=wire.tls_context())
    imap.login("user5@example.test", PASSWORD)
    for box in ("Projects", "Projects/Alpha", '"Entw&APw-rfe"'):
        assert imap.create(box)[0] == "OK"
    imap.subscribe("Projects/Alpha")
    assert any(b"Projects/Alpha" in line for line in imap.lsub()[1])
    when = '"05-Mar-2020 10:11:12 +0100"'
    for i in range(6):
        typ, data = imap.append("Projects/Alpha", "(\\Seen $Work)" if i % 2 else None, when, note(f"day{i}", text=f"Zusammenfassung {i}"))
        assert typ == "OK" and re.search(rb"APPENDUID \d+ %d\]" % (i + 1), data[0]), data
    assert imap.select("Projects/Alpha") == ("OK", [b"6"])
    assert imap.search(None, "BODY", '"menfassung 3"') == ("OK", [b"4"])
    assert imap.search(None, "UNSEEN", "SENTSINCE", "20-Nov-2026") == ("OK", [b"1 3 5"])
    assert imap.search(None, "KEYWORD", "$Work")[1] == [b"2 4 6"]
    assert imap.uid("SEARCH", "ON", "5-Mar-2020")[1] == [b"1 2 3 4 5 6"]
    typ, data = imap.fetch("2", "(INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert b'"05-Mar-2020 ' in data[0][0] or b'" 5-Mar-2020 ' in data[0][0], data
    assert data[0][1] == b"Subject: day1\r\n\r\n", data
    assert imap.copy("1:2", '"Entw&APw-rfe"')[0] == "OK"
    assert imap.uid("MOVE", "3", "INBOX")[0] == "OK"
    assert imap.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
    typ, data = imap.expunge()
    assert typ == "OK" and data[-1] == b"1", data  # before it the one that MOVE took away
    assert b"(MESSAGES 2 UNSEEN 1)" in imap.status('"Entw&APw-rfe"', "(MESSAGES UNSEEN)")[1][0]
    assert imap.getquotaroot("INBOX")[0] == "OK"
    assert imap.rename("Projects", "Archive/Projects")[0] == "OK"
    imap.unselect()
    imap.logout()
    assert set(content(server, "user5", "Archive/Projects/Alpha")) == {"day1", "day3", "day4", "day5"}
    assert set(content(server, "user5", "INBOX")) == {"day2"}


IMAPFLOW = """
const { ImapFlow } = require('imapflow');
const [port, user, pass] = process.argv.slice(2);
const fail = text => { throw new Error(text); };
(async () => {
  const client = new ImapFlow({ host: '127.0.0.1', port: +port, secure: true, auth: { user, pass }, logger: false,
                                tls: { rejectUnauthorized: false }, qresync: true });
  const out = { events: [] };
  await client.connect();
  out.capabilities = [...client.capabilities.keys()];
  await client.mailboxCreate(['Flow', 'Ünder']);
  const message = n => `From: a@client.example\\r\\nSubject: flow ${n}\\r\\nMessage-ID: <flow${n}@client.example>\\r\\n\\r\\nwords ${n}\\r\\n`;
  for (let n = 0; n < 5; n++) {
    const r = await client.append('Flow/Ünder', message(n), n ? ['\\\\Seen'] : [], new Date('2020-03-05T10:00:00Z'));
    if (r.uid !== n + 1) fail('uid ' + JSON.stringify(r));
  }
  const lock = await client.getMailboxLock('Flow/Ünder');
  client.on('exists', e => out.events.push(['exists', e.count]));
  client.on('expunge', e => out.events.push(['expunge', e.seq || e.uid]));
  try {
    out.search = await client.search({ body: 'ords 3', seen: true }, { uid: true });
    out.unseen = await client.search({ seen: false });
    await client.messageFlagsAdd('2:3', ['\\\\Flagged', '$Label1']);
    out.moved = [...(await client.messageMove('5', 'INBOX')).uidMap];
    out.copied = (await client.messageCopy({ all: true }, 'Archive')).uidMap.size;
    await client.messageDelete('1');
    out.list = [];
    for await (const m of client.fetch('1:*', { uid: true, flags: true, envelope: true, bodyStructure: true, source: true,
                                                internalDate: true, size: true, threadId: true })) {
      out.list.push({ uid: m.uid, flags: [...m.flags].sort(), subject: m.envelope.subject, type: m.bodyStructure.type,
                      source: m.source.toString(), date: m.internalDate.toISOString(), size: m.size });
    }
    const text = await client.download('2', '1');
    const chunks = [];
    for await (const c of text.content) chunks.push(c);
    out.text = Buffer.concat(chunks).toString();
    const idling = client.idle();
    console.log('IDLING');
    await new Promise(done => client.once('exists', done));
    await client.noop();
    await idling.catch(() => 0);
  } finally { lock.release(); }
  out.status = await client.status('INBOX', { messages: true, unseen: true, uidNext: true });
  out.quota = !!(await client.getQuota('INBOX'));
  await client.mailboxRename('Flow', 'Flood');
  out.boxes = (await client.list()).map(b => b.path);
  await client.logout();
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
"""


def case_imapflow_works(t):
    """imapflow of npm: append, search, flags, move, copy, delete, fetch, download, IDLE, rename."""
    server, folder, npm, node = t.server(), t.scratch(), t.program("npm"), t.program("node")
    done = t.run([npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, "imapflow@1"], check=False, timeout=90,
                 cwd=folder)
    if done.returncode != 0:
        raise Skip("npm cannot install imapflow here")
    with open(os.path.join(folder, "flow.js"), "w", encoding="utf-8") as f:
        f.write(IMAPFLOW)
    with subprocess.Popen([node, "flow.js", str(server.ports["imaps"]), "user6@example.test", PASSWORD], cwd=folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        try:
            first = process.stdout.readline()
            if "IDLING" in first:
                imap = wire.Imap(server, "user6@example.test")
                imap.append("Flow/&ANw-nder", note("late"))
                imap.close()
            rest, errors = process.communicate()
        finally:
            watch.cancel()
    assert process.returncode == 0, f"{first}{rest}{errors}"
    out = json.loads(rest.strip().splitlines()[-1])
    assert out["search"] == [4] and out["unseen"] == [1], out
    assert out["moved"] == [[5, 1]] and out["copied"] == 4, out
    got = [(m["uid"], m["flags"], m["subject"], m["type"]) for m in out["list"]]
    assert got == [(2, ["$Label1", "\\Flagged", "\\Seen"], "flow 1", "text/plain"),
                   (3, ["$Label1", "\\Flagged", "\\Seen"], "flow 2", "text/plain"), (4, ["\\Seen"], "flow 3", "text/plain")], got
    for n, m in enumerate(out["list"], 1):
        assert m["source"].endswith(f"Message-ID: <flow{n}@client.example>\r\n\r\nwords {n}\r\n"), m
        assert m["size"] == len(m["source"]) and m["date"] == "2020-03-05T10:00:00.000Z", m
    assert out["text"] == "words 2\r\n", out["text"]
    assert ["exists", 4] in out["events"] and out["status"]["messages"] == 1 and out["quota"], out
    assert "Flood/Ünder" in out["boxes"] and not any(b.startswith("Flow") for b in out["boxes"]), out["boxes"]
    assert set(content(server, "user6", "Flood/&ANw-nder")) == {"flow1", "flow2", "flow3", "late"}


def case_what_thunderbird_says(t):
    """The dialogue of a desktop client with CONDSTORE and two connections: folders, headers in chunks, moves, IDLE."""
    server = t.server()
    one, two = wire.Imap(server, "user7@example.test"), wire.Imap(server, "user7@example.test")
    try:
        assert any(line.startswith(b"* ID (") for line in one.command(b'ID ("name" "Thunderbird" "version" "128.0")'))
        assert any(b"* NAMESPACE " in line for line in one.command(b"NAMESPACE"))
        lists = one.command(b'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)')
        assert any(b"\\Trash" in line for line in lists), lists
        for i in range(3):
            one.append("INBOX", note(f"tb{i}"), "\\Seen" if i == 1 else "")
        selected = one.command(b"SELECT INBOX (CONDSTORE)")
        assert any(b"HIGHESTMODSEQ" in line for line in selected), selected
        flags = one.command(b"UID FETCH 1:* (FLAGS)")
        assert [int(re.search(rb"UID (\d+)", line)[1]) for line in flags if b" FETCH (" in line] == [1, 2, 3], flags
        headers = one.command(b"UID FETCH 1:3 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID"
                              b" Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])")
        assert sum(b"Message-ID: <tb" in line for line in headers) == 3, headers
        body = b"".join(one.command(b"UID FETCH 2 (UID RFC822.SIZE BODY.PEEK[])"))
        assert email.message_from_bytes(body[body.index(b"From:"):])["Subject"] == "tb1"
        chunk = b"".join(one.command(b"UID FETCH 2 (UID RFC822.SIZE BODY[]<0.40>)"))
        assert b"BODY[]<0> {40}" in chunk, chunk
        one.command(b"UID STORE 1 +FLAGS (\\Seen)")
        two.command(b"SELECT INBOX (CONDSTORE)")
        since = re.search(rb"HIGHESTMODSEQ (\d+)", b"".join(two.command(b"STATUS INBOX (HIGHESTMODSEQ)")))[1]
        one.command(b"UID STORE 3 +FLAGS (\\Flagged $Forwarded)")
        changed = [line for line in two.command(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE " + since + b")") if b" FETCH (" in line]
        assert any(b"UID 3" in line and b"$Forwarded" in line for line in changed), changed
        moved = one.command(b'UID MOVE 1 "Trash"')
        assert any(b"[COPYUID " in line for line in moved) and any(b"EXPUNGE" in line for line in moved), moved
        gone = two.command(b"NOOP")
        assert b"* 1 EXPUNGE\r\n" in [line.rstrip(b"\r\n") + b"\r\n" for line in gone], gone
        draft = one.command(b'APPEND "Drafts" (\\Draft \\Seen) {3+}\r\nx\r\n')
        assert any(b"APPENDUID" in line for line in draft), draft
        lsub = one.command(b'LSUB "" "*"')
        assert any(b"LSUB" in line for line in lsub), lsub
        assert one.command(b"UID SEARCH UNDELETED SUBJECT tb2")[0].split()[:3] == [b"*", b"SEARCH", b"3"]
        one.command(b'CREATE "Trash/Old"')
        one.command(b'UID COPY 2 "Trash/Old"')
        one.command(b'RENAME "Trash/Old" "Trash/Older"')
        one.command(b'DELETE "Trash/Older"')
    finally:
        one.close()
        two.close()
    assert set(content(server, "user7", "INBOX")) == {"tb1", "tb2"} and set(content(server, "user7", "Trash")) == {"tb0"}

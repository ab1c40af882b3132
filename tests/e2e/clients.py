# SPDX-License-Identifier: Apache-2.0
"""Programs of others send and read, over TLS where they can; what went in comes out with the same bytes."""
import email
import imaplib
import os
import re
import smtplib
import subprocess

from harness import wire
from harness.case import Skip
from harness.programs import mbsync_connection, server_certificate

PASSWORD = "secret"
TRACE = re.compile(rb"^(?:(?:Return-Path|Delivered-To|Received):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", re.I)


def sample(tag, sender="user1@example.test"):
    """A message that mistreats careless programs: dots, UTF-8, a long line, trailing empty lines."""
    return ("From: {0}\r\nTo: user2@example.test\r\nSubject: sample {1}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            "Message-ID: <{1}@client.example.net>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n.\r\n..two dots\r\nGrüße aus Köln\r\n{2}\r\n\tlast words\r\n\r\n\r\n"
            ).format(sender, tag, "x" * 900).encode()


def inbox(t, user):
    imap = wire.Imap(t.server(), f"{user}@example.test")
    try:
        return [body for _, body in imap.bodies("INBOX")]
    finally:
        imap.close()


def arrived(t, user, sent):
    """Wait for the message in the user's INBOX; its bytes must be the trace fields and then exactly `sent`."""
    marker = re.search(rb"Message-ID: [^\r\n]*", sent, re.I).group(0)

    def find():
        return [body for body in inbox(t, user) if marker in body]

    found = t.until(find, what="delivery")
    assert len(found) == 1, f"{len(found)} copies"
    trace = TRACE.match(found[0])
    assert trace, f"no trace fields: {found[0][:200]!r}"
    assert found[0].endswith(sent), f"changed on the way:\n{found[0]!r}\nsent:\n{sent!r}"
    rest = found[0][: -len(sent)]
    assert TRACE.fullmatch(rest), f"more than trace fields was added: {rest!r}"


def case_swaks_submits_with_starttls(t):
    """swaks: STARTTLS, AUTH PLAIN and LOGIN on 587, TLS at once on 465, plain delivery on 25."""
    server, swaks, folder = t.server(), t.program("swaks"), t.scratch()
    for name, options in {
        "swaks-plain": ["--port", str(server.ports["submission"]), "-tls", "-a", "PLAIN", "-au", "user1@example.test",
                        "-ap", PASSWORD],
        "swaks-login": ["--port", str(server.ports["submission"]), "-tls", "-a", "LOGIN", "-au", "user1@example.test",
                        "-ap", PASSWORD],
        "swaks-submissions": ["--port", str(server.ports["submissions"]), "--tls-on-connect", "-a", "PLAIN",
                              "-au", "user1@example.test", "-ap", PASSWORD],
        "swaks-mx": ["--port", str(server.ports["smtp"]), "-tls"],
        "swaks-pipeline": ["--port", str(server.ports["smtp"]), "--pipeline"],
    }.items():
        path = os.path.join(folder, name)
        sent = sample(name)
        with open(path, "wb") as f:
            f.write(sent.replace(b"\r\n", b"\n")[:-1])  # swaks ends the last line itself
        t.run([swaks, "--server", "127.0.0.1", "--from", "user1@example.test", "--to", "user2@example.test",
               "--data", "@" + path, "--suppress-data", *options])
        arrived(t, "user2", sent)


def case_msmtp_submits(t):
    """msmtp: STARTTLS and AUTH on 587."""
    server, msmtp = t.server(), t.program("msmtp")
    sent = sample("msmtp")
    t.run([msmtp, "--host=127.0.0.1", f"--port={server.ports['submission']}", "--tls=on", "--tls-starttls=on",
           "--tls-certcheck=off", "--auth=plain", "--user=user1@example.test", f"--passwordeval=echo {PASSWORD}",
           "--from=user1@example.test", "user2@example.test"], stdin=sent.replace(b"\r\n", b"\n"))
    arrived(t, "user2", sent)


def case_curl_sends_and_reads(t):
    """curl: SMTP with STARTTLS and AUTH, IMAP over TLS and with STARTTLS."""
    server, curl, folder = t.server(), t.program("curl"), t.scratch()
    path = os.path.join(folder, "message")
    sent = sample("curl")
    with open(path, "wb") as f:
        f.write(sent)
    t.run([curl, "-sSk", "--ssl-reqd", f"smtp://127.0.0.1:{server.ports['submission']}/client.example.net",
           "-u", f"user1@example.test:{PASSWORD}", "--mail-from", "user1@example.test", "--mail-rcpt",
           "user3@example.test", "-T", path])
    arrived(t, "user3", sent)
    for url in (f"imaps://127.0.0.1:{server.ports['imaps']}", f"imap://127.0.0.1:{server.ports['imap']}"):
        out = t.run([curl, "-sSk", "--ssl-reqd", "-u", f"user3@example.test:{PASSWORD}", url + "/INBOX;MAILINDEX=1"]).stdout
        assert out.endswith(sent), f"read back: {out!r}"


def case_smtplib_and_imaplib(t):
    """Python's smtplib and imaplib, with STARTTLS and over TLS."""
    server = t.server()
    sent = sample("python")
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], local_hostname="client.example.net") as smtp:
        smtp.starttls(context=wire.tls_context())
        smtp.login("user1@example.test", PASSWORD)
        smtp.sendmail("user1@example.test", ["user4@example.test"], sent, mail_options=["BODY=8BITMIME"])
    arrived(t, "user4", sent)
    imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    imap.starttls(ssl_context=wire.tls_context())
    other = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=wire.tls_context())
    for client in (imap, other):
        client.login("user4@example.test", PASSWORD)
        status, count = client.select("INBOX")
        assert (status, count) == ("OK", [b"1"]), (status, count)
        _, found = client.search(None, "SUBJECT", '"sample python"')
        assert found == [b"1"], found
        _, data = client.fetch("1", "(RFC822)")
        assert data[0][1].endswith(sent), data
        client.logout()
    message = email.message_from_bytes(data[0][1])
    assert "Grüße" in message.get_payload(decode=True).decode("utf-8")


def case_mbsync_pulls_and_pushes(t):
    """mbsync: a mailbox comes down byte for byte, a new message goes up."""
    server, mbsync, folder = t.server(), t.program("mbsync"), t.scratch()
    sent = [sample(f"mbsync-{i}") for i in range(5)]
    imap = wire.Imap(server, "user5@example.test")
    for message in sent:
        imap.append("INBOX", message)
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f"IMAPAccount a\n{mbsync_connection(t, folder)}\nUser user5@example.test\nPass {PASSWORD}\n\n"
                "IMAPStore far\nAccount a\n\n"
                f"MaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\nSubFolders Verbatim\n\n"
                "Channel c\nFar :far:\nNear :near:\nPatterns INBOX Sent Archive\nCreate Near\nSync All\nExpunge None\n"
                "SyncState *\n")
    os.mkdir(os.path.join(folder, "mail"))
    run_mbsync(t, mbsync, folder)
    box = os.path.join(folder, "mail", "INBOX")
    pulled = []
    for sub in ("cur", "new"):
        for name in os.listdir(os.path.join(box, sub)):
            with open(os.path.join(box, sub, name), "rb") as f:
                pulled.append(f.read())
    assert sorted(without_tuid(wire.crlf(p)) for p in pulled) == sorted(sent), "mbsync read something else"
    pushed = sample("mbsync-up")
    with open(os.path.join(box, "cur", "1.barid.test:2,S"), "wb") as f:
        f.write(pushed.replace(b"\r\n", b"\n"))
    run_mbsync(t, mbsync, folder)
    bodies = [body for _, body in imap.bodies("INBOX")]
    assert len(bodies) == 6, len(bodies)
    assert without_tuid(bodies[-1]) == pushed, bodies[-1]
    imap.close()


def without_tuid(message):
    """mbsync marks what it copies with a field of its own."""
    return re.sub(rb"X-TUID: [^\r\n]*\r\n", b"", message)


def run_mbsync(t, mbsync, folder):
    t.run([mbsync, "-c", os.path.join(folder, "rc"), "c"], env={"HOME": folder})


def case_neomutt_sends(t):
    """neomutt in batch mode: STARTTLS and AUTH on 587, an attachment."""
    server, folder = t.server(), t.scratch()
    mutt = t.program("neomutt")
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f'set smtp_url="smtp://user1%40example.test@127.0.0.1:{server.ports["submission"]}/"\n'
                f'set smtp_pass="{PASSWORD}"\nset ssl_force_tls=yes\nset ssl_verify_host=no\nset ssl_verify_dates=no\n'
                f'set certificate_file="{server_certificate(t, folder)}"\nset from="user1@example.test"\n'
                f'set realname="User One"\nset copy=no\nset hostname="client.example.net"\nset use_envelope_from=no\n'
                'set charset="utf-8"\nset send_charset="utf-8"\n')
    with open(os.path.join(folder, "picture.bin"), "wb") as f:
        f.write(bytes(range(256)) * 40)
    t.run([mutt, "-n", "-F", os.path.join(folder, "rc"), "-s", "from neomutt", "-a",
           os.path.join(folder, "picture.bin"), "--", "user6@example.test"], stdin="Grüße\n".encode(),
          env={"HOME": folder, "LC_ALL": "C.UTF-8"})
    body = t.until(lambda: inbox(t, "user6"), what="delivery")[0]
    parts = email.message_from_bytes(body).get_payload()
    assert parts[0].get_payload(decode=True).decode("utf-8").strip() == "Grüße"
    assert parts[1].get_payload(decode=True) == bytes(range(256)) * 40


def case_neomutt_comes_back(t):
    """neomutt with QRESYNC: what vanished and what was flagged while it was away, in one answer (RFC 7162)."""
    server, folder, mutt, script = t.server(), t.scratch(), t.program("neomutt"), t.program("script")
    imap = wire.Imap(server, "user9@example.test")
    for i in range(4):
        imap.append("INBOX", sample(f"mutt-{i}"))
    os.mkdir(os.path.join(folder, "cache"))
    with open(os.path.join(folder, "rc"), "w", encoding="utf-8") as f:
        f.write(f'set imap_user="user9@example.test"\nset imap_pass="{PASSWORD}"\nset imap_qresync=yes\n'
                f'set imap_condstore=yes\nset header_cache="{folder}/cache"\nset ssl_verify_host=no\n'
                f'set ssl_verify_dates=no\nset certificate_file="{server_certificate(t, folder)}"\n'
                f'set folder="imaps://localhost:{server.ports["imaps"]}/"\nset spoolfile="+INBOX"\n'
                f'set ssl_force_tls=yes\nset quit=yes\nset sleep_time=0\n')

    def look(name):
        log = os.path.join(folder, name)
        t.run([script, "-qec", f"{mutt} -F {folder}/rc -n -d 5 -l {log} -e 'push <quit>'", "/dev/null"],
              env={"HOME": folder, "TERM": "xterm"})
        with open(log + "0", "rb") as f:
            return f.read()

    assert b"ENABLE QRESYNC" in look("first")
    imap.command(b"SELECT INBOX")
    imap.command(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    imap.command(b"EXPUNGE")
    imap.command(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
    imap.close()
    second = look("second")
    assert re.search(rb"< \* VANISHED \(EARLIER\) 2\s", second), second[-4000:]
    assert re.search(rb"< \* 1 FETCH \(UID 1 [^\n]*\\Flagged", second), second[-4000:]


def case_fetchmail_reads(t):
    """fetchmail over TLS: all messages of INBOX, unchanged below its own Received field."""
    server, fetchmail, folder = t.server(), t.program("fetchmail"), t.scratch()
    sent = [sample(f"fetchmail-{i}") for i in range(3)]
    imap = wire.Imap(server, "user7@example.test")
    for message in sent:
        imap.append("INBOX", message)
    imap.close()
    rc, out = os.path.join(folder, "rc"), os.path.join(folder, "out")
    os.mkdir(out)
    with open(rc, "w", encoding="utf-8") as f:
        f.write(f'poll 127.0.0.1 protocol IMAP port {server.ports["imaps"]} user "user7@example.test" password "{PASSWORD}" '
                f'ssl no sslcertck no rewrite mda "cat > {out}/$(date +%s.%N)"\n')
    os.chmod(rc, 0o600)
    done = t.run([fetchmail, "-f", rc, "--pidfile", os.path.join(folder, "pid"), "--nosyslog", "--nodetach"], check=False,
                 env={"HOME": folder, "FETCHMAILHOME": folder})
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    got = []
    for name in sorted(os.listdir(out)):
        with open(os.path.join(out, name), "rb") as f:
            got.append(wire.crlf(f.read()))
    assert len(got) == 3, f"{len(got)} messages"
    for body, message in zip(sorted(got, key=lambda b: b[b.index(b"Subject:"):]), sent):
        assert body.endswith(message[message.index(b"MIME-Version"):]), body


def case_s_client_speaks_starttls(t):
    """openssl s_client: STARTTLS on 25, 587 and 143, TLS 1.2 and 1.3 and nothing older."""
    server, openssl = t.server(), t.program("openssl")
    for port, proto in (("smtp", "smtp"), ("submission", "smtp"), ("imap", "imap"), ("imaps", None)):
        for version in ("-tls1_2", "-tls1_3"):
            command = [openssl, "s_client", "-brief", version, "-connect", f"127.0.0.1:{server.ports[port]}"]
            done = t.run(command + (["-starttls", proto] if proto else []), stdin=b"")
            text = (done.stdout + done.stderr).decode()
            assert f"Protocol version: TLSv1.{version[-1]}" in text, text
    command = [openssl, "s_client", "-brief", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect",
               f"127.0.0.1:{server.ports['imaps']}"]
    assert t.run(command, stdin=b"", check=False).returncode != 0, "TLS 1.1 was accepted"


def case_smtp_source_floods(t):
    """Postfix's smtp-source: 200 messages over 8 connections, none lost, none doubled."""
    server = t.server()
    source = t.program("smtp-source")
    t.run([source, "-s", "8", "-m", "200", "-l", "3000", "-f", "someone@example.org", "-t", "user8@example.test",
           f"127.0.0.1:{server.ports['smtp']}"])
    imap = wire.Imap(server, "user8@example.test")
    t.until(lambda: imap.messages("INBOX") >= 200, what="200 deliveries")
    assert imap.messages("INBOX") == 200
    imap.close()


def case_unknown_certificate_is_refused_by_clients(t):
    """The demo's certificate is self-signed, and a client that verifies says so: TLS is really in use."""
    server, curl = t.server(), t.program("curl")
    done = subprocess.run([curl, "-sS", f"imaps://127.0.0.1:{server.ports['imaps']}/"], capture_output=True, check=False)
    if done.returncode == 0:
        raise Skip("this machine trusts the certificate")
    assert done.returncode == 60, done.stderr

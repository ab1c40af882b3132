# SPDX-License-Identifier: Apache-2.0
"""Tables of content, as administrators have them for Postfix (header_checks, body_checks): by a reload, on 25, on submission and
from programs, in small messages and in files, and not on the ports where mail comes back."""
import base64
import os
import subprocess

from harness import wire
from harness.server import Serve
from harness.wire import received, refusal

HEADER = """# header_checks
/^Subject:.*lottery/            REJECT 5.7.1 no lotteries here
/^Received: from \\[?(\\S+)/    REPLACE Received: from [hidden]
/^X-Mailer:/                    IGNORE
if /^Subject:/
/^Subject: (.*urgent.*)/        REPLACE Subject: [checked] $1
endif
/^X-Hold:/                      HOLD a person is to look
/^X-Copy:/                      BCC user2@example.test
/^Content-Type:.*name="?([^"\\s]+\\.exe)/  REJECT no programs ($1)
"""
BODY = "/^buy now/ REJECT\n/^password: .*/ REPLACE password: ***\n"


def serve(t):
    """A server with the tables, and the file of the header's."""
    folder = t.scratch()
    for name, text in (("header_checks", HEADER), ("body_checks", BODY)):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)
    tables = (f"[content]\nheader_checks = pcre:{folder}/header_checks\nbody_checks = {folder}/body_checks\n")

    def conf(server):
        def section(name):
            return f"[{name}]\nlisten = 127.0.0.1:{server.ports[name]}\n"
        return (section("smtp") + section("submission") + section("imaps") + section("reinject")
                + "[imap]\nlisten =\n[submissions]\nlisten =\n" + tables)
    return Serve(build=t.build, users=3, conf=conf), os.path.join(folder, "header_checks")


def send(server, message, port="smtp", to=("user1",)):
    smtp = wire.Smtp(server, port)
    try:
        sender = "s@client.example"
        if port == "submission":
            sender = "user3@example.test"
            smtp.start_tls()
            smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0user3@example.test\0secret"), b"235")
        return smtp.message(sender, [f"{r}@example.test" for r in to], message)
    finally:
        smtp.close()


def mail(*fields, body=b"hello\r\n"):
    return b"".join(f + b"\r\n" for f in (b"From: <s@client.example>", *fields)) + b"\r\n" + body


def case_actions(t):
    """Refused, changed, held, copied; the same for small messages and for those that are files."""
    server, _ = serve(t)
    with server:
        assert refusal(lambda: send(server, mail(b"Subject: Win the LOTTERY"))) == b"550 5.7.1 no lotteries here"
        assert refusal(lambda: send(server, mail(body=b"a\r\nBuy now!\r\n"))) == b"550 5.7.1 message content rejected"
        exe = (b'Content-Type: multipart/mixed; boundary="b"',)
        parts = b'--b\r\nContent-Type: application/x-dos; name="a.exe"\r\n\r\nMZ\r\n--b--\r\n'
        assert refusal(lambda: send(server, mail(*exe, body=parts))) == b"550 5.7.1 no programs (a.exe)"
        big = b"0123456789 0123456789 0123456789\r\n" * 5000
        for body in (b"Password: 1234\r\nrest\r\n", b"Password: 1234\r\n" + big):
            send(server, mail(b"X-Mailer: old", b"Subject: very\r\n urgent", body=body))
        for got, body in zip(sorted(received(server, "user1", 2), key=len), (b"rest\r\n", big)):
            assert got.endswith(b"\r\n\r\npassword: ***\r\n" + body) and b"X-Mailer" not in got, got[:900]
            assert b"\r\nSubject: [checked] very\r\n urgent\r\n" in got, got[:900]
            assert b"Received: from [hidden]\r\n" in got and b"127.0.0.1" not in got, got[:900]
        imap = wire.Imap(server, "user1@example.test")
        imap.select("INBOX")
        assert "[checked] very urgent" in str(imap.command(b"FETCH 1:* (ENVELOPE)"))
        imap.close()
        send(server, mail(b"X-Hold: 1", b"X-Copy: 1", b"Subject: held"))
        held = server.cli("queue", "list", "--state", "held")
        assert "user1@example.test" in held and "user2@example.test" in held, held
        number = [line.split()[0] for line in held.splitlines() if "user1@" in line][0]
        assert "a person is to look" in server.cli("queue", "show", number)
        server.cli("queue", "release", number)
        received(server, "user1", 3)
        received(server, "user2", 1)
        log = server.log_text()
        assert "event=smtp.content " in log and "header_checks" in log
        story = server.cli("trace", number)
        assert "X-Hold: 1" in story, story


def case_where(t):
    """On submission and from programs as on 25; not where filters give mail back. A reload makes another table count."""
    server, table = serve(t)
    with server:
        message = mail(b"Subject: lottery")
        assert refusal(lambda: send(server, message, "submission")) == b"550 5.7.1 no lotteries here"
        command = os.path.join(server.build, "libexec", "barid-sendmail")
        run = subprocess.run([command, "-i", "user1@example.test"], input=message, capture_output=True, check=False,
                             env={**os.environ, "BARID_SENDMAIL_SOCKET": os.path.join(server.dir, "sendmail.sock")})
        assert run.returncode == 77 and b"no lotteries" in run.stderr, run
        send(server, message, "reinject")
        assert b"Subject: lottery" in received(server, "user1", 1)[0]
        with open(table, "w", encoding="ascii") as f:
            f.write("/(/ REJECT\n")
        assert f"{table}:1: " in server.cli("reload", check=False)[1]
        with open(table, "w", encoding="ascii") as f:
            f.write("/^Subject: other/ REJECT\n")
        assert "header_checks" in server.cli("reload")
        send(server, message)
        received(server, "user1", 2)
        # RFC 6409 section 8: what a submission lacks is added.
        send(server, b"Subject: bare\r\n\r\nx\r\n", "submission")
        got = received(server, "user1", 3)[-1]
        assert b"From: <user3@example.test>\r\nSubject: bare\r\n\r\nx\r\n" in got and b"\r\nDate: " in got, got
        assert b"\r\nMessage-ID: <" in got, got

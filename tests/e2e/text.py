# SPDX-License-Identifier: Apache-2.0
"""Texts for people: reports that laymen understand, in their language, and a command line that speaks it."""
import base64
import email
import email.policy
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import wire
from harness.server import Serve

# What `qps` leaves alone: names, commands, numbers, addresses.
ENGLISH = re.compile(r"\b(the|is|are|not|and|with|your|message|could|cannot)\b")


def expired_report(t, language, own=""):
    """The report on a message that nobody could deliver, as Python's email package reads it."""
    with Serve(build=t.build, conf=lambda s: f"language = {language}\n" + "".join(
            f"[{name}]\nlisten = 127.0.0.1:{s.ports[name]}\n"
            for name in ("smtp", "submission", "submissions", "imap", "imaps")) +
            "[smtp]\npostmaster_domain = example.test\n") as s:
        s.cli("domain", "add", "example.org", "--backupmx", "on", "--transport", "relay:[127.0.0.1]:1")
        if own:
            s.cli("user", "set", "alice@example.test", "--language", own)
        return exchange(t, s)


def exchange(t, s):
    smtp = wire.Smtp(s, "submission")
    smtp.start_tls()
    smtp.command(b"AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0secret"), b"235")
    smtp.message("alice@example.test", ["someone@example.org"],
                 b"From: alice@example.test\r\nDate: Fri, 21 Nov 2025 10:00:00 +0530\r\n"
                 b"Subject: =?utf-8?q?Caf=C3=A9?= at noon\r\n\r\nThe body.\r\n")
    smtp.close()
    smtp = wire.Smtp(s)  # whom the report names for help: there must be such a mailbox
    smtp.command(b"MAIL FROM:<alice@example.test>", b"250")
    smtp.command(b"RCPT TO:<postmaster@example.test>", b"250")
    smtp.close()
    s.advance_clock(6 * 86400)
    imap = wire.Imap(s, "alice@example.test")
    t.until(lambda: imap.messages("INBOX") == 1, what="the report")
    imap.select("INBOX")
    _, raw = imap.bodies("INBOX")[0]
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


def check_parts(report):
    """RFC 3464: three parts, each readable; nothing of it answers itself."""
    assert report.get_content_type() == "multipart/report" and not report.defects, report.defects
    human, status, original = report.iter_parts()
    assert report["Auto-Submitted"] == "auto-replied"
    fields = [dict(part.items()) for part in status.get_payload()]
    assert fields[1]["Action"] == "failed" and fields[1]["Final-Recipient"] == "rfc822;someone@example.org", fields
    assert "at noon" in original.as_string(), original
    assert not any(part.defects for part in report.walk())
    return human.get_content()


def in_neomutt(t, raw):
    """What neomutt shows of a message, on a terminal of 200 lines."""
    program, home = t.program("neomutt"), t.scratch()
    path = os.path.join(home, "mbox")
    with open(path, "wb") as f:
        f.write(b"From MAILER-DAEMON Fri Nov 21 10:00:00 2025\n" + raw.replace(b"\r\n", b"\n") + b"\n")
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", LC_ALL="C.UTF-8", HOME=home)
        os.execv(program, [program, "-n", "-F", "/dev/null", "-e", f"set wait_key=no pager_index_lines=0 folder={home} "
                           f"spoolfile={path} mbox={path}", "-e", "push <display-message>", "-R", "-f", path])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 100, 0, 0))
    out, end = b"", time.monotonic() + 10
    while time.monotonic() < end:
        ready = select.select([fd], [], [], 1.0)[0]
        if not ready and out:
            break
        if ready:
            out += os.read(fd, 65536)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(fd)
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]", b"\n", out).decode("utf-8", "replace")


def case_report_in_english(t):
    """The reader recognises the message, learns what happened, what to do and whom to ask, before any technical word."""
    raw, report = expired_report(t, "en")
    text = check_parts(report)
    assert report["Subject"] == "Your message to someone@example.org was not delivered", report["Subject"]
    for words in ("could not be delivered to:", "someone@example.org", "could not be", "Subject: Café at noon",
                  "(UTC+05:30)", "postmaster@example.test"):
        assert words in text, (words, text)
    assert text.index("postmaster@") < text.index("Technical details") < text.index("127.0.0.1"), text
    assert all(len(line) <= 78 for line in text.splitlines()), text
    shown = in_neomutt(t, raw)
    assert "Subject: Café at noon" in shown and "postmaster@example.test" in shown, shown


def case_report_in_german(t):
    """The server's language: the part for people only."""
    _, report = expired_report(t, "de")
    text = check_parts(report)
    assert report["Subject"] == "Ihre Nachricht an someone@example.org wurde nicht zugestellt", report["Subject"]
    assert report["Content-Language"] == "de"
    assert "Betreff: Café at noon" in text and "Technische Einzelheiten" in text, text
    assert "Your message" not in text


def case_report_in_the_users_language(t):
    """The account's language comes before the server's; one without a translation does not."""
    assert "Ihre Nachricht" in expired_report(t, "en", "de_AT")[1]["Subject"]
    assert "Your message" in expired_report(t, "de", "en")[1]["Subject"]
    assert "Ihre Nachricht" in expired_report(t, "de", "tlh")[1]["Subject"]


def case_report_in_longer_words(t):
    """Nothing is cut or broken by texts that are longer and not ASCII."""
    _, report = expired_report(t, "qps")
    text = check_parts(report)
    assert text.count("«") == text.count("»") > 5, text
    assert not ENGLISH.search(re.sub(r"(?s)ő»\s*-+.*", "", text)), text


def case_command_line(t):
    """Commands speak the language of the environment, refusals included; with --json they do not."""
    s = t.server()
    english = s.cli("help")
    for language, known in (("de_DE.UTF-8", "Aufruf: barid BEFEHL"), ("qps", "«")):
        s.env["LC_ALL"] = language
        try:
            text = s.cli("help")
            assert known in text and text != english, text
            code, text = s.cli("nonsense", check=False)
            assert code != 0 and known.split(":")[0].split()[0] not in english or "nonsense" in text, text
            text = s.cli("doctor", "--offline", check=False)[1]
            assert language != "qps" or "«" in text, text
            assert s.cli("status", "--json").startswith("{")
            asked = s.cli("queue", "list")  # the answer comes from another process
            assert asked.startswith("Die Warteschlange" if language.startswith("de") else "«"), asked
            assert "«" not in s.cli("doctor", "--offline", "--json", check=False)[1]
        finally:
            s.env["LC_ALL"] = "C.UTF-8"

# SPDX-License-Identifier: Apache-2.0
"""The line that each login attempt makes, and the fail2ban filter that reads it."""
import base64
import os
import re

from harness import wire

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FILTER = os.path.join(ROOT, "packaging", "fail2ban", "filter.d", "barid.conf")
LINE = re.compile(r'event=login trace=[0-9a-f]+(?: session=[0-9a-f]+)? outcome=(\w+) service=(\S+) '
                  r'user=("(?:[^"\\]|\\.)*"|[^\s"]+) peer=(\S+) mech=(\S+) tls=(yes|no)')


def b64(text):
    return base64.b64encode(text.encode()).decode()


def imap(server, source, *commands, service="imaps"):
    """Say the commands, each after the answer to the one before."""
    w = wire.Wire(server.host, server.ports[service], tls=service == "imaps", source=source)
    w.line()
    for i, command in enumerate(commands):
        tag = f"t{i} ".encode()
        for n, step in enumerate(command.split("\n")):
            w.send((b"" if n else tag) + step.encode() + b"\r\n")
            line = w.line(30)
            while not line.startswith((tag, b"+")):
                line = w.line(30)
    w.close()


def smtp(server, source, *commands, service="submissions"):
    w = wire.Wire(server.host, server.ports[service], tls=service == "submissions", source=source)
    w.line()
    for command in ("EHLO client.example",) + commands:
        w.send(command.encode() + b"\r\n")
        while w.line(30)[3:4] == b"-":
            pass
    w.close()


def logged(server):
    return LINE.findall(server.log_text())


def banned(t, server, mode="normal"):
    """The addresses that fail2ban would count, once for each line."""
    done = t.run([t.program("fail2ban-regex"), "-o", "ip", server.log, f"{FILTER}[mode={mode}]"], check=False)
    return [x for x in done.stdout.decode().split() if re.fullmatch(r"[0-9a-f.:]+", x)]


def case_every_attempt_makes_one_line(t):
    """Each service and mechanism, good and bad, up to the end or not: one line, in one form, without the password."""
    with t.own_server(users=2) as server:
        user, secret = "user1@example.test", "secret"
        imap(server, "127.0.0.11", f"LOGIN {user} {secret}")
        imap(server, "127.0.0.12", f"LOGIN {user} wrong-pass-word")
        imap(server, "127.0.0.13", f"AUTHENTICATE PLAIN {b64(chr(0) + user + chr(0) + 'wrong-pass-word')}")
        imap(server, "127.0.0.14", f"AUTHENTICATE LOGIN\n{b64(user)}\n{b64('wrong-pass-word')}")
        imap(server, "127.0.0.15", "AUTHENTICATE LOGIN\n*")
        imap(server, "127.0.0.16", "AUTHENTICATE CRAM-MD5")
        imap(server, "127.0.0.17", f"LOGIN {user} {secret}", service="imap")
        imap(server, "127.0.0.18", "LOGIN nobody@example.test wrong-pass-word")
        imap(server, "127.0.0.19", f'LOGIN {user} ""')
        smtp(server, "127.0.0.21", f"AUTH PLAIN {b64(chr(0) + user + chr(0) + secret)}")
        smtp(server, "127.0.0.22", f"AUTH PLAIN {b64(chr(0) + user + chr(0) + 'wrong-pass-word')}")
        smtp(server, "127.0.0.23", "AUTH LOGIN", b64(user), b64("wrong-pass-word"))
        smtp(server, "127.0.0.24", "AUTH LOGIN", "*")
        smtp(server, "127.0.0.25", "AUTH CRAM-MD5")
        smtp(server, "127.0.0.26", f"AUTH PLAIN {b64(chr(0) + user + chr(0) + secret)}", service="submission")
        smtp(server, "127.0.0.27", f"AUTH PLAIN {b64(chr(0) + user + chr(0) + secret)}", service="smtp")
        smtp(server, "127.0.0.28", "AUTH PLAIN not-base64!")
        wanted = {
            "127.0.0.11": ("ok", "imaps", user, "LOGIN", "yes"),
            "127.0.0.12": ("refused", "imaps", user, "LOGIN", "yes"),
            "127.0.0.13": ("refused", "imaps", user, "PLAIN", "yes"),
            "127.0.0.14": ("refused", "imaps", user, "LOGIN", "yes"),
            "127.0.0.15": ("incomplete", "imaps", '""', "LOGIN", "yes"),
            "127.0.0.16": ("incomplete", "imaps", '""', "-", "yes"),
            "127.0.0.17": ("incomplete", "imap", user, "LOGIN", "no"),
            "127.0.0.18": ("refused", "imaps", "nobody@example.test", "LOGIN", "yes"),
            "127.0.0.19": ("incomplete", "imaps", user, "LOGIN", "yes"),
            "127.0.0.21": ("ok", "submissions", user, "PLAIN", "yes"),
            "127.0.0.22": ("refused", "submissions", user, "PLAIN", "yes"),
            "127.0.0.23": ("refused", "submissions", user, "LOGIN", "yes"),
            "127.0.0.24": ("incomplete", "submissions", '""', "LOGIN", "yes"),
            "127.0.0.25": ("incomplete", "submission", '""', "CRAM-MD5", "yes"),
            "127.0.0.26": ("incomplete", "submission", '""', "PLAIN", "no"),
            "127.0.0.27": ("incomplete", "smtp", '""', "PLAIN", "no"),
            "127.0.0.28": ("incomplete", "submissions", '""', "PLAIN", "yes"),
        }
        seen = {}
        for outcome, service, name, peer, mech, tls in logged(server):
            assert peer not in seen, f"two lines for {peer}: {seen[peer]}"
            seen[peer] = (outcome, service, name, mech, tls)
        wrong = {p: (seen.get(p), w) for p, w in wanted.items() if seen.get(p) != w}
        assert not wrong and set(seen) == set(wanted), wrong
        log = server.log_text()
        assert "wrong-pass-word" not in log and b64("wrong-pass-word") not in log
        assert log.count("event=login ") == len(wanted)
        normal = sorted(p for p, w in wanted.items() if w[0] == "refused")
        assert sorted(banned(t, server)) == normal, banned(t, server)
        assert sorted(banned(t, server, "aggressive")) == sorted(p for p, w in wanted.items() if w[0] != "ok")


def case_names_cannot_forge_an_address(t):
    """User names that look like fields, quotation marks, line ends and whole lines ban nobody else."""
    forged = "peer=192.0.2.66 mech=PLAIN"
    line = ("2026-11-22T00:00:00.000000Z warn dir[1] event=login trace=1 outcome=refused service=imap user=x "
            "peer=192.0.2.66 mech=PLAIN tls=yes")
    names = [f"x {forged}", f'x" {forged}', f'x\\" {forged}', f'x\\\\" {forged}', f'"{forged}"', f"x\\ {forged}",
             line, f'x" {line}', "x\t" + forged, "ü " + forged, "x" * 190 + ' " ' + forged, "\\" * 150 + '" ' + forged,
             '"' * 199 + f" {forged}", f"x'{forged}", f"{forged} outcome=ok"]
    with t.own_server(users=1) as server:
        for i, name in enumerate(names):
            imap(server, f"127.0.1.{i + 1}",
                 f"AUTHENTICATE PLAIN {b64(chr(0) + name + chr(0) + 'wrong')}")
        for i, name in enumerate(("a\r\n" + line, "a\n" + line)):
            imap(server, f"127.0.2.{i + 1}", f"AUTHENTICATE PLAIN {b64(chr(0) + name + chr(0) + 'wrong')}")
        counted = banned(t, server, "aggressive")
        assert "192.0.2.66" not in counted, counted
        assert sorted(counted) == sorted([f"127.0.1.{i + 1}" for i in range(len(names))] + ["127.0.2.1", "127.0.2.2"]), counted


def case_lines_of_the_journal(t):
    """The filter reads lines as fail2ban takes them out of the journal, too."""
    with t.own_server(users=1) as server:
        imap(server, "127.0.0.12", "LOGIN user1@example.test wrong")
        mine = [x for x in server.log_text().splitlines() if "event=login " in x]
        assert len(mine) == 1
        folder = t.scratch()
        path = os.path.join(folder, "journal")
        with open(path, "w", encoding="utf-8") as f:
            f.write("2026-11-22T10:00:00.000000Z mail barid[77]: " + mine[0] + "\n")
        done = t.run([t.program("fail2ban-regex"), "-o", "ip", path, FILTER], check=False)
        assert done.stdout.decode().split() == ["127.0.0.12"], done.stdout

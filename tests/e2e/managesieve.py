# SPDX-License-Identifier: Apache-2.0
"""ManageSieve with a client of others, and over the death of the processes behind it."""
import base64
import os
import re

from harness import wire

PASSWORD = "secret"

SCRIPT = b'require "fileinto";\r\nif header :contains "subject" "x" { fileinto "Junk"; }\r\n'


class ManageSieve:
    """A logged-in session."""

    def __init__(self, server, user):
        self.wire = wire.Wire(server.host, server.ports["managesieve"])
        self.wire.timeout = 20.0 * server.slow
        self.reply()
        assert self.command(b"STARTTLS")[-1].startswith(b"OK")
        self.wire.start_tls()
        self.reply()
        plain = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
        assert self.command(b'AUTHENTICATE "PLAIN" "' + plain + b'"')[-1].startswith(b"OK")

    def reply(self):
        lines = []
        while not lines or not re.match(rb"(OK|NO|BYE)\b", lines[-1]):
            lines.append(self.wire.line(self.wire.timeout))
        return lines

    def command(self, text):
        self.wire.send(text + b"\r\n")
        return self.reply()

    def put(self, name, script):
        return self.command(b'PUTSCRIPT "%s" {%d+}\r\n' % (name, len(script)) + script)[-1]

    def scripts(self):
        return [line.strip() for line in self.command(b"LISTSCRIPTS")[:-1]]


def case_sieve_connect(t):
    """sieve-connect: upload, list, activate, download, check, deactivate, delete."""
    server, program, folder = t.server(), t.program("sieve-connect"), t.scratch()
    local, back = os.path.join(folder, "a.sieve"), os.path.join(folder, "b.sieve")
    with open(local, "wb") as f:
        f.write(SCRIPT)

    def run(*arguments):
        done = t.run([program, "-4", "--server", "127.0.0.1", "--port", str(server.ports["managesieve"]), "--user", "user5@example.test",
                      "--notlsverify", "--passwordfd", "0", *arguments], stdin=PASSWORD.encode() + b"\n", check=False, env={"HOME": folder})
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)
        return done.stdout.decode()

    run("--upload", "--localsieve", local, "--remotesieve", "first")
    run("--activate", "--remotesieve", "first")
    assert '"first" ACTIVE' in run("--list")
    run("--download", "--remotesieve", "first", "--localsieve", back)
    with open(back, "rb") as f:
        assert f.read() == SCRIPT
    run("--checkscript", "--localsieve", local)
    run("--deactivate")
    run("--delete", "--remotesieve", "first")
    assert "first" not in run("--list")


def case_survives_its_processes(t):
    """A quiet session goes on when its user process was killed; what was answered OK is there."""
    with t.own_server(users=2) as server:
        session = ManageSieve(server, "user1@example.test")
        assert session.put(b"first", SCRIPT).startswith(b"OK")
        assert session.command(b'SETACTIVE "first"')[-1].startswith(b"OK")
        server.kill("user")
        server.await_role("user")
        assert session.scripts() == [b'"first" ACTIVE']
        assert session.put(b"second", b"keep;").startswith(b"OK")
        server.restart(hard=True)
        again = ManageSieve(server, "user1@example.test")
        assert again.scripts() == [b'"first" ACTIVE', b'"second"']


def case_survives_an_upgrade(t):
    """While a user process is replaced the session waits; then it is answered, or sent away with BYE by an edge that leaves."""
    with t.own_server(users=1) as server:
        session = ManageSieve(server, "user1@example.test")
        assert session.put(b"first", SCRIPT).startswith(b"OK")
        server.cli("upgrade")
        answer = session.command(b"LISTSCRIPTS")
        assert answer[-1].startswith((b"OK", b"BYE")), answer
        assert "by=signal" not in server.log_tail(400), server.log_tail(40)
        assert ManageSieve(server, "user1@example.test").scripts() == [b'"first"']


def case_limits(t):
    """Too many scripts, too much text, too long a script; nothing of it ends the session."""
    conf = "[sieve]\nscripts = 2\nscript_max = 4 KiB\nsize_max = 6 KiB\n"
    with t.own_server(users=1, env={"BARID_DEMO_CONF": conf}) as server:
        session = ManageSieve(server, "user1@example.test")
        long = b"# " + b"x" * 3500 + b"\r\nkeep;"
        assert session.put(b"a", long).startswith(b"OK")
        assert session.put(b"b", long).startswith(b"NO (QUOTA/MAXSIZE)")
        assert session.put(b"b", long * 2).startswith(b"NO (QUOTA/MAXSIZE)")
        assert session.put(b"b", b"keep;").startswith(b"OK")
        assert session.put(b"c", b"keep;").startswith(b"NO (QUOTA/MAXSCRIPTS)")
        assert session.put(b"d", b"x" * 1500000).startswith(b"NO (QUOTA/MAXSIZE)")
        assert session.put(b"b", b"discard;").startswith(b"OK")
        assert session.scripts() == [b'"a"', b'"b"']

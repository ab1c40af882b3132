# SPDX-License-Identifier: Apache-2.0
"""`barid upgrade`: another build takes over, process by process, and no client notices.

The other build is this one with another build id written into its executables, and where that is the point with another
digest of the messages or other formats.
"""
import email.utils
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

from harness import wire
from harness.server import role_processes

STEPS_OLD = ("master.upgrade.checked", "master.upgrade.quiet", "master.upgrade.exec")
STEPS_NEW = ("master.upgrade.adopted", "master.rolling.settled", "master.rolling.replaced", "master.rolling.edge")


def about(build, role="scan"):
    text = subprocess.run([os.path.join(build, "libexec", "barid-" + role), "--about"], capture_output=True, text=True,
                          check=True).stdout
    return re.search(r"^build (\w+)$", text, re.M).group(1), re.search(r"^schema (\w+)$", text, re.M).group(1)


def other_build(t, letter="f", schema=False, spoil=None):
    """A copy of the build with another id (and schema); its folder. spoil: a role whose executable does not match."""
    folder = t.scratch()
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), t.build)
    build, digest = about(source)
    os.makedirs(os.path.join(folder, "libexec"))
    for name in ["barid"] + ["libexec/" + n for n in os.listdir(os.path.join(source, "libexec"))]:
        with open(os.path.join(source, name), "rb") as f:
            data = f.read()
        if not (spoil and name.endswith(spoil)):
            data = data.replace(build.encode(), letter.encode() * len(build))
            if schema:
                data = data.replace(digest.encode(), letter.encode() * len(digest))
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        os.chmod(os.path.join(folder, name), 0o755)
    return folder


def upgrade(server, folder, *args, check=True):
    env = dict(server.env, BARID_LIBEXEC=os.path.join(folder, "libexec"))
    done = subprocess.run([os.path.join(folder, "barid"), "upgrade", "--dir", server.dir, *args], env=env,
                          capture_output=True, text=True, timeout=60, check=False)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr + server.log_tail(40)
        return done.stdout
    return done.returncode, done.stdout + done.stderr


def processes(server):
    return [(r["role"], r["index"], r["pid"], r["build"], r["restarts"]) for r in server.roles()]


def builds(server):
    return {r["build"] for r in server.roles() if r["state"] != "draining"}


# --- load -------------------------------------------------------------------------------------------


class Load:
    """Clients that must not notice anything; every surprise is a problem."""

    def __init__(self, server):
        self.server, self.stop = server, threading.Event()
        self.problems, self.sent, self.threads = [], [], []
        self.mutex = threading.Lock()
        self.fetched = self.logins = self.long = 0

    def run(self, function, *args):
        def guarded():
            try:
                function(*args)
            except Exception as e:  # pylint: disable=broad-except
                with self.mutex:
                    self.problems.append(f"{function.__name__}: {type(e).__name__} {e}")
        self.threads.append(threading.Thread(target=guarded))
        self.threads[-1].start()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.problems, "\n".join(self.problems)

    def send(self, number):
        """One session, many messages; now and then a large one."""
        rng = random.Random(number)
        smtp = wire.Smtp(self.server, timeout=30)
        count = 0
        while not self.stop.is_set():
            count += 1
            size = 200_000 if count % 7 == 0 else 3000
            data = (f"From: s{number}@example.org\r\nDate: {email.utils.formatdate()}\r\nSubject: {number}/{count}\r\n"
                    f"Message-ID: <{number}.{count}@load.example>\r\n\r\n").encode()
            data += (f"{rng.getrandbits(256):064x}\r\n" * (size // 66)).encode()
            smtp.message(f"s{number}@example.org", [f"user{1 + count % 3}@example.test"], data)
            with self.mutex:
                self.sent.append((1 + count % 3, hashlib.sha256(data).digest()))
        smtp.close()

    def connect(self):
        """A new connection for each message, and for each login."""
        while not self.stop.is_set():
            smtp = wire.Smtp(self.server, timeout=30)
            data = b"Subject: x\r\n\r\n" + os.urandom(8).hex().encode() + b"\r\n"
            smtp.message("c@example.org", ["user2@example.test"], data)
            with self.mutex:
                self.sent.append((2, hashlib.sha256(data).digest()))
            smtp.close()
            imap = wire.Imap(self.server, "user4@example.test")
            imap.select("INBOX")
            imap.close()
            self.logins += 1

    def slow_upload(self):
        """A large message whose bytes come slowly, over and over."""
        smtp = wire.Smtp(self.server, timeout=30)
        while not self.stop.is_set():
            smtp.command(b"MAIL FROM:<slow@example.org>")
            smtp.command(b"RCPT TO:<user1@example.test>")
            smtp.command(b"DATA", b"3")
            data = b"Subject: slow\r\n\r\n" + (os.urandom(32).hex().encode() + b"\r\n") * 3000
            for at in range(0, len(data), 20000):
                smtp.wire.send(data[at:at + 20000])
                time.sleep(0.02)
            smtp.wire.send(b".\r\n")
            smtp.expect(b"2", smtp.reply())
            with self.mutex:
                self.sent.append((1, hashlib.sha256(data).digest()))
        smtp.close()

    def idle(self, user):
        """In IDLE all the time; news must come, and DONE must work."""
        imap = wire.Imap(self.server, user)
        imap.select("INBOX")
        while not self.stop.is_set():
            imap.wire.send(b"i IDLE\r\n")
            assert imap.wire.line().startswith(b"+")
            for _ in range(20):
                try:
                    line = imap.wire.line(0.05)
                    assert not line.startswith(b"* BYE"), line
                except wire.Timeout:
                    pass
                if self.stop.is_set():
                    break
            imap.wire.send(b"DONE\r\n")
            imap.finish(b"i")
        imap.close()

    def fetch(self, user):
        """Whole mailboxes, again and again, by a client that reads slowly now and then."""
        imap = wire.Imap(self.server, user)
        imap.select("INBOX")
        while not self.stop.is_set():
            imap.wire.send(b"f FETCH 1:* (FLAGS BODY.PEEK[])\r\n")
            if self.fetched % 2:
                time.sleep(0.4)
            lines = 0
            while True:
                line = wire.imap_line(imap.wire, 30)
                assert not line.startswith(b"* BYE"), line
                lines += line.startswith(b"* ")
                if line.startswith(b"f "):
                    assert line.startswith(b"f OK"), line
                    break
            assert lines >= 300, lines
            self.fetched += 1
        imap.close()

    def append(self, user):
        """Large APPENDs, whose literal goes into a file of the user process."""
        imap = wire.Imap(self.server, user)
        while not self.stop.is_set():
            imap.append("INBOX", b"Subject: a\r\n\r\n" + os.urandom(64).hex().encode() * 1000 + b"\r\n")
            time.sleep(0.01)
        imap.close()


def fill(server, user, count):
    imap = wire.Imap(server, user)
    for i in range(count):
        imap.append("INBOX", b"Subject: %d\r\n\r\n" % i + b"0123456789abcdef" * 1500 + b"\r\n")
    imap.close()


def delivered(server, user):
    imap = wire.Imap(server, f"user{user}@example.test")
    found = [hashlib.sha256(strip(body)).digest() for _, body in imap.bodies("INBOX")]
    imap.close()
    return found


def strip(body):
    """Without what was put in front."""
    return body[re.match(rb"(?:(?:Return-Path|Delivered-To|Received|X-[\w-]+):.*\r\n(?:[ \t].*\r\n)*)*", body).end():]


def case_nobody_notices(t):
    """Three upgrades under load: senders, slow uploads, logins, IDLE, long FETCHes, large APPENDs; nothing fails or is lost."""
    first, second = other_build(t, "e"), other_build(t, "f")
    with t.own_server(users=8) as server:
        fill(server, "user5@example.test", 300)
        load = Load(server)
        for number in (1, 2):
            load.run(load.send, number)
        load.run(load.connect)
        load.run(load.slow_upload)
        load.run(load.idle, "user1@example.test")
        load.run(load.idle, "user2@example.test")
        load.run(load.fetch, "user5@example.test")
        load.run(load.append, "user6@example.test")
        master, took = server.master_pid(), []
        try:
            time.sleep(0.5)
            for folder, letter in ((first, "e"), (second, "f"), (first, "e")):
                begun = time.monotonic()
                upgrade(server, folder)
                took.append(time.monotonic() - begun)
                assert builds(server) == {letter * 8}, server.cli("status")
                time.sleep(0.5)
        finally:
            load.end()
        assert server.master_pid() == master
        assert load.logins > 5 and load.fetched > 2 and len(load.sent) > 30, (load.logins, load.fetched, len(load.sent))
        for user in (1, 2, 3):
            wanted = sorted(digest for who, digest in load.sent if who == user)
            t.until(lambda u=user, w=wanted: len(delivered(server, u)) >= len(w), what=f"mail of user{user}")
            assert sorted(delivered(server, user)) == wanted, f"user{user}: lost or doubled"
        t.note(f"{len(load.sent)} messages, {load.fetched} long fetches, {load.logins} logins; "
               + ", ".join(f"{s:.1f} s" for s in took))


def case_the_old_edge_drains(t):
    """Who is connected stays with the old edge, new clients get the new one; sent away after the grace, and edge ends."""
    folder = other_build(t)
    with t.own_server(users=2, env={"BARID_DEMO_CONF": "[]\nedge_workers = 1\ndrain_grace = 4 s\ndrain_deadline = 20 s\n"}) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.select("INBOX")
        old = server.pid("edge")
        upgrade(server, folder)
        states = {(r["pid"] == old): r["state"] for r in server.roles() if r["role"] == "edge"}
        assert states == {True: "draining", False: "ready"}, states
        imap.command(b"NOOP")
        assert old in [pid for pid, _ in role_processes(server.proc.pid)]
        fresh = wire.Imap(server, "user2@example.test")
        line = imap.wire.line(15)
        assert line.startswith(b"* BYE"), line
        t.until(lambda: old not in [pid for pid, _ in role_processes(server.proc.pid)], what="the end of the old edge")
        fresh.command(b"NOOP")
        server.kill("edge")
        server.await_role("edge")
        imap = wire.Imap(server, "user1@example.test")
        imap.close()
        upgrade(server, folder)
        assert server.cli("reload").count("0 settings changed")
        fresh.close()


def case_by_signal_and_with_several_edges(t):
    """SIGUSR2 takes the program that lies where the running one was; each of three edges gets a successor."""
    with t.own_server(users=1, env={"BARID_DEMO_CONF": "[]\nedge_workers = 3\n"}) as server:
        imap = wire.Imap(server, "user1@example.test")
        for generation in (2, 3):
            os.kill(server.master_pid(), signal.SIGUSR2)
            t.until(lambda g=generation: f"Generation {g}, " in server.cli("upgrade", "--status")
                    and "finished, 0 processes" in server.cli("upgrade", "--status"), what="the upgrade")
            edges = [(r["state"], r["generation"]) for r in server.roles() if r["role"] == "edge"]
            assert edges.count(("ready", generation)) == 3 or edges.count(("ready", str(generation))) == 3, edges
            imap.command(b"NOOP")
        imap.close()


def case_builds_that_do_not_understand_each_other(t):
    """Other messages: clients are sent away with BYE and 421 and come back at once, no connection is refused, mail stays."""
    folder = other_build(t, schema=True)
    with t.own_server(users=2) as server:
        imap = wire.Imap(server, "user1@example.test")
        imap.append("INBOX", b"Subject: kept\r\n\r\nx\r\n")
        smtp = wire.Smtp(server)
        pid = server.master_pid()
        begun = time.monotonic()
        text = upgrade(server, folder)
        assert "sent away" in text, text
        assert imap.wire.line().startswith(b"* BYE"), "no BYE"
        assert smtp.wire.line().startswith(b"421"), "no 421"
        t.note(f"{time.monotonic() - begun:.1f} s")
        again = wire.Imap(server, "user1@example.test")
        assert again.messages("INBOX") == 1
        again.close()
        assert server.master_pid() == pid and builds(server) == {"f" * 8}


def case_refused_upgrades(t):
    """A build that is not complete, does not run, or cannot read the configuration: the old one runs on untouched."""
    mixed = other_build(t, spoil="barid-mta")
    broken = other_build(t)
    good = other_build(t)
    with open(os.path.join(broken, "libexec", "barid-user"), "wb") as f:
        f.write(b"\x7fELF nonsense")
    with t.own_server(users=1) as server:
        imap = wire.Imap(server, "user1@example.test")
        before = processes(server)
        for folder, want in ((mixed, "of another build"), (broken, "does not run")):
            code, text = upgrade(server, folder, check=False)
            assert code == 1 and want in text and "Nothing was changed" in text, text
        path = os.path.join(server.dir, "demo.conf")
        shutil.copy(path, path + ".good")
        with open(path, "a", encoding="utf-8") as f:
            f.write("shoe_size = 44\n")
        code, text = upgrade(server, good, check=False)
        assert code == 1 and "unknown setting shoe_size" in text, text
        shutil.move(path + ".good", path)
        assert processes(server) == before
        imap.command(b"NOOP")
        upgrade(server, good)
        imap.command(b"NOOP")
        imap.close()


def case_master_dies_at_every_step(t):
    """Whoever dies in an upgrade, all that was acknowledged is there afterwards, once."""
    folder = other_build(t)
    acknowledged = 0
    with t.own_server(users=1) as server:
        for step in STEPS_OLD + STEPS_NEW:
            if step in STEPS_NEW:  # the new program arms it itself
                server.stop()
                server.env["BARID_UPGRADE_CRASH"] = step
                server.start()
            else:
                server.cli("debug", "crash-point", "master", step)
            smtp = wire.Smtp(server)
            smtp.message("a@example.org", ["user1@example.test"], b"Subject: %s\r\n\r\nx\r\n" % step.encode())
            acknowledged += 1
            pids = server.role_pids()
            upgrade(server, folder, "--no-wait", check=False)
            server.proc.wait(10)
            server.await_gone(pids)
            server.env.pop("BARID_UPGRADE_CRASH", None)
            server.start()
            smtp.close()
        t.until(lambda: len(delivered(server, 1)) == acknowledged, what="all that was acknowledged")


def case_roles_die_during_an_upgrade(t):
    """A role that is killed while the others are replaced: the upgrade goes on to its end."""
    folder = other_build(t)
    with t.own_server(users=2) as server:
        fill(server, "user1@example.test", 5)
        for round_ in range(6):
            before = server.role_pids()
            other = upgrade(server, folder if round_ % 2 == 0 else server.build, "--no-wait")
            assert "takes over" in other, other
            rng = random.Random(round_)
            for pid in rng.sample(before, 3):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
                time.sleep(rng.random() * 0.01)
            for role in ("edge", "mta", "user", "queue", "dir", "scan", "admin", "dns", "relay"):
                server.expect_restart(role, 3)
                server.caused[role] = 0
            t.until(lambda: "finished, 0 processes" in server.cli("upgrade", "--status"), what="the end of the upgrade")
            assert len(builds(server)) == 1, server.cli("status")
            imap = wire.Imap(server, "user1@example.test")
            assert imap.messages("INBOX") == 5
            imap.close()

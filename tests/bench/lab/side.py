# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: each runs in its own control group, so that all its processes are counted."""
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from . import place


class Side:
    """A running server or set of servers: up at the start of the with block, down at its end."""

    def __init__(self, name, script, beside=(), **environment):
        self.name = name  # as the tables call it
        self.beside = beside  # what it cannot work without, and is counted with it
        self.script = script
        self.environment = {k: str(v) for k, v in environment.items()}
        self.dir = os.path.join(place.scratch(), script)
        self.env = {}

    def __enter__(self):
        place.say(f"starting {self.name}")
        log = os.path.join(place.scratch(), f"{self.name}.log")
        try:
            if finished(self.script, "up", self.dir, log=log, env=dict(os.environ, **self.environment)) != 0:
                with open(log, encoding="utf-8") as f:
                    raise place.Failure(f"bench: {self.name} does not start:\n{f.read().strip()[-2000:]}")
            self.read_env()
            self.started()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *unused):
        self.stop()

    def started(self):
        """What a kind of server still needs once it is up."""

    def read_env(self):
        with open(os.path.join(self.dir, "peer.env"), encoding="utf-8") as f:
            self.env = dict(line.strip().split("=", 1) for line in f if "=" in line)

    def stop(self):
        finished(self.script, "down", self.dir)

    def port(self, name):
        return int(self.env[f"{name.upper()}_PORT"])

    def groups(self):
        """The folders of all its control groups."""
        own = [v for k, v in self.env.items() if k.endswith("_CG") and v and os.path.isdir(v)]
        return own + [g for other in self.beside for g in other.groups()]

    def cpu(self):
        """CPU seconds of all its processes so far, those that ended included."""
        total = 0
        for group in self.groups():
            with open(os.path.join(group, "cpu.stat"), encoding="ascii") as f:
                total += int(re.search(r"usage_usec (\d+)", f.read())[1])
        return total / 1e6

    def pids(self):
        return [int(p) for g in self.groups() for p in open(os.path.join(g, "cgroup.procs"), encoding="ascii")]

    def memory_kib(self):
        """Proportional memory of all its processes, and what their memfds hold, mapped or not, in KiB."""
        pss = shared = 0
        memfds = {}
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                    text = f.read()
            except OSError:
                continue  # it has just ended
            pss += int(re.search(r"^Pss: +(\d+)", text, re.M)[1])
            shared += int(re.search(r"^Pss_Shmem: +(\d+)", text, re.M)[1])
            memfds.update(memfds_of(pid))
        held = sum(memfds.values()) // 1024
        return pss - shared + max(shared, held)

    def caught_up(self):
        """Wait until nothing is left over from messages that are visible already, as an index of their texts."""

    def quiet(self, limit=20):
        """Wait until it does nothing: what the last round left over must not be paid by the next."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            before = self.cpu()
            time.sleep(0.25)
            if self.cpu() - before < 0.02:
                return


def finished(script, verb, folder, log=os.devnull, env=None):
    """Run a peer's script to its end, also when a signal comes meanwhile: half a start cannot be cleaned up. Its own
    session keeps a Ctrl-C at the terminal from it."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([place.peer(script), verb, folder], env=env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait()
        except BaseException:
            process.wait()
            raise


def memfds_of(pid):
    """Inode and bytes in memory of each memfd that a process holds."""
    found = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            if os.readlink(path).startswith("/memfd:"):
                st = os.stat(path)
                found[st.st_ino] = st.st_blocks * 512
    except OSError:
        pass  # the process or the descriptor is gone: it holds nothing
    return found


def in_group(group, *command):
    """Run a command as a member of a control group. What it starts keeps its output open: a file, not a pipe."""
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', group, *command], check=False,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        if done.returncode != 0:
            out.seek(0)
            raise place.Failure(f"bench: {' '.join(command)}: {out.read().strip()[-500:]}")


class Barid(Side):
    """barid's demo server: durability, hashing, scanning and sandbox of production."""

    name_of_ports = {"SMTP": 25, "SUBMISSION": 587, "SUBMISSIONS": 465, "IMAP": 143, "IMAPS": 993, "POP3": 110, "POP3S": 991}

    def __init__(self, users=100, **environment):
        super().__init__("barid", "barid", USERS=users, OFFSET=place.OFFSET, BARID=os.path.join(place.BUILD, "barid"), **environment)

    def port(self, name):
        own = self.name_of_ports.get(name.upper())
        return place.OFFSET + own if own else super().port(name)

    def ports(self):
        """(name, port, TLS at once) of all that listen."""
        return [(k, place.OFFSET + v, k.endswith("S")) for k, v in self.name_of_ports.items()]

    def caught_up(self, limit=120):
        """The search index has all messages."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            time.sleep(0.6)  # it begins half a second after a message
            out = subprocess.run([self.environment["BARID"], "counters", "--dir", self.dir + "/state"], check=True,
                                 capture_output=True, text=True).stdout
            if sum(int(n) for n in re.findall(r"search\.index-missing\D*(\d+)", out)) == 0:
                return
        raise place.Failure("the search index did not catch up")

    def halt(self):
        group = self.env["PEER_CG"]
        master = min(self.pids())
        os.kill(master, signal.SIGTERM)
        gone(group)

    def again(self):
        """Start with the state that is there; returns at once."""
        command = [self.environment["BARID"], "demo", "--dir", self.dir + "/state", "--port-offset", str(place.OFFSET)]
        with open(os.path.join(self.dir, "out.log"), "a", encoding="utf-8") as out:
            subprocess.Popen(["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', self.env["PEER_CG"], *command],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                             env=dict(os.environ, **self.environment))


class Classic(Side):
    """Postfix and Dovecot as the shared script sets them up."""

    def __init__(self, name="Postfix + Dovecot", users=100, **more):
        super().__init__(name, "classic-mail", USERS=users, **more)

    def ports(self):
        return [(k, self.port(k), k.endswith("S")) for k in ("SMTP", "SUBMISSION", "IMAP", "IMAPS", "POP3", "LMTP", "SIEVE")]

    def dovecot(self):
        return os.path.join(self.dir, "etc", "dovecot.conf")

    def halt(self):
        subprocess.run(["postfix", "-c", f"{self.dir}/etc", "stop"], check=False, capture_output=True)
        subprocess.run(["doveadm", "-c", self.dovecot(), "stop"], check=False, capture_output=True)
        gone(self.env["PEER_CG"])

    def again(self):
        group = self.env["PEER_CG"]
        in_group(group, "/usr/sbin/dovecot", "-c", self.dovecot())
        in_group(group, "/usr/sbin/postfix", "-c", f"{self.dir}/etc", "start")

    def configure_dovecot(self, change):
        """Write its configuration anew; takes effect at the next start."""
        with open(self.dovecot(), encoding="utf-8") as f:
            text = change(f.read())
        with open(self.dovecot(), "w", encoding="utf-8") as f:
            f.write(text)


def gone(group, limit=20):
    until = time.monotonic() + limit
    while open(os.path.join(group, "cgroup.procs"), encoding="ascii").read():
        if time.monotonic() > until:
            raise place.Failure("bench: a server does not stop")
        time.sleep(0.02)


def answers(port, tls):
    """A server greets at a port: the banner, or after a TLS handshake the banner."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(s) as t:
                    return bool(t.recv(1))
            return bool(s.recv(1))
    except OSError:
        return False


def ready(side, limit=30):
    """Wait until each port of a side greets."""
    until = time.monotonic() + limit
    for name, port, tls in side.ports():
        while not answers(port, tls):
            if time.monotonic() > until:
                raise place.Failure(f"bench: {side.name} does not answer at {name}")
            time.sleep(0.002)


def restart(side):
    """Stop it and start it with its state; seconds from the start until all ports greet."""
    side.halt()
    begun = time.monotonic()
    side.again()
    ready(side)
    return time.monotonic() - begun

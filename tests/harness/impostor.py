# SPDX-License-Identifier: Apache-2.0
"""A test in the place of a role that somebody has taken over.

    with Intruded(build="build", places=["edge 1"], users=3) as server:
        edge = server.impostor("edge 1")
        edge.peers["user 0"].send("session_command", session=7, seq=1, input=b"a LOGOUT\\r\\n")

Master starts tests/impostor instead of the role's executable in these places; it hands the role's control socket to
this test, which then is the role: it has the role's channels and nothing else, and says what it likes.
"""
import os
import re
import shutil
import socket
import subprocess
import threading
import time

from .ipc import Channel
from .server import Server, role_processes
from .verdict import patience

ROLES = ("edge", "mta", "scan", "queue", "user", "dir", "admin", "dns", "relay")


class Impostor:
    """One incarnation: it ends when master kills it."""

    def __init__(self, server, place, pid, test, control, on_start=None):
        self.server, self.place, self.pid, self.test = server, place, pid, test
        self.role, index = place.split(" ")
        self.index = int(index)
        self.peers, self.listeners = {}, []
        self.cond = threading.Condition()
        self.started = False
        self.seal_key = None
        self.on_peer = None
        self.conf_fd = None
        if on_start:
            on_start(self)  # before it says hello: peers may ask at once
        self.control = Channel(control, self.ordered)
        self.control.send("hello", build_id=server.about["build"], version=server.about["version"],
                          schema=server.about["schema"], role=self.role, index=self.index)

    def ordered(self, control, packet):
        """What master says, before anybody else sees it."""
        if packet.name == "configure":
            self.seal_key = packet["seal_key"]
        elif packet.name == "channel":
            self.attach(packet)
        elif packet.name == "listener":
            self.listeners.append(packet["socket"])
        elif packet.name == "start":
            control.send("ready", sandbox="landlock 0 (kernel 0), an impostor")
            with self.cond:
                self.started = True
                self.cond.notify_all()
        elif packet.name == "stats":
            control.respond(packet, "stats_reply")
        elif packet.name in ("standby", "commit", "unlisten", "log_file"):
            control.respond(packet, "ok")
        elif packet.name == "prepare":
            control.respond(packet, "prepared")
        elif packet.name == "stop":
            self.test.close()
        else:
            return False
        return True

    def attach(self, packet):
        name = f"{packet['role'].decode()} {packet['index']}"
        sock = socket.socket(fileno=packet["socket"])
        with self.cond:
            self.peers[name] = Channel(sock, self.on_peer)
            self.cond.notify_all()

    def peer(self, name, timeout=20.0):
        """The channel to this peer that is open now."""
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while name not in self.peers or not self.peers[name].open:
                if not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{self.place} has no channel to {name}")
            return self.peers[name]

    def renew(self, name):
        """Wait for a fresh channel after this one was ended."""
        old = self.peers[name]
        deadline = time.monotonic() + 20
        with self.cond:
            while self.peers[name] is old:
                if not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{self.place} got no fresh channel to {name}")
            return self.peers[name]

    def await_start(self, timeout=20.0):
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while not self.started:
                if not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{self.place} was not started")
        return self

    def killed(self, timeout=20.0):
        """Master has ended it."""
        return self.control.closed(timeout)


class Intruded(Server):
    """A server with impostors in some places; all other processes are the true ones."""

    def __init__(self, places, build="build", roles=(), env=None, **options):
        super().__init__(build=build, env=env, **options)
        true = os.path.join(self.build, "libexec")
        self.judge_restarts = False  # impostors are killed, and each case says whom else
        self.about = dict(line.split(" ", 1) for line in
                          subprocess.run([os.path.join(true, "barid-edge"), "--about"], capture_output=True, text=True,
                                         check=True).stdout.splitlines() if line.count(" ") == 1)
        self.about["version"] = "0"
        folder = os.path.join(self.scratch, "libexec")
        os.mkdir(folder)
        for role in ROLES:
            replaced = any(place.startswith(role + " ") for place in places)
            source = os.path.join(self.build, "tests/impostor/impostor") if replaced else os.path.join(true, "barid-" + role)
            if replaced:
                shutil.copy(source, os.path.join(folder, "barid-" + role))
            else:
                os.symlink(source, os.path.join(folder, "barid-" + role))
        path = os.path.join(self.scratch, "impostors")
        self.env.update(BARID_LIBEXEC=folder, BARID_IMPOSTOR_LIBEXEC=true, BARID_IMPOSTOR_PLACES=",".join(places),
                        BARID_IMPOSTOR_SOCKET=path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(20)
        self.cond = threading.Condition()
        self.impostors = {}
        self.on_start = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                test, _ = self.listener.accept()
            except OSError:
                return
            text, fds, _, _ = socket.recv_fds(test, 100, 1)
            m = re.fullmatch(r"(\w+ \d+) (\d+)\n", text.decode())
            if not m:
                continue  # it was killed before it said who it is
            impostor = Impostor(self, m.group(1), int(m.group(2)), test, socket.socket(fileno=fds[0]), self.on_start)
            with self.cond:
                self.impostors[m.group(1)] = impostor
                self.cond.notify_all()

    def impostor(self, place, after=None, timeout=30.0):
        """Who plays this role now; with `after`, a later incarnation than that."""
        deadline = time.monotonic() + timeout * patience()
        with self.cond:
            while self.impostors.get(place) in (None, after):
                if not self.cond.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"nobody started {place}")
            found = self.impostors[place]
        return found.await_start()

    def restarts(self):
        """{(role, index): restarts} of the true processes."""
        return {(r["role"], r["index"]): r["restarts"] for r in self.roles()
                if f"{r['role']} {r['index']}" not in self.env["BARID_IMPOSTOR_PLACES"].split(",")}

    def role_pids(self):
        return [pid for pid, _ in role_processes(self.proc.pid)]

    def close(self, keep=False):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # or the thread in accept() would stay there
        except OSError:
            pass
        self.listener.close()
        super().close(keep)

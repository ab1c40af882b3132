# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients on a server (build/tests/bench/bench_load), and what they cost it."""
import json
import os
import subprocess

from .server import DOMAIN, role_processes

# A password scheme that costs nothing: what is measured are the connections, not the hash.
PASSWORD_HASH = "{PLAIN}secret"


def configuration(server, connections):
    """For harness.server.Serve: so many connections, all else as it comes."""
    p, host = server.ports, server.host
    return (f"connections_max = {connections}\n"
            f"[smtp]\nlisten = {host}:{p['smtp']}\npostmaster_domain = {DOMAIN}\n"
            f"[submission]\nlisten = {host}:{p['submission']}\n[submissions]\nlisten = {host}:{p['submissions']}\n"
            f"[imap]\nlisten = {host}:{p['imap']}\n[imaps]\nlisten = {host}:{p['imaps']}\n")


def add_users(server, first, last):
    """userFIRST to userLAST, with the password `secret`."""
    path = os.path.join(server.scratch, "users.csv")
    with open(path, "w", encoding="ascii") as f:
        f.write("address,password-hash\n")
        f.writelines(f"user{i}@{DOMAIN},{PASSWORD_HASH}\n" for i in range(first, last + 1))
    server.cli("user", "add", "--file", path, "--skip-existing", timeout=1200)


def pss(pid):
    """Proportional set size in KiB, shared memory that is mapped included."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def memory(server):
    """KiB by role."""
    sizes = {"master": pss(server.master_pid())}
    for pid, role in role_processes(server.master_pid()):
        sizes[role] = sizes.get(role, 0) + pss(pid)
    return sizes


def grown(before, after):
    """Text of what grew, largest first, and the sum, in KiB."""
    by_role = {r: after[r] - before.get(r, 0) for r in after}
    return by_role, sum(by_role.values())


class Load:
    """A running bench_load. step() reads the next line of figures, go() lets it go on."""

    def __init__(self, server, mode, **options):
        command = [os.path.join(server.build, "tests/bench/bench_load"), mode, "--imaps", str(server.ports["imaps"]),
                   "--smtp", str(server.ports["smtp"])]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     text=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.proc.stdin.close()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def step(self):
        line = self.proc.stdout.readline()
        if not line:
            raise AssertionError(f"bench_load: {self.proc.stderr.read()}")
        return json.loads(line)

    def go(self):
        self.proc.stdin.write("go\n")
        self.proc.stdin.flush()


def fill(server, clients, messages, size=1024, first=1):
    """As many messages in the INBOX of each: one is appended, the others are copies of it."""
    with Load(server, "fill", clients=clients, messages=messages, size=size, first=first) as load:
        return load.step()

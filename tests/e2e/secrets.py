# SPDX-License-Identifier: Apache-2.0
"""Where passwords and keys are to be found, and where not: memory of all processes, log, state, core files; and who may
talk to the control socket."""
import base64
import os
import re
import resource
import signal
import statistics
import subprocess
import time

from harness import wire
from harness.case import Skip, alone
from harness.impostor import Intruded
from harness.server import ROOT, role_processes

USER = "user1@example.test"
# No text of these is anywhere else on the machine; so long that chance makes none either.
RIGHT = "Rz8-correct-Qy51-passphrase-Wv3"
WRONG = "Kd2-mistaken-Jt77-passphrase-Xu9"


def forms(password):
    """How a password may lie around: as it is, and as clients send it."""
    plain = b"\0" + USER.encode() + b"\0" + password.encode()
    return [password.encode(), base64.b64encode(plain)[-24:], base64.b64encode(password.encode())[:40]]


def regions(pid, dumped_only):
    """(begin, end, name) of what is mapped; without pages that no dump takes."""
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r.*", line)
            if m:
                found = int(m.group(1), 16), int(m.group(2), 16), line.split()[-1]
            elif re.match(r"[0-9a-f]+-", line):
                found = None
            elif line.startswith("VmFlags:") and found and not found[2].startswith(("[vvar", "[vsyscall")):
                if not dumped_only or " dd" not in line:
                    yield found


def in_memory(pid, needles, dumped_only=False):
    """The needles that stand in the memory of the process: (needle, where)."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for begin, end, name in regions(pid, dumped_only):
            try:
                mem.seek(begin)
                data = mem.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue
            for n in needles:
                at = data.find(n)
                if at >= 0:
                    found.append((n, f"{name}+{at:x} of {len(data):x}, in {data[max(0, at - 60):at + 60]!r}"))
    return found


def log_in_by_all_ways(server, password, ways=6):
    """Mechanisms that give the password to the server, each on a connection that stays open. Who fails waits ever longer."""
    clients = []
    plain = base64.b64encode(b"\0" + USER.encode() + b"\0" + password.encode())
    for command in (b"LOGIN " + wire.quote(USER) + b" " + wire.quote(password), None, b"LITERAL")[:ways - 1]:
        imap = wire.Imap(server)
        clients.append(imap.wire)
        try:
            if command is None:
                imap.wire.send(b"p AUTHENTICATE PLAIN\r\n")
                imap.wire.line()
                imap.wire.send(plain + b"\r\n")
                imap.finish(b"p")
            elif command == b"LITERAL":
                imap.command(b"LOGIN " + wire.quote(USER), password.encode())
            else:
                imap.command(command)
        except wire.Refused:
            pass
    for kind in ("initial", "plain", "login")[:ways - 3 if ways > 3 else 0]:
        smtp = wire.Smtp(server, "submission")
        clients.append(smtp.wire)
        smtp.start_tls()
        try:
            if kind == "initial":
                smtp.command(b"AUTH PLAIN " + plain)
            elif kind == "plain":
                smtp.command(b"AUTH PLAIN", b"334")
                smtp.command(plain)
            else:
                smtp.command(b"AUTH LOGIN", b"334")
                smtp.command(base64.b64encode(USER.encode()), b"334")
                smtp.command(base64.b64encode(password.encode()))
        except wire.Refused:
            pass
    return clients


def case_passwords_are_not_kept(t):
    """After logins by every mechanism that sends a password, right and wrong: no process has it, no file and no log."""
    if os.geteuid() != 0:
        raise Skip("not root: the memory of the roles cannot be read")
    with t.own_server(users=2) as server:
        server.cli("user", "set", USER, "--password", RIGHT)
        clients = log_in_by_all_ways(server, RIGHT) + log_in_by_all_ways(server, WRONG, ways=2)
        assert len(re.findall(r"event=login .*outcome=ok", server.log_text())) >= 6, server.log_tail(20)
        needles = forms(RIGHT) + forms(WRONG)
        processes = role_processes(server.proc.pid) + [(server.proc.pid, "master")]

        def left():
            return [f"{role} {pid}: {needle!r} in {where}" for pid, role in processes for needle, where in in_memory(pid, needles)]

        kept = left()
        for folder, _, names in os.walk(server.scratch):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        data = f.read()
                    kept += [f"{path}: {needle!r}" for needle in needles if needle in data]
        for client in clients:
            client.close()
        assert not kept, "\n".join(kept)


def case_sealing_keys_are_in_no_dump(t):
    """The key that sessions are sealed with stands in pages that no dump takes, and nowhere else in a role."""
    if os.geteuid() != 0:
        raise Skip("not root: the memory of the roles cannot be read")
    with Intruded(["user 1"], build=t.build, users=2) as server:
        key = server.impostor("user 1").seal_key  # user 0 has the same
        assert len(key) == 32
        imap = wire.Imap(server, next(u for u in (f"user{i}@example.test" for i in (1, 2)) if shard_is_true(server, u)))
        imap.select("INBOX")
        for pid, role in role_processes(server.proc.pid):
            if pid == server.impostor("user 1").pid:
                continue
            dumped = [where for _, where in in_memory(pid, [key], dumped_only=True)]
            assert not dumped, f"{role}: {dumped}"
            assert bool(in_memory(pid, [key])) == (role == "user"), f"{role} has the key of user"


def shard_is_true(server, user):
    """May this user log in, or does the impostor have the account?"""
    try:
        wire.Imap(server, user, timeout=8).close()
        return True
    except (wire.Refused, wire.Timeout, wire.Closed):
        return False


def case_no_core_files(t):
    """A role that crashes leaves no core, although the limit that the server was started with would allow one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        with t.own_server(users=1) as server:
            server.judge_restarts = False
            for entry in [r for r in server.roles() if r["role"] != "master"]:
                with open(f"/proc/{entry['pid']}/limits", encoding="ascii") as f:
                    assert re.search(r"Max core file size +0 +0 ", f.read()), entry
                os.kill(entry["pid"], signal.SIGSEGV)
                t.until(lambda entry=entry: re.search(rf"role.ended .*pid={entry['pid']} .*code=11", server.log_text()),
                        what=f"the end of {entry['role']}")
            cores = [os.path.join(folder, n) for folder, _, names in os.walk(server.scratch) for n in names if "core" in n]
            assert not cores, cores
            for role in ("edge", "mta", "user", "dir"):
                server.await_role(role)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


ORDER = """
import socket, sys
sys.path.insert(0, {tests!r})
from harness.ipc import Channel
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    sock.connect({path!r})
except OSError as e:
    sys.exit(f"connect: {{e.strerror}}")
reply = Channel(sock).ask("admin", timeout=3, args=[{{"s": "status"}}], by="")
sys.exit("closed" if reply is None else 0)
"""


def case_control_socket_refuses_other_users(t):
    """Neither the mode of the socket nor master lets another user give orders; nor does a role's user."""
    if os.geteuid() != 0:
        raise Skip("not root: there is no other user to be")
    with t.own_server(users=1) as server:
        path = os.path.join(server.dir, "control.sock")
        tests = os.path.join(ROOT, "tests")
        script = ORDER.format(tests=tests, path=path)
        roles = {r["role"]: os.stat(f"/proc/{r['pid']}").st_uid for r in server.roles()}
        uid = {role: int(re.search(r"Uid:\t(\d+)", open(f"/proc/{r['pid']}/status", encoding="ascii").read()).group(1))
               for r in server.roles() for role in [r["role"]]}
        assert set(roles) >= {"edge", "scan"} and uid["edge"] != 0

        def as_user(number):
            done = subprocess.run(["/usr/bin/python3", "-B", "-c", script], user=number, group=number, extra_groups=[],
                                  capture_output=True, text=True, timeout=30, check=False)
            return done.returncode, done.stderr.strip().splitlines()[-1:]

        assert as_user(0)[0] == 0, as_user(0)
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"
        for number in (65534, uid["edge"], uid["scan"], uid["user"]):
            assert as_user(number)[0] != 0, number
        # Master asks the kernel as well, should somebody open the file.
        os.chmod(path, 0o666)
        for folder in (server.scratch, server.dir):
            os.chmod(folder, 0o755)
        for number in (65534, uid["edge"], uid["user"]):
            code, said = as_user(number)
            assert code != 0 and said == ["closed"], (number, said)
        assert as_user(0)[0] == 0


@alone
def case_unknown_users_take_as_long(t):
    """A wrong password for a user and for nobody: dir's answers take as long, and say the same."""
    with Intruded(["edge 1"], build=t.build, users=4) as server:
        dir_ = server.impostor("edge 1").peer("dir 0")
        times, answers = {}, {}
        for i in range(24):
            for kind, name in (("user", f"user{i % 4 + 1}@example.test"), ("nobody", f"nobody{i % 4}@example.test"),
                               ("no domain", f"user{i % 4 + 1}@elsewhere.example")):
                peer = {"ip": f"198.51.{i}.{len(kind)}", "tls": True}
                begun = time.monotonic()
                reply = dir_.ask("login", session=1 << 56 | 9000 + i, service="imaps", peer=peer, username=name,
                                 password=f"guess {i}", mechanism="PLAIN")
                times.setdefault(kind, []).append(time.monotonic() - begun)
                answers.setdefault(kind, set()).add((reply.name, reply["granted"], reply["more"], reply["challenge"], reply["ticket"]))
        middle = {kind: statistics.median(v) for kind, v in times.items()}
        t.note(", ".join(f"{kind} {1000 * v:.1f} ms" for kind, v in middle.items()))
        assert len(set(map(frozenset, answers.values()))) == 1, answers
        assert max(middle.values()) < 2 * min(middle.values()), middle

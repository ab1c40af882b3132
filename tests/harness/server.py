# SPDX-License-Identifier: Apache-2.0
"""A barid of one's own: `barid demo` in a scratch folder on ports that nobody else uses.

    with Server(build="build", users=4) as server:
        Imap(server, "user1@example.test")

Whoever stops it asks `problems()`: sanitizer reports, cores, restarts that no test caused, a slow stop.
"""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .verdict import Evidence, patience

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DOMAIN = "example.test"
SERVICES = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 991, "managesieve": 419, "metrics": 915,
            "lmtp": 24, "reinject": 26, "reinject_lists": 28, "srs_forward": 778, "srs_reverse": 779, "policy": 777, "quota_status": 340}
INTERNAL = ("metrics", "lmtp", "reinject", "reinject_lists", "srs_forward", "srs_reverse", "policy", "quota_status")
ASIDE = INTERNAL + ("pop3", "pop3s", "managesieve")  # off where a configuration does not name them
REPORT = re.compile(
    r"ERROR: (Address|Leak|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|ThreadSanitizer:DEADLYSIGNAL"
    r"|CHECK failed|panic:"
)
LOCKS = "/tmp/barid-test-ports"


class PortRange:
    """An offset such that offset + each service's port is ours until release(), also beside other test runs."""

    def __init__(self):
        os.makedirs(LOCKS, exist_ok=True)
        first = os.getpid()
        for i in range(100):
            slot = (first + i) % 100
            # Steps of 10 in a thousand never collide: what begins alike ends in another digit.
            self.offset = 21000 + 1000 * (slot // 10) + 10 * (slot % 10)
            self.lock = os.open(os.path.join(LOCKS, str(self.offset)), os.O_CREAT | os.O_RDWR, 0o666)
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self.lock)
                continue
            if all(self.free(self.offset + port) for port in SERVICES.values()):
                return
            os.close(self.lock)
        raise RuntimeError("no free ports for a test server")

    @staticmethod
    def free(port):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True

    def release(self):
        os.close(self.lock)


class Server:
    host = "127.0.0.1"

    def __init__(self, build="build", users=0, password="secret", args=(), env=None):
        self.build = os.path.join(ROOT, build)
        self.slow = (4 if "san" in build else 1) * patience()
        self.password, self.users, self.args = password, users, list(args)
        self.scratch = tempfile.mkdtemp(prefix="barid-test-")
        os.chmod(self.scratch, 0o755)
        self.dir = os.path.join(self.scratch, "state")
        self.log = os.path.join(self.scratch, "log")
        self.range = PortRange()
        self.ports = {name: self.range.offset + port for name, port in SERVICES.items()}
        self.env = dict(os.environ, LC_ALL="C.UTF-8", BARID_LIBEXEC=os.path.join(self.build, "libexec"), **(env or {}))
        # The roles are not dumpable and may not run a symbolizer or be traced: no leak check in them.
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=0")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.env.setdefault("TSAN_OPTIONS", "halt_on_error=0:second_deadlock_stack=1")
        self.proc = None
        self.judge_restarts = True
        self.forgiven = None  # how a line begins that is a report otherwise
        self.bent_us = 0
        self.prefixed = False
        self.caused = {}   # restarts that a test asked for, by role
        self.allowed = {}  # restarts that may come of it: a crash point waits in each process of the role
        self.found = []
        self.mutex = threading.Lock()

    # --- life ---------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close(keep=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        problems = self.problems()
        self.close(keep=bool(kind or problems))
        if problems and not kind:
            raise Evidence("\n".join(problems))

    def command(self):
        return [os.path.join(self.build, "barid"), "demo", "--dir", self.dir, "--port-offset",
                str(self.range.offset), "--users", str(self.users), "--password", self.password] + self.args

    def start(self, prefix=(), timeout=None):
        """Start and wait for the line `ready`; the seconds that it took."""
        self.prefixed = bool(prefix)
        with open(self.log, "ab") as log:
            begin = log.tell()
            started = time.monotonic()
            self.proc = subprocess.Popen(list(prefix) + self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=subprocess.STDOUT, env=self.env, cwd=self.scratch)
        deadline = started + (timeout or 20 * self.slow)
        while True:
            with open(self.log, "rb") as f:
                f.seek(begin)
                if re.search(rb"^ready\r?$", f.read(), re.M):
                    return time.monotonic() - started
            if self.proc.poll() is not None:
                raise RuntimeError(f"barid demo ended with {self.proc.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"barid demo was not ready in time\n{self.log_tail()}")
            time.sleep(0.005)

    def stop(self):
        """SIGTERM; the seconds until the end."""
        if not self.proc or self.proc.poll() is not None:
            return 0.0
        self.check_restarts()
        pids = self.role_pids()
        begun = time.monotonic()
        os.kill(self.master_pid(), signal.SIGTERM)
        try:
            self.proc.wait(5 * self.slow)
            if self.proc.returncode != 0:
                self.found.append(f"barid ended with {self.proc.returncode} after SIGTERM")
        except subprocess.TimeoutExpired:
            self.found.append("barid did not stop in time after SIGTERM")
            self.proc.kill()
            self.proc.wait()
        took = time.monotonic() - begun
        self.await_gone(pids)
        return took

    def master_pid(self):
        """The process of `barid demo`; a child of ours, or of the program that it was started under."""
        pid = self.proc.pid
        if self.prefixed:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                pid = int(f.read().split()[0])
        return pid

    def kill_all(self):
        """SIGKILL master; its roles must end by themselves."""
        pids = self.role_pids()
        self.proc.kill()
        self.proc.wait()
        self.await_gone(pids)
        self.caused.clear()
        self.allowed.clear()

    def restart(self, hard=False):
        if hard:
            self.kill_all()
        else:
            self.stop()
            self.caused.clear()
            self.allowed.clear()
        self.start()

    def await_gone(self, pids, timeout=5.0):
        deadline = time.monotonic() + timeout * self.slow
        left = set(pids)
        while left:
            left = {p for p in left if alive(p)}
            if left and time.monotonic() > deadline:
                self.found.append(f"roles outlived their master: {sorted(left)}")
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    def close(self, keep=False):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.range.release()
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)

    # --- looking ------------------------------------------------------------------------------

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=15):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def problems(self):
        """What went wrong besides what the tests looked at."""
        found = list(self.found)
        lines = self.log_text().splitlines()
        for i, line in enumerate(lines):
            if REPORT.search(line) and not (self.forgiven and line.startswith(self.forgiven)):
                report = [symbolized(x) for x in lines[i:i + 30] if "external symbolizer" not in x]
                found.append("in the server's log:\n    " + "\n    ".join(report))
                break
        for folder, _, names in os.walk(self.scratch):
            found += [f"core file {os.path.join(folder, n)}" for n in names if re.fullmatch(r"core(\.\d+)?", n)]
        if found:
            found.append(f"(log: {self.log})")
        return found

    def roles(self):
        """[{role, index, pid, restarts, state}] as the server says."""
        return json.loads(self.cli("status", "--json"))["roles"]

    def role_pids(self):
        return [pid for pid, _ in role_processes(self.proc.pid)]

    def role_pids_and_names(self):
        """[(pid, role)] as the machine says, whether the server answers or not."""
        return role_processes(self.proc.pid)

    def pid(self, role):
        for entry in self.roles():
            if entry["role"] == role:
                return entry["pid"]
        raise LookupError(f"no role {role}")

    def check_restarts(self):
        try:
            roles = self.roles()
        except (subprocess.SubprocessError, OSError, ValueError, RuntimeError):
            return
        for role in {entry["role"] for entry in roles} if self.judge_restarts else ():
            seen = sum(entry["restarts"] for entry in roles if entry["role"] == role)
            if seen > self.allowed.get(role, 0):
                self.found.append(f"{role} was restarted {seen} times, {self.allowed.get(role, 0)} expected")

    def await_role(self, role, timeout=10.0):
        """Wait until every process of the role is up again after what was done to it."""
        deadline = time.monotonic() + timeout * self.slow
        while time.monotonic() < deadline:
            try:
                mine = [e for e in self.roles() if e["role"] == role]
                if mine and all(e["state"] == "ready" and alive(e["pid"]) for e in mine) and \
                        sum(e["restarts"] for e in mine) >= self.caused.get(role, 0):
                    return
            except (RuntimeError, ValueError, subprocess.SubprocessError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"{role} did not come back\n{self.log_tail()}")

    # --- doing --------------------------------------------------------------------------------

    def cli(self, *args, check=True, timeout=30):
        """Run `barid ARGS --dir D`; its standard output."""
        done = subprocess.run([os.path.join(self.build, "barid"), *args, "--dir", self.dir], env=self.env,
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise RuntimeError(f"barid {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else (done.returncode, done.stdout + done.stderr)

    def kill(self, role, index=None):
        """SIGKILL the role's processes, or one of them."""
        if role == "master":
            self.kill_all()
            self.start()
            return
        for entry in self.roles():
            if entry["role"] == role and index in (None, entry["index"]):
                self.expect_restart(role)
                os.kill(entry["pid"], signal.SIGKILL)

    def freeze(self, role, sign=signal.SIGSTOP):
        """Stop the role's processes without ending them; SIGCONT lets them go on."""
        for entry in self.roles():
            if entry["role"] == role:
                os.kill(entry["pid"], sign)

    def expect_restart(self, role, processes=1):
        self.caused[role] = self.caused.get(role, 0) + 1
        self.allowed[role] = self.allowed.get(role, 0) + processes

    def crash_point(self, role, point):
        self.expect_restart(role, len([e for e in self.roles() if e["role"] == role]))
        self.cli("debug", "crash-point", role, point)

    def advance_clock(self, seconds):
        """Bend the clock of all roles forwards, on top of what was bent before."""
        self.bent_us += int(seconds * 1_000_000)
        self.cli("debug", "clock", str(self.bent_us))

    def set_time_of_day(self, seconds):
        """The wall clock of all roles is so far from the machine's; also backwards. Nothing else jumps."""
        self.cli("debug", "wall-clock", str(int(seconds * 1_000_000)))

    def add_user(self, name, password="secret", quota=None):
        self.cli("user", "add", f"{name}@{DOMAIN}", "--password", password,
                 *(["--quota", quota] if quota else []))

    def add_alias(self, address, targets):
        self.cli("alias", "add", address, *targets)

    def address(self, name):
        return name if "@" in name else f"{name}@{DOMAIN}"


class Serve(Server):
    """`barid serve` with a configuration of the test's own, over the accounts and the certificate of a demo.

    `conf(server)` gives the text; hostname, state_dir and [tls] are there already.
    """

    def __init__(self, build="build", conf=None, **options):
        super().__init__(build=build, **options)
        self.conf = conf
        self.conf_file = os.path.join(self.scratch, "barid.conf")
        self.made = False

    def make(self):
        """The state, by a demo that comes and goes; and the configuration."""
        super().start()
        super().stop()
        self.made = True
        self.write_conf()

    def write_conf(self):
        with open(self.conf_file, "w", encoding="utf-8") as f:
            text = self.conf(self)
            # Their usual ports are every server's.
            off = "".join(f"[{name}]\nlisten =\n" for name in ASIDE if f"[{name}]" not in text)
            if "[dns]" not in text:  # no test asks anybody beyond this machine
                off += f"[dns]\nmode = forward\nforward = 127.0.0.1:{self.range.offset + 53}\n"
            f.write(f"hostname = mail.{DOMAIN}\nstate_dir = {self.dir}\nlog_to = both\n{text}\n{off}"
                    f"[tls]\ncertificate = {self.dir}/tls/cert.pem\nkey = {self.dir}/tls/key.pem\n")

    def start(self, prefix=(), timeout=None):
        if not self.made:
            self.make()
        return super().start(prefix, timeout)

    def command(self):
        if not self.made:
            return super().command()
        return [os.path.join(self.build, "barid"), "serve", "-c", self.conf_file, *self.args]


def symbolized(line):
    """A line of a sanitizer's stack with function, file and line: the roles themselves may not run the symbolizer."""
    m = re.search(r"#\d+ 0x[0-9a-f]+ .*\((/\S+)\+(0x[0-9a-f]+)\)", line)
    symbolizer = m and (shutil.which("llvm-symbolizer") or shutil.which("llvm-symbolizer-14"))
    if not symbolizer or " in " in line:
        return line
    done = subprocess.run([symbolizer, "--obj=" + m.group(1), m.group(2)], capture_output=True, text=True, check=False)
    return f"{line.split(' (')[0]} {' '.join(done.stdout.split()[:2])}"


def alive(pid):
    """The process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def role_processes(master):
    """(pid, role) of each descendant of `master` that runs barid-ROLE, by /proc."""
    parents, roles = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{entry}/comm", encoding="utf-8", errors="replace") as f:
                m = re.match(r"barid-([a-z]+)", f.read())
            if not m:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    m = re.search(r"barid-([a-z]+)$", f.read().split(b"\0")[0].decode("latin-1"))
            if m:
                roles[int(entry)] = m.group(1)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    found = []
    for pid, role in roles.items():
        up = pid
        while up in parents and up != master:
            up = parents[up]
        if up == master:
            found.append((pid, role))
    return sorted(found)

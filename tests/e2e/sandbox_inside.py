# SPDX-License-Identifier: Apache-2.0
"""What each role may do, tried from inside: the running process itself makes the attempt (`barid debug probe`, in
builds with crash points) and logs what came of it. docs/SECURITY-MODEL.md says what is forbidden and why."""
import os
import re
import subprocess

from harness.server import ROOT

ROLES = ("edge", "mta", "scan", "queue", "user", "dir", "admin", "dns", "relay")
FOLDERS = {"queue": ("spool", "blob"), "user": ("store", "blob"), "dir": ("dir",), "mta": ("policy",)}
THREADS = {"mta", "queue", "user", "dir", "dns", "relay"}
# Folders of roles; what is root's or other processes'; what anybody may read; what anybody may write.
OWNED = ("dir", "spool", "store", "blob", "policy")
FOREIGN = ("dir/vmail.db", "dir/secret.key", "policy/policy.db", "spool/spool.db", "store/meta", "store/part-000.db", "tls/key.pem", "lock",
           "log/barid.log", "control.sock", ".", "tls", "/etc/shadow", "/proc/1/mem", "/proc/1/environ", "/proc/kcore",
           "/dev/mem", "/root")
READABLE = ("/etc/passwd", "/proc/version", "/usr/bin", "/etc", "/", "/proc", "/sys/kernel",
            "/proc/sys/kernel/core_pattern")
WRITABLE = ("/dev/null", "/tmp", "/dev/shm")
PATHS = OWNED + FOREIGN + READABLE + WRITABLE
# What the filter lets pass although it comes to nothing: the error is the kernel's own.
PASSES = {"accept": {"edge": "EINVAL"}, "thread": dict.fromkeys(THREADS, "EINVAL")}
# Roles that connect to others: sockets of TCP, of dns also of UDP, raw ones not.
CONNECTS = {"dns", "relay"}
PASSES |= {f"socket-{kind}": dict.fromkeys(CONNECTS, "none") for kind in ("tcp", "tcp6")}
PASSES["socket-udp"] = {"dns": "none"}
# The sockets to other roles are connected, and no other UNIX socket can be made: none goes elsewhere.
ELSEWHERE = {"connect-path", "connect-abstract", "connect-tcp"}
# relay chooses the source of its connections. A name for a socket that is open is worth nothing without `listen`.
SOURCES = {"bind-path": {"EACCES", "EINVAL", "ENOENT", "EPERM"}, "bind-abstract": {"none", "EINVAL", "EPERM"}}
SIGSYS = 31
DEADLY = """ptrace process_vm_readv process_vm_writev bpf io_uring_setup io_uring_enter io_uring_register execve execveat
    mount umount2 move_mount open_tree fsopen fsmount pivot_root chroot unshare setns init_module finit_module kexec_load
    kexec_file_load perf_event_open userfaultfd clone-user clone-net clone-mount clone-pid clone-ipc clone-uts clone-cgroup
    socket-packet x32""".split()


class Probe:
    """The processes of a server, and what they log about their attempts."""

    def __init__(self, t, server):
        self.t, self.server = t, server

    def ask(self, role, what):
        """{attempt: {errors}} of all processes of the role."""
        before = len(self.server.log_text())
        processes = len([r for r in self.server.roles() if r["role"] == role])
        self.server.cli("debug", "probe", role, what)

        def answers():
            text = self.server.log_text()[before:]
            return text if text.count("event=probe.done") >= processes else None

        text = self.t.until(answers, what=f"{role} probing {what}", timeout=30)
        assert "known=no" not in text, f"no attempt is called {what}"
        found = {}
        for m in re.finditer(r'event=probe try=("[^"]*"|\S+) error=(\S+)', text):
            found.setdefault(m.group(1).strip('"'), set()).add(m.group(2))
        return found


def allowed(role, attempt, errors):
    wanted = PASSES.get(attempt, {}).get(role)
    if wanted:
        return errors == {wanted}
    if role in CONNECTS and attempt in ELSEWHERE:
        return errors <= {"EACCES", "ECONNREFUSED", "EINVAL", "EISCONN", "EPERM"}
    if role == "relay" and attempt in SOURCES:
        return errors <= SOURCES[attempt]
    return errors <= {"EPERM", "ENOSYS"}


def wrong_calls(probe, role):
    results = probe.ask(role, "calls")
    assert len(results) > 80, results
    return [f"{role}: {name} gives {errors}" for name, errors in results.items() if not allowed(role, name, errors)]


def wrong_paths(probe, role, landlock):
    """What opens that must not, and the other way round."""
    wrong = []
    root = os.geteuid() == 0
    results = probe.ask(role, "paths " + " ".join(PATHS))
    assert len(results) == 4 * len(PATHS), results
    for attempt, errors in results.items():
        verb, path = attempt.split(" ")
        mine = path.split("/")[0] in FOLDERS.get(role, ())
        if not landlock and role in FOLDERS and (path in WRITABLE or (path in READABLE and verb == "read") or not root):
            continue  # only ownership is left, and what anybody may do a role may do
        if not mine and verb == "truncate" and landlock < 3 and role in FOLDERS and not root:
            continue
        if not mine and "none" in errors:
            wrong.append(f"{role}: {attempt} succeeds")
        if mine and path in OWNED and verb in ("read", "create-in") and errors != {"none"}:
            wrong.append(f"{role}: {attempt} gives {errors}, and it is its own")
    return wrong


def probes(t, abi):
    server = t.own_server(env={} if abi is None else {"BARID_LANDLOCK_ABI": str(abi)})
    wrong = []
    with server:
        status = {r["role"]: r["sandbox"] for r in server.roles() if r["role"] != "master"}
        in_force = {int(re.search(r"landlock (\d+)", text).group(1)) for text in status.values()}
        kernel = int(re.search(r"kernel (\d+)", status["edge"]).group(1))
        assert in_force == {kernel if abi is None else min(abi, kernel)}, status
        probe = Probe(t, server)
        for role in ROLES:
            wrong += wrong_calls(probe, role)
            wrong += wrong_paths(probe, role, in_force.copy().pop())
        t.note(f"Landlock {in_force.pop()} of {kernel}")
    assert not wrong, "\n".join(wrong)


def case_attempts_fail_with_the_kernels_landlock(t):
    """No role opens, connects, binds, forks, signals, changes its rights or makes code, whatever it tries."""
    probes(t, None)


def case_attempts_fail_with_the_landlock_of_debian_12(t):
    """The same with Landlock's ABI 2."""
    probes(t, 2)


def case_attempts_fail_without_landlock(t):
    """The same where the kernel has none: roles without files open nothing, the others by ownership alone."""
    probes(t, 0)


def deaths(server, role):
    return len(re.findall(rf"event=role.ended role={role} .*by=signal code={SIGSYS}", server.log_text()))


def case_attacks_end_the_process(t):
    """ptrace, exec, mounts, name spaces, bpf, io_uring and the like end the process that asks for them, in each role.

    A role that ends by itself comes back ever later: each makes a few of the attempts, all of them together every one.
    BARID_PROBE_ALL=1: each role makes all."""
    everything = os.environ.get("BARID_PROBE_ALL") == "1"
    for start in range(0, len(DEADLY), 5) if everything else (0,):
        with t.own_server() as server:
            server.judge_restarts = False
            for n, role in enumerate(ROLES):
                mine = DEADLY[start:start + 5] if everything else DEADLY[n::len(ROLES)]
                for name in mine:
                    end_by(t, server, role, name)


def end_by(t, server, role, name):
    processes = len([r for r in server.roles() if r["role"] == role])
    before = deaths(server, role)
    server.expect_restart(role, processes)
    server.cli("debug", "probe", role, f"deadly {name}")
    t.until(lambda: deaths(server, role) >= before + processes or f"what=\"deadly {name}\"" in server.log_text(),
            what=f"{role} trying {name}")
    assert deaths(server, role) >= before + processes, f"{role} survived {name}:\n{server.log_tail()}"
    server.await_role(role)


def case_packages_have_no_probe(t):
    """Packages are built without orders for tests, and such a build holds none of the attempts."""
    with open(os.path.join(ROOT, "packaging/debian/build"), encoding="utf-8") as f:
        assert "-Dcoverage_points=false" in f.read(), "packages would take orders of tests"
    with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as f:
        assert re.search(r"if get_option\('coverage_points'\)\n *add_project_arguments\('-DBARID_CRASH_POINTS=1'", f.read())
    for flags, wanted in ((["-DBARID_CRASH_POINTS=1"], True), ([], False)):
        made = os.path.join(t.scratch(), "probe.o")
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-I", os.path.join(ROOT, "src"), *flags, "-c",
                        os.path.join(ROOT, "src/sys/probe.c"), "-o", made], check=True, timeout=60)
        with open(made, "rb") as f:
            assert (b"process_vm_readv" in f.read()) == wanted, flags

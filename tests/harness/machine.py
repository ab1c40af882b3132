# SPDX-License-Identifier: Apache-2.0
"""A minimal Debian of one's own, for tests of the package: own files (an overlay over a cached root), own processes,
own network with nothing but loopback, no systemd.

    with Machine(base) as m:
        m.run("dpkg", "-i", "/tmp/barid.deb")
        with m.network():
            wire.Smtp(m)
"""
import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import time

CLONE_NEWNET = 0x40000000
# Process 1 of the machine: it buries whom others have left behind.
INIT = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount --bind /dev "$2/root/dev"
ip link set lo up
exec chroot "$2/root" bash -c '
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 tmpfs /run
    trap : CHLD
    touch /run/booted
    while :; do sleep 1 & wait; done'
"""


def debootstrap(base, packages):
    """Make the root that all machines share, or take the one that is there; None when it cannot be had."""
    want = " ".join(sorted(packages))
    mark = base + ".packages"
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as f:
            if f.read() == want:
                return base
    shutil.rmtree(base, ignore_errors=True)
    done = subprocess.run(["debootstrap", "--variant=minbase", "--include=" + ",".join(sorted(packages)), "bookworm", base]
                          + mirror(), capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    with open(mark, "w", encoding="utf-8") as f:
        f.write(want)
    return base


def mirror():
    """The archive that this machine installs from."""
    policy = subprocess.run(["apt-cache", "policy", "base-files"], capture_output=True, text=True, check=False).stdout
    for line in policy.splitlines():
        words = line.split()
        if len(words) > 2 and words[1].startswith("http") and words[2] == "bookworm/main":
            return [words[1]]
    return []


class Machine:
    host = "127.0.0.1"
    ports = {"smtp": 25, "submission": 587, "imap": 143, "imaps": 993}

    def __init__(self, base):
        self.folder = tempfile.mkdtemp(prefix="barid-machine-")
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.folder, name))
        os.chmod(self.folder, 0o755)
        os.chmod(os.path.join(self.folder, "upper"), 0o755)
        self.base, self.holder, self.init = base, None, None

    def __enter__(self):
        # pylint: disable=consider-using-with
        self.holder = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", INIT,
                                        "init", self.base, self.folder], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                with open(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children", encoding="ascii") as f:
                    self.init = f.read().split()[0]
                if os.path.exists(f"/proc/{self.init}/root/run/booted"):
                    return self
            except (OSError, IndexError):
                pass
            if self.holder.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError("the machine does not start: " + self.holder.stdout.read().decode())
            time.sleep(0.05)

    def __exit__(self, kind, value, trace):
        self.holder.kill()
        self.holder.wait()
        for _ in range(50):  # until the last process is gone, the overlay is in use
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                break
            time.sleep(0.1)

    def path(self, name):
        return f"/proc/{self.init}/root{name}"

    def put(self, source, name):
        shutil.copy(source, self.path(name))

    def run(self, *command, check=True, stdin=None, timeout=120):
        """Run a program inside, as root; both outputs together."""
        done = subprocess.run(["nsenter", "-t", self.init, "-m", "-n", "-p", "-r", "-w", "env", "-i",
                               "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
                               "DEBIAN_FRONTEND=noninteractive", *command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout,
                              **({"input": stdin} if stdin else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}")
        return done.stdout if check else (done.returncode, done.stdout)

    @contextlib.contextmanager
    def network(self):
        """Sockets of this thread (and of those that it starts) are the machine's."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as mine, open(f"/proc/{self.init}/ns/net", "rb") as theirs:
            if libc.setns(theirs.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(mine.fileno(), CLONE_NEWNET)

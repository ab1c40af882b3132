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

# The same with systemd as process 1. It wants a tree of control groups, a /dev that is a tree of its own, and no console.
SYSTEMD = """
set -e
echo $$ >"$3/cgroup.procs"
exec unshare --cgroup bash -c '
set -e
mount --make-rprivate /
root=$2/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for n in null zero full random urandom tty; do touch "$root/dev/$n"; mount --bind "/dev/$n" "$root/dev/$n"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
ip link set lo up
cd "$root"
pivot_root . mnt
umount -l /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --log-target=null --show-status=0
' systemd "$1" "$2"
"""
CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")


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


def control_groups():
    """A control group of the second kind for one machine, or None."""
    for top in CGROUPS:
        folder = os.path.join(top, f"barid-test-{os.getpid()}")
        if os.path.exists(os.path.join(top, "cgroup.procs")) and os.path.exists(os.path.join(top, "cgroup.controllers")):
            try:
                os.makedirs(folder, exist_ok=True)
                return folder
            except OSError:
                pass
    return None


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

    def script(self):
        return [INIT, "init", self.base, self.folder]

    def is_up(self):
        return os.path.exists(self.path("/run/booted"))

    def __enter__(self):
        # pylint: disable=consider-using-with
        self.holder = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
                                        "bash", "-c", *self.script()],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                with open(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children", encoding="ascii") as f:
                    self.init = f.read().split()[0]
                if self.is_up():
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
        done = subprocess.run(["nsenter", "-t", self.init, "-m", "-n", "-p", "-i", "-u", "-r", "-w", "env", "-i",
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


class SystemdMachine(Machine):
    """The same with systemd as process 1; `group` is from control_groups()."""

    def __init__(self, base, group):
        super().__init__(base)
        self.group = group
        units = os.path.join(self.folder, "upper", "etc", "systemd", "system")
        os.makedirs(units)
        for top in ("etc", "etc/systemd", "etc/systemd/system"):
            os.chmod(os.path.join(self.folder, "upper", top), 0o755)
        for name in ("console-getty.service", "getty.target", "systemd-logind.service", "apt-daily.timer",
                     "apt-daily-upgrade.timer", "systemd-networkd.service", "systemd-resolved.service"):
            os.symlink("/dev/null", os.path.join(units, name))

    def script(self):
        return [SYSTEMD, "init", self.base, self.folder, self.group]

    def is_up(self):
        if not os.path.exists(self.path("/run/systemd/private")):
            return False
        return self.run("systemctl", "is-system-running", check=False)[1].strip() in ("running", "degraded")

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        for _ in range(50):
            for top, _, _ in os.walk(self.group, topdown=False):
                try:
                    os.rmdir(top)
                except OSError:
                    pass
            if not os.path.exists(self.group):
                break
            time.sleep(0.1)

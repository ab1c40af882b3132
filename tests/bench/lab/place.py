# SPDX-License-Identifier: Apache-2.0
"""Where things are, what must be there, and how the bench talks."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "bench")
BUILD = os.path.join(ROOT, "build")
RESULTS = os.path.join(BUILD, "bench")
RUNNING = os.path.join(RESULTS, "running")  # scratch folder of a run that may have died
PAGE = os.path.join(ROOT, "docs", "BENCHMARKS.md")

# The ports of barid's own server: some offset whose highest port stays below the range that clients are given.
OFFSET = int(os.environ.get("BARID_BENCH_OFFSET", "20400"))


class Failure(Exception):
    """The bench cannot go on, and why, in words for the person who started it."""


_begun = time.monotonic()


def say(text):
    """A line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - _begun:6.1f}] {text}", file=sys.stderr, flush=True)


def peer(script):
    return os.path.join(SHARED, "peers", script)


def require():
    """Fail in plain words where the bench cannot run."""
    if os.geteuid() != 0:
        raise Failure("bench: only root can start the peers (their users, their control groups)")
    if not os.path.isdir(SHARED):
        raise Failure(f"bench: {SHARED} (the peers and the load drivers) is not there; nothing to compare with")
    if not os.access(os.path.join(BUILD, "barid"), os.X_OK):
        raise Failure("bench: build/barid is missing; start this by ./dev bench")


_scratch = None


def scratch():
    """The one folder of this run; it goes when the run ends. Short, because UNIX sockets lie in it."""
    global _scratch
    if _scratch is None:
        clean_after_dead_run()
        _scratch = tempfile.mkdtemp(prefix="bb.", dir="/tmp")
        os.chmod(_scratch, 0o755)
        os.makedirs(RESULTS, exist_ok=True)
        with open(RUNNING, "w", encoding="utf-8") as f:
            f.write(f"{os.getpid()} {_scratch}\n")
        atexit.register(_leave)
    return _scratch


def _leave():
    shutil.rmtree(_scratch, ignore_errors=True)
    if os.path.exists(RUNNING):
        os.unlink(RUNNING)


def clean_after_dead_run():
    """A run that was killed outright left its servers: stop them, each by its own control group."""
    try:
        with open(RUNNING, encoding="utf-8") as f:
            pid, folder = f.read().split()
    except (OSError, ValueError):
        return
    if os.path.exists(f"/proc/{pid}"):
        raise Failure(f"bench: another bench of this tree is running (process {pid})")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if os.path.exists(peer(name)):  # the folder of a server is called as its script
            subprocess.run([peer(name), "down", os.path.join(folder, name)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    os.unlink(RUNNING)


def driver(name):
    """The path of a load driver: the shared ones are compiled at first use, barid's own by the build."""
    own = os.path.join(BUILD, "tests", "bench", "bench_" + name)
    if os.path.exists(own):
        return own
    folder = os.path.join(scratch(), "bin")
    if not os.path.isdir(folder):
        subprocess.run([os.path.join(SHARED, "load", "build.sh"), folder], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, name)

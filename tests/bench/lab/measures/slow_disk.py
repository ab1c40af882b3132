# SPDX-License-Identifier: Apache-2.0
"""A disk whose syncs take 5 ms: barid's through its latency seam, the peers' through a preloaded library."""
import os
import shutil
import subprocess

from .. import drive, place, side
from .end_to_end import turns

LATENCY_US = 5000


class SlowClassic(side.Classic):
    """Postfix and Dovecot, each of whose processes preloads tests/bench/slow_sync.c."""

    def started(self):
        library = os.path.join(self.dir, "slow_sync.so")
        shutil.copy(os.path.join(place.BUILD, "tests", "bench", "bench_slow_sync.so"), library)
        os.chmod(library, 0o755)
        more = f" LD_PRELOAD={library} SLOW_SYNC_US={LATENCY_US}"
        self.halt()
        postfix = value("postconf", "-c", f"{self.dir}/etc", "-h", "import_environment")
        subprocess.run(["postconf", "-c", f"{self.dir}/etc", f"import_environment={postfix}{more}"], check=True)
        dovecot = value("doveconf", "-c", self.dovecot(), "-h", "import_environment")
        self.configure_dovecot(lambda text: f"import_environment = {dovecot}{more}\n{text}")
        self.again()
        side.ready(self)

    def check(self):
        """Each process that syncs really has the library."""
        without = []
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/maps", encoding="utf-8") as f, open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if "slow_sync.so" not in f.read():
                        without.append(comm.read().strip())
            except OSError:
                pass  # it has just ended
        unslowed = set(without) & {"cleanup", "qmgr", "lmtp", "imap", "smtpd", "bounce"}
        if unslowed:
            raise place.Failure(f"bench: these did not load the slow disk: {', '.join(sorted(unslowed))}")


def value(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def measure(record, size):
    """End to end, 4 KB, 20 connections, every sync 5 ms longer on both sides."""
    with SlowClassic() as c, side.Barid(BARID_SYNC_LATENCY_US=LATENCY_US) as b:
        n = {c.name: size.of(1500), b.name: size.of(8000)}
        for s in (c, b):
            drive.end_to_end(s, 20, drive.USERS, 4096)
        c.check()
        turns(record, size, [c, b], "e2e", lambda s: drive.end_to_end(s, 20, n[s.name], 4096))
        one = {c.name: size.of(200), b.name: size.of(400)}
        turns(record, size, [c, b], "one", lambda s: drive.end_to_end(s, 1, one[s.name], 4096))

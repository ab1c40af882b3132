# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump, under load: the time of day alone (somebody sets it, hours ahead or a day back), or both clocks (the
machine slept). No message is lost, UIDs and UIDVALIDITY rise as ever, waiting clients stay, retries come, nobody spins."""
import time

from harness.mayhem import Mayhem
from harness.server import Server
from harness.storm import Storm

HOUR = 3600
SPIN = 0.7  # of a processor, of all roles together, when nobody asks for anything


def busy(server, seconds=1.0):
    """The processor time that all roles together take while nothing is to be done."""
    def spent():
        total = 0
        for pid in server.role_pids():
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        return total / 100
    before, begun = spent(), time.monotonic()
    time.sleep(seconds)
    return (spent() - before) / (time.monotonic() - begun)


def case_the_time_of_day_is_set(t):
    """Five hours ahead, a day back, and right again: nobody who waits is sent away, and nothing is lost."""
    with Server(build=t.build, users=4) as server:
        storm = Storm(server, users=4, senders=2, writers=3, pace=0.03)
        with storm:
            for seconds in (0, 5 * HOUR, -24 * HOUR, -48 * HOUR, 0):
                server.set_time_of_day(seconds)
                taken, changes = storm.ledger.acknowledged, sum(w.changes for w in storm.writers)
                t.until(lambda n=taken: storm.ledger.acknowledged > n + 20, what="mail after the clock was set", timeout=30)
                t.until(lambda n=changes: sum(w.changes for w in storm.writers) > n + 40,
                        what="changes after the clock was set", timeout=30)
        assert storm.idle_sessions == 1, f"the waiting client began {storm.idle_sessions} times"
        server.set_time_of_day(-24 * HOUR)
        spin = busy(server)
        server.set_time_of_day(0)
        storm.judge()
        t.note(f"{storm.figures()}; idle roles used {spin:.2f} of a processor")
        assert spin < SPIN, f"somebody spins: {spin:.2f} of a processor"


def case_the_machine_slept(t):
    """Both clocks jump by hours, again and again: clients that waited too long are told so; nothing is lost."""
    with Server(build=t.build, users=4) as server:
        storm = Storm(server, users=4, senders=2, writers=3, pace=0.03)
        storm.calm = False  # whoever waited for hours without a word may be sent away
        with storm:
            for seconds in (60, HOUR, 5 * HOUR):
                server.advance_clock(seconds)
                taken = storm.ledger.acknowledged
                t.until(lambda n=taken: storm.ledger.acknowledged > n + 20, what="mail after the sleep", timeout=30)
        spin = busy(server)
        storm.judge()
        t.note(f"{storm.figures()}; idle roles used {spin:.2f} of a processor")
        assert spin < SPIN, f"somebody spins: {spin:.2f} of a processor"


def case_retries_after_a_jump(t):
    """What waits for another try gets it when its time has come, also if the clock was set in between; once."""
    with Mayhem(t.build, users=3) as m:
        for seconds in (5 * HOUR, -24 * HOUR):
            m.what = f"jump{seconds}"
            m.server.cli("debug", "disk", "user", "change 1 onwards enospc")
            if not m.mail("user1", "user2"):
                raise AssertionError("not taken")
            m.until(lambda: "deferred" in m.server.cli("queue", "list"), "a deferred recipient")
            m.server.cli("debug", "disk", "user", "off")
            m.server.set_time_of_day(seconds)
            if seconds < 0:
                m.advance(HOUR)  # more than the longest wait between two tries
            m.until(lambda: "example.test" not in m.server.cli("queue", "list"), "the next try", 20.0)
            m.server.set_time_of_day(0)
        m.idle()
        m.judge()

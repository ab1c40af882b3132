# SPDX-License-Identifier: Apache-2.0
"""Latency at a given rate: until the 250, and from the 250 to an idling IMAP client."""
from .. import drive, side
from .end_to_end import turns

CONNECTIONS, IDLERS = 50, 50


def paced(s, rate, seconds):
    s.quiet()
    cpu = s.cpu()
    data = drive.run("pace", s.port("smtp"), s.port("imaps"), rate, seconds, CONNECTIONS, IDLERS, 4096)
    return dict(data, cpu_s_per_1000=round((s.cpu() - cpu) * 1000 / max(1, data["n"]), 4))


def measure(record, size):
    """p99 of acceptance and of visibility, at the peers' own maximum and at a fifth of it."""
    with side.Classic() as c, side.Barid() as b:
        for s in (c, b):
            drive.end_to_end(s, 20, size.of(1000), 4096)
        top = drive.end_to_end(c, 20, size.of(2500), 4096)["rate"]
        record.add("maximum rate", c.name, {"rate": top})
        turns(record, size, [c, b], "paced at the maximum", lambda s: paced(s, top, size.seconds(10)))
        turns(record, size, [c, b], "paced at a fifth", lambda s: paced(s, top / 5, size.seconds(10)))

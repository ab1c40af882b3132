# SPDX-License-Identifier: Apache-2.0
"""How long a server is away when it is started again."""
import time

from .. import side


def measure(record, size):
    """Seconds from the start, with state there, until each port greets (TLS ports after a handshake)."""
    with side.Classic() as c, side.Barid() as b:
        for i in range(size.rounds + 2):
            for s in (c, b) if i % 2 == 0 else (b, c):
                time.sleep(0.3)
                record.add("start", s.name, {"seconds": round(side.restart(s), 3), "ports": len(s.ports())}, round=i + 1)

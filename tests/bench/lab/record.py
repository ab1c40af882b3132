# SPDX-License-Identifier: Apache-2.0
"""Raw results: one JSON line per figure in build/bench/MEASURE.jsonl, kept until the measure runs again."""
import json
import os
import statistics
import subprocess
import time

from . import place


class Record:
    """The results of one run of one measure; they replace the earlier ones when it ends well."""

    def __init__(self, measure, quick):
        self.path = os.path.join(place.RESULTS, f"{measure}.jsonl")
        os.makedirs(place.RESULTS, exist_ok=True)
        self.file = open(self.path + ".new", "w", encoding="utf-8")
        self.begun = time.monotonic()
        self.write({"at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "quick": quick, "commit": commit(), "load": others()})

    def write(self, line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def add(self, what, side, data, **more):
        """One figure: `what` it is, whose, and its values; and the same for the person who watches."""
        self.write(dict(what=what, side=side, data=data, **more))
        values = ", ".join(f"{k} {v}" for k, v in data.items())
        place.say(f"  {what}, {side}: {values}")

    def keep(self):
        self.write({"seconds": round(time.monotonic() - self.begun, 1)})
        self.file.close()
        os.replace(self.path + ".new", self.path)


def others():
    """The machine's load as the measure begins: what is not ours disturbs it."""
    return round(os.getloadavg()[0], 1)


def commit():
    done = subprocess.run(["git", "-C", place.ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


class Results:
    """What a measure left: read again for the page."""

    def __init__(self, measure):
        self.head, self.rows = {}, []
        try:
            with open(os.path.join(place.RESULTS, f"{measure}.jsonl"), encoding="utf-8") as f:
                lines = [json.loads(line) for line in f]
        except OSError:
            return
        self.head = lines[0]
        self.rows = [line for line in lines[1:] if "what" in line]

    def values(self, what, side, key):
        return [r["data"][key] for r in self.rows
                if r["what"] == what and r["side"] == side and r["data"].get(key) is not None]

    def median(self, what, side, key):
        """The median of a figure over the rounds, or None where it was not measured."""
        v = self.values(what, side, key)
        return statistics.median(v) if v else None

    def text(self, what, side, key):
        v = self.values(what, side, key)
        return v[-1] if v else None

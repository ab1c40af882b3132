# SPDX-License-Identifier: Apache-2.0
"""A real Dovecot to compare with."""
import imaplib
import os
import pwd

from .case import Skip


class Dovecot:
    """Dovecot's imap process on a Maildir, without a server: it speaks on a pipe."""

    def __init__(self, t, folder, mail):
        self.imap = "/usr/lib/dovecot/imap"
        if not os.path.exists(self.imap):
            raise Skip("dovecot-imapd is not installed")
        self.folder, self.mail = folder, mail
        self.conf = os.path.join(folder, f"conf-{os.path.basename(mail)}")
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.user = user.pw_name
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f"base_dir = {folder}/run\nlog_path = {folder}/log\nmail_location = maildir:{mail}\n"
                    f"mail_uid = {user.pw_uid}\nmail_gid = {user.pw_gid}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n"
                    "ssl = no\nprotocols = imap\nnamespace inbox {\n  inbox = yes\n  separator = /\n}\n")
        self.ids = (user.pw_uid, user.pw_gid)

    def own(self):
        if os.geteuid() == 0:
            for top, folders, files in os.walk(self.folder):
                for name in [top] + [os.path.join(top, n) for n in folders + files]:
                    os.chown(name, *self.ids)

    def open(self):
        self.own()
        drop = f"setpriv --reuid={self.ids[0]} --regid={self.ids[1]} --clear-groups " if os.geteuid() == 0 else ""
        return imaplib.IMAP4_stream(f"{drop}env USER=test HOME={self.folder} {self.imap} -c {self.conf} 2>/dev/null")

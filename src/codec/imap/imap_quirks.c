/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_quirks.h"

/* clang-format off */
static const struct imap_quirk_row rows[IMAP_QUIRK_COUNT] = {
	[IMAP_QUIRK_BLANKS] = {"blanks",
		"scripts over Python's imaplib and PHP's imap functions, old Outlook Express; mail programs of phones at line ends",
		"several blanks between two words, blanks at the end of a line or of a list",
		"they count as one, or as none", true},
	[IMAP_QUIRK_EMPTY_LINE] = {"empty line",
		"clients that end a literal with CRLF and the command with another one; keep-alives of NAT boxes' victims in IDLE",
		"a line with nothing in it",
		"nothing: no BAD that would be taken for the answer to the next command; IDLE goes on", true},
	[IMAP_QUIRK_BARE_FLAGS] = {"bare flags",
		"Horde's and Nextcloud's library before 2024, scripts; Courier and Dovecot take them",
		"APPEND INBOX \\Seen {n}, STORE 1 +FLAGS \\Seen \\Flagged",
		"the flags without parentheses are a list (for STORE RFC 3501 itself allows it)", true},
	[IMAP_QUIRK_RECENT] = {"Recent",
		"programs that copy flags from server to server as FETCH told them (old KMail and imapsync, archive tools)",
		"\\Recent in STORE or APPEND",
		"it is left out: the message is stored with its other flags instead of being lost", true},
	[IMAP_QUIRK_NO_BLANK] = {"no blank",
		"hand-written clients of devices (scanners, telephones)",
		"APPEND box (\\Seen){n}",
		"a closing parenthesis ends the list without a blank, too", true},
	[IMAP_QUIRK_EMPTY_DATE] = {"empty date",
		"clients that have no date and send it all the same",
		"APPEND box () \"\" {n}",
		"now, as if there were none", true},
	[IMAP_QUIRK_MACRO_IN_LIST] = {"macro in a list",
		"old telephones and hand-written clients",
		"FETCH 1 (ALL), FETCH 1 (FAST BODY[])",
		"the macro's items", true},
	[IMAP_QUIRK_BARE_STATUS] = {"bare STATUS",
		"hand-written clients",
		"STATUS INBOX UNSEEN",
		"one item without parentheses is a list of one", true},
	[IMAP_QUIRK_RAW_NAME] = {"raw name",
		"mail programs of phones and scripts that do not know modified UTF-7 (RFC 3501 5.1.3)",
		"CREATE \"Entw\xc3\xbcrfe\" in UTF-8",
		"the name that is meant; it is told in modified UTF-7", true},
	[IMAP_QUIRK_ID_HALF_PAIR] = {"half a pair in ID",
		"programs that leave out a value they do not know",
		"ID (\"name\" \"x\" \"version\")",
		"the value is NIL: ID is no reason to fail", true},
	[IMAP_QUIRK_XLIST] = {"XLIST",
		"Outlook 2013, iOS before 7, Airmail, old K-9: they find Sent, Trash and the others by Google's XLIST, not by SPECIAL-USE",
		"XLIST \"\" *",
		"LIST with Google's names for the uses, \\Inbox among them", true},
	[IMAP_QUIRK_BASE64] = {"base64",
		"mail functions of devices, scripts with an encoder of their own",
		"a response in AUTHENTICATE without its \"=\" at the end, or with blanks behind it",
		"it is completed", true},
	[IMAP_QUIRK_EMPTY_PLAIN] = {"empty PLAIN",
		"clients that mean \"no initial response\" by \"=\" or by an empty line",
		"AUTHENTICATE PLAIN =, or an empty line behind the first \"+\"",
		"another \"+\", once", true},
};
/* clang-format on */

const struct imap_quirk_row *imap_quirk(enum imap_quirk quirk)
{
	return &rows[quirk];
}

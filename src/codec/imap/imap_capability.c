/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_capability.h"
#include "codec/imap/imap_flags.h"

enum shown { BEFORE = 1, AFTER = 2, ALWAYS = BEFORE | AFTER };

static const struct {
	const char *name;
	enum shown shown;
	bool needs_login_allowed;
	bool needs_login_forbidden;
	bool needs_starttls;
	bool literal_plus, literal_minus; /* one of the two is shown */
} capabilities[] = {
	{.name = "IMAP4rev1", .shown = ALWAYS},
	{.name = "IMAP4rev2", .shown = ALWAYS},
	{.name = "LITERAL+", .shown = ALWAYS, .literal_plus = true},
	{.name = "LITERAL-", .shown = ALWAYS, .literal_minus = true},
	{.name = "SASL-IR", .shown = ALWAYS},
	{.name = "ID", .shown = ALWAYS},
	{.name = "ENABLE", .shown = ALWAYS},
	{.name = "IDLE", .shown = ALWAYS},
	{.name = "STARTTLS", .shown = BEFORE, .needs_starttls = true},
	{.name = "LOGINDISABLED", .shown = BEFORE, .needs_login_forbidden = true},
	{.name = "AUTH=PLAIN", .shown = BEFORE, .needs_login_allowed = true},
	{.name = "AUTH=LOGIN", .shown = BEFORE, .needs_login_allowed = true},
	{.name = "NAMESPACE", .shown = AFTER},
	{.name = "UIDPLUS", .shown = AFTER},
	{.name = "UIDONLY", .shown = AFTER},
	{.name = "MOVE", .shown = AFTER},
	{.name = "UNSELECT", .shown = AFTER},
	{.name = "CHILDREN", .shown = AFTER},
	{.name = "SPECIAL-USE", .shown = AFTER},
	{.name = "CREATE-SPECIAL-USE", .shown = AFTER},
	{.name = "CONDSTORE", .shown = AFTER},
	{.name = "QRESYNC", .shown = AFTER},
	{.name = "ESEARCH", .shown = AFTER},
	{.name = "MULTISEARCH", .shown = AFTER},
	{.name = "SEARCHRES", .shown = AFTER},
	{.name = "WITHIN", .shown = AFTER},
	{.name = "SORT", .shown = AFTER},
	{.name = "SORT=DISPLAY", .shown = AFTER},
	{.name = "ESORT", .shown = AFTER},
	{.name = "PARTIAL", .shown = AFTER},
	{.name = "UIDBATCHES", .shown = AFTER},
	{.name = "INPROGRESS", .shown = AFTER},
	{.name = "FILTERS", .shown = AFTER},
	{.name = "SEARCH=FUZZY", .shown = AFTER},
	{.name = "I18NLEVEL=2", .shown = AFTER},
	{.name = "CONTEXT=SEARCH", .shown = AFTER},
	{.name = "CONTEXT=SORT", .shown = AFTER},
	{.name = "THREAD=ORDEREDSUBJECT", .shown = AFTER},
	{.name = "THREAD=REFERENCES", .shown = AFTER},
	{.name = "THREAD=REFS", .shown = AFTER},
	{.name = "LIST-EXTENDED", .shown = AFTER},
	{.name = "XLIST", .shown = AFTER},
	{.name = "LIST-STATUS", .shown = AFTER},
	{.name = "STATUS=SIZE", .shown = AFTER},
	{.name = "BINARY", .shown = AFTER},
	{.name = "MULTIAPPEND", .shown = AFTER},
	{.name = "PREVIEW", .shown = AFTER},
	{.name = "SAVEDATE", .shown = AFTER},
	{.name = "OBJECTID", .shown = AFTER},
	{.name = "COMPRESS=DEFLATE", .shown = AFTER},
	{.name = "UNAUTHENTICATE", .shown = AFTER},
	{.name = "NOTIFY", .shown = AFTER},
	{.name = "QUOTA", .shown = AFTER},
	{.name = "QUOTASET", .shown = AFTER},
	{.name = "QUOTA=RES-STORAGE", .shown = AFTER},
	{.name = "QUOTA=RES-MESSAGE", .shown = AFTER},
	{.name = "QUOTA=RES-MAILBOX", .shown = AFTER},
	{.name = "URLAUTH", .shown = AFTER},
	{.name = "URL-PARTIAL", .shown = AFTER},
	{.name = "CATENATE", .shown = AFTER},
	{.name = "REPLACE", .shown = AFTER},
	{.name = "ACL", .shown = AFTER},
	{.name = "RIGHTS=texk", .shown = AFTER},
	{.name = "LIST-MYRIGHTS", .shown = AFTER},
	{.name = "METADATA", .shown = AFTER},
	{.name = "LIST-METADATA", .shown = AFTER},
	{.name = "UTF8=ACCEPT", .shown = AFTER},
};

int imap_capability_write(struct buf *out, uint32_t when,
			  const struct imap_capability_limits *limits)
{
	enum shown now = when & IMAP_CAP_AUTHENTICATED ? AFTER : BEFORE;
	bool allowed = when & IMAP_CAP_LOGIN_ALLOWED;
	bool minus = when & IMAP_CAP_LITERAL_MINUS;
	bool first = true;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (!(capabilities[i].shown & now) ||
		    (capabilities[i].needs_login_allowed && !allowed) ||
		    (capabilities[i].needs_login_forbidden && allowed) ||
		    (capabilities[i].literal_plus && minus) ||
		    (capabilities[i].literal_minus && !minus) ||
		    (capabilities[i].needs_starttls && !(when & IMAP_CAP_STARTTLS)))
			continue;
		if (!first)
			(void)buf_addc(out, ' ');
		(void)buf_add_c(out, capabilities[i].name);
		first = false;
	}
	if (now == AFTER && limits->messages)
		(void)buf_addf(out, " MESSAGELIMIT=%u", limits->messages);
	else if (now == AFTER && limits->saves)
		(void)buf_addf(out, " SAVELIMIT=%u", limits->saves);
	if (now == AFTER)
		(void)buf_addf(out, " APPENDLIMIT=%llu", (unsigned long long)limits->append);
	return out->failed ? -FAIL_LIMIT : 0;
}

static const struct imap_name enable_names[] = {
	{IMAP_ENABLE_CONDSTORE, "CONDSTORE"}, {IMAP_ENABLE_QRESYNC, "QRESYNC"},
	{IMAP_ENABLE_IMAP4REV2, "IMAP4rev2"}, {IMAP_ENABLE_UTF8, "UTF8=ACCEPT"},
	{IMAP_ENABLE_UIDONLY, "UIDONLY"},     {0, NULL},
};

uint32_t imap_enable_find(struct str name)
{
	return imap_name_find(enable_names, name);
}

struct str imap_enable_name(uint32_t bit)
{
	return str_c(imap_name_of(enable_names, bit));
}

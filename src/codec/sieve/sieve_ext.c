/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_int.h"

const struct sieve_ext_row sieve_exts[X_COUNT] = {
	[X_CORE] = {NULL, "RFC 5228", 0},
	[X_BODY] = {"body", "RFC 5173", 0},
	[X_NUMERIC] = {"comparator-i;ascii-numeric", "RFC 4790", 0},
	[X_UNICODE] = {"comparator-i;unicode-casemap", "RFC 5051", 0},
	[X_CONVERT] = {"convert", "RFC 6558", 0},
	[X_COPY] = {"copy", "RFC 3894", 0},
	[X_DATE] = {"date", "RFC 5260", 0},
	[X_DUPLICATE] = {"duplicate", "RFC 7352", 0},
	[X_EDITHEADER] = {"editheader", "RFC 5293", 0},
	[X_ENCLOSE] = {"enclose", "RFC 5703", 0},
	[X_ENCODED_CHARACTER] = {"encoded-character", "RFC 5228", 0},
	[X_ENOTIFY] = {"enotify", "RFC 5435", 0},
	[X_ENVELOPE] = {"envelope", "RFC 5228", 0},
	[X_ENVELOPE_DSN] = {"envelope-dsn", "RFC 6009", X_BIT(X_ENVELOPE)},
	[X_ENVIRONMENT] = {"environment", "RFC 5183", 0},
	[X_EREJECT] = {"ereject", "RFC 5429", 0},
	[X_EXTLISTS] = {"extlists", "RFC 6134", 0},
	[X_EXTRACTTEXT] = {"extracttext", "RFC 5703", 0},
	[X_FCC] = {"fcc", "RFC 8580", 0},
	[X_FILEINTO] = {"fileinto", "RFC 5228", 0},
	[X_FOREVERYPART] = {"foreverypart", "RFC 5703", 0},
	[X_IHAVE] = {"ihave", "RFC 5463", 0},
	[X_IMAP4FLAGS] = {"imap4flags", "RFC 5232", 0},
	[X_IMAPSIEVE] = {"imapsieve", "RFC 6785", X_BIT(X_ENVIRONMENT)},
	[X_INCLUDE] = {"include", "RFC 6609", 0},
	[X_INDEX] = {"index", "RFC 5260", 0},
	[X_MAILBOX] = {"mailbox", "RFC 5490", 0},
	[X_MAILBOXID] = {"mailboxid", "RFC 9042", 0},
	[X_MBOXMETADATA] = {"mboxmetadata", "RFC 5490", 0},
	[X_MIME] = {"mime", "RFC 5703", 0},
	[X_REDIRECT_DSN] = {"redirect-dsn", "RFC 6009", 0},
	[X_REGEX] = {"regex", "draft-murchison-sieve-regex", 0},
	[X_REJECT] = {"reject", "RFC 5429", 0},
	[X_RELATIONAL] = {"relational", "RFC 5231", 0},
	[X_REPLACE] = {"replace", "RFC 5703", 0},
	[X_SERVERMETADATA] = {"servermetadata", "RFC 5490", 0},
	[X_SPAMTEST] = {"spamtest", "RFC 5235", 0},
	[X_SPAMTESTPLUS] = {"spamtestplus", "RFC 5235", X_BIT(X_SPAMTEST)},
	[X_SPECIAL_USE] = {"special-use", "RFC 8579", 0},
	[X_SUBADDRESS] = {"subaddress", "RFC 5233", 0},
	[X_VACATION] = {"vacation", "RFC 5230", 0},
	[X_VACATION_SECONDS] = {"vacation-seconds", "RFC 6131", X_BIT(X_VACATION)},
	[X_VARIABLES] = {"variables", "RFC 5229", 0},
	[X_VIRUSTEST] = {"virustest", "RFC 5235", 0},
	[X_EXTRA] = {NULL, "", 0},
};

enum sieve_ext sieve_ext_find(struct str name, bool *ret_known)
{
	*ret_known = str_eq(name, STR("comparator-i;octet")) ||
		     str_eq(name, STR("comparator-i;ascii-casemap"));
	for (unsigned i = 1; i < X_COUNT; i++) {
		if (!sieve_exts[i].name || !str_eq(name, str_c(sieve_exts[i].name)))
			continue;
		*ret_known = true;
		return (enum sieve_ext)i;
	}
	return X_CORE;
}

void sieve_extensions_write(uint64_t without, struct buf *out)
{
	for (unsigned i = 1; i < X_COUNT; i++) {
		if (!sieve_exts[i].name || without & X_BIT(i))
			continue;
		(void)buf_add(out, out->n ? STR(" ") : STR(""));
		(void)buf_add_c(out, sieve_exts[i].name);
	}
}

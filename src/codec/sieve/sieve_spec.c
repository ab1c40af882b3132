/* SPDX-License-Identifier: Apache-2.0 */
/* The language in tables: arguments, then commands and tests with the functions that do them. */
#include "codec/sieve/sieve_vm.h"

const struct sieve_slot_row sieve_slots[S_COUNT] = {
	[S_MATCH] = {NULL, SLOT_MATCH, X_CORE, 0},
	[S_COMPARATOR] = {"comparator", SLOT_COMPARATOR, X_CORE, 0},
	[S_PART] = {NULL, SLOT_PART, X_CORE, 0},
	[S_INDEX] = {"index", SLOT_NUMBER, X_INDEX, 0},
	[S_LAST] = {"last", SLOT_FLAG, X_INDEX, 0},
	[S_EDIT_INDEX] = {"index", SLOT_NUMBER, X_CORE, 0},
	[S_EDIT_LAST] = {"last", SLOT_FLAG, X_CORE, 0},
	[S_MIME] = {"mime", SLOT_FLAG, X_MIME, 0},
	[S_ANYCHILD] = {"anychild", SLOT_FLAG, X_MIME, 0},
	[S_TYPE] = {"type", SLOT_FLAG, X_MIME, 1},
	[S_SUBTYPE] = {"subtype", SLOT_FLAG, X_MIME, 1},
	[S_CONTENTTYPE] = {"contenttype", SLOT_FLAG, X_MIME, 1},
	[S_PARAM] = {"param", SLOT_LIST, X_MIME, 1},
	[S_ZONE] = {"zone", SLOT_STRING, X_CORE, 2},
	[S_ORIGINALZONE] = {"originalzone", SLOT_FLAG, X_CORE, 2},
	[S_RAW] = {"raw", SLOT_FLAG, X_CORE, 3},
	[S_TEXT] = {"text", SLOT_FLAG, X_CORE, 3},
	[S_CONTENT] = {"content", SLOT_LIST, X_CORE, 3},
	[S_OVER] = {"over", SLOT_FLAG, X_CORE, 4},
	[S_UNDER] = {"under", SLOT_FLAG, X_CORE, 4},
	[S_HANDLE] = {"handle", SLOT_STRING, X_CORE, 0},
	[S_HEADER] = {"header", SLOT_STRING, X_CORE, 5},
	[S_UNIQUEID] = {"uniqueid", SLOT_STRING, X_CORE, 5},
	[S_SECONDS] = {"seconds", SLOT_NUMBER, X_CORE, 0},
	[S_VACATION_SECONDS] = {"seconds", SLOT_NUMBER, X_VACATION_SECONDS, 6},
	[S_DAYS] = {"days", SLOT_NUMBER, X_CORE, 6},
	[S_PERCENT] = {"percent", SLOT_FLAG, X_SPAMTESTPLUS, 0},
	[S_COPY] = {"copy", SLOT_FLAG, X_COPY, 0},
	[S_FLAGS] = {"flags", SLOT_LIST, X_IMAP4FLAGS, 0},
	[S_CREATE] = {"create", SLOT_FLAG, X_MAILBOX, 0},
	[S_MAILBOXID] = {"mailboxid", SLOT_STRING, X_MAILBOXID, 0},
	[S_SPECIALUSE] = {"specialuse", SLOT_STRING, X_SPECIAL_USE, 0},
	[S_LIST] = {"list", SLOT_FLAG, X_EXTLISTS, 0},
	[S_NOTIFY] = {"notify", SLOT_STRING, X_REDIRECT_DSN, 0},
	[S_RET] = {"ret", SLOT_STRING, X_REDIRECT_DSN, 0},
	[S_SUBJECT] = {"subject", SLOT_STRING, X_CORE, 0},
	[S_FROM] = {"from", SLOT_STRING, X_CORE, 0},
	[S_ADDRESSES] = {"addresses", SLOT_LIST, X_CORE, 0},
	[S_TEXT_IS_MIME] = {"mime", SLOT_FLAG, X_CORE, 0},
	[S_FCC] = {"fcc", SLOT_STRING, X_FCC, 0},
	[S_IMPORTANCE] = {"importance", SLOT_STRING, X_CORE, 0},
	[S_OPTIONS] = {"options", SLOT_LIST, X_CORE, 0},
	[S_MESSAGE] = {"message", SLOT_STRING, X_CORE, 0},
	[S_LOWER] = {"lower", SLOT_FLAG, X_CORE, 7},
	[S_UPPER] = {"upper", SLOT_FLAG, X_CORE, 7},
	[S_LOWERFIRST] = {"lowerfirst", SLOT_FLAG, X_CORE, 8},
	[S_UPPERFIRST] = {"upperfirst", SLOT_FLAG, X_CORE, 8},
	[S_QUOTEWILDCARD] = {"quotewildcard", SLOT_FLAG, X_CORE, 9},
	[S_QUOTEREGEX] = {"quoteregex", SLOT_FLAG, X_REGEX, 9},
	[S_ENCODEURL] = {"encodeurl", SLOT_FLAG, X_ENOTIFY, 0},
	[S_LENGTH] = {"length", SLOT_FLAG, X_CORE, 0},
	[S_GLOBAL] = {"global", SLOT_FLAG, X_CORE, 10},
	[S_PERSONAL] = {"personal", SLOT_FLAG, X_CORE, 10},
	[S_ONCE] = {"once", SLOT_FLAG, X_CORE, 0},
	[S_OPTIONAL] = {"optional", SLOT_FLAG, X_CORE, 0},
	[S_NAME] = {"name", SLOT_STRING, X_CORE, 0},
	[S_FIRST] = {"first", SLOT_NUMBER, X_CORE, 0},
	[S_HEADERS] = {"headers", SLOT_LIST, X_CORE, 0},
};

const struct sieve_name sieve_matches[MATCH_END] = {
	[MATCH_IS] = {"is", X_CORE},
	[MATCH_CONTAINS] = {"contains", X_CORE},
	[MATCH_MATCHES] = {"matches", X_CORE},
	[MATCH_REGEX] = {"regex", X_REGEX},
	[MATCH_VALUE] = {"value", X_RELATIONAL},
	[MATCH_COUNT] = {"count", X_RELATIONAL},
	[MATCH_LIST] = {"list", X_EXTLISTS},
};
const struct sieve_name sieve_comparators[CMP_END] = {
	[CMP_CASEMAP] = {"i;ascii-casemap", X_CORE},
	[CMP_OCTET] = {"i;octet", X_CORE},
	[CMP_NUMERIC] = {"i;ascii-numeric", X_NUMERIC},
	/* may be required, and need not be: Dovecot does not ask for it either */
	[CMP_UNICODE] = {"i;unicode-casemap", X_CORE},
};
const struct sieve_name sieve_parts[PART_END] = {
	[PART_ALL] = {"all", X_CORE},
	[PART_LOCAL] = {"localpart", X_CORE},
	[PART_DOMAIN] = {"domain", X_CORE},
	[PART_USER] = {"user", X_SUBADDRESS},
	[PART_DETAIL] = {"detail", X_SUBADDRESS},
};
const char *const sieve_relations[REL_END] = {"eq", "ne", "gt", "ge", "lt", "le"};

#define MATCHING (S_BIT(S_MATCH) | S_BIT(S_COMPARATOR))
#define INDEXED	 (S_BIT(S_INDEX) | S_BIT(S_LAST))
#define MIMED	 (S_BIT(S_MIME) | S_BIT(S_ANYCHILD))
#define STORING	 (S_BIT(S_FLAGS) | S_BIT(S_CREATE) | S_BIT(S_MAILBOXID) | S_BIT(S_SPECIALUSE))

/* Programs hold places of this table: a change of order is a new SIEVE_PROGRAM_VERSION. */
const struct sieve_spec sieve_specs[] = {
	/* RFC 5228 */
	{"address", SPEC_TEST, X_CORE, "ll", MATCHING | S_BIT(S_PART) | INDEXED | MIMED,
	 sieve_check_address, sieve_test_address},
	{"envelope", SPEC_TEST, X_ENVELOPE, "ll", MATCHING | S_BIT(S_PART), sieve_check_envelope,
	 sieve_test_envelope},
	{"exists", SPEC_TEST, X_CORE, "l", MIMED, sieve_check_exists, sieve_test_exists},
	{"header", SPEC_TEST, X_CORE, "ll",
	 MATCHING | INDEXED | MIMED | S_BIT(S_TYPE) | S_BIT(S_SUBTYPE) | S_BIT(S_CONTENTTYPE) |
		 S_BIT(S_PARAM),
	 sieve_check_header, sieve_test_header},
	{"size", SPEC_TEST, X_CORE, "n", S_BIT(S_OVER) | S_BIT(S_UNDER), sieve_check_size,
	 sieve_test_size},
	{"keep", SPEC_COMMAND, X_CORE, "", S_BIT(S_FLAGS), sieve_check_keep, sieve_do_keep},
	{"discard", SPEC_COMMAND, X_CORE, "", 0, NULL, sieve_do_discard},
	{"fileinto", SPEC_COMMAND, X_FILEINTO, "s", STORING | S_BIT(S_COPY), sieve_check_fileinto,
	 sieve_do_fileinto},
	{"redirect", SPEC_COMMAND, X_CORE, "s",
	 S_BIT(S_COPY) | S_BIT(S_LIST) | S_BIT(S_NOTIFY) | S_BIT(S_RET), sieve_check_redirect,
	 sieve_do_redirect},
	{"reject", SPEC_COMMAND, X_REJECT, "s", 0, NULL, sieve_do_reject},
	{"ereject", SPEC_COMMAND, X_EREJECT, "s", 0, NULL, sieve_do_ereject},
	/* RFC 5229 variables */
	{"set", SPEC_COMMAND, X_VARIABLES, "ss",
	 S_BIT(S_LOWER) | S_BIT(S_UPPER) | S_BIT(S_LOWERFIRST) | S_BIT(S_UPPERFIRST) |
		 S_BIT(S_QUOTEWILDCARD) | S_BIT(S_QUOTEREGEX) | S_BIT(S_ENCODEURL) |
		 S_BIT(S_LENGTH),
	 sieve_check_set, sieve_do_set},
	{"string", SPEC_TEST, X_VARIABLES, "ll", MATCHING, sieve_check_keys2, sieve_test_string},
	/* RFC 5230 and 6131 vacation */
	{"vacation", SPEC_COMMAND, X_VACATION, "s",
	 S_BIT(S_DAYS) | S_BIT(S_VACATION_SECONDS) | S_BIT(S_SUBJECT) | S_BIT(S_FROM) |
		 S_BIT(S_ADDRESSES) | S_BIT(S_TEXT_IS_MIME) | S_BIT(S_HANDLE) | S_BIT(S_FCC) |
		 STORING,
	 sieve_check_vacation, sieve_do_vacation},
	/* RFC 5232 imap4flags */
	{"setflag", SPEC_COMMAND, X_IMAP4FLAGS, "Sl", 0, sieve_check_flags, sieve_do_setflag},
	{"addflag", SPEC_COMMAND, X_IMAP4FLAGS, "Sl", 0, sieve_check_flags, sieve_do_addflag},
	{"removeflag", SPEC_COMMAND, X_IMAP4FLAGS, "Sl", 0, sieve_check_flags, sieve_do_removeflag},
	{"hasflag", SPEC_TEST, X_IMAP4FLAGS, "Ll", MATCHING, sieve_check_hasflag,
	 sieve_test_hasflag},
	/* RFC 5173 body */
	{"body", SPEC_TEST, X_BODY, "l", MATCHING | S_BIT(S_RAW) | S_BIT(S_TEXT) | S_BIT(S_CONTENT),
	 sieve_check_body, sieve_test_body},
	/* RFC 5260 date */
	{"date", SPEC_TEST, X_DATE, "ssl",
	 MATCHING | INDEXED | MIMED | S_BIT(S_ZONE) | S_BIT(S_ORIGINALZONE), sieve_check_date,
	 sieve_test_date},
	{"currentdate", SPEC_TEST, X_DATE, "sl", MATCHING | S_BIT(S_ZONE), sieve_check_date,
	 sieve_test_currentdate},
	/* RFC 7352 duplicate */
	{"duplicate", SPEC_TEST, X_DUPLICATE, "",
	 S_BIT(S_HANDLE) | S_BIT(S_HEADER) | S_BIT(S_UNIQUEID) | S_BIT(S_SECONDS) |
		 S_BIT(S_EDIT_LAST),
	 sieve_check_duplicate, sieve_test_duplicate},
	/* RFC 5293 editheader */
	{"addheader", SPEC_COMMAND, X_EDITHEADER, "ss", S_BIT(S_EDIT_LAST), sieve_check_addheader,
	 sieve_do_addheader},
	{"deleteheader", SPEC_COMMAND, X_EDITHEADER, "sL",
	 MATCHING | S_BIT(S_EDIT_INDEX) | S_BIT(S_EDIT_LAST), sieve_check_deleteheader,
	 sieve_do_deleteheader},
	/* RFC 5435 and 5436 enotify */
	{"notify", SPEC_COMMAND, X_ENOTIFY, "s",
	 S_BIT(S_FROM) | S_BIT(S_IMPORTANCE) | S_BIT(S_OPTIONS) | S_BIT(S_MESSAGE) | S_BIT(S_FCC) |
		 STORING,
	 sieve_check_notify, sieve_do_notify},
	{"valid_notify_method", SPEC_TEST, X_ENOTIFY, "l", 0, NULL, sieve_test_valid_method},
	{"notify_method_capability", SPEC_TEST, X_ENOTIFY, "ssl", MATCHING, sieve_check_capability,
	 sieve_test_capability},
	/* RFC 5183 and 6785 environment */
	{"environment", SPEC_TEST, X_ENVIRONMENT, "sl", MATCHING, sieve_check_environment,
	 sieve_test_environment},
	/* RFC 6134 extlists */
	{"valid_ext_list", SPEC_TEST, X_EXTLISTS, "l", 0, NULL, sieve_test_valid_list},
	/* RFC 5463 ihave (the test is done by the compiler) */
	{"error", SPEC_COMMAND, X_IHAVE, "s", 0, NULL, sieve_do_error},
	/* RFC 6609 include */
	{"include", SPEC_COMMAND, X_INCLUDE, "s",
	 S_BIT(S_GLOBAL) | S_BIT(S_PERSONAL) | S_BIT(S_ONCE) | S_BIT(S_OPTIONAL),
	 sieve_check_include, sieve_do_include},
	{"global", SPEC_COMMAND, X_INCLUDE, "l", 0, sieve_check_global, sieve_do_global},
	/* RFC 5490 and 9042, 8579: mailboxes */
	{"mailboxexists", SPEC_TEST, X_MAILBOX, "l", 0, sieve_check_mailbox,
	 sieve_test_mailboxexists},
	{"metadata", SPEC_TEST, X_MBOXMETADATA, "ssl", MATCHING, sieve_check_keys3,
	 sieve_test_metadata},
	{"metadataexists", SPEC_TEST, X_MBOXMETADATA, "sl", 0, NULL, sieve_test_metadataexists},
	{"servermetadata", SPEC_TEST, X_SERVERMETADATA, "sl", MATCHING, sieve_check_keys2,
	 sieve_test_servermetadata},
	{"servermetadataexists", SPEC_TEST, X_SERVERMETADATA, "l", 0, NULL,
	 sieve_test_servermetadataexists},
	{"mailboxidexists", SPEC_TEST, X_MAILBOXID, "l", 0, NULL, sieve_test_mailboxidexists},
	{"specialuse_exists", SPEC_TEST, X_SPECIAL_USE, "Sl", 0, NULL,
	 sieve_test_specialuse_exists},
	/* RFC 5235 */
	{"spamtest", SPEC_TEST, X_SPAMTEST, "s", MATCHING | S_BIT(S_PERCENT), sieve_check_keys1,
	 sieve_test_spam},
	{"virustest", SPEC_TEST, X_VIRUSTEST, "s", MATCHING, sieve_check_keys1, sieve_test_virus},
	/* RFC 5703 parts of a message (foreverypart and break are done by the compiler) */
	{"extracttext", SPEC_COMMAND, X_EXTRACTTEXT, "s",
	 S_BIT(S_FIRST) | S_BIT(S_LOWER) | S_BIT(S_UPPER) | S_BIT(S_LOWERFIRST) |
		 S_BIT(S_UPPERFIRST) | S_BIT(S_QUOTEWILDCARD) | S_BIT(S_QUOTEREGEX) |
		 S_BIT(S_ENCODEURL) | S_BIT(S_LENGTH),
	 sieve_check_in_loop, sieve_do_extracttext},
	{"replace", SPEC_COMMAND, X_REPLACE, "s",
	 S_BIT(S_TEXT_IS_MIME) | S_BIT(S_SUBJECT) | S_BIT(S_FROM), NULL, sieve_do_replace},
	{"enclose", SPEC_COMMAND, X_ENCLOSE, "s", S_BIT(S_SUBJECT) | S_BIT(S_HEADERS), NULL,
	 sieve_do_enclose},
	/* RFC 6558 */
	{"convert", SPEC_TEST, X_CONVERT, "ssl", 0, NULL, sieve_test_convert},
};
const size_t sieve_specs_n = ARRAY_LEN(sieve_specs);

const struct sieve_spec *sieve_spec_of(uint8_t op, const struct sieve_extra *extra)
{
	if (op >= OP_EXTRA)
		return extra && op - OP_EXTRA < (int)extra->n ? &extra->specs[op - OP_EXTRA] : NULL;
	return op >= OP_SPEC && (size_t)op - OP_SPEC < sieve_specs_n ? &sieve_specs[op - OP_SPEC]
								     : NULL;
}

uint8_t sieve_slot_type(const struct sieve_spec *spec, unsigned slot)
{
	if (slot < S_P1)
		return sieve_slots[slot].type;
	switch (ascii_lower(spec->positional[slot - S_P1])) {
	case 'n':
		return SLOT_NUMBER;
	case 's':
		return SLOT_STRING;
	default:
		return SLOT_LIST;
	}
}

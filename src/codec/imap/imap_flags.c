/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_flags.h"
#include "codec/imap/imap_cmd.h"

const struct imap_name imap_flag_names[] = {
	{IMAP_FLAG_ANSWERED, "\\Answered"},
	{IMAP_FLAG_FLAGGED, "\\Flagged"},
	{IMAP_FLAG_DELETED, "\\Deleted"},
	{IMAP_FLAG_SEEN, "\\Seen"},
	{IMAP_FLAG_DRAFT, "\\Draft"},
	{IMAP_FLAG_RECENT, "\\Recent"},
	{0, NULL},
};

const struct imap_name imap_special_use_names[] = {
	{IMAP_USE_ALL, "\\All"},       {IMAP_USE_ARCHIVE, "\\Archive"},
	{IMAP_USE_DRAFTS, "\\Drafts"}, {IMAP_USE_FLAGGED, "\\Flagged"},
	{IMAP_USE_JUNK, "\\Junk"},     {IMAP_USE_SENT, "\\Sent"},
	{IMAP_USE_TRASH, "\\Trash"},   {0, NULL},
};

const struct imap_name imap_status_names[] = {
	{IMAP_STATUS_MESSAGES, "MESSAGES"},
	{IMAP_STATUS_RECENT, "RECENT"},
	{IMAP_STATUS_UIDNEXT, "UIDNEXT"},
	{IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY"},
	{IMAP_STATUS_UNSEEN, "UNSEEN"},
	{IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ"},
	{IMAP_STATUS_DELETED, "DELETED"},
	{IMAP_STATUS_SIZE, "SIZE"},
	{IMAP_STATUS_APPENDLIMIT, "APPENDLIMIT"},
	{IMAP_STATUS_MAILBOXID, "MAILBOXID"},
	{IMAP_STATUS_DELETED_STORAGE, "DELETED-STORAGE"},
	{0, NULL},
};

const struct imap_name imap_return_names[] = {
	{IMAP_RETURN_MIN, "MIN"},
	{IMAP_RETURN_MAX, "MAX"},
	{IMAP_RETURN_ALL, "ALL"},
	{IMAP_RETURN_COUNT, "COUNT"},
	{IMAP_RETURN_SAVE, "SAVE"},
	{IMAP_RETURN_CONTEXT, "CONTEXT"},
	{IMAP_RETURN_UPDATE, "UPDATE"},
	{IMAP_RETURN_RELEVANCY, "RELEVANCY"},
	{0, NULL},
};

const struct imap_name imap_sort_names[] = {
	{1u << IMAP_SORT_ARRIVAL, "ARRIVAL"},
	{1u << IMAP_SORT_CC, "CC"},
	{1u << IMAP_SORT_DATE, "DATE"},
	{1u << IMAP_SORT_DISPLAYFROM, "DISPLAYFROM"},
	{1u << IMAP_SORT_DISPLAYTO, "DISPLAYTO"},
	{1u << IMAP_SORT_FROM, "FROM"},
	{1u << IMAP_SORT_SIZE, "SIZE"},
	{1u << IMAP_SORT_SUBJECT, "SUBJECT"},
	{1u << IMAP_SORT_TO, "TO"},
	{1u << IMAP_SORT_RELEVANCY, "RELEVANCY"},
	{0, NULL},
};

const struct imap_name imap_thread_names[] = {
	{1u << IMAP_THREAD_ORDEREDSUBJECT, "ORDEREDSUBJECT"},
	{1u << IMAP_THREAD_REFERENCES, "REFERENCES"},
	{1u << IMAP_THREAD_REFS, "REFS"},
	{0, NULL},
};

uint32_t imap_name_find(const struct imap_name *table, struct str name)
{
	for (; table->name; table++)
		if (str_eqi(str_c(table->name), name))
			return table->bit;
	return 0;
}

const char *imap_name_of(const struct imap_name *table, uint32_t bit)
{
	for (; table->name; table++)
		if (table->bit == bit)
			return table->name;
	return NULL;
}

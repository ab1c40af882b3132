/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_cmd.h - one parsed IMAP command.                                        [codec, pure]
 *
 * RFC 3501 and RFC 9051, with IDLE (2177), NAMESPACE (2342), ID (2971), CHILDREN (3348), UNSELECT
 * (3691), UIDPLUS (4315), MULTIAPPEND (3502), ESEARCH (4731), SASL-IR (4959), WITHIN (5032), ENABLE
 * (5161), SEARCHRES (5182), LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE (6154), MOVE
 * (6851), CONDSTORE (7162), LITERAL+ (7888), QUOTA (9208, GETQUOTA and GETQUOTAROOT), URLAUTH
 * (4467), CATENATE (4469), COMPRESS (4978), UTF8=ACCEPT (6855), UNAUTHENTICATE (8437), REPLACE
 * (8508), SORT and THREAD (5256), ESORT (5267), ACL (4314).
 *
 * Strings borrow from the input or live in the arena, so a command lives as long as both.
 * Mailbox names are UTF-8, decoded; a first level INBOX in any case is
 * "INBOX". Nothing is checked here
 * against the state of a session: a syntactically right command may still be refused.
 *
 * What is accepted beyond the grammar, because clients send it, stands in imap_quirks.c; besides
 * 8-bit bytes in astrings and a one-digit day without its leading blank in a date.
 */
#ifndef BARID_CODEC_IMAP_CMD_H
#define BARID_CODEC_IMAP_CMD_H

#include "codec/imap/imap_acl.h"
#include "codec/imap/imap_date.h"
#include "codec/imap/imap_flags.h"
#include "codec/imap/imap_lex.h"
#include "codec/imap/seqset.h"

enum imap_cmd_kind {
	/* any state */
	IMAP_CMD_CAPABILITY,
	IMAP_CMD_NOOP,
	IMAP_CMD_LOGOUT,
	IMAP_CMD_ID,
	/* before login */
	IMAP_CMD_STARTTLS,
	IMAP_CMD_LOGIN,
	IMAP_CMD_AUTHENTICATE,
	/* after login */
	IMAP_CMD_ENABLE,
	IMAP_CMD_SELECT,
	IMAP_CMD_EXAMINE,
	IMAP_CMD_CREATE,
	IMAP_CMD_DELETE,
	IMAP_CMD_RENAME,
	IMAP_CMD_SUBSCRIBE,
	IMAP_CMD_UNSUBSCRIBE,
	IMAP_CMD_LIST,
	IMAP_CMD_LSUB,
	IMAP_CMD_XLIST, /* Google's (IMAP_QUIRK_XLIST) */
	IMAP_CMD_STATUS,
	IMAP_CMD_APPEND,
	IMAP_CMD_NAMESPACE,
	IMAP_CMD_IDLE,
	IMAP_CMD_GETQUOTA,
	IMAP_CMD_GETQUOTAROOT,
	IMAP_CMD_SETQUOTA,
	IMAP_CMD_COMPARATOR,
	IMAP_CMD_GENURLAUTH, /* RFC 4467, as the next two */
	IMAP_CMD_RESETKEY,
	IMAP_CMD_URLFETCH,
	IMAP_CMD_COMPRESS,
	IMAP_CMD_UNAUTHENTICATE,
	IMAP_CMD_GETACL, /* RFC 4314, as the next four */
	IMAP_CMD_SETACL,
	IMAP_CMD_DELETEACL,
	IMAP_CMD_LISTRIGHTS,
	IMAP_CMD_MYRIGHTS,
	IMAP_CMD_NOTIFY,
	IMAP_CMD_GETMETADATA, /* RFC 5464 */
	IMAP_CMD_SETMETADATA,
	IMAP_CMD_ESEARCH, /* RFC 7377 */
	/* with a mailbox selected */
	IMAP_CMD_CHECK,
	IMAP_CMD_CLOSE,
	IMAP_CMD_UNSELECT,
	IMAP_CMD_EXPUNGE,
	IMAP_CMD_SEARCH,
	IMAP_CMD_SORT,
	IMAP_CMD_THREAD,
	IMAP_CMD_CANCELUPDATE,
	IMAP_CMD_UIDBATCHES,
	IMAP_CMD_FETCH,
	IMAP_CMD_STORE,
	IMAP_CMD_COPY,
	IMAP_CMD_MOVE,
	IMAP_CMD_REPLACE,
	IMAP_CMD_KIND_COUNT
};

struct imap_login { /* both are secrets of the input; the owner of the input clears it */
	struct str user;
	struct str password;
};

struct imap_authenticate {
	struct str mechanism; /* as written */
	bool has_initial;
	struct str initial; /* base64 as written; "=" means an empty initial response (RFC 4959) */
};

struct imap_id_pair {
	struct str key;
	struct str value; /* p NULL = NIL */
};
struct imap_id {
	const struct imap_id_pair *pair;
	size_t pair_count; /* 0 for ID NIL */
};

struct imap_enable {
	const struct str *capability;
	size_t capability_count;
};

/* (QRESYNC (...)) of SELECT: what the client knows of the mailbox (RFC 7162 3.2.5). No set has a
 * star. */
struct imap_qresync {
	bool given;
	uint32_t uidvalidity;
	uint64_t modseq;
	struct seqset known;	 /* raw; n = 0: not given */
	struct seqset match_seq; /* raw; n = 0: not given; the first number goes with the first */
	struct seqset match_uid; /* UID, and so on, range by range */
};
struct imap_select { /* SELECT, EXAMINE */
	struct str mailbox;
	bool condstore; /* (CONDSTORE) */
	struct imap_qresync qresync;
};

struct imap_create {
	struct str mailbox; /* may end with the separator */
	uint32_t use;	    /* enum imap_special_use bits of (USE (...)) */
	bool unknown_use;   /* a use that is not in RFC 6154: answer NO [USEATTR] */
};

struct imap_rename {
	struct str from;
	struct str to;
};

enum imap_list_option {
	IMAP_LIST_SUBSCRIBED = 1u << 0,
	IMAP_LIST_REMOTE = 1u << 1,
	IMAP_LIST_RECURSIVEMATCH =
		1u << 2, /* selection only, and never alone (RFC 5258 section 3.1) */
	IMAP_LIST_SPECIAL_USE = 1u << 3,
	IMAP_LIST_CHILDREN = 1u << 4, /* return only */
	IMAP_LIST_STATUS = 1u << 5,   /* return only: status_items */
	IMAP_LIST_MYRIGHTS = 1u << 8, /* return only (RFC 8440) */
	IMAP_LIST_METADATA = 1u << 6, /* return only: entry (RFC 9590) */
};
struct imap_list { /* LIST, LSUB */
	struct str reference;
	const struct str *pattern; /* UTF-8, with wildcards; "" alone asks for the separator; p
				    * NULL matches nothing */
	size_t pattern_count;
	bool extended;		 /* RFC 5258 syntax was used */
	uint32_t selection;	 /* enum imap_list_option */
	uint32_t returned;	 /* enum imap_list_option */
	uint32_t status_items;	 /* enum imap_status_item */
	const struct str *entry; /* of METADATA, as in struct imap_getmetadata */
	size_t entry_count;
};

struct imap_status {
	struct str mailbox;
	uint32_t items; /* enum imap_status_item, at least one */
};

/* A part of a message that is put together by CATENATE (RFC 4469). */
struct imap_cat_part {
	struct str url;		  /* p NULL: the literal */
	struct imap_literal text; /* TEXT, or UTF8 (RFC 6855 section 4) */
	bool utf8;
};
struct imap_append_message {
	struct imap_flags flags;
	bool has_date;
	struct imap_datetime date;
	struct imap_literal body; /* unless `part_count` */
	bool utf8;		  /* the body was given by UTF8 */
	const struct imap_cat_part *part;
	size_t part_count; /* 0: not put together */
};
struct imap_append {
	struct str mailbox;
	const struct imap_append_message *message; /* more than one is MULTIAPPEND */
	size_t message_count;			   /* at least 1 */
};

struct imap_replace {		   /* RFC 8508 */
	struct seqset set;	   /* raw; one number */
	struct imap_append append; /* one message */
};

struct imap_quota_limit {
	struct str resource; /* as written */
	uint64_t limit;
};
struct imap_setquota { /* RFC 9208 4.1.3 */
	struct str root;
	const struct imap_quota_limit *limit;
	size_t limit_count; /* 0: no limits */
};

struct imap_url_ask { /* GENURLAUTH; URLFETCH without mechanism */
	struct str url;
	struct str mechanism;
};
struct imap_urls {
	const struct imap_url_ask *ask;
	size_t n; /* at least 1 */
};
struct imap_resetkey {
	bool named; /* else: of all mailboxes */
	struct str mailbox;
	const struct str *mechanism;
	size_t mechanism_count;
};

enum imap_acl_how { IMAP_ACL_SET, IMAP_ACL_ADD, IMAP_ACL_REMOVE };
struct imap_acl { /* SETACL; DELETEACL and LISTRIGHTS without rights */
	struct str mailbox;
	struct str identifier;
	enum imap_acl_how how;
	uint32_t rights; /* enum imap_acl_right */
};

/* RFC 5464. Names of entries are in lower case and well-formed: they begin with "/private" or
 * "/shared", without "*", "%", "//", controls, and a "/" at the end. */
struct imap_getmetadata {
	struct str mailbox;	 /* empty: of the server */
	const struct str *entry; /* at least one */
	size_t entry_count;
	bool has_maxsize;
	uint32_t maxsize;
	uint32_t depth; /* levels below the entry: 0, 1, or UINT32_MAX */
};
struct imap_metadata_set {
	struct str entry;
	bool remove;		   /* NIL */
	struct imap_literal value; /* a string is one that is not external */
};
struct imap_setmetadata {
	struct str mailbox; /* empty: of the server */
	const struct imap_metadata_set *set;
	size_t set_count; /* at least one */
};

/* What stands between "[" and "]". */
enum imap_section_text {
	IMAP_SECTION_ALL, /* nothing: the whole part */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_HEADER_FIELDS,
	IMAP_SECTION_HEADER_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME, /* only with a part */
};
struct imap_section {
	const uint32_t *part; /* 1.2.3; empty = the message */
	size_t part_count;
	enum imap_section_text text;
	const struct str *field; /* of HEADER.FIELDS[.NOT] */
	size_t field_count;
};

enum imap_fetch_kind {
	IMAP_FETCH_UID,
	IMAP_FETCH_FLAGS,
	IMAP_FETCH_INTERNALDATE,
	IMAP_FETCH_ENVELOPE,
	IMAP_FETCH_BODY, /* without a section: BODYSTRUCTURE without extension data */
	IMAP_FETCH_BODYSTRUCTURE,
	IMAP_FETCH_RFC822,	  /* as BODY[], sets \Seen */
	IMAP_FETCH_RFC822_HEADER, /* as BODY.PEEK[HEADER] */
	IMAP_FETCH_RFC822_TEXT,	  /* as BODY[TEXT], sets \Seen */
	IMAP_FETCH_RFC822_SIZE,
	IMAP_FETCH_SECTION, /* BODY[...] or BODY.PEEK[...] */
	IMAP_FETCH_MODSEQ,
	IMAP_FETCH_BINARY,	/* RFC 3516; section has part numbers only */
	IMAP_FETCH_BINARY_SIZE, /* the same, never partial */
	IMAP_FETCH_PREVIEW,	/* RFC 8970 */
	IMAP_FETCH_SAVEDATE,	/* RFC 8514 */
	IMAP_FETCH_EMAILID,	/* RFC 8474 */
	IMAP_FETCH_THREADID,
};
struct imap_fetch_att {
	enum imap_fetch_kind kind;
	bool peek; /* BODY.PEEK, BINARY.PEEK: do not set \Seen */
	bool lazy; /* PREVIEW (LAZY) */
	struct imap_section section;
	bool partial; /* <offset.count> */
	uint64_t offset;
	uint64_t count;
};
/* PARTIAL 1:100 or -1:-100 (RFC 9394): places in a result, in either order, from 1 on. */
struct imap_partial {
	bool given;
	bool from_end; /* -1 is the last one */
	uint32_t first, last;
};
struct imap_fetch {
	struct seqset set;		  /* raw */
	const struct imap_fetch_att *att; /* ALL, FAST and FULL are expanded */
	size_t att_count;
	bool has_changedsince;
	uint64_t changedsince;
	struct imap_partial partial; /* only right with UID FETCH */
	bool vanished; /* RFC 7162 3.2.6, only right with QRESYNC enabled and UID FETCH */
};

enum imap_notify_event { /* RFC 5465 section 5 */
			 IMAP_EVENT_MESSAGE_NEW = 1u << 0,
			 IMAP_EVENT_MESSAGE_EXPUNGE = 1u << 1,
			 IMAP_EVENT_FLAG_CHANGE = 1u << 2,
			 IMAP_EVENT_ANNOTATION_CHANGE = 1u << 3,
			 IMAP_EVENT_MAILBOX_NAME = 1u << 4,
			 IMAP_EVENT_SUBSCRIPTION_CHANGE = 1u << 5,
			 IMAP_EVENT_MAILBOX_METADATA_CHANGE = 1u << 6,
			 IMAP_EVENT_SERVER_METADATA_CHANGE = 1u << 7,
			 IMAP_EVENT_OTHER = 1u << 8, /* one that is in no specification */
};
#define IMAP_EVENTS_OF_MESSAGES                                                                    \
	(IMAP_EVENT_MESSAGE_NEW | IMAP_EVENT_MESSAGE_EXPUNGE | IMAP_EVENT_FLAG_CHANGE |            \
	 IMAP_EVENT_ANNOTATION_CHANGE)

enum imap_notify_filter { /* section 6 */
			  IMAP_NOTIFY_SELECTED,
			  IMAP_NOTIFY_SELECTED_DELAYED,
			  IMAP_NOTIFY_INBOXES,
			  IMAP_NOTIFY_PERSONAL,
			  IMAP_NOTIFY_SUBSCRIBED,
			  IMAP_NOTIFY_SUBTREE,	   /* mailbox */
			  IMAP_NOTIFY_MAILBOXES,   /* mailbox */
			  IMAP_NOTIFY_SUBTREE_ONE, /* mailbox; of ESEARCH only (RFC 7377) */
};
extern const struct imap_name imap_notify_event_names[]; /* but OTHER */
const char *imap_notify_filter_name(enum imap_notify_filter filter);

struct imap_notify_group {
	enum imap_notify_filter filter;
	const struct str *mailbox;
	size_t mailbox_count;
	uint32_t events;		  /* 0: NONE */
	const struct imap_fetch_att *att; /* of MessageNew, in SELECTED and SELECTED-DELAYED */
	size_t att_count;
};
/* What may not stand together (section 8, section 5) is a syntax error. */
struct imap_notify {
	bool status;
	const struct imap_notify_group *group;
	size_t group_count; /* 0: NONE */
};

enum imap_store_mode { IMAP_STORE_REPLACE, IMAP_STORE_ADD, IMAP_STORE_REMOVE };
struct imap_store {
	struct seqset set; /* raw */
	enum imap_store_mode mode;
	bool silent;
	struct imap_flags flags;
	bool has_unchangedsince;
	uint64_t unchangedsince;
};

struct imap_copy {	   /* COPY, MOVE */
	struct seqset set; /* raw */
	struct str mailbox;
};

enum imap_search_op {
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_AND,     /* kid, kid->next, ... */
	IMAP_SEARCH_OR,	     /* two kids */
	IMAP_SEARCH_NOT,     /* one kid */
	IMAP_SEARCH_SEQ,     /* set: message numbers */
	IMAP_SEARCH_UID,     /* set: UIDs */
	IMAP_SEARCH_FLAG,    /* flag; UNSEEN and the like are NOT(FLAG), OLD is
				NOT(FLAG RECENT) */
	IMAP_SEARCH_KEYWORD, /* text; UNKEYWORD is NOT(KEYWORD) */
	IMAP_SEARCH_BEFORE,  /* day of INTERNALDATE */
	IMAP_SEARCH_ON,
	IMAP_SEARCH_SINCE,
	IMAP_SEARCH_SENTBEFORE, /* day of the Date field */
	IMAP_SEARCH_SENTON,
	IMAP_SEARCH_SENTSINCE,
	IMAP_SEARCH_LARGER, /* number */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_HEADER, /* field, text; FROM, TO, CC, BCC and SUBJECT are HEADER too */
	IMAP_SEARCH_BODY,   /* text */
	IMAP_SEARCH_TEXT,   /* text */
	IMAP_SEARCH_MODSEQ, /* number */
	IMAP_SEARCH_OLDER,  /* number: seconds since INTERNALDATE, at least (RFC 5032) */
	IMAP_SEARCH_YOUNGER,
	IMAP_SEARCH_SAVEDBEFORE, /* day of the save date (RFC 8514); SAVEDATESUPPORTED is ALL */
	IMAP_SEARCH_SAVEDON,
	IMAP_SEARCH_SAVEDSINCE,
	IMAP_SEARCH_EMAILID, /* text, case-sensitive (RFC 8474) */
	IMAP_SEARCH_THREADID,
	IMAP_SEARCH_FILTER, /* text: the name of a stored filter (RFC 5466) */
	IMAP_SEARCH_FUZZY,  /* one kid (RFC 6203) */
};
struct imap_search_key {
	enum imap_search_op op;
	bool fuzzy;		      /* below FUZZY, and not below a NOT there */
	struct imap_search_key *next; /* sibling */
	struct imap_search_key *kid;
	struct seqset set; /* raw; resolve before use */
	uint32_t flag;	   /* one enum imap_flag */
	int32_t day;	   /* days since 1970-01-01 */
	uint64_t number;
	struct str field;
	struct str text; /* bytes in the search's charset */
};
enum imap_search_return { /* RFC 4731, RFC 5182 */
			  IMAP_RETURN_MIN = 1u << 0,
			  IMAP_RETURN_MAX = 1u << 1,
			  IMAP_RETURN_ALL = 1u << 2,
			  IMAP_RETURN_COUNT = 1u << 3,
			  IMAP_RETURN_SAVE = 1u << 4,
			  IMAP_RETURN_PARTIAL = 1u << 5, /* RFC 9394, RFC 5267 */
			  IMAP_RETURN_CONTEXT = 1u << 6, /* RFC 5267 */
			  IMAP_RETURN_UPDATE = 1u << 7,
			  IMAP_RETURN_RELEVANCY = 1u << 8, /* RFC 6203 */
};
enum imap_sort_by { /* RFC 5256, RFC 5957 */
		    IMAP_SORT_ARRIVAL,
		    IMAP_SORT_CC,
		    IMAP_SORT_DATE,
		    IMAP_SORT_DISPLAYFROM,
		    IMAP_SORT_DISPLAYTO,
		    IMAP_SORT_FROM,
		    IMAP_SORT_SIZE,
		    IMAP_SORT_SUBJECT,
		    IMAP_SORT_TO,
		    IMAP_SORT_RELEVANCY, /* RFC 6203 */
};
struct imap_sort_key {
	enum imap_sort_by by;
	bool reverse;
};
enum imap_thread_algorithm {
	IMAP_THREAD_ORDEREDSUBJECT,
	IMAP_THREAD_REFERENCES,
	IMAP_THREAD_REFS, /* draft-ietf-morg-inthread */
};
struct imap_search {				/* SEARCH, SORT, THREAD, ESEARCH */
	const struct imap_notify_group *source; /* ESEARCH: filter and mailbox of each */
	size_t source_count;			/* 0: the selected mailbox */
	const struct imap_sort_key *sort;	/* SORT; the first one decides first */
	size_t sort_count;
	enum imap_thread_algorithm thread; /* THREAD */
	bool extended;			   /* RETURN was given: the answer is ESEARCH */
	uint32_t returned;		   /* enum imap_search_return; "()" is ALL */
	struct imap_partial partial;
	struct str charset; /* as written; empty when SEARCH has none: US-ASCII (8-bit text is UTF-8
			       in practice) */
	struct imap_search_key *
		key; /* an AND of at least one key; mutable so that sets can be resolved in place */
	bool uses_modseq;  /* a MODSEQ key is in the tree: RFC 7162 section 3.1.5 */
	bool uses_filters; /* FILTER keys are in the tree */
	bool uses_fuzzy;   /* FUZZY keys are in the tree: else RELEVANCY is wrong */
	bool uses_numbers; /* message numbers are in the tree: RFC 7162 section 3.2.10.2 */
};

struct imap_cancelupdate {     /* RFC 5267 4.3.5 */
	const struct str *tag; /* of commands */
	size_t tag_count;      /* at least 1 */
};

struct imap_comparator {	  /* RFC 5255 4.7 */
	const struct str *wanted; /* comparators, with "*" for anything, the best first */
	size_t wanted_count;	  /* 0: which one is it? */
};

struct imap_uidbatches { /* draft-ietf-mailmaint-imap-uidbatches */
	uint32_t size;
	struct imap_partial range; /* of batches, from 1 on; not given: all */
};

struct imap_cmd {
	struct str tag;
	enum imap_cmd_kind kind;
	bool uid; /* UID FETCH, STORE, COPY, MOVE, SEARCH, EXPUNGE: sets are UIDs */
	union {
		struct imap_login login;
		struct imap_authenticate authenticate;
		struct imap_id id;
		struct imap_enable enable;
		struct imap_select select; /* and EXAMINE */
		struct imap_create create;
		struct imap_rename rename;
		struct str mailbox;    /* DELETE, SUBSCRIBE, UNSUBSCRIBE, GETQUOTAROOT, GETACL,
					* MYRIGHTS */
		struct str quota_root; /* GETQUOTA */
		struct str compress;   /* the mechanism as written */
		struct imap_setquota setquota;
		struct imap_urls urls; /* GENURLAUTH, URLFETCH */
		struct imap_resetkey resetkey;
		struct imap_acl acl; /* SETACL, DELETEACL, LISTRIGHTS */
		struct imap_getmetadata getmetadata;
		struct imap_setmetadata setmetadata;
		struct imap_list list; /* and LSUB */
		struct imap_status status;
		struct imap_append append;
		struct imap_replace replace;
		struct seqset expunge;	   /* UID EXPUNGE; raw */
		struct imap_search search; /* and SORT, THREAD, ESEARCH */
		struct imap_cancelupdate cancelupdate;
		struct imap_uidbatches uidbatches;
		struct imap_comparator comparator;
		struct imap_fetch fetch;
		struct imap_store store;
		struct imap_copy copy; /* and MOVE */
		struct imap_notify notify;
	};
};

/*
 * Parse one complete command. `lim` may be NULL for the defaults. Returns 0 or
 *   -FAIL_SYNTAX       why->public says what was expected at which column; answer BAD
 *   -FAIL_UNSUPPORTED  the command's name is not known; answer BAD
 *   -FAIL_LIMIT        a limit or the arena is exceeded; answer BAD or NO [LIMIT]
 * On failure ret_cmd->tag is set when one could be read, and empty otherwise (answer untagged).
 * Within the limits of frame_imap_limits_session an arena of 1 MiB is enough. Thread: any.
 */
int imap_cmd_parse(const struct imap_input *in, const struct imap_limits *lim, struct arena *arena,
		   struct imap_cmd *ret_cmd, struct fail *why) MUST_CHECK;

/* Search keys alone, as a stored filter has them (RFC 5466), in UTF-8: ret->key and what it uses
 * are set. -FAIL_SYNTAX, -FAIL_LIMIT. Thread: any. */
int imap_search_parse(struct str text, const struct imap_limits *lim, struct arena *arena,
		      struct imap_search *ret) MUST_CHECK;

/* "FETCH", "SELECT", ... without UID. */
const char *imap_cmd_name(enum imap_cmd_kind kind);

/*
 * Name of a command that may be incomplete, from its text so far: to decide on a literal before
 * the rest is there. "UID x" gives kind x. Returns IMAP_CMD_KIND_COUNT when it is not known.
 */
enum imap_cmd_kind imap_cmd_peek(struct str text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_metadata.c - GETMETADATA, SETMETADATA (RFC 5464), METADATA of LIST (RFC 9590),
 * /private/specialuse (RFC 6154 section 4). [proto, imap]
 *
 * Private entries are kept under the account that looks, shared ones under none, both with the
 * mailbox. What the operator says of the server (/shared/comment, /shared/admin) and the uses of a
 * mailbox are entries that nobody stored: they are added to what was read.
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"
#include "sys/fs.h"
#include "sys/log.h"

#define SPECIALUSE   STR("/private/specialuse")
#define COMPUTED_MAX 2 /* entries that are not stored, of one mailbox or the server */
#define SERVER_TEXT  KIB(2)

struct notes {
	struct store_annotation *p;
	bool *told;
	size_t n;
};

/* ---- reading ------------------------------------------------------------------------------- */

static int add_note(struct imap_session *s, struct notes *notes, struct str entry, struct str value,
		    struct fail *why)
{
	if (value.n == 0)
		return 0;
	struct str copy = arena_str(&s->run.arena, value);
	if (!copy.p)
		return fail_set(why, FAIL_LIMIT, NULL, "annotations: arena full");
	notes->p[notes->n++] = (struct store_annotation){entry, copy};
	return 0;
}

static int add_server(struct imap_session *s, struct notes *notes, struct fail *why)
{
	static const struct str entries[] = {STR("/shared/admin"), STR("/shared/comment")};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(entries); i++) {
		AUTO(buf) struct buf text = BUF_INIT(SERVER_TEXT);
		if (s->hooks.server_entry)
			s->hooks.server_entry(s->hooks.arg, entries[i], &text);
		r = add_note(s, notes, entries[i], buf_str(&text), why);
	}
	return r;
}

static int add_uses(struct imap_session *s, struct str mailbox, struct notes *notes,
		    struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(256);
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, mailbox, &s->run.arena, &box, why);
	if (r < 0 || s->guest) /* what the owner uses it for is nobody else's use */
		return r;
	uint32_t use = use_to_imap(box.use);
	for (const struct imap_name *u = imap_special_use_names; u->name; u++)
		if (use & u->bit)
			buf_addf(&text, "%s%s", text.n ? " " : "", u->name);
	return add_note(s, notes, SPECIALUSE, buf_str(&text), why);
}

static int read_notes(struct imap_session *s, struct str mailbox, struct notes *ret,
		      struct fail *why)
{
	struct store_notes stored;
	int r = store_annotations(s->store, s->account, mailbox, s->viewer_id, &s->run.arena,
				  &stored, why);
	if (r < 0)
		return r;
	*ret = (struct notes){
		.p = arena_array(&s->run.arena, struct store_annotation, stored.n + COMPUTED_MAX),
		.told = arena_array(&s->run.arena, bool, stored.n + COMPUTED_MAX),
		.n = stored.n,
	};
	if (!ret->p || !ret->told)
		return fail_set(why, FAIL_LIMIT, NULL, "annotations: arena full");
	if (stored.n > 0)
		memcpy(ret->p, stored.p, stored.n * sizeof *stored.p);
	memset(ret->told, 0, (stored.n + COMPUTED_MAX) * sizeof *ret->told);
	return mailbox.n ? add_uses(s, mailbox, ret, why) : add_server(s, ret, why);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* nstring / literal8: a literal cannot hold NUL (RFC 5464 section 5, RFC 3516). */
static void write_value(struct buf *b, struct str value)
{
	if (str_find(value, 0, '\0') == value.n) {
		imap_write_nstring(b, value);
		return;
	}
	buf_addc(b, '~');
	imap_write_literal_head(b, value.n);
	buf_add(b, value);
}

struct asking {
	const struct str *entry;
	size_t n;
	uint32_t depth;
	uint64_t maxsize;
	uint64_t longest; /* of those that were larger; 0: none was */
};

/* Is `name` the entry, or at most `depth` levels below it? */
static bool covers(struct str entry, uint32_t depth, struct str name)
{
	if (!str_starts(name, entry))
		return false;
	struct str below = str_skip(name, entry.n);
	if (below.n == 0)
		return true;
	if (depth == 0 || below.p[0] != '/')
		return false;
	return depth > 1 || str_find(below, 1, '/') == below.n;
}

static void write_one(struct buf *b, bool *begun, struct str entry, struct str value)
{
	buf_add(b, *begun ? STR(" ") : STR(" ("));
	imap_write_astring(b, entry);
	buf_addc(b, ' ');
	write_value(b, value);
	*begun = true;
}

static void write_covered(struct asking *ask, struct notes *notes, struct str entry, struct buf *b,
			  bool *begun)
{
	bool found = false;
	for (size_t i = 0; i < notes->n; i++) {
		if (!covers(entry, ask->depth, notes->p[i].entry))
			continue;
		found = true;
		if (notes->told[i])
			continue;
		notes->told[i] = true;
		if (notes->p[i].value.n > ask->maxsize)
			ask->longest = MAX(ask->longest, (uint64_t)notes->p[i].value.n);
		else
			write_one(b, begun, notes->p[i].entry, notes->p[i].value);
	}
	/* What was asked for by its name and is not there is said to be so. */
	if (!found && ask->depth == 0)
		write_one(b, begun, entry, STR_NULL);
}

static int write_metadata(struct imap_session *s, struct imap_out *out, struct str mailbox,
			  struct asking *ask, struct fail *why)
{
	struct imap_out_mark mark = imap_out_mark(out);
	struct notes notes;
	bool begun = false;
	int r = read_notes(s, mailbox, &notes, why);
	if (r < 0)
		return r;
	buf_add(&out->text, STR("* METADATA "));
	write_name(s, &out->text, mailbox);
	for (size_t i = 0; i < ask->n; i++)
		write_covered(ask, &notes, ask->entry[i], &out->text, &begun);
	buf_add(&out->text, STR(")\r\n"));
	if (!begun)
		imap_out_rollback(out, mark);
	return 0;
}

void write_list_metadata(struct imap_session *s, struct imap_out *out, struct str mailbox)
{
	const struct imap_list *l = &s->run.cmd.list;
	struct asking ask = {.entry = l->entry, .n = l->entry_count, .maxsize = UINT64_MAX};
	struct fail why = FAIL_INIT;
	if (out->text.failed) /* too much was asked for: the session is cut off */
		return;
	/* RFC 9590 section 2: what cannot be had now is left out. */
	if (write_metadata(s, out, mailbox, &ask, &why) < 0)
		log_event(LOG_DEBUG, "imap.list_metadata", log_fail(&why));
}

int cmd_getmetadata(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_getmetadata *g = &s->run.cmd.getmetadata;
	AUTO(buf) struct buf code = BUF_INIT(64);
	struct asking ask = {.entry = g->entry,
			     .n = g->entry_count,
			     .depth = g->depth,
			     .maxsize = g->has_maxsize ? g->maxsize : UINT64_MAX};
	int r = write_metadata(s, out, g->mailbox, &ask, why);
	if (r < 0 || ask.longest == 0)
		return r;
	buf_addf(&code, "METADATA LONGENTRIES %llu", (unsigned long long)ask.longest);
	reply_ok(s, buf_c(&code), "GETMETADATA completed.");
	return RUN_DONE;
}

/* ---- SETMETADATA --------------------------------------------------------------------------- */

static int reply_too_large(struct imap_session *s)
{
	AUTO(buf) struct buf code = BUF_INIT(64);
	buf_addf(&code, "METADATA MAXSIZE %u", STORE_ANNOTATION_VALUE_MAX);
	reply_no(s, buf_c(&code), "The value is too large.");
	return RUN_DONE;
}

/* The bytes of a value, which may have come as a file. */
static int value_of(struct imap_session *s, const struct imap_literal *l, struct str *ret,
		    struct fail *why)
{
	struct fs *fs = s->config.fs ? s->config.fs : fs_real();
	size_t got = 0;
	if (l->size > STORE_ANNOTATION_VALUE_MAX)
		return fail_set(why, FAIL_TOOBIG, NULL, "value of %llu bytes",
				(unsigned long long)l->size);
	*ret = l->size ? l->bytes : STR("");
	if (l->external != IMAP_NOT_EXTERNAL) {
		struct fs_file file = {fs, s->run.in.body[l->external].fd};
		char *p = arena_alloc(&s->run.arena, (size_t)l->size);
		if (!p)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		int r = fs_pread(&file, p, (size_t)l->size, 0, &got, why);
		if (r == 0 && got != l->size)
			r = fail_set(why, FAIL_CORRUPT, NULL, "a value is cut");
		if (r < 0)
			return r;
		*ret = str_make(p, got);
	}
	if (!l->binary && str_find(*ret, 0, '\0') < ret->n)
		return fail_set(why, FAIL_SYNTAX, "A value with NUL needs a binary literal.",
				"NUL in a value");
	return 0;
}

/* "\Drafts \Sent" (RFC 6154 section 4). False: not a use that a mailbox can be given. */
static bool parse_uses(struct str text, unsigned *ret)
{
	struct str word;
	uint32_t uses = 0;
	while (str_cut(&text, ' ', &word)) {
		uint32_t use = imap_name_find(imap_special_use_names, word);
		if (word.n == 0)
			continue;
		if (use == 0 || (use & (IMAP_USE_ALL | IMAP_USE_FLAGGED)))
			return false;
		uses |= use;
	}
	*ret = use_to_store(uses);
	return true;
}

/* One entry into *a. RUN_DONE with a reply when it may not be set. */
static int take_entry(struct imap_session *s, const struct imap_metadata_set *in,
		      struct store_annotate *a, struct store_annotation *set, struct fail *why)
{
	struct str value = STR_NULL;
	int r = in->remove ? 0 : value_of(s, &in->value, &value, why);
	if (r < 0)
		return r;
	if (a->mailbox.n == 0 && str_starts(in->entry, STR("/shared/")))
		return fail_set(why, FAIL_PERM,
				"What all see of the server is set by its operator.",
				"shared server entry");
	if (a->mailbox.n > 0 && str_eq(in->entry, SPECIALUSE)) {
		a->has_use = true;
		if (parse_uses(value, &a->use) && !s->guest)
			return 0;
		reply_no(s, "USEATTR", "This use of a mailbox is not supported.");
		return 0;
	}
	set[a->n++] = (struct store_annotation){in->entry, value};
	return 0;
}

int cmd_setmetadata(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_setmetadata *m = &s->run.cmd.setmetadata;
	struct store_annotation *set =
		arena_array(&s->run.arena, struct store_annotation, m->set_count);
	struct store_annotate a = {
		.account = s->account, .mailbox = m->mailbox, .viewer = s->viewer_id, .set = set};
	int r = set ? 0 : fail_set(why, FAIL_LIMIT, NULL, "%zu entries", m->set_count);
	(void)out;
	for (size_t i = 0; r == 0 && s->run.reply.n == 0 && i < m->set_count; i++)
		r = take_entry(s, &m->set[i], &a, set, why);
	if (r == 0 && s->run.reply.n > 0)
		return RUN_DONE;
	if (r == 0)
		r = store_annotate(s->store, &a, why);
	if (r == -FAIL_TOOBIG)
		return reply_too_large(s);
	if (r == -FAIL_LIMIT) {
		reply_no(s, "METADATA TOOMANY", why->public);
		return RUN_DONE;
	}
	return r;
}

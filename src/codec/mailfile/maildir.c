/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mailfile/maildir.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/imap/imap_utf7.h"

#define NAME_MAX_BYTES 255
#define UNIQUE_MAX     200

static const struct {
	char letter;
	uint32_t flag;
} letters[] = {/* in the order of letters, as readers expect */
	       {'D', MAILFILE_DRAFT},
	       {'F', MAILFILE_FLAGGED},
	       {'R', MAILFILE_ANSWERED},
	       {'S', MAILFILE_SEEN},
	       {'T', MAILFILE_DELETED}};

static void read_flags(struct str s, struct maildir_name *ret)
{
	for (size_t i = 0; i < s.n && s.p[i] != ','; i++) {
		char c = s.p[i];
		for (size_t k = 0; k < ARRAY_LEN(letters); k++)
			if (letters[k].letter == c)
				ret->flags |= letters[k].flag;
		if (c == 'P')
			ret->passed = true;
		if (c >= 'a' && c <= 'z')
			ret->keywords |= 1u << (c - 'a');
	}
}

bool maildir_name_parse(struct str name, struct maildir_name *ret)
{
	*ret = (struct maildir_name){0};
	if (name.n == 0 || name.n > NAME_MAX_BYTES || name.p[0] == '.')
		return false;
	size_t info = str_find_str(name, 0, STR(":2,"));
	ret->base = str_sub(name, 0, MIN(info, str_find(name, 0, ':')));
	ret->unique = str_sub(ret->base, 0, str_find(ret->base, 0, ','));
	if (ret->unique.n == 0)
		return false;
	if (info < name.n)
		read_flags(str_skip(name, info + 3), ret);
	if (!num_parse_u64(str_sub(ret->unique, 0, str_find(ret->unique, 0, '.')), &ret->time))
		ret->time = 0;
	return true;
}

int maildir_flags_write(struct buf *out, uint32_t flags, bool passed, uint32_t keywords)
{
	(void)buf_add_c(out, ":2,");
	for (size_t k = 0; k < ARRAY_LEN(letters); k++) {
		if (passed && letters[k].letter == 'R')
			(void)buf_addc(out, 'P');
		if (flags & letters[k].flag)
			(void)buf_addc(out, letters[k].letter);
	}
	for (unsigned i = 0; i < 26; i++)
		if (keywords & (1u << i))
			(void)buf_addc(out, (char)('a' + i));
	return out->failed ? -FAIL_LIMIT : 0;
}

/* ---- dovecot-uidlist ---- */

static bool take_number(struct str word, uint32_t *ret)
{
	return num_parse_u32(word, ret) && *ret > 0;
}

bool uidlist_head_parse(struct str line, struct uidlist_head *ret)
{
	struct str word, rest = str_trim(line);
	*ret = (struct uidlist_head){0};
	if (!str_cut(&rest, ' ', &word))
		return false;
	if (str_eq(word, STR("1"))) {
		struct str validity, next;
		ret->version = 1;
		return str_cut(&rest, ' ', &validity) && str_cut(&rest, ' ', &next) &&
		       take_number(validity, &ret->uidvalidity) && take_number(next, &ret->uidnext);
	}
	if (!str_eq(word, STR("3")))
		return false;
	ret->version = 3;
	while (str_cut(&rest, ' ', &word)) {
		if (word.n > 1 && word.p[0] == 'V' &&
		    !take_number(str_skip(word, 1), &ret->uidvalidity))
			return false;
		if (word.n > 1 && word.p[0] == 'N' &&
		    !take_number(str_skip(word, 1), &ret->uidnext))
			return false;
	}
	return ret->uidvalidity > 0 && ret->uidnext > 0;
}

bool uidlist_entry_parse(struct str line, unsigned version, struct uidlist_entry *ret)
{
	struct str word, rest = line;
	while (rest.n > 0 && (rest.p[rest.n - 1] == '\n' || rest.p[rest.n - 1] == '\r'))
		rest.n--;
	if (!str_cut(&rest, ' ', &word) || !take_number(word, &ret->uid))
		return false;
	if (version == 3) {
		/* fields, each a letter with its value, then ":" and the name */
		while (rest.n > 0 && rest.p[0] != ':')
			if (!str_cut(&rest, ' ', &word))
				return false;
		rest = str_skip(rest, 1);
	}
	ret->file = rest;
	return rest.n > 0 && rest.n <= NAME_MAX_BYTES;
}

/* ---- keywords ---- */

bool mailfile_is_atom(struct str s)
{
	if (s.n == 0 || s.n > 128)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return true;
}

bool maildir_keyword_parse(struct str line, unsigned *ret_index, struct str *ret_name)
{
	struct str word, rest = str_trim(line);
	uint32_t n;
	if (!str_cut(&rest, ' ', &word) || !num_parse_u32(word, &n) || n >= 26)
		return false;
	*ret_index = n;
	*ret_name = rest;
	return mailfile_is_atom(rest);
}

/* ---- names ---- */

static bool is_name(struct str s)
{
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

/* One level, UTF-8 or modified UTF-7. */
static bool add_level(struct str level, struct buf *out)
{
	size_t at = out->n;
	if (level.n == 0)
		return false;
	if (imap_utf7_decode(out, level) < 0) {
		buf_cut(out, at);
		out->failed = false;
		(void)buf_add(out, level);
	}
	struct str text = str_skip(buf_str(out), at);
	return !out->failed && is_name(text) && str_find(text, 0, '/') == text.n;
}

bool maildir_folder_name(struct str name, struct buf *out)
{
	struct str level, rest = str_skip(name, 1);
	if (name.n < 2 || name.n > NAME_MAX_BYTES || name.p[0] != '.')
		return false;
	while (str_cut(&rest, '.', &level)) {
		if (out->n > 0)
			(void)buf_addc(out, '/');
		if (!add_level(level, out))
			return false;
	}
	return !out->failed;
}

int maildir_folder_write(struct str mailbox, struct buf *out)
{
	struct str level, rest = mailbox;
	while (str_cut(&rest, '/', &level)) {
		size_t at = out->n + 1;
		(void)buf_addc(out, '.');
		int r = imap_utf7_encode(out, level);
		if (r < 0)
			return r;
		for (size_t i = at; i < out->n; i++)
			if (out->p[i] == '.')
				out->p[i] = '_';
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

/* \001 and a digit stand for what separates. */
static bool unescape(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '\001') {
			if (++i == in.n)
				return false;
			c = in.p[i] == 't' ? '\t' : in.p[i] == '1' ? '\001' : in.p[i];
		}
		(void)buf_addc(out, c);
	}
	return !out->failed;
}

bool maildir_subscription_parse(struct str line, bool v2, struct buf *out)
{
	struct str level, rest = line;
	AUTO(buf) struct buf plain = BUF_INIT(1024);
	while (rest.n > 0 && (rest.p[rest.n - 1] == '\n' || rest.p[rest.n - 1] == '\r'))
		rest.n--;
	if (rest.n == 0)
		return false;
	char separator = v2 ? '\t' : str_find(rest, 0, '/') < rest.n ? '/' : '.';
	while (str_cut(&rest, separator, &level)) {
		buf_reset(&plain);
		if (out->n > 0)
			(void)buf_addc(out, '/');
		if (!unescape(level, &plain) || !add_level(buf_str(&plain), out))
			return false;
	}
	return !out->failed;
}

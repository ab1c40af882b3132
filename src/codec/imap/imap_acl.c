/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_acl.h"
#include "base/utf8.h"

/* In the order in which they are written. */
static const struct {
	char letter;
	uint32_t rights;
} letters[] = {
	{'l', IMAP_ACL_L},
	{'r', IMAP_ACL_R},
	{'s', IMAP_ACL_S},
	{'w', IMAP_ACL_W},
	{'i', IMAP_ACL_I},
	{'p', IMAP_ACL_P},
	{'k', IMAP_ACL_K},
	{'x', IMAP_ACL_X},
	{'t', IMAP_ACL_T},
	{'e', IMAP_ACL_E},
	{'c', IMAP_ACL_K | IMAP_ACL_X},
	{'d', IMAP_ACL_T | IMAP_ACL_E},
	{'a', IMAP_ACL_A},
};

static uint32_t rights_of(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].rights;
	return 0;
}

int imap_rights_parse(struct str text, uint32_t *ret)
{
	uint32_t all = 0;
	for (size_t i = 0; i < text.n; i++) {
		uint32_t one = rights_of(text.p[i]);
		if (one == 0)
			return -FAIL_SYNTAX;
		all |= one;
	}
	*ret = all;
	return 0;
}

static void write_letters(struct buf *out, uint32_t rights, bool virtual)
{
	if ((rights & IMAP_ACL_ALL) == 0)
		(void)buf_add(out, STR("\"\""));
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		bool one = (letters[i].rights & (letters[i].rights - 1)) == 0;
		if ((rights & letters[i].rights) && (one || virtual))
			(void)buf_addc(out, letters[i].letter);
	}
}

void imap_rights_write(struct buf *out, uint32_t rights)
{
	write_letters(out, rights, false);
}

void imap_rights_write_all(struct buf *out, uint32_t rights)
{
	write_letters(out, rights, true);
}

bool imap_acl_identifier_ok(struct str identifier)
{
	struct str name = identifier;
	if (name.n > IMAP_ACL_IDENTIFIER || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			return false;
	if (str_starts(name, STR("-")))
		name = str_skip(name, 1);
	return name.n > 0;
}

/* ---- what a list gives to somebody ------------------------------------------------------------
 */

static struct str without_dash(struct str identifier)
{
	return str_skip(identifier, str_starts(identifier, STR("-")));
}

int imap_acl_canonical(struct str identifier, char *to, struct str *ret)
{
	bool minus = str_starts(identifier, STR("-"));
	struct str name = str_skip(identifier, minus);
	bool group = str_starts(name, STR("group="));
	size_t n = 0;
	if (group)
		name = str_skip(name, STR("group=").n);
	if (minus)
		to[n++] = '-';
	if (group)
		to[n++] = '$';
	for (size_t i = 0; i < name.n; i++)
		to[n++] = ascii_lower(name.p[i]);
	*ret = str_make(to, n);
	if (!imap_acl_identifier_ok(*ret) ||
	    (!imap_acl_is_everybody(*ret) && str_find(*ret, 0, '@') == n))
		return -FAIL_SYNTAX;
	return 0;
}

bool imap_acl_is_everybody(struct str identifier)
{
	struct str name = without_dash(identifier);
	return str_eqi(name, STR("anyone")) || str_eqi(name, STR("authenticated"));
}

static bool has_line(struct str lines, struct str want)
{
	struct str line;
	while (str_cut(&lines, '\n', &line))
		if (line.n > 0 && str_eqi(line, want))
			return true;
	return false;
}

bool imap_acl_is_meant(const struct imap_acl_who *who, struct str identifier,
		       struct account_id subject)
{
	struct str name = without_dash(identifier);
	if (str_eqi(name, STR("anyone")))
		return true;
	if (who->account.v == 0)
		return false;
	if (str_eqi(name, STR("authenticated")))
		return true;
	if (str_starts(name, STR("$")))
		return has_line(who->groups, str_skip(name, 1));
	return subject.v == who->account.v;
}

void imap_acl_add(struct imap_acl_sum *sum, const struct imap_acl_who *who, struct str identifier,
		  struct account_id subject, uint32_t rights)
{
	if (!imap_acl_is_meant(who, identifier, subject))
		return;
	if (str_starts(identifier, STR("-"))) {
		sum->minus |= rights;
		return;
	}
	sum->plus |= rights;
	sum->named |= subject.v != 0;
}

uint32_t imap_acl_result(const struct imap_acl_sum *sum, const struct imap_acl_who *who)
{
	if (!who->owner)
		return sum->plus & ~sum->minus;
	return ((sum->named ? sum->plus : IMAP_ACL_ALL) & ~sum->minus) | IMAP_ACL_L | IMAP_ACL_A;
}

bool imap_acl_is_public(struct str setting, struct str address)
{
	if (str_find(setting, 0, '@') == setting.n)
		address = str_sub(address, 0, str_find(address, 0, '@'));
	return setting.n && str_eqi(setting, address);
}

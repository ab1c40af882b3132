/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proxy/proxy.h"
#include "codec/proxy/proxy_int.h"

static const struct str signature = STR("\r\n\r\n\0\r\nQUIT\n");
static const struct str word = STR("PROXY ");

#define V2_FIXED 16 /* signature, version and command, family, length */

static int wrong(struct fail *why, const char *what)
{
	return fail_set(why, FAIL_SYNTAX, NULL, "PROXY header: %s", what);
}

/* Does s begin like the other text, as far as it goes? */
static bool agrees(struct str s, struct str with)
{
	size_t n = MIN(s.n, with.n);
	return str_eq(str_sub(s, 0, n), str_sub(with, 0, n));
}

/* --- version 1: one line
 * -------------------------------------------------------------------------------------- */

/* The next word of the line; words are parted by exactly one blank. */
static bool next_word(struct str *rest, struct str *ret)
{
	return str_cut(rest, ' ', ret) && ret->n > 0;
}

static int read_addresses(struct str rest, enum endpoint_family family, struct proxy_header *ret,
			  struct fail *why)
{
	struct str from, to, from_port, to_port;
	if (!next_word(&rest, &from) || !next_word(&rest, &to) || !next_word(&rest, &from_port) ||
	    !next_word(&rest, &to_port) || rest.p)
		return wrong(why, "not two addresses and two ports");
	if (!endpoint_parse(from, &ret->from) || !endpoint_parse(to, &ret->to) ||
	    ret->from.family != family || ret->to.family != family)
		return wrong(why, "an address is wrong");
	if (!endpoint_parse_port(from_port, &ret->from.port) ||
	    !endpoint_parse_port(to_port, &ret->to.port))
		return wrong(why, "a port is wrong");
	return 1;
}

static int parse_v1(struct str so_far, struct proxy_header *ret, struct fail *why)
{
	struct str line, kind;
	size_t end = str_find(so_far, 0, '\n');
	if (end == so_far.n)
		return so_far.n >= PROXY_V1_MAX ? wrong(why, "the line is too long") : 0;
	if (end + 1 > PROXY_V1_MAX || so_far.p[end - 1] != '\r')
		return wrong(why, "the line does not end in CRLF");
	line = str_sub(so_far, word.n, end - 1);
	struct str rest = line;
	*ret = (struct proxy_header){.version = 1};
	if (!next_word(&rest, &kind))
		return wrong(why, "no protocol is named");
	if (str_eq(kind, STR("UNKNOWN"))) { /* whatever follows is to be ignored */
		ret->local = true;
		return 1;
	}
	if (str_eq(kind, STR("TCP4")))
		return read_addresses(rest, ENDPOINT_V4, ret, why);
	if (str_eq(kind, STR("TCP6")))
		return read_addresses(rest, ENDPOINT_V6, ret, why);
	return wrong(why, "the protocol is neither TCP4, TCP6 nor UNKNOWN");
}

/* --- version 2: binary
 * ---------------------------------------------------------------------------------------- */

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_UNSPEC = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };

static void set_endpoint(struct endpoint *e, enum endpoint_family family, struct str bytes,
			 uint16_t port)
{
	*e = (struct endpoint){.family = family, .port = port};
	memcpy(e->bytes, bytes.p, bytes.n);
}

/* Both addresses, then both ports, at V2_FIXED. */
static void set_both(struct str header, size_t size, enum endpoint_family family,
		     struct proxy_header *ret)
{
	size_t ports = V2_FIXED + 2 * size;
	set_endpoint(&ret->from, family, str_sub(header, V2_FIXED, V2_FIXED + size),
		     proxy_u16(header, ports));
	set_endpoint(&ret->to, family, str_sub(header, V2_FIXED + size, ports),
		     proxy_u16(header, ports + 2));
}

/* The size of the addresses of a family; -1 = not over TCP, or unknown. */
static int address_size(unsigned family)
{
	switch (family) {
	case FAMILY_UNSPEC:
		return 0;
	case FAMILY_TCP4:
		return 12;
	case FAMILY_TCP6:
		return 36;
	case FAMILY_UNIX:
		return 216;
	default:
		return -1;
	}
}

static int parse_v2(struct str so_far, struct proxy_header *ret, struct fail *why)
{
	if (so_far.n < V2_FIXED)
		return 0;
	unsigned command = (unsigned char)so_far.p[12], family = (unsigned char)so_far.p[13];
	size_t total = V2_FIXED + (size_t)proxy_u16(so_far, 14);
	int size = address_size(family);
	if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
		return wrong(why, "neither LOCAL nor PROXY of version 2");
	if (total > PROXY_HEADER_MAX)
		return wrong(why, "longer than 4096 bytes");
	if (so_far.n < total)
		return 0;
	if (so_far.n > total)
		return wrong(why, "more bytes than it says");
	*ret = (struct proxy_header){.version = 2, .local = true};
	if (command == COMMAND_LOCAL) /* its addresses and extensions mean nothing */
		return 1;
	if (size < 0)
		return wrong(why, "an unknown family, or not TCP");
	if ((size_t)size > total - V2_FIXED)
		return wrong(why, "shorter than its addresses");
	if (family == FAMILY_TCP4)
		set_both(so_far, 4, ENDPOINT_V4, ret);
	else if (family == FAMILY_TCP6)
		set_both(so_far, 16, ENDPOINT_V6, ret);
	ret->local = ret->from.family == ENDPOINT_NONE;
	int r = proxy_read_tlvs(so_far, V2_FIXED + (size_t)size, ret, why);
	return r < 0 ? r : 1;
}

/* --- both
 * -----------------------------------------------------------------------------------------------------
 */

int proxy_parse(struct str so_far, struct proxy_header *ret, struct fail *why)
{
	if (so_far.n == 0)
		return 0;
	if (agrees(so_far, signature))
		return so_far.n < signature.n ? 0 : parse_v2(so_far, ret, why);
	if (agrees(so_far, word))
		return so_far.n < word.n ? 0 : parse_v1(so_far, ret, why);
	return wrong(why, "there is none");
}

size_t proxy_take(struct str so_far, struct str waiting)
{
	char first = so_far.n ? so_far.p[0] : waiting.n ? waiting.p[0] : '\0';
	size_t want;
	if (first == signature.p[0]) {
		want = V2_FIXED;
		if (so_far.n >= V2_FIXED)
			want += proxy_u16(so_far, 14);
		want = MIN(want, (size_t)PROXY_HEADER_MAX);
		return MIN(waiting.n, want - MIN(want, so_far.n));
	}
	if (first != word.p[0])
		return MIN(waiting.n, (size_t)1); /* enough to see that it is wrong */
	want = MIN(waiting.n, PROXY_V1_MAX - MIN(so_far.n, (size_t)PROXY_V1_MAX));
	return MIN(want, str_find(waiting, 0, '\n') + 1);
}

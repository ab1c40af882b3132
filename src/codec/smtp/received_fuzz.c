/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a hostile client in the headers that we write: whatever it says, a Received field is
 * one field in CRLF lines, and a delivery report is a report that a MIME parser reads as one. The
 * input's lines are the words.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/mime/header.h"
#include "codec/mime/index.h"
#include "codec/smtp/dsn.h"
#include "codec/smtp/idn.h"
#include "codec/smtp/received.h"
#include "codec/smtp/smtp_addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS	   12
#define DIAGNOSTIC 9
#define WORD_MAX   500
static struct str words[WORDS];

/* Lines end in CRLF, no NUL is in them, and none is longer than SMTP takes (RFC 5321 4.5.3.1.6). */
static void check_lines(struct str text)
{
	struct str line;
	CHECK(str_ends(text, STR("\r\n")));
	while (text.n && str_cut(&text, '\n', &line)) {
		CHECK(line.n > 0 && line.n <= 999 && str_find(line, 0, '\r') == line.n - 1);
		CHECK(!memchr(line.p, '\0', line.n));
	}
}

static void received(unsigned how)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct smtp_addr rcpt = {0}; /* it was parsed when it came */
	bool named = smtp_mailbox_parse(words[3], &rcpt) == 0;
	struct received r = {.helo = words[0],
			     .rdns = words[1],
			     .ip = words[2],
			     .by = STR("mx.example.test"),
			     .id = STR("1f"),
			     .rcpt = named ? smtp_addr_str(&rcpt) : STR(""),
			     .tls_version = words[4],
			     .tls_cipher = words[5],
			     .esmtp = how & 1,
			     .lmtp = how & 2,
			     .authenticated = how & 4,
			     .utf8 = how & 8,
			     .when = {(int64_t)how * 1000000007 * SEC_US}};
	struct header_field f;
	CHECK(received_write(&out, &r) == 0);
	check_lines(buf_str(&out));
	struct str rest = buf_str(&out);
	CHECK(header_next(&rest, &f) && str_eq(f.name, STR("Received")) && rest.n == 0);
	CHECK(f.whole.n == out.n);
}

static void read_report(struct str report)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(16));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
	struct mime_map *map;
	mime_index_feed(ix, report);
	CHECK(mime_index_finish(ix, &map, NULL) == 0);
	CHECK(str_eq(map->parts[0].type, STR("multipart")));
	CHECK(str_eq(map->parts[0].subtype, STR("report")) && map->parts[0].children == 3);
	CHECK(str_eq(map->parts[1].type, STR("text")));
	CHECK(str_eq(map->parts[2].type, STR("message")));
	CHECK(!(map->flags & MIME_UNCLOSED));
}

static void report(unsigned how)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(4)), header = BUF_INIT(KIB(64));
	struct dsn_rcpt rcpt = {.address = STR("bob@example.test"),
				.orcpt = words[6],
				.action = (enum dsn_action)(how % (DSN_EXPANDED + 1u)),
				.status = how & 16 ? words[7] : STR(""),
				.remote_mta = words[8],
				.diagnostic = words[DIAGNOSTIC],
				.last_attempt = {SEC_US},
				.size_max = how & 32 ? 1000 : 0};
	/* What is returned of the original has been analysed: its lines end in CRLF. */
	CHECK(buf_addf(&header, "Subject: %.*s\r\n\r\n", STR_ARG(words[10])) == 0);
	for (size_t i = 9; i + 4 < header.n; i++)
		if (header.p[i] == '\r' || header.p[i] == '\0')
			header.p[i] = '?';
	struct dsn d = {.reporting_mta = STR("mx.example.test"),
			.to = STR("alice@example.test"),
			.envid = words[11],
			.queue_id = STR("42"),
			.unique = STR("00112233"),
			.arrival = {SEC_US},
			.now = {2 * SEC_US},
			.utf8 = how & 64,
			.full = how & 128,
			.header = buf_str(&header),
			.body = STR("Hello\r\n"),
			.rcpts = &rcpt,
			.rcpt_count = 1};
	CHECK(dsn_write(&out, &d) == 0);
	check_lines(buf_str(&out));
	read_report(buf_str(&out));
}

static void domain(struct str name)
{
	AUTO(buf) struct buf ascii = BUF_INIT(KIB(4));
	if (idn_to_ascii(name, &ascii) < 0)
		return;
	CHECK(ascii.n > 0 && ascii.n <= 255 && str_is_ascii(buf_str(&ascii)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > KIB(4))
		return 0;
	struct str rest = str_make((const char *)data + 1, size - 1);
	for (size_t i = 0; i < WORDS; i++) {
		if (!str_cut(&rest, '\n', &words[i]))
			words[i] = STR("");
		if (i !=
		    DIAGNOSTIC) /* an answer of several lines; all else is short by its syntax */
			words[i] = str_sub(words[i], 0, WORD_MAX);
	}
	received(data[0]);
	report(data[0]);
	domain(words[0]);
	return 0;
}

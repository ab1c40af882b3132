/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "base/test.h"
#include "codec/milter/milter.h"
#include "codec/milter/milter_name.h"

/* Octets as text: \0 for NUL, \xx for what cannot be printed. */
static void assert_octets(struct buf *got, const char *want)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(4));
	for (size_t i = 0; i < got->n; i++) {
		unsigned char c = (unsigned char)got->p[i];
		if (c < ' ' || c > '~')
			buf_addf(&text, "\\%02x", c);
		else
			buf_addc(&text, (char)c);
	}
	assert_string_equal(buf_c(&text), want);
	buf_reset(got);
}

static void what_is_said(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	milter_put_options(&out, 6, MILTER_ACT_ALL, MILTER_NO_UNKNOWN);
	assert_octets(&out, "\\00\\00\\00\\0dO\\00\\00\\00\\06\\00\\00\\01\\ff\\00\\00\\01\\00");
	milter_put_connect(&out, STR("[192.0.2.1]"), STR("192.0.2.1"), 258);
	assert_octets(&out, "\\00\\00\\00\\1aC[192.0.2.1]\\004\\01\\02192.0.2.1\\00");
	milter_put_connect(&out, STR("h"), STR("2001:db8::1"), 25);
	assert_octets(&out, "\\00\\00\\00\\12Ch\\006\\00\\192001:db8::1\\00");
	milter_put_connect(&out, STR("h"), STR(""), 0);
	assert_octets(&out, "\\00\\00\\00\\04Ch\\00U");
	const struct milter_macro macros[] = {{STR("j"), STR("mx")}, {STR("{auth_type}"), STR("")}};
	milter_put_macros(&out, MILTER_MAIL, macros, 2);
	assert_octets(&out, "\\00\\00\\00\\14DMj\\00mx\\00{auth_type}\\00\\00");
	const struct str mail[] = {STR("<a@b>"), STR("SIZE=5")};
	milter_put_texts(&out, MILTER_MAIL, mail, 2);
	assert_octets(&out, "\\00\\00\\00\\0eM<a@b>\\00SIZE=5\\00");
	milter_put_header(&out, STR("Subject"), STR("a\0b: c"));
	assert_octets(&out, "\\00\\00\\00\\0bLSubject\\00a\\00");
	milter_put_body(&out, STR("x\0y"));
	assert_octets(&out, "\\00\\00\\00\\04Bx\\00y");
	milter_put_plain(&out, MILTER_BODYEOB);
	assert_octets(&out, "\\00\\00\\00\\01E");
}

static void packets_come_in_pieces(void **state)
{
	(void)state;
	const struct str whole = STR("\0\0\0\1c\0\0\0\3+a\0");
	struct str packet = STR_NULL;
	size_t used = 0;
	for (size_t n = 0; n < 5; n++)
		assert_int_equal(milter_frame(str_sub(whole, 0, n), &packet, &used), 0);
	assert_int_equal(milter_frame(whole, &packet, &used), 1);
	assert_str(packet, "c");
	assert_int_equal(used, 5);
	assert_int_equal(milter_frame(str_sub(whole, 5, 11), &packet, &used), 0);
	assert_int_equal(milter_frame(STR("\0\0\0\0"), &packet, &used), -FAIL_SYNTAX);
	assert_int_equal(milter_frame(STR("\1\0\0\0"), &packet, &used), -FAIL_TOOBIG);
}

static void what_is_answered(void **state)
{
	(void)state;
	struct milter_reply r;
	struct fail why = FAIL_INIT;
	assert_ok(milter_reply_parse(STR("O\0\0\0\2\0\0\1\3\0\x10\4\1\0\0\0\0j {x}\0\0\0\0\7z\0"
					 "\0\0\0\3i\0"),
				     &r, &why),
		  &why);
	assert_int_equal(r.version, 2);
	assert_int_equal(r.actions, 0x103);
	assert_int_equal(r.steps, 0x100401);
	assert_str(r.macros[MILTER_AT_CONNECT], "j {x}");
	assert_str(r.macros[MILTER_AT_RCPT], "i");
	assert_null(r.macros[MILTER_AT_HELO].p);
	assert_ok(milter_reply_parse(STR("m\0\0\1\2Subject\0\0"), &r, &why), &why);
	assert_int_equal(r.index, 258);
	assert_str(r.name, "Subject");
	assert_str(r.value, "");
	assert_ok(milter_reply_parse(STR("2<a@b>\0NOTIFY=NEVER\0"), &r, &why), &why);
	assert_str(r.value, "NOTIFY=NEVER");
	assert_ok(milter_reply_parse(STR("e<a@b>\0"), &r, &why), &why);
	assert_null(r.value.p);
	assert_ok(milter_reply_parse(STR("bx\0y"), &r, &why), &why);
	assert_int_equal(r.bytes.n, 3);
	assert_ok(milter_reply_parse(STR("c and more"), &r, &why), &why);
	static const struct str bad[] = {
		STR(""),	STR("x"),	  STR("+a"),
		STR("hname\0"), STR("hname\0v"),  STR("m\0\0\1"),
		STR("y550"),	STR("O\0\0\0\6"), STR("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j")};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(milter_reply_parse(bad[i], &r, &why), -FAIL_SYNTAX);
}

static void reply_codes(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		unsigned code; /* 0: not one */
		const char *enhanced, *text;
	} rows[] = {
		{"550 5.7.1 No, thanks", 550, "5.7.1", "No, thanks"},
		{"451 4.7.1 Later", 451, "4.7.1", "Later"},
		{"550 no status", 550, "", "no status"},
		{"550 4.7.1 other class", 550, "", "4.7.1 other class"},
		{"550 5.7", 550, "", "5.7"},
		{"550 5.7.1111 x", 550, "", "5.7.1111 x"},
		{"554-5.7.1 one\r\n554 5.7.1 two\r\n", 554, "5.7.1", "one\ntwo"},
		{"550", 550, "", ""},
		{"550 5.7.1 100%% spam\tand\x01more", 550, "5.7.1", "100% spam and more"},
		{"250 2.0.0 fine", 0, "", ""},
		{"550-a\r\n450 b", 0, "", ""},
		{"5x0 a", 0, "", ""},
		{"5500", 0, "", ""},
		{"", 0, "", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = BUF_INIT(KIB(1));
		struct milter_code code;
		int r = milter_code_parse(str_c(rows[i].in), &code, &text);
		if (rows[i].code == 0) {
			assert_int_equal(r, -FAIL_SYNTAX);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(code.code, rows[i].code);
		assert_string_equal(code.enhanced, rows[i].enhanced);
		assert_string_equal(buf_c(&text), rows[i].text);
	}
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *in, *name, *path, *host;
		unsigned port;
		enum milter_default otherwise;
	} rows[] = {
		{"inet:127.0.0.1:8891", "127.0.0.1:8891", "", "127.0.0.1", 8891, 0},
		{"inet:[::1]:8891", "[::1]:8891", "", "::1", 8891, 0},
		{"dkim=inet:localhost:1", "dkim", "", "localhost", 1, 0},
		{"unix:/run/x.sock", "/run/x.sock", "/run/x.sock", "", 0, 0},
		{"a=unix:/run/x.sock  accept", "a", "/run/x.sock", "", 0, MILTER_DEFAULT_ACCEPT},
		{"inet:h:2 quarantine", "h:2", "", "h", 2, MILTER_DEFAULT_QUARANTINE},
	};
	static const char *const bad[] = {"",
					  "127.0.0.1:8891",
					  "inet:127.0.0.1",
					  "inet::25",
					  "inet:h:0",
					  "inet:h:65536",
					  "inet:::1:25",
					  "inet:h/x:25",
					  "unix:run/x",
					  "unix:/",
					  "=inet:h:1",
					  "a b=inet:h:1",
					  "inet:h:1 maybe",
					  "tcp:h:1"};
	struct milter_name n;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(milter_name_parse(str_c(rows[i].in), &n));
		assert_str(n.name, rows[i].name);
		assert_str(n.path, rows[i].path);
		assert_str(n.host, rows[i].host);
		assert_int_equal(n.port, rows[i].port);
		assert_int_equal(n.otherwise, rows[i].otherwise);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (milter_name_parse(str_c(bad[i]), &n))
			fail_msg("\"%s\" is taken for a milter", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said),
		cmocka_unit_test(packets_come_in_pieces),
		cmocka_unit_test(what_is_answered),
		cmocka_unit_test(reply_codes),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

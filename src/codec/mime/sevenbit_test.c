/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/mime/sevenbit.h"

#define QP "Content-Transfer-Encoding: quoted-printable\r\n"

static const struct {
	const char *in, *want; /* NULL: as it is */
} rows[] = {
	{"Subject: x\r\n\r\nplain = \r\n", NULL},
	{"Subject: x\r\n\r\nf\xc3\xbcr = \t\r\nb",
	 "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" QP
	 "\r\nf=C3=BCr =3D =09\r\nb"},
	{"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n"
	 "Content-transfer-encoding : 8bit\r\n\r\n\xc3\xa4\r\n",
	 "MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n" QP
	 "\r\n=C3=A4\r\n"},
	{"Content-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n", NULL},
	{"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n"
	 "Content-Transfer-Encoding: 8bit\r\n\r\npre\xc3\xa4\r\n--b\r\n\r\n\xc3\xa4\r\n--b\r\n"
	 "Content-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\nplain\r\n--bb--\r\n"
	 "epi\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n\xc3\xa4\r\n"
	 "--b--\r\nend\xc3\xa4\r\n",
	 "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n"
	 "Content-Transfer-Encoding: 7bit\r\n\r\npre??\r\n--b\r\n" QP "\r\n=C3=A4\r\n--b\r\n"
	 "Content-Type: multipart/alternative; boundary=bb\r\nContent-Transfer-Encoding: 7bit\r\n"
	 "\r\n--bb\r\n\r\nplain\r\n--bb--\r\n"
	 "epi\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	 "Subject: in\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" QP
	 "\r\n=C3=A4\r\n--b--\r\nend??\r\n"},
};

static void conversions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(8));
		assert_int_equal(sevenbit_convert(str_c(rows[i].in), &out), 0);
		assert_str(buf_str(&out), rows[i].want ? rows[i].want : rows[i].in);
	}
}

static void long_lines(void **state)
{
	(void)state;
	AUTO(buf) struct buf in = BUF_INIT(KIB(8)), out = BUF_INIT(KIB(32));
	buf_add(&in, STR("MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"));
	for (int i = 0; i < 1000; i++)
		buf_add(&in, STR("\xc3\xa4"));
	assert_int_equal(sevenbit_convert(buf_str(&in), &out), 0);
	struct str rest = buf_str(&out), line;
	while (str_cut(&rest, '\n', &line))
		assert_true(line.n <= 77);
	assert_true(sevenbit_is(buf_str(&out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversions),
		cmocka_unit_test(long_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

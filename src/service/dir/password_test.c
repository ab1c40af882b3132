/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dir/password.h"

#include "base/test.h"
#include "service/dir/password_int.h"

#define PASSWORD "P\xc3\xa4ssw0rd #1"

/* Made with doveadm pw 2.3, crypt(3) and openssl from PASSWORD. */
static const char *const known[] = {
	"{MD5}$1$o5ldFLZ3$ScXdlEE7cRkidR6nf3.wm1",
	"{MD5-CRYPT}$1$g/2/2NDR$TXjFXsLlBGW6zPPvfOf8l.",
	"$1$g/2/2NDR$TXjFXsLlBGW6zPPvfOf8l.",
	"{MD5}Aamdv6evlE8iz83GdmSEWA==",
	"{MD5}01a99dbfa7af944f22cfcdc676648458",
	"{SHA}wsdGF/bk+fYOBkufTDElEb4tWTw=",
	"{sha1}wsdGF/bk+fYOBkufTDElEb4tWTw=",
	"{SHA256}Q6sAY7N+PMwvg9pcEidVL0xO2yD0t/1D89nJwF/1GF0=",
	"{SHA256.HEX}43ab0063b37e3ccc2f83da5c1227552f4c4edb20f4b7fd43f3d9c9c05ff5185d",
	"{SHA256}43AB0063b37e3ccc2f83da5c1227552f4c4edb20f4b7fd43f3d9c9c05ff5185d",
	"{SHA512}sGcaFCodLSlSnfU4fCCBxJlfibE8qZaftu4N+Y17DZBRSFNAhz/ienLEK+D7n1yMCU++"
	"KkixFQB69wukXtIwMw==",
	"{SMD5}uzJpQwMUF9WDjXB9FthOIu9CxZ8=",
	"{SSHA}HGud6tJTkofUiPukY5yb1an+6F7kufnx",
	"{SSHA256}BN09fVyS6Y5x85CgGh0adlHc9hK7yIs4jmvgL/uO26NYqScQ",
	"{SSHA256.B64}e3Cy6L9YR4GwpMNLrniDZ5U/Y68BhSQXKRtCGXtKvHAxEfkS",
	"{SSHA512}WBO1C3S/drTuYUdtQns29RPx/lphJhOglU7g4A24OsyIUQhhPw7ZBvbXV8IF1vB8SHm9"
	"FSQl0DaiL48Rpj37OSVGy5E=",
	"{SSHA512.hex}205437b73f7efb5f8b751e3d8fada5211fd5fc6d7e08b296365cb7472276e465dbe6"
	"20b4cf26f522a0ac17ba97c60fe8d01c9c127b2f2fa9f823c05ce4b3c6d53500aaa5",
	"{PLAIN}" PASSWORD,
	"{PLAIN.B64}UMOkc3N3MHJkICMx",
	"{CLEAR}" PASSWORD,
	"{CLEARTEXT}" PASSWORD,
	"{CRAM-MD5}b7b921e499b5cce5d3d5953a9eff3fd02372644ae4943d28a0ff9b8e3b5b13c9",
	"{HMAC-MD5}b7b921e499b5cce5d3d5953a9eff3fd02372644ae4943d28a0ff9b8e3b5b13c9",
	"{CRAM-MD5.b64}t7kh5Jm1zOXT1ZU6nv8/0CNyZErklD0ooP+bjjtbE8k=",
	"{SCRAM-SHA-1}4096,KeI71cswlzHSIIzsjMOzxg==,4hIzNLryiAV68ecbgyvny5NFzjk=,"
	"eaCgEg+um1hFxbBN+qiWMK4T/64=",
	"{SCRAM-SHA-256}4096,lrtgGAtWXUM37NQcaYGEuQ==,"
	"iGSO02x/Xj+d/gDzPXwQ2MlTw/QRaY7+TsGuiKgwSjc=,"
	"OAqIyuUsnLfpA3cc9MRlVmAD0Pmgg58XM2dW4PSNXT8=",
	"{PLAIN-MD5}01a99dbfa7af944f22cfcdc676648458",
	"{PLAIN-MD5.b64}Aamdv6evlE8iz83GdmSEWA==",
	"{LDAP-MD5}Aamdv6evlE8iz83GdmSEWA==",
	"{CRYPT}$2y$05$xBxgV.LpsEmvLDXABRlrwuwTsSUSA20xC6xz75WPpb2DlhopRbA4a",
	"{CRYPT}$2a$05$abcdefghijklmnopqrstuuCDMVXFzqdJW9usXhKvMRC.SWQRBL9Oi",
	"{BLF-CRYPT}$2y$05$f0RPmkgRRtN1.TNWyjkF0e9yYl.RZn3XBd.PSB1Xep2.0Vh9ojbBu",
	"{SHA256-CRYPT}$5$rounds=1000$WjIbVakM4d67BWa9$YWrpOthJiyE55z3kjwXnmOdJqERurDhc2vvuDWe9V5A",
	"{SHA512-CRYPT}$6$rounds=1000$XQHH.zI2F8RrFlYy$rNXVAHcxgS5kMyuj8Yi.5X4CE7a627R9yBHQV9q/"
	"T06ZFZf.0t8rGQFeuBcMtEhegsQf5FK1jA3zSWdgKuTTK0",
	"{DES-CRYPT}d86LzdVl1MDH.",
	"d86LzdVl1MDH.",
	"{CRYPT}_J9..abcdC7EWzP1Y3.s",
	"{CRYPT}$sha1$1000$abcdefgh$Hjn7IWHJHa2QkPx5uJ1x8y.nbIdT",
	"{CRYPT}$md5$abcdefgh$K2tep9IdAa08XX9211/bg.",
	"{CRYPT}$7$CU..../....F5Jx5fExrKuPp53xLKQ..1$dII8C7Vl5FjcsFwmERysOnKwumkUwOYS0qlnQ5I6bn5",
	"{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$4i66popnLls6.xvd.33jl0p.lBoCLojZXONHqQ4CyxD",
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$4i66popnLls6.xvd.33jl0p.lBoCLojZXONHqQ4CyxD",
	"{CRYPT}$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$jFRDW9Q.0w7pTy5MFT95z7UXhkrwOTKXMv6BMHfG1N7",
	"{PBKDF2}$1$xe6XILAL3ccOJ3e0$5$e753c09cc2ea8b4a31d9a1f2ae0079282aacf685",
	"{ARGON2I}$argon2i$v=19$m=32768,t=5,p=1$+uCSMCcLp5fy6KXkRmGvjw$"
	"9VJU+PTgvY4qwsOVnX8GmF2XrdbQ4IOy1oZLQkK5tLY",
};

static void every_scheme(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct fail why = FAIL_INIT;
		struct str stored = str_c(known[i]);
		int r = password_verify(stored, STR(PASSWORD), &why);
		if (r != 1)
			fail_msg("%s gives %d: %s", known[i], r, why.detail);
		assert_int_equal(password_verify(stored, STR("p\xc3\xa4ssw0rd #1"), &why), 0);
		assert_int_equal(password_verify(stored, STR(""), &why), 0);
		assert_int_equal(password_verify(stored, STR(PASSWORD "\0"), &why), 0);
	}
}

/* RFC 5802 5 and RFC 7677 3 know the password "pencil"; NTLM's is the well-known hash of
 * "password". */
static void published_vectors(void **state)
{
	static const char *const pencil[] = {
		"{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,"
		"D+CSWLOshSulAsxiupA+qs2/fTE=",
		"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
		"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pencil); i++) {
		struct fail why = FAIL_INIT;
		assert_ok(password_verify(str_c(pencil[i]), STR("pencil"), &why), &why);
		assert_int_equal(password_verify(str_c(pencil[i]), STR("pencil"), &why), 1);
		assert_int_equal(password_verify(str_c(pencil[i]), STR("pencils"), &why), 0);
	}
	/* From the Argon2 reference implementation's test. */
	struct str argon2id = STR("{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
				  "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
	assert_int_equal(password_verify(argon2id, STR("password"), NULL), 1);
	assert_int_equal(password_verify(argon2id, STR("passwore"), NULL), 0);
	struct str ntlm = STR("{NTLM}8846f7eaee8fb117ad06bdd830b7586c");
	assert_int_equal(password_verify(ntlm, STR("password"), NULL), 1);
	assert_int_equal(password_verify(ntlm, STR("Password"), NULL), 0);
	/* RFC 1320 A.5. */
	md4((const uint8_t *)"", 0, out);
	assert_memory_equal(out, "\x31\xd6\xcf\xe0\xd1\x6a\xe9\x31\xb7\x3c\x59\xd7\xe0\xc0\x89\xc0",
			    16);
	const char *digits =
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
	md4((const uint8_t *)digits, 80, out);
	assert_memory_equal(out, "\xe3\x3b\x4d\xdc\x9c\x38\xf2\x19\x9c\x3e\x7b\x16\x4f\xcc\x05\x36",
			    16);
}

static void damaged_hashes(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{}",
		"{NOPE}abc",
		"{SSHA.rot13}abc",
		"{SSHA512}",
		"{SSHA512}!!!",
		"{SSHA512}YWJj",
		"{SHA}YWJj",
		"{CRAM-MD5}00",
		"{NTLM}zz",
		"{NTLM}00",
		"{SCRAM-SHA-1}",
		"{SCRAM-SHA-1}0,,,",
		"{SCRAM-SHA-1}99999999,YQ==,YQ==,YQ==",
		"{PBKDF2}",
		"{PBKDF2}$2$a$b$c",
		"{PBKDF2}$1$a$4294967295$00",
		"{PBKDF2}$1$a$0$00",
		"{ARGON2ID}",
		"{ARGON2ID}$argon2id$v=19$m=99999999,t=3,p=1$YWJjZGVmZ2g$YWJj",
		"{ARGON2I}$argon2i$v=19$m=8,t=1",
		"{CRYPT}",
		"{CRYPT}*",
		"{CRYPT}$6$rounds=99999999$a$b",
		"{CRYPT}$2y$31$abcdefghijklmnopqrstuu",
		"{CRYPT}$2y$",
		"{CRYPT}$y$",
		"{CRYPT}$y$jzT$a$b",
		"{CRYPT}$7$",
		"{CRYPT}$7$zU..../....",
		"{CRYPT}$zz$abc",
		"{CRYPT}$sha1$4000000000$a$b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct fail why = FAIL_INIT;
		int r = password_verify(str_c(bad[i]), STR("x"), &why);
		if (r >= 0)
			fail_msg("\"%s\" gives %d", bad[i], r);
		assert_true(r == -FAIL_UNSUPPORTED || r == -FAIL_SYNTAX);
	}
	/* Cut everywhere: no cut of a hash opens it. */
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct str s = str_c(known[i]);
		if (str_find_str(s, 0, STR("j9T")) < s.n || str_find_str(s, 0, STR("rgon")) < s.n)
			continue; /* slow ones */
		for (size_t n = 0; n < s.n; n++)
			if (password_verify(str_sub(s, 0, n), STR(PASSWORD), NULL) > 0)
				fail_msg("cut after %zu: %s", n, known[i]);
	}
}

static void making(void **state)
{
	AUTO(buf) struct buf a = BUF_INIT(256);
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct fail why = FAIL_INIT;

	(void)state;
	assert_ok(password_make(STR("secret"), &a, &why), &why);
	assert_ok(password_make(STR("secret"), &b, &why), &why);
	assert_true(str_starts(buf_str(&a), STR("{CRYPT}$y$j9T$")));
	assert_false(str_eq(buf_str(&a), buf_str(&b)));
	assert_int_equal(password_verify(buf_str(&a), STR("secret"), &why), 1);
	assert_int_equal(password_verify(buf_str(&a), STR("Secret"), &why), 0);
	assert_int_equal(password_make(STR("a\0b"), &a, &why), -FAIL_SYNTAX);
	password_verify_nobody(STR("secret"));
}

/* libcrypt takes 511 bytes: more is refused, and it is not the hash that is blamed for it. */
static void long_passwords(void **state)
{
	AUTO(buf) struct buf hash = BUF_INIT(256);
	struct fail why = FAIL_INIT;
	char text[512];

	(void)state;
	memset(text, 'x', sizeof text);
	struct str longest = {text, sizeof text - 1}, longer = {text, sizeof text};
	assert_ok(password_make_first(longest, &hash, &why), &why);
	assert_int_equal(password_verify(buf_str(&hash), longest, &why), 1);
	assert_int_equal(password_verify(buf_str(&hash), longer, &why), -FAIL_UNSUPPORTED);
	assert_string_equal(why.detail, "crypt takes no password of more than 511 bytes");
	assert_int_equal(password_make_first(longer, &hash, &why), -FAIL_SYNTAX);
	password_verify_nobody(longer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scheme),	  cmocka_unit_test(published_vectors),
		cmocka_unit_test(damaged_hashes), cmocka_unit_test(making),
		cmocka_unit_test(long_passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

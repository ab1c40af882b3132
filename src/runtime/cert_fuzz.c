/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a certificate and key of an operator: texts that end, times that make sense. */
#include "base/check.h"
#include "runtime/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str pem = str_make((const char *)data, size);
	struct fail why = FAIL_INIT;
	struct cert_about c;
	char text[400], day[CERT_DAY_MAX];
	int r = cert_read(pem, &c, &why);
	CHECK(r == 0 || why.code);
	if (r == 0) {
		CHECK(strlen(c.names) < sizeof c.names && strlen(c.issuer) < sizeof c.issuer);
		CHECK(cert_kind_name(c.kind)[0] && cert_day(c.ends, day) == day);
		bool complains = cert_complaint(&c, (struct wall_us){0}, text, sizeof text);
		CHECK(complains == (text[0] != '\0') && strlen(text) < sizeof text);
	}
	(void)cert_covers(pem, "mx.example.test");
	(void)cert_check_key(pem, pem, NULL);
	return 0;
}

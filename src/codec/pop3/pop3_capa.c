/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pop3/pop3_capa.h"

void pop3_capa_write(struct buf *out, const struct pop3_capa *c, struct str names, const char *text)
{
	(void)buf_addf(out, "+OK %s\r\n", text);
	(void)buf_add(out, STR("TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
			       "EXPIRE NEVER\r\n"));
	if (c->login_delay_s)
		(void)buf_addf(out, "LOGIN-DELAY %u\r\n", c->login_delay_s);
	if (c->login) {
		(void)buf_add(out, STR("USER\r\n"));
		if (names.n)
			(void)buf_addf(out, "SASL%.*s\r\n", STR_ARG(names));
	}
	if (c->stls)
		(void)buf_add(out, STR("STLS\r\n"));
	(void)buf_add(out, STR("UTF8 USER\r\nLANG\r\nIMPLEMENTATION barid\r\n.\r\n"));
}

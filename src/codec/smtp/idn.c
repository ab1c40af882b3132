/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/idn.h"
#include <idn2.h>

int idn_to_ascii(struct str name, struct buf *out)
{
	char in[1025];
	if (name.n == 0 || name.n >= sizeof in || memchr(name.p, '\0', name.n))
		return -(int)(name.n >= sizeof in ? FAIL_TOOBIG : FAIL_SYNTAX);
	memcpy(in, name.p, name.n);
	in[name.n] = '\0';

	char *ascii = NULL;
	int rc = idn2_to_ascii_8z(in, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_TOO_BIG_DOMAIN || rc == IDN2_TOO_BIG_LABEL)
		return -FAIL_TOOBIG;
	if (rc != IDN2_OK)
		return -FAIL_SYNTAX;
	rc = buf_add_c(out, ascii);
	idn2_free(ascii);
	return rc;
}

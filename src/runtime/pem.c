/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pem.h"
#include "base/check.h"

BIO *pem_bio(struct str text)
{
	BIO *bio = BIO_new_mem_buf(text.n ? text.p : "", (int)MIN(text.n, (size_t)INT32_MAX));
	CHECK(bio);
	return bio;
}

int pem_no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem.h - PEM texts for OpenSSL.                                              [runtime]
 */
#ifndef BARID_RUNTIME_PEM_H
#define BARID_RUNTIME_PEM_H

#include "base/str.h"
#include <openssl/bio.h>

/* A text to read from; the caller frees it (BIO_free). The text is borrowed. */
BIO *pem_bio(struct str text);
/* For PEM_read_bio_*: a key with a password is refused, nobody is asked for one at a terminal. */
int pem_no_password(char *buf, int size, int writing, void *arg);

#endif

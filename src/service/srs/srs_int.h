/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srs_int.h - between the files of srs.                                        [service/srs only]
 */
#ifndef BARID_SERVICE_SRS_SRS_INT_H
#define BARID_SERVICE_SRS_SRS_INT_H

#include "base/str.h"

/* The next secret in the text of a file, borrowed from it. False: that was all. */
bool srs_secrets_next(struct str *text, struct str *ret);

#endif

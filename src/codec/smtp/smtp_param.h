/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_param.h - the parameters of MAIL and RCPT (for smtp_cmd.c only).   [codec, pure]
 */
#ifndef BARID_CODEC_SMTP_SMTP_PARAM_H
#define BARID_CODEC_SMTP_SMTP_PARAM_H

#include "codec/smtp/smtp_cmd.h"

/* `params` is what follows the path, with its leading blanks. Errors as of smtp_cmd_parse. */
MUST_CHECK int smtp_mail_params(struct str params, struct smtp_mail *m,
				struct smtp_status *ret_refusal);
MUST_CHECK int smtp_rcpt_params(struct str params, struct smtp_rcpt *r,
				struct smtp_status *ret_refusal);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: readable, of this host, in time, and the keys nobody else's.
 */
#include "base/check.h"
#include "base/text.h"
#include "runtime/cert.h"
#include "sys/clock.h"
#include "tools/barid/doctor.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX  MIB(1)
#define SOON_DAYS 21
#define RELOAD	  "then: barid reload"
#define DAY_US	  (INT64_C(86400) * SEC_US)

static bool read_file(struct doctor *d, const char *path, struct buf *text)
{
	struct fail why = FAIL_INIT;
	if (cli_read_file(path, text, &why) == 0)
		return true;
	doctor_say(d, DOCTOR_BAD, "certificate", "%s", why.detail);
	doctor_mend(d, "Put the files where [tls] says, or correct it in %s; " RELOAD,
		    d->cli->conf);
	return false;
}

static void check_mode(struct doctor *d, const char *key)
{
	struct stat s;
	if (stat(key, &s) < 0 || (s.st_mode & 077) == 0)
		return;
	bool all = s.st_mode & 007;
	doctor_say(d, all ? DOCTOR_BAD : DOCTOR_WARN, "certificate", "%s can be read by %s", key,
		   all ? T("every user of this machine") : T("its group"));
	doctor_mend(d, "chmod 600 %s", key);
}

static void check_time(struct doctor *d, const char *path, const struct cert_about *about)
{
	char day[CERT_DAY_MAX], text[300];
	struct wall_us now = clock_wall();
	if (cert_complaint(about, now, text, sizeof text)) {
		bool over = about->ends.v <= now.v || about->begins.v > now.v;
		doctor_say(d, over ? DOCTOR_BAD : DOCTOR_WARN, "certificate", "%s: %s", path, text);
		doctor_mend(d, "Renew it; " RELOAD);
	} else if (about->ends.v < now.v + SOON_DAYS * DAY_US) {
		doctor_say(d, DOCTOR_WARN, "certificate", "%s ends on %s", path,
			   cert_day(about->ends, day));
		doctor_mend(d, "See why it was not renewed yet (certbot renew --dry-run).");
	} else {
		doctor_say(d, DOCTOR_OK, "certificate", "%s: %s %u bits, good until %s", path,
			   cert_kind_name(about->kind), about->bits, cert_day(about->ends, day));
	}
	if (!about->self_signed)
		return;
	doctor_say(d, DOCTOR_WARN, "certificate",
		   "%s is signed by nobody but itself: mail programs will ask their users", path);
	doctor_mend(d,
		    "Get one that they trust, for example: certbot certonly --standalone -d %s\n"
		    "and name its files in [tls]; " RELOAD,
		    d->conf->hostname);
}

/* True when it covers the host's name. */
static bool check_pair(struct doctor *d, const char *path, const char *key_path)
{
	AUTO(buf) struct buf pem = BUF_INIT(FILE_MAX), key = BUF_INIT(FILE_MAX);
	struct cert_about about;
	struct fail why = FAIL_INIT;
	if (!read_file(d, path, &pem) || !read_file(d, key_path, &key))
		return true; /* said already */
	int r = cert_read(buf_str(&pem), &about, &why);
	if (r == 0)
		r = cert_check_key(buf_str(&pem), buf_str(&key), &why);
	explicit_bzero(key.p, key.n);
	if (r < 0) {
		doctor_say(d, DOCTOR_BAD, "certificate", "%s: %s", path, why.detail);
		doctor_mend(d, "Give the certificate and the key that belong together; " RELOAD);
		return true;
	}
	check_mode(d, key_path);
	check_time(d, path, &about);
	return cert_covers(buf_str(&pem), d->conf->hostname);
}

void doctor_certificates(struct doctor *d)
{
	bool covered = false;
	if (!d->conf)
		return;
	const struct conf_list *certs = &d->conf->tls_certificate, *keys = &d->conf->tls_key;
	for (size_t i = 0; i < certs->n && i < keys->n; i++)
		covered |= check_pair(d, certs->p[i], keys->p[i]);
	if (covered)
		return;
	doctor_say(d, DOCTOR_BAD, "certificate", "none is for %s, the name of this server",
		   d->conf->hostname);
	doctor_mend(d, "Get one for that name, or correct hostname in %s.", d->cli->conf);
}

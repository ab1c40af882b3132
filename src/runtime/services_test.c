/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runtime/services.h"

static void every_service_has_a_section_with_its_usual_port(void **state)
{
	(void)state;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct conf *c = NULL;
	assert_int_equal(conf_parse("test", STR(""), &c, &errors), 0);
	for (size_t i = 0; i < SERVICES; i++) {
		const struct service_def *d = &service_defs[i];
		const struct conf_list *l = service_listen(d, c);
		struct netaddr v4, v6;
		assert_ptr_equal(service_find(str_c(d->name)), d);
		if (d->local) {
			assert_int_equal(l->n, 1);
			assert_string_equal(l->p[0], "sendmail.sock");
			continue;
		}
		if (i == SERVICE_MANAGESIEVE) { /* off */
			assert_int_equal(l->n, 0);
			continue;
		}
		assert_int_equal(l->n, 2);
		assert_true(netaddr_parse(str_c(l->p[0]), &v4) &&
			    netaddr_parse(str_c(l->p[1]), &v6));
		assert_int_equal(v4.port, d->port);
		assert_int_equal(v6.port, d->port);
		/* Public ones everywhere, internal ones on this machine; both families. */
		assert_true(d->internal ? netaddr_is_loopback(&v4) : netaddr_is_any(&v4));
		assert_true(d->internal ? netaddr_is_loopback(&v6) : netaddr_is_any(&v6));
		assert_true(v4.family == AF_INET && v6.family == AF_INET6);
		assert_int_equal(service_proxy_from(d, c)->n, 0);
	}
	assert_null(service_find(STR("pop3x")));
	conf_free(c);
}

static void internal_services_know_their_clients(void **state)
{
	(void)state;
	struct service_def internal = {.name = "x", .internal = true}, public = {.name = "y"};
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct conf *c = NULL;
	struct netcidrs trusted;
	assert_int_equal(conf_parse("test", STR(""), &c, &errors), 0);
	conf_networks(&c->trusted_clients, &trusted);
	static const struct {
		const char *peer;
		bool admitted;
	} rows[] = {{"127.0.0.1", true},
		    {"127.9.9.9", true},
		    {"::1", true},
		    {"192.0.2.1", false},
		    {"2001:db8::1", false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct netaddr a;
		assert_true(netaddr_parse(str_c(rows[i].peer), &a));
		assert_int_equal(service_admits(&internal, &trusted, &a), rows[i].admitted);
		assert_true(service_admits(&public, &trusted, &a));
	}
	struct netaddr unknown = {0};
	assert_false(service_admits(&internal, &trusted, &unknown));
	free(trusted.p);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_service_has_a_section_with_its_usual_port),
		cmocka_unit_test(internal_services_know_their_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

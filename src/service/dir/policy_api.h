/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_api.h - what rules about mail (service/policy) ask the directory.       [service]
 *
 * As dir.h: blocking, thread-safe, any case of addresses. What is not there is no error.
 */
#ifndef BARID_SERVICE_DIR_POLICY_API_H
#define BARID_SERVICE_DIR_POLICY_API_H

#include "service/dir/dir.h"
#include "service/policy/policy.h"

MUST_CHECK int dir_policy_domain(struct dir *d, struct str domain, struct arena *a,
				 struct policy_domain_facts *ret, struct fail *why);
/*
 * May `sender` write to `recipient`, an alias account or a mailing list with an access policy? Both
 * count as in alias domains as well. Owners and moderators always may. Policies of mailing lists
 * that speak of members are the list manager's, which knows them: POLICY_ACCESS_NONE.
 */
MUST_CHECK int dir_policy_access(struct dir *d, struct str recipient, struct str sender,
				 struct arena *a, struct policy_access_facts *ret,
				 struct fail *why);
MUST_CHECK int dir_policy_login(struct dir *d, struct str login, struct str sender,
				struct policy_login_facts *ret, struct fail *why);

#endif

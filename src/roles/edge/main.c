/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/edge/edge.h"

int main(int argc, char **argv)
{
	tls_init();
	return role_main(argc, argv, &edge_role_ops);
}

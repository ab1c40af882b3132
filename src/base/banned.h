/* SPDX-License-Identifier: Apache-2.0 */
/*
 * banned.h - force-included by the build: these functions are compile errors.  [base]
 */
#ifndef BARID_BASE_BANNED_H
#define BARID_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef alloca
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol alloca
#pragma GCC poison localtime gmtime asctime ctime rand srand system popen tmpnam mktemp

#endif

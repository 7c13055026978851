/* libedit's configuration; its own `configure` would look for a terminal library of the host. */
#define _GNU_SOURCE
/* the inline getline would be the C library's, whose memory is not the process's */
#define __NO_INLINE__ 1
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <wchar.h>

#define HAVE_SIZE_MAX 1
#define HAVE_STDINT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_TERMCAP_H 1
#define HAVE_U_INT32_T 1

#include "sys.h"
#define SCCSID
#undef LIBC_SCCS
#define lint

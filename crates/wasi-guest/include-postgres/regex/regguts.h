/* Around PostgreSQL's own: see miscadmin.h beside this folder. */
#include_next "regex/regguts.h"
#undef STACK_TOO_DEEP
#define STACK_TOO_DEEP(re) ({ char pgl_frame[512]; __asm__ volatile("" :: "r"(pgl_frame)); ((*((struct fns *) (re)->re_fns)->stack_too_deep) ()); })

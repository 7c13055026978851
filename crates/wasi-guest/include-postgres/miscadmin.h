/*
 * Around PostgreSQL's own: stack depth and interrupts in WebAssembly.
 *
 * A function without variables whose address is taken has no frame in the linear memory, so check_stack_depth() does not see
 * a recursion of such functions, until the engine's own stack ends in a trap. So every function that looks at the stack's depth
 * or for interrupts gets a frame, of about what the engine needs for it.
 *
 * The profile is used where a function has the shape that it has elsewhere: branches, loops and comparisons. So these macros have no other than
 * PostgreSQL's own.
 */
#ifndef PGL_MISCADMIN_H
#define PGL_MISCADMIN_H
#include_next "miscadmin.h"

#define PGL_FRAME(n) char pgl_frame[n]; __asm__ volatile("" :: "r"(pgl_frame))

/* Each name is also declared and defined, with (void): that stays as it is. */
#define check_stack_depth(...) PGL_CHECK_##__VA_ARGS__()
#define PGL_CHECK_void() (check_stack_depth)(void)
#define PGL_CHECK_() ({ PGL_FRAME(512); (check_stack_depth)(); })
#define stack_is_too_deep(...) PGL_DEEP_##__VA_ARGS__()
#define PGL_DEEP_void() (stack_is_too_deep)(void)
#define PGL_DEEP_() ({ PGL_FRAME(512); (stack_is_too_deep)(); })

extern int	pgl_countdown;
extern void pgl_check_for_interrupts(void);

#undef CHECK_FOR_INTERRUPTS
#define CHECK_FOR_INTERRUPTS() \
	do { \
		PGL_FRAME(256); \
		if (unlikely(InterruptPending | (int) ((unsigned int) --pgl_countdown >> 31))) \
			pgl_check_for_interrupts(); \
	} while (0)

#endif

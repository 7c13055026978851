/*
 * What Rust cannot say: errno is thread-local, and some of PostgreSQL's files are compiled with another name for IsUnderPostmaster
 * (crates/postgres-build/src/wasm/recipe.rs).
 */
#include <errno.h>
#include <stdbool.h>

void		pgl_set_errno(int error);

void
pgl_set_errno(int error)
{
	errno = error;
}

bool		pgl_true = true;

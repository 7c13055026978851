/*
 * A stock module that needs what there is not: a function of nobody, and some that would reach the host.
 */
#include <unistd.h>
#include <spawn.h>

extern int	nobody_has_this(int n);

int use(char **argv) { return nobody_has_this(1) + execve(argv[0], argv, argv) + posix_spawn(0, argv[0], 0, 0, argv, argv); }

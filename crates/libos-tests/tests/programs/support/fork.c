/*
 * In a file of its own: the compiler pass replaces the function's uses in other files.
 */
#include <unistd.h>

extern int	fork_process(void);

int
fork_process(void)
{
	return fork();
}

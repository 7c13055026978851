/*
 * A module that is built into a program.
 */
int			total = 0;
int			constructed = 0;

__attribute__((constructor)) static void
construct(void)
{
	constructed++;
}

int
add(int n)
{
	return total += n;
}

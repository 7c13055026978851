/*
 * Private globals: each process has its own copy of every kind.
 */
#include "support.h"

static int	counter = 7;
static int	zeroed[5000];
static int *pointer = &counter;
static const char *const names[] = {"one", "two"};
static __thread int threads_own = 3;
struct node
{
	struct node *next;
	int			value;
};
static struct node second = {NULL, 2};
static struct node first = {&second, 1};
static int	constructed;

__attribute__((constructor)) static void
construct(void)
{
	constructed = counter * 2;
}

/* Counts in all of them, for a long time and with system calls in between, then shows them. */
int
main(int argc, char **argv)
{
	int			steps = atoi(argv[1]);

	/* Never; but the compiler must think that they change. */
	if (argc > 100)
	{
		pointer = &argc;
		first.next = NULL;
	}

	for (int i = 0; i < steps; i++)
	{
		static int	local = 100;

		(*pointer)++;
		zeroed[i % 5000]++;
		threads_own++;
		second.value += first.next == &second;
		local++;
		if (i % 1000 == 0)
			milliseconds(1);
		if (i == steps - 1)
			say("%d ", local);
	}
	say("%d %d %d %d %d %d %s\n", counter, zeroed[0], zeroed[4999], threads_own, second.value, constructed, names[1]);
	return 0;
}

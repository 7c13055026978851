/*
 * Functions of the C library that keep something in a variable of a whole process.
 */
#include "support.h"
#include <locale.h>
#include <pthread.h>

extern char **environ;
extern char **__environ;

static int
command_print(int argc, char **argv)
{
	char	   *text;

	printf("plain\n");
	printf("%d %s %c %ld %lld %u %x %5d|\n", 1, "two", '3', 4L, 5LL, 6U, 7, 8);
	printf("%d %f %s %g %d %e %d %d %d %d %.3f\n", 1, 2.5, "three", 4.5, 5, 6.5, 7, 8, 9, 10, 11.5);
	printf("%g %g %g %g %g %g %g %g %g %g\n", 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.);
	say("%d ", asprintf(&text, "%s %f %d %Lf", "made", 1.5, 2, 3.5L));
	say("%s\n", text);
	free(text);
	text = reallocarray(NULL, 10, 100);
	CHECK(text != NULL && reallocarray(text, (size_t) -1 / 2, 3) == NULL && errno == ENOMEM);
	free(text);
	return 0;
}

static int
command_input(int argc, char **argv)
{
	int			c;

	while ((c = getchar()) != EOF)
		putchar(c + 1);
	return 0;
}

static int
command_random(int argc, char **argv)
{
	say("%ld %ld ", random(), random());
	srandom(7);
	say("%ld %d ", random(), rand());
	srand(7);
	say("%d %ld\n", rand(), random());
	return 0;
}

/* Takes a text apart, slowly. */
static int
command_tokens(int argc, char **argv)
{
	char		text[] = "a b  c,d";
	char	   *word = strtok(text, " ,");

	if (argc > 1)
		tell("ready");
	while (word)
	{
		say("[%s]", word);
		if (argc > 1)
			milliseconds(30);
		word = strtok(NULL, " ,");
	}
	say("\n");
	return 0;
}

/* Conventions stay what they are while others ask for theirs. */
static int
command_conventions(int argc, char **argv)
{
	struct lconv *own = localeconv();

	tell("ready");
	for (int i = 0; i < 20000; i++)
	{
		struct lconv *now = localeconv();

		CHECK(now == own && strcmp(now->decimal_point, ".") == 0 && now->int_frac_digits == own->int_frac_digits);
	}
	say("%s|%d\n", own->thousands_sep, own->frac_digits);
	return 0;
}

static int command_conventions_at(int argc, char **argv) { say("%p\n", (void *) localeconv()); return 0; }

static int	destroyed;
static void on_key(void *value) { destroyed++; }

static int
command_keys(int argc, char **argv)
{
	pthread_key_t key;
	pthread_key_t other;

	CHECK(pthread_key_create(&key, on_key) == 0 && pthread_key_create(&other, NULL) == 0 && key != other);
	CHECK(pthread_getspecific(key) == NULL);
	CHECK(pthread_setspecific(key, &key) == 0 && pthread_setspecific(other, &other) == 0);
	CHECK(pthread_getspecific(key) == &key && pthread_getspecific(other) == &other);
	CHECK(pthread_key_delete(other) == 0 && pthread_setspecific(other, NULL) == EINVAL);
	CHECK(pthread_key_create(&other, NULL) == 0 && pthread_getspecific(other) == NULL);
	say("kept\n");
	return 0;
}

/* The environment has two names in the C library. */
static int
command_environ(int argc, char **argv)
{
	char	   *mine[] = {"A=1", "B=2", NULL};
	char	   *other[] = {"C=3", NULL};

	CHECK(environ == __environ);
	environ = mine;
	say("%s ", getenv("A"));
	say("%d ", __environ == environ);
	CHECK(setenv("D", "4", 1) == 0);
	say("%d %s %s ", __environ == environ && environ != mine, environ[0], environ[2]);
	__environ = other;
	say("%s %s ", getenv("C"), getenv("A") ? "?" : "none");
	say("%d ", environ == other);
	CHECK(putenv("E=5") == 0 && unsetenv("C") == 0);
	say("%s %d\n", environ[0], __environ == environ);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"print", command_print}, {"input", command_input}, {"random", command_random}, {"tokens", command_tokens},
		{"conventions", command_conventions}, {"conventions_at", command_conventions_at},
		 {"keys", command_keys}, {"environ", command_environ}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}

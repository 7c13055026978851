/*
 * A stock module: compiled by the host's compiler, knows nothing of the library OS.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int	program_variable;
extern int	program_function(int n);

static int	counter = 100;
static int *counter_pointer = &counter;
static __thread int thread_counter = 1000;
static int	constructed;

__attribute__((constructor)) static void construct(void) { constructed = 10000; }

int count(void) { (*counter_pointer)++; thread_counter++; return counter + thread_counter + constructed; }
int module_pid(void) { return getpid(); }
char *make(const char *text) { return strdup(text); }
void drop(char *text) { free(text); }
int call_back(int n) { return program_function(n); }
int variable(int n) { int before = program_variable; program_variable += n; return before; }
int callback(int (*f) (int), int n) { return f(n) * 2; }

/* Each as the library OS has it, not as the host does. */
int leave(const char *code) { exit(atoi(code)); }
int crash(const char *unused) { *(volatile int *) 4 = 1; return 0; }
int environment(const char *name) { const char *v = getenv(name); return v ? (int) strlen(v) : -1; }
int open_file(const char *path) { int fd = open(path, O_RDONLY); return fd < 0 ? -errno : (close(fd), 0); }
int send_signal(const char *number) { return kill(getpid(), atoi(number)); }
int leak(const char *size) { char *p = malloc(atol(size)); memset(p, 1, atol(size)); return p != NULL; }
int print(const char *text) { fprintf(stdout, "%s", text); fprintf(stderr, "%s", text); return 1; }
int spin(const char *unused) { volatile unsigned n = 0; (void) !write(1, "spinning\n", 9); for (;;) n++; }

/* Everything that prints, through the streams of the process. */
int
prints(const char *text)
{
	char	   *made = NULL;

	printf("%s %d %.1f\n", text, 1, 2.5);
	printf("line\n");
	putchar('c');
	puts("puts");
	fprintf(stdout, "%s\n", text);
	if (asprintf(&made, "%s-%d", text, 3) < 0)
		return -1;
	fputs(made, stdout);
	free(made);
	fputc('\n', stdout);
	return 0;
}

/* An error of the library OS is found in errno, by the module and by the program. */
int fails(const char *path) { errno = 0; return open(path, O_RDONLY) < 0 ? errno : 0; }

/* The program jumps out of a function that it calls, as its error handling does; the signal mask is as it was then. */
extern void program_jump(void *buffer);

int
catches(const char *keep)
{
	sigjmp_buf	place;
	sigset_t	set, now;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigsetjmp(place, *keep == '1') == 0)
	{
		sigprocmask(SIG_BLOCK, &set, NULL);
		program_jump(place);
	}
	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGUSR1);
}

static int	says_finished;
__attribute__((destructor)) static void destruct(void) { if (says_finished) { fflush(stdout); (void) !write(1, "finished\n", 9); } }
int finish_with(const char *unused) { says_finished = 1; return 1; }

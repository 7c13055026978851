/*
 * Several threads in one process.
 */
#include "support.h"
#include <poll.h>
#include <pthread.h>

#define THREADS 6

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static int	shared;
static volatile int alarms;
static volatile int spinning;

/* Memory, files, streams and the barrier, all at once. */
static void *
work(void *argument)
{
	int			number = *(int *) argument;
	long		sum = 0;
	char		path[50];
	FILE	   *file;

	pthread_barrier_wait(&barrier);
	snprintf(path, sizeof path, "threads.%d.%d", getpid(), number);
	file = fopen(path, "w+");
	CHECK(file != NULL);
	for (int i = 0; i < 3000; i++)
	{
		char	   *text = malloc(10 + i % 300);

		sprintf(text, "%d", i);
		sum += atoi(text);
		fprintf(file, "%d\n", i);
		text = realloc(text, 1000);
		free(text);
		pthread_mutex_lock(&mutex);
		shared++;
		pthread_mutex_unlock(&mutex);
	}
	rewind(file);
	for (int i = 0, read; i < 3000; i++)
		CHECK(fscanf(file, "%d", &read) == 1 && read == i);
	CHECK(fclose(file) == 0 && unlink(path) == 0);
	if (number % 2)
		pthread_exit((void *) (sum + number));
	return (void *) (sum + number);
}

static int
command_work(int argc, char **argv)
{
	pthread_t	threads[THREADS];
	int			numbers[THREADS];
	long		total = 0;

	CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
	for (int i = 0; i < THREADS; i++)
	{
		numbers[i] = i;
		CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
	{
		void	   *result;

		CHECK(pthread_join(threads[i], &result) == 0);
		total += (long) result;
	}
	say("%ld %d\n", total, shared);
	return 0;
}

static void *
wait_for_main(void *argument)
{
	pthread_mutex_lock(&mutex);
	shared = 1;
	pthread_cond_signal(&condition);
	while (shared != 2)
		pthread_cond_wait(&condition, &mutex);
	pthread_mutex_unlock(&mutex);
	errno = 77;
	return &shared;
}

static int
command_conditions(int argc, char **argv)
{
	pthread_t	thread;
	void	   *result;

	errno = 5;
	CHECK(pthread_create(&thread, NULL, wait_for_main, NULL) == 0);
	pthread_mutex_lock(&mutex);
	while (shared != 1)
		pthread_cond_wait(&condition, &mutex);
	shared = 2;
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&mutex);
	CHECK(pthread_join(thread, &result) == 0 && result == &shared);
	say("%d\n", errno);
	return 0;
}

static void *
forever(void *argument)
{
	switch (*(char *) argument)
	{
		case 'p':
			spinning = 1;
			poll(NULL, 0, -1);
			break;
		case 's':
			spinning = 1;
			for (;;)
				alarms += 0;
		case 'b':
			spinning = 1;
			pthread_barrier_wait(&barrier);
			break;
		case 'm':
			spinning = 1;
			for (;;)
				free(malloc(100));
		case 'r':
			{
				int			fds[2];
				char		c;

				CHECK(pipe(fds) == 0);
				spinning = 1;
				CHECK(read(fds[0], &c, 1) == 1);
			}
	}
	return NULL;
}

/* main ends while another thread does something else. */
static int
command_end(int argc, char **argv)
{
	pthread_t	thread;

	CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, forever, argv[1]) == 0);
	while (!spinning)
		milliseconds(1);
	milliseconds(5);
	say("bye\n");
	return 21;
}

static void *
end_all(void *argument)
{
	milliseconds(5);
	switch (*(char *) argument)
	{
		case 'e':
			printf("said by a thread\n");
			exit(22);
		case 'a':
			abort();
		case 'f':
			*(volatile int *) 8 = 1;
	}
	return NULL;
}

/* Another thread ends the process while main waits. */
static int
command_other(int argc, char **argv)
{
	pthread_t	thread;

	CHECK(pthread_create(&thread, NULL, end_all, argv[1]) == 0);
	if (argc > 2)
		pthread_join(thread, NULL);
	for (;;)
		free(malloc(10));
}

static void on_alarm(int signal) { alarms++; }

static void *
until_alarm(void *argument)
{
	while (!alarms)
		free(malloc(20));
	return NULL;
}

static int
command_signals(int argc, char **argv)
{
	pthread_t	thread;

	signal(SIGALRM, on_alarm);
	CHECK(pthread_create(&thread, NULL, until_alarm, NULL) == 0);
	alarm(1);
	CHECK(pthread_join(thread, NULL) == 0);
	say("%d\n", alarms);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"work", command_work},
		{"conditions", command_conditions},
		{"end", command_end},
		{"other", command_other},
		{"signals", command_signals},
		{NULL}
	};

	return dispatch(commands, argc, argv);
}

/*
 * The heap, mappings, shared memory, semaphores.
 */
#include "support.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/shm.h>

static unsigned state = 1;
static unsigned next(void) { return state = state * 1664525u + 1013904223u; }

/* Blocks of all sizes by all functions; each keeps its bytes. */
static int
command_heap(int argc, char **argv)
{
	enum {COUNT = 400};
	static unsigned char *blocks[COUNT];
	static size_t sizes[COUNT];
	int			rounds = atoi(argv[1]);

	for (int i = 0; i < rounds; i++)
	{
		int			at = next() % COUNT;
		size_t		size = 1 + (next() >> 8) % (next() % 50 == 0 ? 300000 : 500);
		unsigned char *p = blocks[at];
		unsigned char fill = at;

		for (size_t k = 0; p && k < sizes[at]; k += 1 + sizes[at] / 50)
			CHECK(p[k] == fill);
		switch (next() >> 16 & 7)
		{
			case 0:
				p = realloc(p, size);
				for (size_t k = 0; blocks[at] && k < (size < sizes[at] ? size : sizes[at]); k += 1 + size / 50)
					CHECK(p[k] == fill);
				break;
			case 1:
				free(p);
				p = calloc(size, 1);
				for (size_t k = 0; k < size; k += 1 + size / 50)
					CHECK(p[k] == 0);
				break;
			case 2:
				free(p);
				CHECK(posix_memalign((void **) &p, 64 << (next() >> 20) % 7, size) == 0);
				break;
			case 3:
				free(p);
				p = aligned_alloc(4096, size);
				CHECK(((uintptr_t) p & 4095) == 0);
				break;
			case 4:
				free(p);
				p = NULL;
				size = 0;
				break;
			default:
				free(p);
				p = malloc(size);
		}
		CHECK((p != NULL || size == 0) && ((uintptr_t) p & 15) == 0);
		if (p)
			memset(p, fill, size);
		blocks[at] = p;
		sizes[at] = size;
	}
	{
		/* The compiler knows malloc, and would leave these out. */
		void	   *volatile result = malloc(SIZE_MAX / 2);

		CHECK(result == NULL && errno == ENOMEM);
		result = calloc(SIZE_MAX / 2, 4);
		CHECK(result == NULL);
		result = realloc(NULL, 10);
		CHECK(result != NULL);
		result = malloc(0);
		CHECK(result != NULL);
	}
	{
		void	   *p;
		char	   *s = strdup("text");

		CHECK(posix_memalign(&p, 3, 10) == EINVAL && strcmp(s, "text") == 0);
		s = strndup("longer", 3);
		CHECK(strcmp(s, "lon") == 0);
		free(s);
		free(NULL);
	}
	say("done\n");
	return 0;
}

/* Takes memory and keeps it. */
static int
command_leak(int argc, char **argv)
{
	size_t		left = atol(argv[1]) << 20;

	for (size_t size = 100; left > 0; size = size * 3 % 100000 + 1)
	{
		size_t		n = size < left ? size : left;
		char	   *p = malloc(n);

		CHECK(p != NULL);
		memset(p, 1, n);
		/* The compiler must think that somebody looks at it. */
		__asm__ volatile("" : : "r" (p) : "memory");
		left -= n;
	}
	tell("leaked");
	if (argc > 2)
		for (;;)
			milliseconds(1000);
	return 0;
}

/*
 * Gives back parts of a mapping; what is there later is not ours. Waits for a line in between, in which the host takes the places.
 */
static int
command_parts(int argc, char **argv)
{
	size_t		page = 4096;
	char	   *p = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char		c;

	CHECK(p != MAP_FAILED);
	memset(p, 1, 16 * page);
	CHECK(munmap(p + 4 * page, page) == 0);
	CHECK(munmap(p + 15 * page, page) == 0);
	CHECK(munmap(p, 100) == 0);
	CHECK(p[page] == 1 && p[14 * page] == 1);
	say("%p\n", p);
	fflush(stdout);
	CHECK(read(0, &c, 1) == 1);
	return 0;
}

static int
command_map_file(int argc, char **argv)
{
	char		path[300];
	int			fd;
	char	   *p;

	snprintf(path, sizeof path, "%s/mapped", argv[1]);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 8192) == 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	strcpy(p + 4096, "through the mapping");
	CHECK(pread(fd, path, 20, 4096) == 20 && strcmp(path, "through the mapping") == 0);
	CHECK(munmap(p, 8192) == 0 && munmap((void *) 1, 1) == -1 && errno == EINVAL);
	CHECK(mmap(NULL, 10, PROT_READ, MAP_SHARED, 555, 0) == MAP_FAILED && errno == EBADF);
	say("done\n");
	return 0;
}

/* A segment, shared with a child. */
struct shared
{
	sem_t		go,
				back;
	int			value;
};

static int
attached(int id)
{
	struct shmid_ds state;

	CHECK(shmctl(id, IPC_STAT, &state) == 0);
	return (int) state.shm_nattch;
}

static int
command_segment(int argc, char **argv)
{
	key_t		key = 0x5000 + getpid() % 1000;
	int			id = shmget(key, 100000, IPC_CREAT | IPC_EXCL | 0600);
	struct shared *s;
	char		text[20];
	struct shmid_ds st;
	int			child;

	CHECK(id >= 0);
	CHECK(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600) == -1 && errno == EEXIST);
	CHECK(shmget(key, 200000, 0) == -1 && errno == EINVAL);
	CHECK(shmget(key, 100, 0) == id && shmget(key + 5000, 100, 0) == -1 && errno == ENOENT);
	s = shmat(id, NULL, 0);
	CHECK(s != (void *) -1 && attached(id) == 1 && shmctl(id, IPC_STAT, &st) == 0 && st.shm_segsz == 100000);
	CHECK(sem_init(&s->go, 1, 0) == 0 && sem_init(&s->back, 1, 0) == 0 && s->value == 0);
	snprintf(text, sizeof text, "%d", id);
	child = start("memory", "attach", text, NULL);
	CHECK(sem_wait(&s->back) == 0);
	say("%d ", attached(id));
	for (int i = 0; i < 1000; i++)
	{
		s->value++;
		sem_post(&s->go);
		sem_wait(&s->back);
	}
	say("%d ", s->value);
	CHECK(finish(child) == 0);
	/* The end of a process detaches it. */
	say("%d ", attached(id));
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	/* It is there as long as somebody is attached, but not by its key. */
	s->value = 1;
	CHECK(shmget(key, 100, 0) == -1 && errno == ENOENT);
	CHECK(shmdt(s) == 0 && shmdt(s) == -1 && errno == EINVAL);
	CHECK(shmctl(id, IPC_STAT, &st) == -1 && shmat(id, NULL, 0) == (void *) -1);
	say("done\n");
	return 0;
}

static int
command_attach(int argc, char **argv)
{
	struct shared *s = shmat(atoi(argv[1]), NULL, 0);

	CHECK(s != (void *) -1);
	sem_post(&s->back);
	for (int i = 0; i < 1000; i++)
	{
		CHECK(sem_wait(&s->go) == 0);
		s->value++;
		sem_post(&s->back);
	}
	return 0;
}

static int
command_object(int argc, char **argv)
{
	char		name[50];
	int			fd;
	int		   *p;

	snprintf(name, sizeof name, "/libos.test.%d", getpid());
	CHECK(shm_open(name, O_RDWR, 0600) == -1 && errno == ENOENT);
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK(ftruncate(fd, 4096) == 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && *p == 0 && close(fd) == 0);
	*p = 5;
	CHECK(finish(start("memory", "object_child", name, NULL)) == 0);
	say("%d ", *p);
	CHECK(shm_unlink(name) == 0 && shm_unlink(name) == -1 && errno == ENOENT);
	CHECK(shm_open(name, O_RDWR, 0600) == -1 && errno == ENOENT);
	*p = 7;
	say("%d\n", *p);
	return 0;
}

static int
command_object_child(int argc, char **argv)
{
	int			fd = shm_open(argv[1], O_RDWR, 0);
	int		   *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED && *p == 5);
	*p = 6;
	return 0;
}

static int
command_semaphore(int argc, char **argv)
{
	sem_t		s;
	struct timespec until;

	CHECK(sem_init(&s, 1, 1) == 0 && sem_trywait(&s) == 0 && sem_trywait(&s) == -1 && errno == EAGAIN);
	clock_gettime(CLOCK_REALTIME, &until);
	CHECK(sem_timedwait(&s, &until) == -1 && errno == ETIMEDOUT);
	CHECK(sem_post(&s) == 0 && sem_timedwait(&s, &until) == 0 && sem_destroy(&s) == 0);
	say("done\n");
	return 0;
}

/* Leaves segments and objects to the system's end. */
static int
command_litter(int argc, char **argv)
{
	for (int i = 0; i < 5; i++)
	{
		char		name[30];
		int			id = shmget(IPC_PRIVATE, 1 << 20, IPC_CREAT | 0600);
		char	   *p = shmat(id, NULL, 0);

		CHECK(p != (void *) -1);
		memset(p, 1, 1 << 20);
		snprintf(name, sizeof name, "/litter%d", i);
		CHECK(shm_open(name, O_CREAT | O_RDWR, 0600) >= 0);
	}
	return 0;
}

/* What is to be zero is, whoever had it before. */
static unsigned char zeros[200000];

static int
command_dirty(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof zeros; i++)
		CHECK(zeros[i] == 0);
	memset(zeros, 1, sizeof zeros);
	for (int i = 0; i < 20; i++)
	{
		unsigned char *p = calloc(1, 30000);

		for (int k = 0; k < 30000; k++)
			CHECK(p[k] == 0);
		memset(p, 1, 30000);
	}
	return 0;
}

/* Maps memory and leaves it there. */
static int
command_map(int argc, char **argv)
{
	for (int i = 0; i < 5; i++)
	{
		char	   *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED);
		memset(p, 1, 1 << 20);
		CHECK(munmap(p + (1 << 19), 4096) == 0);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"heap", command_heap}, {"leak", command_leak}, {"parts", command_parts}, {"map_file", command_map_file},
		{"segment", command_segment}, {"attach", command_attach}, {"object", command_object},
		{"object_child", command_object_child}, {"semaphore", command_semaphore}, {"litter", command_litter},
		{"map", command_map}, {"dirty", command_dirty},
		{NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}

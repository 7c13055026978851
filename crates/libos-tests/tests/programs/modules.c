/*
 * Loads modules: those built into the program, and stock shared objects.
 */
#include "support.h"
#include <dlfcn.h>
#include <setjmp.h>

/* For modules: a variable and a function of the program. */
int			program_variable = 5;
int			program_function(int n) { return n + program_variable; }
void		program_jump(void *buffer) { siglongjmp(buffer, 1); }

static int
command_built_in(int argc, char **argv)
{
	void	   *module = dlopen("/modules/adder.so", RTLD_NOW);
	int			(*add) (int);

	CHECK(module != NULL);
	add = (int (*) (int)) dlsym(module, "add");
	CHECK(add != NULL);
	add(1);
	say("%d %d ", add(2), *(int *) dlsym(module, "total"));
	say("%d ", *(int *) dlsym(module, "constructed"));
	say("%d ", dlopen("/modules/adder.so", RTLD_NOW) == module && *(int *) dlsym(module, "constructed") == 1);
	say("%d ", dlsym(module, "nothing") == NULL);
	say("%s\n", strstr(dlerror(), "nothing") ? "named" : "?");
	return 0;
}

static int
command_unknown(int argc, char **argv)
{
	const char *message;

	CHECK(dlerror() == NULL);
	CHECK(dlopen(argv[1], RTLD_NOW) == NULL);
	message = dlerror();
	say("%d\n", message != NULL && strstr(message, argv[1]) != NULL);
	say("%s\n", message);
	CHECK(dlerror() == NULL);
	return 0;
}

/* A stock module: argv[1]. */
static int
command_stock(int argc, char **argv)
{
	void	   *module = dlopen(argv[1], RTLD_NOW);
	int			(*count) (void);
	int			(*pid) (void);
	char	   *(*make) (const char *);
	void		(*drop) (char *);
	int			(*call_back) (int);
	int			(*variable) (int);
	int			(*callback) (int (*) (int), int);
	char	   *mine;
	char	   *theirs;

	if (module == NULL)
		say("%s\n", dlerror());
	CHECK(module != NULL);
	*(void **) &count = dlsym(module, "count");
	*(void **) &pid = dlsym(module, "module_pid");
	*(void **) &make = dlsym(module, "make");
	*(void **) &drop = dlsym(module, "drop");
	*(void **) &call_back = dlsym(module, "call_back");
	*(void **) &variable = dlsym(module, "variable");
	*(void **) &callback = dlsym(module, "callback");
	CHECK(count && pid && make && drop && call_back && variable && callback);
	for (int i = 0; i < atoi(argv[2]); i++)
		count();
	say("%d ", count());
	say("%d ", pid() == getpid());
	/* Memory crosses the border both ways. */
	mine = strdup("mine");
	theirs = make("theirs");
	say("%s ", theirs);
	free(theirs);
	drop(mine);
	/* The module calls the program, and reads and writes its variable. */
	program_variable = 7;
	say("%d ", call_back(10));
	say("%d %d ", variable(3), program_variable);
	say("%d ", callback(program_function, 1));
	say("%d\n", dlopen(argv[1], RTLD_NOW) == module);
	return 0;
}

/* What a module does ends with the process, and its end is the process's. */
static int
command_stock_call(int argc, char **argv)
{
	void	   *module = dlopen(argv[1], RTLD_NOW);
	int			(*f) (const char *);

	CHECK(module != NULL);
	*(void **) &f = dlsym(module, argv[2]);
	CHECK(f != NULL);
	say("before ");
	errno = EBUSY;
	say("%d ", f(argc > 3 ? argv[3] : NULL));
	say("%s\n", error_name(errno));
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"built_in", command_built_in}, {"unknown", command_unknown}, {"stock", command_stock},
		{"stock_call", command_stock_call}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}

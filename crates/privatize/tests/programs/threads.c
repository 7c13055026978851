/* Thread-local variables: a process is one thread. */
#include "program.h"

_Thread_local int counter = 5;
static _Thread_local char buffer[64];
static _Thread_local struct { int a; const char *name; } state = {3, "state"};
static const _Thread_local int fixed = 42;
_Thread_local int shared_with_other_file = 1;
extern _Thread_local int of_other_file;
int *other_file(void);

static int next(void) {
    static _Thread_local int calls = 10;
    return ++calls;
}

__attribute__((noinline)) static int *address(int which) { return which ? &counter : &state.a; }

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    counter += seed;
    snprintf(buffer, sizeof buffer, "buffer %d", seed);
    state.a *= seed + 1;
    *address(seed == 1) += 1000;
    *other_file() += seed;
    next();
    step();
    show("%d %s %d %s %d %d\n", counter, buffer, state.a, state.name, fixed, *(const int *volatile){&fixed});
    show("%d %d %d %d\n", shared_with_other_file, of_other_file, next(), *other_file());
    return 0;
}

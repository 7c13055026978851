/* Static variables in functions, of the same name in several, and in two files. */
#include "program.h"

static int value = 1;
int other_value(int by);

static int next(void) { static int value = 10; return value++; }
static int fibonacci(int n) { static int calls; calls++; return n < 2 ? calls : fibonacci(n - 1) + fibonacci(n - 2); }
__attribute__((noinline)) static const char *name(int i) {
    static char names[4][16];
    static const char *const prefix[] = {"a", "b", "c", "d"};
    snprintf(names[i], sizeof names[i], "%s%d", prefix[i], value);
    return names[i];
}
static inline int bump(int *p) { static int bumps; bumps += *p; return bumps; }

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    value += seed;
    for (int i = 0; i < seed * 3; i++) next();
    int total = 0;
    for (int i = 0; i < 4; i++) total += bump(&value) + other_value(i);
    name(seed);
    step();
    show("%d %d %d %d %s %s\n", value, next(), other_value(0), fibonacci(7), name(1), name(2));
    show("%d\n", total);
    return 0;
}

/* Aliases of functions and of variables, strong and weak. */
#include "program.h"

int original = 1;
extern int alias __attribute__((alias("original")));
extern int weak_alias __attribute__((weak, alias("original")));
static int hidden_original[4] = {1, 2, 3, 4};
extern int alias_of_static[4] __attribute__((alias("hidden_original")));
const int constant = 5;
extern const int alias_of_constant __attribute__((alias("constant")));
int *to_alias = &alias;
int *const constant_to_alias = &alias_of_static[2];

int work(int x) { return x * 2 + original; }
int alias_of_function(int x) __attribute__((alias("work")));
static int (*table[])(int) = {work, alias_of_function};

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    alias += seed;
    weak_alias *= 3;
    alias_of_static[seed] = 40 + seed;
    *to_alias += 100;
    step();
    show("%d %d %d %d %d\n", original, alias, weak_alias, *to_alias, alias_of_constant);
    show("%d %d %d %d\n", hidden_original[1], hidden_original[2], alias_of_static[1], *constant_to_alias);
    show("%d %d %d %d\n", alias_of_function(1), work(1), table[0](2), table[1](2));
    return 0;
}

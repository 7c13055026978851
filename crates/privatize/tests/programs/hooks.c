/* Constructors and destructors, with and without priorities. */
#include "program.h"

static char order[64] = "start";
int ready;

__attribute__((constructor)) static void plain(void) { strcat(order, " plain"); }
__attribute__((constructor(300))) static void late(void) { strcat(order, " 300"); }
__attribute__((constructor(200))) static void early(void) { strcat(order, " 200"); ready = 7; }
__attribute__((constructor)) void second_plain(void) { strcat(order, " plain2"); }

__attribute__((destructor)) static void goodbye(void) { show("destructor plain %d\n", ready); }
__attribute__((destructor)) static void goodbye_again(void) { show("destructor plain2\n"); }
__attribute__((destructor(200))) static void last(void) { show("destructor 200\n"); }
__attribute__((destructor(300))) static void before_last(void) { show("destructor 300\n"); }

void other_file(char *out);

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    ready += seed;
    other_file(order);
    step();
    show("%s %d\n", order, ready);
    return 0;
}

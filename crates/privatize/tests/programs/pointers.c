/* Initialisers with addresses: of itself, of each other, into the middle, in constants, as integers; function tables. */
#include "program.h"

struct node { struct node *next, *self; int value; };
extern struct node second;
struct node first = {&second, &first, 1};
struct node second = {&first, &second, 2};
static struct node ring[3] = {{&ring[1], &ring[0], 10}, {&ring[2], &ring[1], 11}, {&ring[0], &ring[2], 12}};

int array[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
int *middle = &array[4];
int *past = array + 10;
int *const constant_middle = &array[7];
struct pair { char c; int *p; long l; } pairs[2] = {{'a', &array[1], 1}, {'b', &array[2], 2}};
long *into_struct = &pairs[1].l;
int **to_pointer = &pairs[0].p;
uintptr_t as_integer = (uintptr_t)&array[3];
const uintptr_t constant_integer = (uintptr_t)(&array[0]) + 20;
static int *const table[] = {&array[9], &array[8], NULL, &array[6]};
static const struct { const char *name; int *where; int *const *deep; } described[] = {
    {"one", &array[1], &table[0]}, {"two", &array[2], &table[1]}};
const char *const words[] = {"alpha", "beta", "gamma"};
const char *word = "delta";
struct __attribute__((packed)) odd { char c; int *p; } odd = {'o', &array[5]}, odds[2] = {{'p', &array[6]}, {'q', &array[7]}};
union { long l; int *p; } united = {.p = &array[2]};
void *erased = &first.value;
static char *text = &((char *)array)[4];

static int add(int a, int b) { return a + b; }
static int sub(int a, int b) { return a - b; }
static int counter;
static int count(int a, int b) { counter += a; return counter + b; }
int (*const operations[])(int, int) = {add, sub, count};
int (*current)(int, int) = add;
struct { const char *name; int (*call)(int, int); int *uses; } commands[] = {{"add", add, &counter}, {"count", count, &array[0]}};

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < 10; i++) array[i] += 100 * seed;
    first.value += seed; second.next->value += seed; first.next->self->value *= seed + 1;
    ring[0].next->next->value = seed; pairs[0].p++; *pairs[1].p += 7; *into_struct += seed; current = operations[seed];
    *commands[1].uses += 5; word = words[seed]; odd.p += seed; *odds[1].p += seed;
    step();
    show("%d %d %d\n", first.next->next->value, second.self->value, first.self == &first);
    for (struct node *n = &ring[0]; n; n = n->next == &ring[0] ? NULL : n->next) show("%d ", n->value);
    show("%d %d %d %d\n", *middle, past[-1], *constant_middle, (int)(past - middle));
    show("%d %d %ld %d\n", *pairs[0].p, *pairs[1].p, *into_struct, **to_pointer);
    show("%d %d\n", *(int *)as_integer, *(int *)constant_integer);
    show("%d %d %d %d\n", *table[0], *table[1], table[2] == NULL, *table[3]);
    show("%s %d %d\n", described[seed - 1].name, *described[seed - 1].where, **described[1].deep);
    show("%s %s\n", word, words[2]);
    show("%d %d %d %d %d %d\n", *odd.p, *odds[0].p, *odds[1].p, *united.p, *(int *)erased, *(int *)text);
    show("%d %d %d %d\n", current(5, 3), count(2, 1), commands[1].call(1, 1), *commands[0].uses);
    return 0;
}

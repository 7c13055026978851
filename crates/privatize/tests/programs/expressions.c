/* Addresses in code: in phis, selects, comparisons, vectors, aggregates, calls, atomics, as integers. */
#include "program.h"

int a = 1, b = 2, c = 3;
static int list[8] = {1, 2, 3, 4, 5, 6, 7, 8};
typedef long vector __attribute__((vector_size(16)));
struct pair { int *first, *second; };
struct cell { struct cell *next; int value; };
static struct cell cells[3];
typedef int (*function)(int);
static int twice(int x) { return 2 * x + a; }
static function handler = twice;

__attribute__((noinline)) static struct pair make(int which) {
    return which ? (struct pair){&a, &list[2]} : (struct pair){&list[5], &c};
}
__attribute__((noinline)) static int *phi(int which) {
    int *p;
    if (which == 1) { p = &a; b++; } else if (which == 2) { p = &b; c++; } else { p = &list[4]; }
    *p += 10;
    return p;
}
__attribute__((noinline)) static vector vec(int which) {
    vector v = {(long)&list[1], (long)&list[3]};
    return which ? v : (vector){(long)&a, 0};
}
__attribute__((noinline)) static int is_known(void *p) { return p == &a ? 1 : p == &b ? 2 : p == &list[3] ? 3 : 0; }
__attribute__((noinline)) static int count(int n, ...) {
    __builtin_va_list ap;
    __builtin_va_start(ap, n);
    int sum = 0;
    while (n--) sum += *__builtin_va_arg(ap, int *);
    __builtin_va_end(ap);
    return sum;
}
__attribute__((noinline)) static int tail_end(int *p, int n) { return n ? *p + n : *p; }
__attribute__((noinline)) static int tail(int *p, int n) {
    if (n > 3) __attribute__((musttail)) return tail_end(&list[6], n - *p);
    __attribute__((musttail)) return tail_end(&c, n);
}
/* The fast path uses nothing private. */
__attribute__((noinline)) static int fast(int x) { return x > 0 ? x : a + b; }
__attribute__((noinline)) static int loop(const int *p, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) { if (p[i] > 4) sum += list[i & 7]; else b++; }
    return sum;
}
__attribute__((noinline)) static int never(int x) { if (x != 99) return x; for (;;) a++; }

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    struct pair p = make(seed - 1);
    *p.first += 5; *p.second += 6;
    phi(seed);
    vector v = vec(seed - 1);
    *(int *)v[0] += seed;
    for (int i = 0; i < 3; i++) cells[i] = (struct cell){&cells[(i + 1) % 3], i * seed};
    __atomic_fetch_add(&c, seed, __ATOMIC_SEQ_CST);
    __sync_bool_compare_and_swap(&list[7], 8, seed);
    struct cell copy = cells[1];
    memcpy(&cells[2], &copy, sizeof copy);
    memmove(list, list + 1, 3 * sizeof *list);
    step();
    show("%d %d %d %d\n", a, b, c, *phi(0));
    for (int i = 0; i < 8; i++) show("%d ", list[i]);
    show("%d %d %d %d\n", is_known(&a), is_known(&b), is_known((int *)v[0]), is_known(list + 3));
    show("%d %d %d %d\n", count(3, &a, &list[4], &c), tail(&a, 9), tail(&b, 2), cells[0].next->next->value);
    show("%d %d %d %d %d\n", fast(3), fast(-1), loop(list, 8), never(seed), handler(4));
    show("%d %d\n", (int)((uintptr_t)&list[5] - (uintptr_t)&list[1]), (int)(((uintptr_t)&list[0] ^ (uintptr_t)&list[0]) & 3));
    return a % 7;
}

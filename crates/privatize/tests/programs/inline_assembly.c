/* Inline assembly with memory and register operands. */
#include "program.h"

int counter = 5;
static long words[4] = {1, 2, 3, 4};
struct { char pad; int value; } s = {1, 2};

#if defined(__x86_64__)
static void add(int by) { __asm__ volatile("addl %1, %0" : "+m"(counter) : "r"(by) : "cc"); }
static long load(int i) { long r; __asm__("movq %1, %0" : "=r"(r) : "m"(words[i])); return r; }
static void store(long v) { __asm__ volatile("movq %0, (%1)" : : "r"(v), "r"(&words[2]) : "memory"); }
static int exchange(int v) { __asm__ volatile("lock; xchgl %0, %1" : "+r"(v), "+m"(s.value) : : "memory"); return v; }
#else
static void add(int by) { counter += by; __asm__ volatile("" : "+m"(counter)); }
static long load(int i) { __asm__ volatile("" : : "m"(words[i])); return words[i]; }
static void store(long v) { words[2] = v; __asm__ volatile("" : : "r"(&words[2]) : "memory"); }
static int exchange(int v) { return __atomic_exchange_n(&s.value, v, __ATOMIC_SEQ_CST); }
#endif

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    add(seed);
    store(seed * 11);
    int old = exchange(seed + 50);
    step();
    show("%d %ld %ld %d %d\n", counter, load(2), load(seed), old, s.value);
    return 0;
}

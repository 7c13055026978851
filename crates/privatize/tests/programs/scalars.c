/* Scalars, arrays, structures, unions, bit-fields, packed and padded ones. */
#include "program.h"
#include <stdbool.h>
#include <complex.h>

enum color { RED, GREEN, BLUE };
char c = 'c';
static signed char sc = -3;
short s = -300;
unsigned u = 4000000000u;
long l = -5;
unsigned long long ull;
float f = 1.5f;
double d = 2.25;
long double ld = 3.125L;
double complex z = 1.0 + 2.0 * I;
bool yes = true;
enum color color = BLUE;
static __int128 wide = 7;
volatile int vol = 9;
_Atomic int atom = 11;

int numbers[5] = {1, 2, 3};
int matrix[2][3] = {{1, 2, 3}, {4, 5, 6}};
char text[] = "hello";
static char blank[3000];
char one_byte_after = 'x';
double many[300];

struct inner { char a; long b; };
struct outer { struct inner in[2]; short tail; char last; } nested = {{{'a', 1}, {'b', 2}}, 3, 'l'};
struct __attribute__((packed)) tight { char a; int b; short c; long d; } tight = {'t', 1, 2, 3}, tights[3] = {{'1', 1, 1, 1}};
union either { char c; int i; double d; char bytes[12]; } either = {.c = 'e'}, eithers[2] = {{.i = 5}, {.d = 0.5}};
struct bits { unsigned a : 3; int b : 5; unsigned : 0; unsigned long c : 40; unsigned d : 1; } bits = {5, -7, 1234567890123ul & 0xffffffffff, 1};
struct with_union { char tag; union { long l; char t[3]; } u; } tagged[2] = {{'x', {.t = "ab"}}, {'y', {.l = 77}}};
_Alignas(128) char aligned[128] = "aligned";
struct { int n; int flexible[]; } flex = {3, {1, 2, 3}};
struct { } empty;

static void scribble(int seed) {
    c += seed; sc -= seed; s *= seed + 1; u -= seed; l <<= seed; ull += 10 * seed; f += seed; d *= seed + 1; ld -= seed; z *= seed + 1;
    yes = seed == 2; color = seed == 1 ? GREEN : RED; wide *= 1000000007; wide *= seed; vol += seed; atom += seed;
    for (int i = 0; i < 5; i++) numbers[i] += i * seed;
    for (int i = 0; i < 6; i++) matrix[i / 3][i % 3] *= seed;
    text[seed] = 'X';
    memset(blank, seed, sizeof blank);
    for (int i = 0; i < 300; i++) many[i] += i * seed;
    nested.in[seed - 1].b += 5; nested.tail -= seed; nested.last += seed;
    tight.b += seed; tight.d <<= seed; tights[seed].c = 9;
    either.i += seed; eithers[seed - 1].bytes[3] = 7;
    bits.a += seed; bits.b -= seed; bits.c += seed; bits.d ^= seed;
    tagged[seed - 1].u.t[1] = 'Z';
    aligned[0] += seed;
    flex.flexible[seed] += 10;
}

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    show("before %d %d %d\n", c, numbers[2], (int)many[7]);
    scribble(seed);
    step();
    long sum = 0;
    for (int i = 0; i < 3000; i++) sum += blank[i];
    double total = 0;
    for (int i = 0; i < 300; i++) total += many[i];
    show("%d %d %d %u %ld %llu %g %g %Lg %g %g\n", c, sc, s, u, l, ull, f, d, ld, creal(z), cimag(z));
    show("%d %d %lld %d %d\n", yes, color, (long long)wide, vol, atom);
    show("%d %d %d %d %d | %d %d\n", numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], matrix[0][2], matrix[1][2]);
    show("%s %ld %c %g\n", text, sum, one_byte_after, total);
    show("%c %ld %c %ld %d %c\n", nested.in[0].a, nested.in[0].b, nested.in[1].a, nested.in[1].b, nested.tail, nested.last);
    show("%c %d %d %ld %d %d %zu\n", tight.a, tight.b, tight.c, tight.d, tights[1].c, tights[2].c, sizeof tights);
    show("%d %d %d\n", either.i, eithers[0].i, eithers[1].bytes[3]);
    show("%u %d %lu %u\n", bits.a, bits.b, (unsigned long)bits.c, bits.d);
    show("%s %ld %c\n", tagged[0].u.t, tagged[1].u.l, tagged[1].tag);
    show("%s %d %d %d\n", aligned, (int)((uintptr_t)aligned % 128), flex.flexible[1], flex.flexible[2]);
    return seed;
}

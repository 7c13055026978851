/* setjmp and longjmp, computed goto, switch tables. */
#include "program.h"
#include <setjmp.h>

int libos_mask_calls(void);
static jmp_buf plain;
static sigjmp_buf buffers[2];
static int depth, tries;
static const char *state = "none";

static void leave(int n) {
    depth++;
    if (n) leave(n - 1);
    else siglongjmp(buffers[1], depth);
}

static int interpret(const char *code) {
    static int accumulator;
    static const void *const labels[] = {&&inc, &&dec, &&twice, &&end};
    static void *redirect[] = {&&inc, &&dec, &&twice, &&end};
    goto *labels[*code - '0'];
inc: accumulator++; goto *redirect[*++code - '0'];
dec: accumulator--; goto *labels[*++code - '0'];
twice: accumulator *= 2; redirect[0] = &&dec; goto *redirect[*++code - '0'];
end: return accumulator;
}

static int numbers[12] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
__attribute__((noinline)) static int *choose(int which) {
    switch (which) {
    case 0: return &depth;
    case 1: return &tries;
    case 2: return &numbers[3];
    case 3: return &numbers[5];
    case 4: return &numbers[7];
    case 5: return NULL;
    case 6: return &numbers[11];
    default: return &numbers[0];
    }
}
__attribute__((noinline)) static const char *label(int which) {
    switch (which) {
    case 0: return "zero"; case 1: return "one"; case 2: return "two"; case 3: return "three"; case 4: return state;
    default: return "many";
    }
}
__attribute__((noinline)) static void dispatch(int which) {
    switch (which) {
    case 0: depth++; break;
    case 1: tries += 2; break;
    case 2: numbers[0] = 7; /* fall through */
    case 3: numbers[1]++; break;
    case 4: state = "four"; break;
    case 9: state = "nine"; break;
    default: numbers[2]--;
    }
}

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    volatile int local = seed;
    int value = sigsetjmp(buffers[1], 1);
    if (value == 0) leave(seed + 2);
    local += value;
    if (setjmp(plain) < 3) { tries++; longjmp(plain, tries); }
    for (int i = 0; i < 5 + seed; i++) dispatch(i);
    int result = interpret(seed == 1 ? "000213" : "0002203");
    step();
    show("%d %d %d %d %s %d\n", local, depth, tries, result, state, interpret("013"));
    for (int i = 0; i < 8; i++) { int *p = choose(i); show("%d ", p ? *p + 0 : -1); }
    for (int i = 0; i < 6; i++) show("%s ", label(i));
    show("masks %d\n", libos_mask_calls());
    return 0;
}

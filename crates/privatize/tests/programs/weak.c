/* Weak and common symbols in two files; compiled with -fcommon. */
#include "program.h"

int common_number;
int common_array[4];
int common_or_defined;
__attribute__((weak)) int weak_number = 1;
int strong_number = 10;
__attribute__((weak)) int replaced(void) { return 1; }
__attribute__((weak)) int kept(void) { return 2; }
extern int missing_variable __attribute__((weak));
int missing_function(void) __attribute__((weak));
int other_file(int seed);

int main(int argc, char **argv) {
    int seed = argc > 1 ? atoi(argv[1]) : 0;
    common_number += seed;
    common_array[7 % 4] = seed;
    int sum = other_file(seed);
    step();
    show("%d %d %d %d %d\n", common_number, common_array[3], common_or_defined, weak_number, strong_number);
    show("%d %d %d\n", replaced(), kept(), sum);
    show("%d %d\n", &missing_variable == NULL, missing_function == NULL);
    return 0;
}

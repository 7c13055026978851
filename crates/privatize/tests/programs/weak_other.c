int common_number;
int common_array[8];
int common_or_defined = 33;
int weak_number = 2;
__attribute__((weak)) int strong_number = 20;
int replaced(void) { return 11; }
__attribute__((weak)) int kept(void) { return 22; }
int other_file(int seed) {
    common_array[7] = seed * 3;
    return common_number * 100 + common_array[7] + strong_number + weak_number;
}

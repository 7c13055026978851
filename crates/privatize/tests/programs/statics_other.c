static int value = 500;
static int next(void) { static int value = 7; return value++; }
int other_value(int by) { value += by; return value + next(); }

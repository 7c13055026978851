/* What test programs use. One call of step() a run: in two instances at once, both have written by then what each reads later. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void libos_step(void);
#define step() libos_step()
#define show(...) fprintf(stdout, __VA_ARGS__)

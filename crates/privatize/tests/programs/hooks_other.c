#include "program.h"
static char note[32];
__attribute__((constructor(250))) static void plain(void) { strcat(note, " other250"); }
__attribute__((constructor)) static void late(void) { strcat(note, " other"); }
__attribute__((destructor(250))) static void goodbye(void) { show("destructor other 250\n"); }
void other_file(char *out) { strcat(out, note); }

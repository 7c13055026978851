#pragma once
#include_next <time.h>
void tzset(void);

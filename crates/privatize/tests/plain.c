/* Stands in for the library OS in an ordinary link, so that the ordinary program's output can be compared. */
#include <stdio.h>

void libos_step(void) {}
int libos_mask_calls(void) { return 11; }

/* The linker puts this around the program's own (--wrap=main): the status is printed after the destructors, as the
   runtime does, by the destructor that runs last. */
int __real_main(int argc, char **argv, char **envp);

static int status;
__attribute__((destructor(101))) static void print_status(void) { printf("status %d\n", status); }

int __wrap_main(int argc, char **argv, char **envp) {
    status = __real_main(argc, argv, envp);
    return 0;
}

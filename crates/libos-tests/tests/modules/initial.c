/*
 * A stock module with a thread-local variable at a fixed distance from the thread pointer, which only the host's loader can place.
 */
__thread int	fixed_place __attribute__((tls_model("initial-exec")));

int use(void) { return ++fixed_place; }

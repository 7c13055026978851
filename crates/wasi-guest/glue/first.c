/*
 * The first object that is linked: where changeable data begins, and where zeros begin (src/wasi/reset.rs).
 */
__attribute__((aligned(16), used, retain)) char pgl_first_data[16] = {1};
__attribute__((aligned(16), used, retain)) char pgl_first_zero[16];

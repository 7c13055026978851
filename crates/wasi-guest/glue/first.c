/*
 * The first object that is linked: where changeable data begins and ends, and where zeros begin (src/wasi/reset.rs). Sections with names of their
 * own, which are tables of characters, lie between changeable data and zeros.
 */
__attribute__((aligned(16), used, retain)) char pgl_first_data[16] = {1};
__attribute__((aligned(16), used, retain, section("pgl_own"))) char pgl_last_data[16];
__attribute__((aligned(16), used, retain)) char pgl_first_zero[16];

/* The smallest library OS: runs a privatized program in two threads at once with different arguments, then once more
   with the first argument, and prints what each run printed. PROGRAM is the program's constant. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct privatized_fixup { uint32_t at, to; };
struct privatized_datum { const char *name; uint64_t offset, size; };
struct privatized_symbol { uint32_t name, is_private; int64_t value; };
struct privatized_symbols { uint64_t count; const struct privatized_symbol *symbols; const char *names; };
struct privatized_module {
    const char *name;
    const struct privatized_symbols *symbols;
    void (*const *constructors)(void);
    uint64_t constructor_count;
};
struct privatized_image {
    uint32_t abi_version, pointer_size;
    const char *name;
    const void *template_data;
    uint64_t template_size, block_size, block_align;
    const struct privatized_fixup *fixups;
    uint64_t fixup_count;
    const struct privatized_datum *libc_data;
    uint64_t libc_data_count;
    void (*const *constructors)(void);
    uint64_t constructor_count;
    void (*const *destructors)(void);
    uint64_t destructor_count;
    const struct privatized_symbols *exports;
    const struct privatized_module *modules;
    uint64_t module_count;
    void **(*base_slot)(void);
    const char *text_start, *text_end;
};
struct privatized_program {
    const char *name;
    int (*main)(int argc, char **argv, char **envp);
    const struct privatized_image *image;
};

extern const struct privatized_program PROGRAM;

struct process {
    const struct privatized_program *program;
    char *argument;
    pthread_barrier_t *barrier;
    char *output;
    size_t output_size;
    char *base;
    char loaded[64];
};

static _Thread_local struct process *current;

static void fail(const char *what) {
    fprintf(stderr, "runtime: %s\n", what);
    _Exit(99);
}

/* --- what programs call --- */

void libos_step(void) {
    if (current->barrier)
        pthread_barrier_wait(current->barrier);
}

int libos_twin(int x) { return x + 1000; }

void *libos_malloc(size_t size) { return malloc(size); }
void libos_free(void *memory) { free(memory); }

/* Keeps the calls' arguments, which a test reads. */
static _Thread_local int mask_calls, mask_argument;
void libos_setjmp_mask(void *buffer, int save) {
    (void)buffer;
    mask_calls++;
    mask_argument = save;
}
int libos_mask_calls(void) { return mask_calls * 10 + mask_argument; }

__asm__(".globl libos_checkpoint\nlibos_checkpoint: jmp _setjmp@PLT\n");

static void *find(const struct privatized_symbols *table, const char *name) {
    uint64_t low = 0, high = table->count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        const struct privatized_symbol *symbol = &table->symbols[middle];
        int order = strcmp(table->names + symbol->name, name);
        if (!order)
            return symbol->is_private ? current->base + symbol->value : (char *)table->names + symbol->value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void *libos_export(const char *name) {
    const struct privatized_symbols *exports = current->program->image->exports;
    return exports ? find(exports, name) : NULL;
}

void *libos_module(const char *module, const char *name) {
    const struct privatized_image *image = current->program->image;
    for (uint64_t i = 0; i < image->module_count; i++) {
        if (strcmp(image->modules[i].name, module))
            continue;
        if (!current->loaded[i]++)
            for (uint64_t k = 0; k < image->modules[i].constructor_count; k++)
                image->modules[i].constructors[k]();
        return find(image->modules[i].symbols, name);
    }
    return NULL;
}

/* --- processes --- */

static void check(const struct privatized_program *program) {
    const struct privatized_image *image = program->image;
    const char *main = (const char *)program->main;
    if (image->abi_version != 1 || image->pointer_size != sizeof(void *))
        fail("ABI");
    if (image->block_size % 4096 || image->template_size > image->block_size)
        fail("sizes");
    if (!image->block_align || image->block_align & (image->block_align - 1) || image->block_align > 4096)
        fail("alignment");
    if (main < image->text_start || main >= image->text_end)
        fail("main is outside of the text");
    for (int i = 0; i < 64; i++)
        if (((const char *)image->template_data)[i])
            fail("the header is not zero");
}

static void *run(void *argument) {
    struct process *process = argument;
    const struct privatized_image *image = process->program->image;
    char *base = aligned_alloc(4096, image->block_size);
    memset(base, 0, image->block_size);
    memcpy(base, image->template_data, image->template_size);
    for (uint64_t i = 0; i < image->fixup_count; i++)
        *(void **)(base + image->fixups[i].at) = base + image->fixups[i].to;
    FILE *out = open_memstream(&process->output, &process->output_size);
    for (uint64_t i = 0; i < image->libc_data_count; i++) {
        const struct privatized_datum *datum = &image->libc_data[i];
        if (!strcmp(datum->name, "stdout") && datum->size == sizeof(FILE *))
            *(FILE **)(base + datum->offset) = out;
        else if (!strcmp(datum->name, "optind") && datum->size == sizeof(int))
            *(int *)(base + datum->offset) = 77;
    }
    process->base = base;
    current = process;
    *image->base_slot() = base;
    for (uint64_t i = 0; i < image->constructor_count; i++)
        image->constructors[i]();
    char *argv[] = {(char *)process->program->name, process->argument, NULL};
    char *envp[] = {NULL};
    int status = process->program->main(2, argv, envp);
    for (uint64_t i = 0; i < image->destructor_count; i++)
        image->destructors[i]();
    fprintf(out, "status %d\n", status);
    fclose(out);
    *image->base_slot() = NULL;
    /* Nothing may depend on the block any more: another run gets other memory with other contents. */
    memset(base, 0xa5, image->block_size);
    return NULL;
}

int main(void) {
    const struct privatized_program *program = &PROGRAM;
    check(program);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    struct process one = {.program = program, .argument = "1", .barrier = &barrier};
    struct process two = {.program = program, .argument = "2", .barrier = &barrier};
    struct process again = {.program = program, .argument = "1"};
    pthread_t first, second;
    if (pthread_create(&first, NULL, run, &one) || pthread_create(&second, NULL, run, &two))
        fail("pthread_create");
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    run(&again);
    printf("%s--\n%s--\n%s", one.output, two.output, again.output);
    return 0;
}

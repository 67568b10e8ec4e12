/* SPDX-License-Identifier: Apache-2.0 */
/**
 * replay_main.c - runs a fuzz target over its corpus, with any compiler
 *
 * Usage: fuzz_NAME CORPUS_DIRECTORY
 *
 * Every file is run as it is, cut at every length (short files) or at some (long ones), and in
 * mutations made by a fixed random sequence, so that a failure comes back on the next run. Each
 * input lies in memory of exactly its size, so that the address sanitizer sees one byte too far.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_MAX = 1 << 20,
    MUTATIONS = 4000, /* per file */
    CUTS = 256,       /* per file */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static unsigned long n_runs;

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators") */
static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1du;
}

static size_t below(size_t n)
{
    return n == 0 ? 0 : (size_t)(next_random() % n);
}

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);

    if (exact == NULL)
        abort();
    if (size > 0)
        memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    n_runs++;
}

/* One change in place; returns the new size. The buffer holds twice the input. */
static size_t mutate(uint8_t *data, size_t size, size_t cap)
{
    static const char special[] = "\0\1\x7f\x80\xff\"\\{}[],:-0987654321eE./\r\n \t%";
    size_t at = below(size), n = 1 + below(16);

    switch (below(6)) {
    case 0: /* flip a bit */
        if (size > 0)
            data[at] ^= (uint8_t)(1u << below(8));
        return size;
    case 1: /* a byte that parsers care about */
        if (size > 0)
            data[at] = (uint8_t)special[below(sizeof(special) - 1)];
        return size;
    case 2: /* remove some bytes */
        if (n > size - at)
            n = size - at;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 3: /* repeat some bytes */
        if (n > size - at)
            n = size - at;
        if (size + n > cap)
            return size;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    case 4: /* insert a special byte */
        if (size + 1 > cap)
            return size;
        memmove(data + at + 1, data + at, size - at);
        data[at] = (uint8_t)special[below(sizeof(special) - 1)];
        return size + 1;
    default: /* cut */
        return at;
    }
}

static void run_variants(const uint8_t *data, size_t size)
{
    size_t cap = 2 * size + 64;
    uint8_t *copy = malloc(cap);

    if (copy == NULL)
        abort();
    for (size_t i = 0; i < CUTS; i++)
        run(data, size <= CUTS ? (i < size ? i : size) : below(size));
    for (unsigned i = 0; i < MUTATIONS; i++) {
        size_t n = size;
        memcpy(copy, data, size);
        for (size_t k = 1 + below(4); k > 0; k--)
            n = mutate(copy, n, cap);
        run(copy, n);
    }
    free(copy);
}

static int run_file(const char *dir, const char *name)
{
    char path[4096];
    uint8_t *data = malloc(INPUT_MAX);

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (f == NULL || data == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(errno));
        free(data);
        return -1;
    }
    size_t n = fread(data, 1, INPUT_MAX, f);
    (void)fclose(f);
    run(data, n);
    run_variants(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned n_files = 0;
    const struct dirent *e;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL) {
        (void)fprintf(stderr, "%s: %s\n", argv[1], strerrordesc_np(errno));
        return 1;
    }
    run(NULL, 0);
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (run_file(argv[1], e->d_name) < 0)
            return 1;
        n_files++;
    }
    (void)closedir(dir);
    if (n_files == 0) {
        (void)fprintf(stderr, "%s: no seeds\n", argv[1]);
        return 1;
    }
    (void)printf("%u seeds, %lu runs\n", n_files, n_runs);
    return 0;
}

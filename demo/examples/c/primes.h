#include <stdlib.h>

/* Counts the primes below limit by the sieve of Eratosthenes. Returns -1 without memory. */
static int count_primes(int limit) {
    char *composite = calloc((size_t)(limit > 0 ? limit : 1), 1);
    int count = 0;
    if (composite == NULL) return -1;
    for (int i = 2; i < limit; i++) {
        if (composite[i]) continue;
        count++;
        if (i > limit / i) continue;
        for (int j = i * i; j < limit; j += i) composite[j] = 1;
    }
    free(composite);
    return count;
}

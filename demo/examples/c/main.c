#include <stdio.h>
#include <stdlib.h>
#include "primes.h"

int main(int argc, char **argv) {
    int limit = argc > 1 ? atoi(argv[1]) : 100000;
    printf("There are %d primes below %d.\n", count_primes(limit), limit);
    return 0;
}

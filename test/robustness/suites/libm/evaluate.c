/* Lines of "NAME X" or "NAME X Y"; prints the function's value of each. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <string.h>

static double ldexp_of(double x, double exponent) {
	return ldexp(x, (int)exponent);
}

#define ONE(name) {#name, name, 0}
#define TWO(name) {#name, 0, name}

static const struct { const char *name; double (*one)(double); double (*two)(double, double); } FUNCTIONS[] = {
	ONE(sqrt), ONE(exp), ONE(exp2), ONE(exp10), ONE(expm1), ONE(log), ONE(log2), ONE(log10), ONE(log1p), ONE(sin), ONE(cos), ONE(tan),
	ONE(asin), ONE(acos), ONE(atan), ONE(sinh), ONE(cosh), ONE(tanh), ONE(asinh), ONE(acosh), ONE(atanh), ONE(cbrt), ONE(erf), ONE(erfc),
	ONE(tgamma), ONE(lgamma), ONE(j0), ONE(j1), ONE(y0), ONE(y1), TWO(fmod), TWO(remainder), TWO(pow), TWO(atan2), TWO(hypot),
	{"ldexp", 0, ldexp_of},
};

int main(void) {
	char name[16];
	double x, y = 0;
	while (scanf("%15s %lf", name, &x) == 2) {
		size_t at = 0, known = sizeof FUNCTIONS / sizeof FUNCTIONS[0];
		while (at < known && strcmp(name, FUNCTIONS[at].name) != 0) at++;
		if (at == known || (FUNCTIONS[at].two && scanf("%lf", &y) != 1)) return 1;
		printf("%.17g\n", FUNCTIONS[at].one ? FUNCTIONS[at].one(x) : FUNCTIONS[at].two(x, y));
	}
	return 0;
}

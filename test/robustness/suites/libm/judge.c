/*
 * Says how far results of functions of <math.h> are off, by MPFR, in units in the last place.
 *
 *     gcc -O2 -o judge judge.c -lmpfr -lgmp -lm
 *
 * Input: lines of "NAME X RESULT" or "NAME X Y RESULT". Output: for each line the error, "inf" for a result that is no number where there is one.
 * `judge --references` takes lines without the result, and gives the number nearest to the true value, and what is left of it.
 */
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for fmod of the largest double by the smallest one. */
#define BITS 2200
#define LINE_BYTES 256

typedef int (*unary)(mpfr_t, const mpfr_t, mpfr_rnd_t);
typedef int (*binary)(mpfr_t, const mpfr_t, const mpfr_t, mpfr_rnd_t);

static int lgamma_of(mpfr_t result, const mpfr_t x, mpfr_rnd_t round) {
	int sign;
	return mpfr_lgamma(result, &sign, x, round);
}

static int ldexp_of(mpfr_t result, const mpfr_t x, const mpfr_t exponent, mpfr_rnd_t round) {
	return mpfr_mul_2si(result, x, mpfr_get_si(exponent, MPFR_RNDN), round);
}

/* Bits that the true value is computed to. The Bessel functions and gamma are slow. */
static const struct { const char *name; unary one; binary two; int bits; } FUNCTIONS[] = {
	{"exp", mpfr_exp, 0, 400}, {"exp2", mpfr_exp2, 0, 400}, {"exp10", mpfr_exp10, 0, 400}, {"expm1", mpfr_expm1, 0, 400},
	{"log", mpfr_log, 0, 400}, {"log2", mpfr_log2, 0, 400}, {"log10", mpfr_log10, 0, 400}, {"log1p", mpfr_log1p, 0, 400},
	{"sin", mpfr_sin, 0, 400}, {"cos", mpfr_cos, 0, 400}, {"tan", mpfr_tan, 0, 400}, {"asin", mpfr_asin, 0, 400},
	{"acos", mpfr_acos, 0, 400}, {"atan", mpfr_atan, 0, 400}, {"sinh", mpfr_sinh, 0, 400}, {"cosh", mpfr_cosh, 0, 400},
	{"tanh", mpfr_tanh, 0, 400}, {"asinh", mpfr_asinh, 0, 400}, {"acosh", mpfr_acosh, 0, 400}, {"atanh", mpfr_atanh, 0, 400},
	{"sqrt", mpfr_sqrt, 0, 400}, {"cbrt", mpfr_cbrt, 0, 400}, {"erf", mpfr_erf, 0, 400}, {"erfc", mpfr_erfc, 0, 400},
	{"tgamma", mpfr_gamma, 0, 200}, {"lgamma", lgamma_of, 0, 200}, {"j0", mpfr_j0, 0, 120}, {"j1", mpfr_j1, 0, 120},
	{"y0", mpfr_y0, 0, 120}, {"y1", mpfr_y1, 0, 120}, {"pow", 0, mpfr_pow, 400}, {"atan2", 0, mpfr_atan2, 400},
	{"hypot", 0, mpfr_hypot, 400}, {"fmod", 0, mpfr_fmod, BITS}, {"remainder", 0, mpfr_remainder, BITS},
	{"ldexp", 0, ldexp_of, BITS},
};

/* The distance of a result from the true value, in units in the last place of the number nearest to it. */
static double error_of(double result, mpfr_t exact) {
	double nearest = mpfr_get_d(exact, MPFR_RNDN);
	if (isnan(nearest)) return isnan(result) ? 0 : INFINITY;
	if (isnan(result)) return INFINITY;
	if (isinf(nearest) || isinf(result)) return result == nearest ? 0 : INFINITY;
	int exponent = -1074;
	if (nearest != 0) {
		frexp(nearest, &exponent);
		exponent = exponent - 53 < -1074 ? -1074 : exponent - 53;
	}
	mpfr_t off;
	mpfr_init2(off, BITS);
	mpfr_sub_d(off, exact, result, MPFR_RNDN);
	mpfr_abs(off, off, MPFR_RNDN);
	mpfr_mul_2si(off, off, -exponent, MPFR_RNDN);
	double error = mpfr_get_d(off, MPFR_RNDN);
	mpfr_clear(off);
	return error;
}

static int refuse(const char *line) {
	fprintf(stderr, "judge: not understood: %s", line);
	return 1;
}

int main(int count, char **arguments) {
	int references = count > 1 && strcmp(arguments[1], "--references") == 0;
	char line[LINE_BYTES], name[16];
	mpfr_t x, y, exact;
	mpfr_init2(x, 64);
	mpfr_init2(y, 64);
	mpfr_init2(exact, BITS);
	while (fgets(line, sizeof line, stdin)) {
		double numbers[3];
		int found = sscanf(line, "%15s %lf %lf %lf", name, &numbers[0], &numbers[1], &numbers[2]) - 1;
		size_t at = 0, known = sizeof FUNCTIONS / sizeof FUNCTIONS[0];
		while (at < known && strcmp(name, FUNCTIONS[at].name) != 0) at++;
		if (at == known || found != (FUNCTIONS[at].two ? 2 : 1) + !references) return refuse(line);
		mpfr_set_prec(exact, FUNCTIONS[at].bits);
		mpfr_set_d(x, numbers[0], MPFR_RNDN);
		if (FUNCTIONS[at].two) {
			mpfr_set_d(y, numbers[1], MPFR_RNDN);
			FUNCTIONS[at].two(exact, x, y, MPFR_RNDN);
		} else FUNCTIONS[at].one(exact, x, MPFR_RNDN);
		if (references) {
			double nearest = mpfr_get_d(exact, MPFR_RNDN);
			if (isfinite(nearest)) mpfr_sub_d(exact, exact, nearest, MPFR_RNDN);
			printf("%.17g %.17g\n", nearest, isfinite(nearest) ? mpfr_get_d(exact, MPFR_RNDN) : 0.0);
		} else printf("%.4g\n", error_of(numbers[found - 1], exact));
	}
	return ferror(stdin) || fflush(stdout) ? 1 : 0;
}

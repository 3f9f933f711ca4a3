/*
 * The functions of libm.so.6: musl's, whose names begin with "musl_" here, and glibc's way with errno. Exceptions need nothing: they arise in the computation.
 */
#include <errno.h>

extern int signgam, __signgam;

#define IS_NAN(x) ((x) != (x))
#define IS_FINITE(x) ((x) - (x) == 0)
#define IS_INFINITE(x) (!IS_FINITE(x) && !IS_NAN(x))
#define SIZE(x) ((x) < 0 ? -(x) : (x))

/* Values of errno for a result r of x, or of x and y. */
#define NOTHING 0
#define OVERFLOWS (IS_INFINITE(r) && IS_FINITE(x) ? ERANGE : 0)
#define LEAVES_RANGE ((IS_INFINITE(r) || r == 0) && IS_FINITE(x) ? ERANGE : 0)
#define SCALED_AWAY ((IS_INFINITE(r) || r == 0) && IS_FINITE(x) && x != 0 ? ERANGE : 0)
#define NOT_INFINITE (IS_INFINITE(x) ? EDOM : 0)
#define WITHIN_ONE (SIZE(x) > 1 ? EDOM : 0)
#define POLE_AT_ONE (SIZE(x) > 1 ? EDOM : SIZE(x) == 1 ? ERANGE : 0)
#define FROM_ONE (x < 1 ? EDOM : 0)
#define POLE_AT(pole) (x == (pole) ? ERANGE : x < (pole) ? EDOM : 0)
#define GAMMA (x == 0 ? ERANGE : IS_NAN(r) && !IS_NAN(x) ? EDOM : LEAVES_RANGE)
#define UNDERFLOWS (r == 0 && IS_FINITE(x) ? ERANGE : 0)
#define DIVIDES ((IS_INFINITE(x) || y == 0) && !IS_NAN(x) && !IS_NAN(y) ? EDOM : 0)
#define ANGLE (r == 0 && y != 0 && IS_FINITE(x) ? ERANGE : 0)
#define LENGTH (IS_INFINITE(r) && IS_FINITE(x) && IS_FINITE(y) ? ERANGE : 0)
#define POWER (!IS_FINITE(x) || !IS_FINITE(y) ? 0 : IS_NAN(r) ? EDOM : IS_INFINITE(r) || (r == 0 && x != 0) ? ERANGE : 0)

static inline void report(int problem) {
	if (__builtin_expect(problem != 0, 0)) errno = problem;
}

#define ONE_OF(T, name, problem) \
	T musl_##name(T); \
	T boxrun_##name(T x) { T r = musl_##name(x); report(problem); return r; }
#define TWO_OF(T, name, first, second, problem) \
	T musl_##name(T, T); \
	T boxrun_##name(T first, T second) { T r = musl_##name(first, second); report(problem); return r; }
#define SCALE_OF(T, name, N) \
	T musl_##name(T, N); \
	T boxrun_##name(T x, N n) { T r = musl_##name(x, n); report(SCALED_AWAY); return r; }
#define REMQUO_OF(T, name) \
	T musl_##name(T, T, int *); \
	T boxrun_##name(T x, T y, int *quotient) { T r = musl_##name(x, y, quotient); report(DIVIDES); return r; }
#define SINCOS_OF(T, name) \
	void musl_##name(T, T *, T *); \
	void boxrun_##name(T x, T *sine, T *cosine) { musl_##name(x, sine, cosine); report(NOT_INFINITE); }
#define LGAMMA_OF(T, name, musl) \
	T musl(T, int *); \
	T boxrun_##name##_r(T x, int *sign) { T r = musl(x, sign); report(OVERFLOWS); return r; } \
	T boxrun_##name(T x) { int sign; T r = boxrun_##name##_r(x, &sign); signgam = __signgam = sign; return r; }
#define ILOGB_OF(T, name) \
	int musl_##name(T); \
	int boxrun_##name(T x) { report(x == 0 || !IS_FINITE(x) ? EDOM : 0); return musl_##name(x); }
#define BESSEL_OF(T, name, problem) \
	T musl_##name(int, T); \
	T boxrun_##name(int n, T x) { T r = musl_##name(n, x); report(problem); return r; }

#define ONE(name, problem) \
	ONE_OF(double, name, problem) ONE_OF(float, name##f, problem) ONE_OF(long double, name##l, problem)
#define TWO(name, first, second, problem) \
	TWO_OF(double, name, first, second, problem) TWO_OF(float, name##f, first, second, problem) \
	TWO_OF(long double, name##l, first, second, problem)
#define SCALE(name, N) SCALE_OF(double, name, N) SCALE_OF(float, name##f, N) SCALE_OF(long double, name##l, N)

ONE(acos, WITHIN_ONE)
ONE(asin, WITHIN_ONE)
ONE(atan, NOTHING)
ONE(cos, NOT_INFINITE)
ONE(sin, NOT_INFINITE)
ONE(tan, NOT_INFINITE)
ONE(acosh, FROM_ONE)
ONE(asinh, NOTHING)
ONE(atanh, POLE_AT_ONE)
ONE(cosh, OVERFLOWS)
ONE(sinh, OVERFLOWS)
ONE(tanh, NOTHING)
ONE(exp, LEAVES_RANGE)
ONE(exp2, LEAVES_RANGE)
ONE(exp10, LEAVES_RANGE)
ONE(expm1, OVERFLOWS)
ONE(log, POLE_AT(0))
ONE(log2, POLE_AT(0))
ONE(log10, POLE_AT(0))
ONE(log1p, POLE_AT(-1))
ONE(logb, NOTHING)
ONE(cbrt, NOTHING)
ONE(erf, NOTHING)
ONE(erfc, UNDERFLOWS)
ONE(tgamma, GAMMA)
TWO(pow, x, y, POWER)
TWO(atan2, y, x, ANGLE)
TWO(hypot, x, y, LENGTH)
TWO(fmod, x, y, DIVIDES)
TWO(remainder, x, y, DIVIDES)
SCALE(ldexp, int)
SCALE(scalbn, int)
SCALE(scalbln, long)
REMQUO_OF(double, remquo)
REMQUO_OF(float, remquof)
REMQUO_OF(long double, remquol)
SINCOS_OF(double, sincos)
SINCOS_OF(float, sincosf)
SINCOS_OF(long double, sincosl)
LGAMMA_OF(double, lgamma, musl___lgamma_r)
LGAMMA_OF(float, lgammaf, musl___lgammaf_r)
LGAMMA_OF(long double, lgammal, musl___lgammal_r)
ILOGB_OF(double, ilogb)
ILOGB_OF(float, ilogbf)
ILOGB_OF(long double, ilogbl)
ONE_OF(double, significand, NOTHING)
ONE_OF(float, significandf, NOTHING)
TWO_OF(double, scalb, x, y, IS_NAN(r) && !IS_NAN(x) && !IS_NAN(y) ? EDOM : 0)
TWO_OF(float, scalbf, x, y, IS_NAN(r) && !IS_NAN(x) && !IS_NAN(y) ? EDOM : 0)
ONE_OF(double, j0, NOTHING)
ONE_OF(float, j0f, NOTHING)
ONE_OF(double, j1, NOTHING)
ONE_OF(float, j1f, NOTHING)
ONE_OF(double, y0, POLE_AT(0))
ONE_OF(float, y0f, POLE_AT(0))
ONE_OF(double, y1, POLE_AT(0))
ONE_OF(float, y1f, POLE_AT(0))
BESSEL_OF(double, jn, NOTHING)
BESSEL_OF(float, jnf, NOTHING)
BESSEL_OF(double, yn, POLE_AT(0))
BESSEL_OF(float, ynf, POLE_AT(0))

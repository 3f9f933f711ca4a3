"""Lines of "NAME X" or "NAME X Y"; prints the function's value of each, or "raised" where Python has an error for infinite and undefined ones."""

import math
import sys

functions = {**vars(math), "tgamma": math.gamma, "ldexp": lambda x, y: math.ldexp(x, int(y))}
results = []
for line in sys.stdin:
    name, *numbers = line.split()
    try:
        results.append(repr(functions[name](*map(float, numbers))))
    except (OverflowError, ValueError):
        results.append("raised")
print("\n".join(results))

# Lines of "NAME X" or "NAME X Y"; prints the function's value of each.
{ x = $2 + 0; y = $3 + 0 }
$1 == "fmod" { r = x % y }
$1 == "pow" { r = x ^ y }
$1 == "exp" { r = exp(x) }
$1 == "log" { r = log(x) }
$1 == "sin" { r = sin(x) }
$1 == "cos" { r = cos(x) }
$1 == "sqrt" { r = sqrt(x) }
$1 == "atan2" { r = atan2(x, y) }
{ printf "%.17g\n", r }

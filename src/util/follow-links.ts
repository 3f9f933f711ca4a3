/**
 * POSIX shell for commands in a box: `$t` becomes what `path`, itself of shell, leads to over links, and need not be there. It ends with `looped` where they lead in a circle. What stands after a link's target keeps line
 * ends that a substitution would take away.
 */
export function followLinks(path: string, looped: number): string {
  return `t=${path} links=0
while [ -L "$t" ]; do
  links=$((links + 1)); [ "$links" -le 40 ] || exit ${looped}
  to=$(readlink "$t"; printf .); to=\${to%?.}
  case $to in /*) t=$to ;; *) t=\${t%/*}/$to ;; esac
done
`;
}

/**
 * Returns POSIX shell code for a box: `$t` becomes the path to which `path`, itself shell code, leads over links; it need not exist. Ends with `looped` for
 * links in a circle. A character after a link's target keeps the line ends that a substitution would remove.
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

/** Runs a command in a box. Returns what it printed, and its exit code. */
export async function said(box, command) {
  const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs: 60_000 });
  return `${stdout.trim()} (${exitCode})`;
}

/** Clones a repository in a box, and pushes a commit to its branch `box`. Returns what git said. */
export async function cloneAndPush(box, url) {
  return {
    cloned: await said(
      box,
      `git clone -q ${url} project && cd project && git fsck --strict && git rev-parse HEAD`,
    ),
    files: await said(box, "cd project && git status --porcelain && ls many | wc -l"),
    pushed: await said(
      box,
      `cd project && git -c user.name=Box -c user.email=box@example.com commit -q --allow-empty -m "From a page" && git push -q origin HEAD:box && git rev-parse HEAD`,
    ),
  };
}

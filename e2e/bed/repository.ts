// A bare git repository whose commits are folders as they are.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { run, tryRun } from './run.ts';

/** Commits the folder as it is, and makes the repository where there is none. Unchanged content is the commit there was. Returns the commit. */
export async function commitFolder(
  repository: string,
  folder: string,
  { branch = 'main', tag }: { readonly branch?: string; readonly tag?: string } = {},
): Promise<string> {
  if (!existsSync(repository)) {
    await mkdir(repository, { recursive: true });
    await run(['git', 'init', '--quiet', '--bare', '--initial-branch', branch, repository]);
  }
  const git = (args: readonly string[]): Promise<string> =>
    run(['git', `--git-dir=${repository}`, `--work-tree=${folder}`, ...args], { env: author, cwd: folder });
  await git(['symbolic-ref', 'HEAD', `refs/heads/${branch}`]);
  await git(['add', '--all', '--force', '.']);
  const changed = (await git(['status', '--porcelain'])).trim() !== '';
  if (changed) await git(['commit', '--quiet', '--message', 'Published by the test bed']);
  if (tag !== undefined) await git(['tag', '--force', tag]);
  return (await git(['rev-parse', 'HEAD'])).trim();
}

/** Has the branch end in a commit that it had before. False where the repository has none of that name. */
export async function resetBranch(repository: string, commit: string, branch = 'main'): Promise<boolean> {
  const git = (args: readonly string[]) => tryRun(['git', `--git-dir=${repository}`, ...args]);
  const found = await git(['rev-parse', '--verify', '--quiet', `${commit}^{commit}`]);
  if (found.code !== 0) return false;
  return (await git(['update-ref', `refs/heads/${branch}`, found.stdout.trim()])).code === 0;
}

const author = {
  GIT_AUTHOR_NAME: 'Test bed',
  GIT_AUTHOR_EMAIL: 'bed@floe.dev',
  GIT_COMMITTER_NAME: 'Test bed',
  GIT_COMMITTER_EMAIL: 'bed@floe.dev',
};

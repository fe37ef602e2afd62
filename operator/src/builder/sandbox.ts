// Finds out whether Nix can shut builds in: that takes user namespaces in which /proc may be mounted.
import type { RunProgram } from '../nix/process.ts';

/** What Nix itself needs for its sandbox, tried for real. */
const PROBE = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc', 'true'];

/** Whether builds can be shut in here. */
export async function canSandbox(run: RunProgram, signal: AbortSignal): Promise<boolean> {
  try {
    const ended = await run(
      { program: 'unshare', args: PROBE, env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' }, timeoutSeconds: 10 },
      { signal },
    );
    return ended.code === 0;
  } catch (error) {
    signal.throwIfAborted();
    // Without the program nobody knows; Nix is then not asked to try either.
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Said once in the log of a build without sandbox. */
export const NO_SANDBOX =
  'builds are not shut in: this node lets no pod make user namespaces, so all builds of this namespace must trust each other';

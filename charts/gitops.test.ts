// The example for CI without a GitOps tool: what it waits for, and how it ends, with a kubectl that answers from files.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const script = join(import.meta.dirname, '../examples/gitops/kubectl/deploy.sh');
let folder: string;

const KUBECTL = `#!/usr/bin/env bash
case "$*" in
  *apply*) echo applied ;;
  *"-o name"*) echo nixconfig.floe.dev/web; echo rollout.floe.dev/web ;;
  *generation*nixconfig*|*nixconfig*generation*) printf %s "$CONFIG" ;;
  *generation*) printf %s "$ROLLOUT" ;;
  *) printf %s "what is said" ;;
esac
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-deploy-'));
  await writeFile(join(folder, 'kubectl'), KUBECTL, { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function deploy(states: {
  CONFIG: string;
  ROLLOUT: string;
}): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, ...states, PATH: `${folder}:${process.env['PATH']}`, TIMEOUT: '0' };
  return new Promise((resolve) => {
    execFile('bash', [script, '.', 'fleet'], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const BUILT = '2|2|True|False||';

test.each<[string, string, string, number, string]>([
  ['all done', BUILT, '1|1|True|False|Completed|', 0, 'rollout.floe.dev/web: what is said'],
  ['a pause for a person', BUILT, '1|1|False|False|Paused|', 0, 'waits for a person'],
  ['a pause that ends by itself', BUILT, '1|1|False|False|Paused|2026-01-01T00:00:00Z', 1, 'not done in time'],
  ['a run that stopped', BUILT, '1|1|False|True|Failed|', 1, 'rollout.floe.dev/web: what is said'],
  ['a source that can not be read', '1|1|False|True||', '1|-1|||||', 1, 'nixconfig.floe.dev/web: what is said'],
  ['a version that was not seen yet', '2|1|True|False||', '1|1|True|False|Completed|', 1, 'not done in time'],
  ['an object that is new', '1|-1||||', '1|-1||||', 1, 'not done in time'],
])('deploy.sh: %s', async (_, config, rollout, code, words) => {
  const ended = await deploy({ CONFIG: config, ROLLOUT: rollout });
  expect(ended.code, ended.stderr).toBe(code);
  expect(ended.stdout + ended.stderr).toContain(words);
});

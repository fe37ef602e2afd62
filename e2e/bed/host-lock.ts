// One process at a time makes what all share; the lock ends with the process that holds it, however that ends.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Runs `work` while holding an exclusive lock on `file`. Waits for as long as another holds it. */
export async function withHostLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  // The holder reads our pipe: it lets go when we close it, and also when we are killed.
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', reject);
      holder.stdout.once('data', () => resolve());
      holder.once('exit', () => reject(new Error(`could not lock ${file}; is util-linux installed?`)));
    });
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

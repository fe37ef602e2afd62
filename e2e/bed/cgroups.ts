// The cgroups of a cluster: one of the same name in each hierarchy, so that what it left behind can be found and removed.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const top = '/sys/fs/cgroup';

/** Each version 1 hierarchy, or the one of version 2. */
function hierarchies(): readonly string[] {
  if (existsSync(join(top, 'cgroup.controllers'))) return [top];
  return readdirSync(top, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(top, entry.name, 'cgroup.procs')))
    .map((entry) => join(top, entry.name));
}

/** Makes the cgroup `name` in every hierarchy. */
export function makeCgroup(name: string): void {
  for (const root of hierarchies()) {
    mkdirSync(join(root, name), { recursive: true });
    // Version 1 leaves a new cpuset empty, and nothing can enter it then.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(root, name, file)) && !existsSync(join(root, 'cgroup.controllers'))) {
        writeFileSync(join(root, name, file), readFileSync(join(root, name, '..', file), 'utf8'));
      }
    }
  }
}

/** The files through which a process enters it. */
export function cgroupFiles(name: string): readonly string[] {
  return hierarchies().map((root) => join(root, name, 'cgroup.procs'));
}

/** Removes the cgroup and all below it. False while a process is still in one of them. */
export function removeCgroup(name: string): boolean {
  return hierarchies().every((root) => removeTree(join(root, name)));
}

function removeTree(path: string): boolean {
  if (!existsSync(path)) return true;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory() && !removeTree(join(path, entry.name))) return false;
  }
  try {
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path); // busy: the last processes are on their way out
  }
}

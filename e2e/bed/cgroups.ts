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
    if (root === top) enableControllers(root);
    mkdirSync(join(root, name), { recursive: true });
    // Version 1 leaves a new cpuset empty, and nothing can enter it then.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(root, name, file)) && !existsSync(join(root, 'cgroup.controllers'))) {
        writeFileSync(join(root, name, file), readFileSync(join(root, name, '..', file), 'utf8'));
      }
    }
  }
}

/** Version 2 gives a cgroup only the controllers that the one above it hands down. */
function enableControllers(root: string): void {
  for (const controller of readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' ')) {
    try {
      writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // One that cannot be handed down is not needed either.
    }
  }
}

/** Gives it so many times the processor time of its neighbours, where all want some. */
export function favour(name: string, times: number): void {
  for (const root of hierarchies()) {
    const [old, unified] = [join(root, name, 'cpu.shares'), join(root, name, 'cpu.weight')];
    if (existsSync(old)) writeFileSync(old, String(1024 * times));
    if (existsSync(unified)) writeFileSync(unified, String(100 * times));
  }
}

/** The files through which a process enters it. */
export function cgroupFiles(name: string): readonly string[] {
  return hierarchies().map((root) => join(root, name, 'cgroup.procs'));
}

/** Stops every process in it where it is, or lets them go on. */
export function setFrozen(name: string, frozen: boolean): void {
  const old = join(top, 'freezer', name, 'freezer.state');
  if (existsSync(old)) writeFileSync(old, frozen ? 'FROZEN' : 'THAWED');
  else writeFileSync(join(top, name, 'cgroup.freeze'), frozen ? '1' : '0');
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

// The machines of one cluster.
import type { Enclosure } from './enclosure.ts';

export class Machines {
  constructor(_options: { dir: string; cgroup: string; tree: string; enclosure: Enclosure }) {}
}

// The machine itself as the attempt and the agent use it: store, links, boot loader, and systemd or what stands for it.
import { readFile, stat } from 'node:fs/promises';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import type { GenerationsMessage } from '@floe/crds/generations';
import type { WatchedMachine } from '../agent.ts';
import { attemptName } from '../attempt/names.ts';
import type { Done, Fetched, Health, RunOutcome, Seen } from '../attempt/outcome.ts';
import type { DeadMan, HealthQuestion, Run } from '../attempt/ports.ts';
import type { AttemptRecord, Order } from '../attempt/record.ts';
import type { Log } from '../log.ts';
import type { Paths } from '../paths.ts';
import type { NixStore } from '../store/nix-store.ts';
import type { SystemProfile } from '../store/system-profile.ts';
import type { Evidence } from '../truth/drift.ts';
import { AGENT_VERSION } from '../version.ts';
import { agentOfSystem, missingAgent } from './agent-of-system.ts';
import { readBootLoader } from './boot-default.ts';
import { sayBootWasGood } from './boot-good.ts';
import { complaintOf, runCommand } from './command.ts';
import { hasRoute } from './default-route.ts';
import { giveBackFilePages, readOwn } from './file-pages.ts';
import type { Host } from './host.ts';
import { inhibitors } from './inhibitors.ts';
import { observe } from './observe.ts';
import { rebootReasons } from './reboot-reasons.ts';
import { forgetRuns } from './run-files.ts';
import { familyOf, specialisationOf } from './specialisations.ts';
import { readStoreLink } from './store-link.ts';
import { type Watching, watchMachine } from './watch.ts';

type Parts = {
  readonly paths: Paths;
  readonly store: NixStore;
  readonly profile: SystemProfile;
  readonly host: Host;
  readonly log: Log;
  /** The boot loader counts tries, and the agent says which boot was good. */
  readonly bootCounting: boolean;
  /** Which generations stay where the order does not say; absent: all. */
  readonly generations?: GenerationsMessage;
  /** Command line of the agent that runs. */
  readonly program: readonly string[];
  /** Its unit. */
  readonly agentUnit: string;
  /** Whether this process waits for long, and gives back memory meanwhile. */
  readonly isService: boolean;
};

const KEEP_LIMIT_MS = 60_000;

export class RealMachine implements WatchedMachine {
  readonly program: readonly string[];
  readonly #parts: Parts;
  readonly handOver?: (signal: AbortSignal) => Promise<never>;
  readonly reboot?: (signal: AbortSignal) => Promise<Done>;
  readonly rested?: () => Promise<void>;
  #nixVersion: string | undefined;
  /** What is kept from the garbage collector. */
  #roots: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.program = parts.program;
    const { host, isService } = parts;
    if (host.handOver !== undefined) this.handOver = (signal) => host.handOver?.(signal) as Promise<never>;
    if (host.reboot !== undefined) this.reboot = (signal) => host.reboot?.(signal) as Promise<Done>;
    if (isService) this.rested = () => this.#giveBack();
  }

  see(): Promise<Seen> {
    return observe(this.#parts.paths);
  }

  agentOf(system: string | undefined): Promise<string | undefined> {
    return agentOfSystem(system, this.#parts.agentUnit);
  }

  failedUnits(signal: AbortSignal): Promise<readonly string[]> {
    return this.#parts.host.failedUnits(signal);
  }

  fetch(order: Order, note: (text: string) => void, signal: AbortSignal): Promise<Fetched> {
    return this.#parts.store.fetch(order, note, signal);
  }

  inhibitors(running: string, wanted: string): Promise<readonly string[]> {
    return inhibitors(running, wanted);
  }

  specialisation(closure: string, name: string): Promise<string | undefined> {
    return specialisationOf(closure, name);
  }

  online(): Promise<boolean> {
    return hasRoute();
  }

  async activeUnits(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#parts.host.activeUnits?.(signal)) ?? [];
  }

  async startUnits(units: readonly string[], signal: AbortSignal): Promise<Done> {
    return (await this.#parts.host.startUnits?.(units, signal)) ?? { kind: 'ok' };
  }

  complaint(closure: string): Promise<string | undefined> {
    return this.#parts.store.complaint(closure);
  }

  async missingAgent(system: string): Promise<string | undefined> {
    // Below --root no systemd starts any.
    return this.#parts.paths.isHost ? missingAgent(system, this.#parts.agentUnit) : undefined;
  }

  async keepWayBack(closure: string): Promise<void> {
    await this.#parts.store.keep('old', closure, AbortSignal.timeout(KEEP_LIMIT_MS));
  }

  arm(timer: DeadMan, signal: AbortSignal): Promise<Done> {
    return this.#parts.host.arm(timer, signal);
  }

  disarm(attempt: string, number: number): Promise<void> {
    return this.#parts.host.disarm(attempt, number);
  }

  run(run: Run, signal: AbortSignal): Promise<RunOutcome> {
    return this.#parts.host.run(run, signal);
  }

  /** Lists that switch-to-configuration empties as it goes. */
  async unfinished(): Promise<boolean> {
    const sizes = this.#parts.paths.switchLists.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    );
    return (await Promise.all(sizes)).some((size) => size > 0);
  }

  async setProfile(closure: string, signal: AbortSignal, generations?: GenerationsMessage): Promise<Done> {
    const { profile, log } = this.#parts;
    const before = await this.see();
    const done = await profile.set(closure, signal);
    const rules = generations ?? this.#parts.generations;
    if (done.kind === 'failed' || rules === undefined) return done;
    // Before the boot menu is written, so that it offers nothing that the garbage collector may take.
    const needed = [closure, before.current, before.booted, before.bootDefault?.closure, before.profile];
    const wayBack = await readStoreLink('/', join(this.#parts.paths.gcRoots, 'old'));
    const all = new Set([...needed, wayBack].filter((one) => one !== undefined));
    const removed = await profile.prune(rules, all, Date.now());
    if (removed.length > 0) log.info(`generations ${removed.join(', ')} of the system were removed`);
    return done;
  }

  restoreProfile(closure: string | undefined, dropped: string, signal: AbortSignal): Promise<Done> {
    return this.#parts.profile.restore(closure, dropped, signal);
  }

  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health> {
    return this.#parts.host.checkHealth(question, signal);
  }

  watch(changed: () => void): Watching {
    return watchMachine(this.#parts.paths, changed, this.#parts.log);
  }

  /** What drift from the closure is judged by. */
  async evidence(expected: string): Promise<Pick<Evidence, 'family' | 'generations' | 'present'>> {
    const { profile } = this.#parts;
    const [family, generations, present] = await Promise.all([
      familyOf(expected),
      profile.generations(),
      profile.present(),
    ]);
    return { family, generations, present };
  }

  /** Between attempts: what runs, was booted and boots next stays in the store, and a boot that was counted is called good. */
  async settled({ current, booted, bootDefault }: Seen): Promise<void> {
    const { store, log, bootCounting, paths } = this.#parts;
    const roots = { current, booted, 'boot-default': bootDefault?.closure };
    const wanted = JSON.stringify(roots);
    if (this.#roots !== wanted) {
      // Tried once for each state of the machine; the links of NixOS itself keep most of it anyway.
      this.#roots = wanted;
      for (const [name, closure] of Object.entries(roots)) {
        if (closure === undefined || (await readStoreLink('/', join(paths.gcRoots, name))) === closure) continue;
        const kept = await store.keep(name, closure, AbortSignal.timeout(KEEP_LIMIT_MS));
        if (kept.code !== 0)
          log.warn(`${closure} (${name}) can't be kept from the garbage collector: ${complaintOf(kept)}`);
      }
    }
    const complaint = bootCounting ? await sayBootWasGood(paths, runCommand) : undefined;
    if (complaint !== undefined) log.warn(complaint);
  }

  async #giveBack(): Promise<void> {
    const { pid, arch } = process;
    const ports = { command: runCommand, read: readOwn, pid, arch };
    const given = await giveBackFilePages(ports, AbortSignal.timeout(KEEP_LIMIT_MS));
    if (given.kind === 'left') return;
    const [before = 0, after = 0] = [given.before, given.after].map((bytes) => Math.round(bytes / 2 ** 20));
    if (after === before) return;
    this.#parts.log.info(`at rest: ${before} MiB of program files were in memory, ${after} MiB are left`);
  }

  /** Whether a kernel that does not come up falls back without anyone. */
  async hasFallback(): Promise<boolean> {
    const { bootCounting, paths } = this.#parts;
    return bootCounting && (await readBootLoader(paths))?.loader === 'systemd-boot';
  }

  async undoes({ current, bootDefault }: Seen): Promise<boolean> {
    if (current === undefined || bootDefault === undefined || current === bootDefault.closure) return false;
    const [running, booting] = await Promise.all([familyOf(current), familyOf(bootDefault.closure)]);
    return !running.includes(bootDefault.closure) && !booting.includes(current);
  }

  rebootReasons(booted: string | undefined, wanted: string | undefined): Promise<string[]> {
    return rebootReasons(booted, wanted);
  }

  async facts(current: string | undefined): Promise<Record<string, string>> {
    this.#nixVersion ??= await this.#parts.store.version(AbortSignal.timeout(KEEP_LIMIT_MS));
    const read = async (name: string) =>
      current === undefined ? undefined : readFile(join(current, name), 'utf8').catch(() => undefined);
    const [system, nixos, loader] = await Promise.all([
      read('system'),
      read('nixos-version'),
      readBootLoader(this.#parts.paths),
    ]);
    const facts = {
      hostName: hostname(),
      kernel: release(),
      agent: AGENT_VERSION,
      nix: this.#nixVersion,
      system,
      nixos,
      bootLoader: loader?.loader,
    };
    return Object.fromEntries(
      Object.entries(facts).flatMap(([key, value]) =>
        value === undefined || value === '' ? [] : [[key, value.trim()]],
      ),
    );
  }

  async finished(record: AttemptRecord): Promise<void> {
    await forgetRuns(this.#parts.paths.runs, attemptName(record.order));
    // After a roll-back this may be the agent of a closure that no longer runs.
    const touched = record.undone || (record.phase === 'Failed' && record.systemTouched);
    if (touched) await this.#parts.host.refreshAgent?.(AbortSignal.timeout(KEEP_LIMIT_MS));
  }
}

// A fleet flake for a scenario: written to a folder, published or put into a NixConfig, and built on the host for a machine's first system.
import { copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { inBuildStore, tryInBuildStore } from './build-store.ts';
import { projectDir, recipe } from './paths.ts';
import type { RunResult } from './run.ts';

export interface FleetContent {
  /** Each machine's module, by name: Nix text such as `{ services.hello.greeting = "Hi"; }`. */
  readonly machines: Readonly<Record<string, string>>;
  /** A module for all of them. Default: `hello.service` is on. */
  readonly common?: string;
  /** Without it the machines have no agent. */
  readonly agent?: FleetAgent;
}

interface FleetAgent {
  /** The bundle, `dist/floe-agent.mjs`: it becomes a store path of the closure. */
  readonly bundle: string;
  /** Merged into `/etc/floe-agent.json`; `machine` is each machine's name where it is not said. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Public keys whose closures the machines run, as `name:base64`. */
  readonly trustedPublicKeys: readonly string[];
}

export class Fleet {
  readonly dir: string;

  /** `dir` is made by {@link write}. */
  constructor(dir: string) {
    this.dir = dir;
  }

  /** Replaces the whole folder. */
  async write(content: FleetContent): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
    await mkdir(join(this.dir, 'machines'), { recursive: true });
    await copyFile(recipe('fleet', 'flake.nix'), join(this.dir, 'flake.nix'));
    for (const part of ['lib', 'scripts']) await cp(recipe('fleet', part), join(this.dir, part), { recursive: true });
    await copyFile(join(projectDir, 'nix/hardening.nix'), join(this.dir, 'lib/agent-hardening.nix'));
    await writeFile(join(this.dir, 'common.nix'), content.common ?? '{ services.hello.enable = true; }\n');
    for (const [name, module] of Object.entries(content.machines)) {
      await writeFile(join(this.dir, 'machines', `${name}.nix`), `${module.trim()}\n`);
    }
    if (content.agent) {
      const { bundle, settings, trustedPublicKeys } = content.agent;
      await copyFile(bundle, join(this.dir, 'floe-agent.mjs'));
      await writeFile(join(this.dir, 'agent.json'), JSON.stringify({ settings, trustedPublicKeys }, undefined, 2));
    }
  }

  /** Every file by its path, as `spec.source.inline.files` takes them. Only sensible without an agent, whose bundle is too large for an object. */
  async files(): Promise<Record<string, string>> {
    const entries = await readdir(this.dir, { recursive: true, withFileTypes: true });
    const files: Record<string, string> = {};
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files[relative(this.dir, path)] = await readFile(path, 'utf8');
    }
    return files;
  }

  /** Builds a machine's system in the test bed's own store; `modules` are Nix expressions for `extendModules`. Returns the toplevel. */
  async build(machine: string, modules: readonly string[] = []): Promise<string> {
    const printed = await inBuildStore(buildCommand(machine, modules), { binds: { '/fleet': this.dir } });
    return printed.trim();
  }

  /** Like {@link build}, where failing is what is wanted. */
  tryBuild(machine: string, modules: readonly string[] = []): Promise<RunResult> {
    return tryInBuildStore(buildCommand(machine, modules), { binds: { '/fleet': this.dir } });
  }
}

/** The command that builds the fleet at `/fleet`. */
export function buildCommand(machine: string, modules: readonly string[]): string[] {
  const list = modules.map((module) => `(${module})`).join(' ');
  const expression = `((builtins.getFlake "path:/fleet").nixosConfigurations."${machine}".extendModules { modules = [ ${list} ]; }).config.system.build.toplevel`;
  return ['nix', 'build', '--no-link', '--print-out-paths', '--impure', '--expr', expression];
}

export interface SigningKey {
  /** `name:base64`, as Nix writes them. */
  readonly secret: string;
  readonly public: string;
}

export async function makeSigningKey(name: string): Promise<SigningKey> {
  const secret = (await inBuildStore(['nix', 'key', 'generate-secret', '--key-name', name])).trim();
  const publicKey = await inBuildStore(['nix', 'key', 'convert-secret-to-public'], { input: secret });
  return { secret, public: publicKey.trim() };
}

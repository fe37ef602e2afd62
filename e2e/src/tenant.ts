// A namespace of a scenario's own: configs with machines that exist in the API only, so that builds disturb nobody.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfig, NixConfigSpec } from '@floe/crds/nix-config';
import type { Condition } from '@floe/crds/object-meta';
import type { ControllerRevision, RevisionRecord } from '@floe/crds/revision-record';
import { Fleet } from '../bed/fleet.ts';
import type { Published, PublishOptions } from '../bed/sources.ts';
import { waitUntil } from '../bed/wait-until.ts';
import type { Installation } from './installation.ts';
import { condition } from './observe.ts';

const API = 'floe.dev/v1alpha1';

/** What a config says when a wait for it has ended. */
export interface Seen {
  readonly config: NixConfig;
  readonly ready: Condition;
}

/** Modules by machine name, and one for all. */
export interface Content {
  readonly machines: Readonly<Record<string, string>>;
  readonly common?: string;
}

export interface RepositoryOptions extends PublishOptions {
  /** Folder of the repository that holds the flake; default its root. */
  readonly path?: string;
}

interface Limit {
  /** Default 120: builds share few cores. */
  readonly timeoutSeconds?: number;
}

export class Tenant {
  readonly namespace: string;
  readonly #floe: Installation;

  private constructor(floe: Installation, namespace: string) {
    this.#floe = floe;
    this.namespace = namespace;
  }

  /** A new namespace; one that an earlier run left is removed first. */
  static async create(floe: Installation, namespace: string): Promise<Tenant> {
    const tenant = new Tenant(floe, namespace);
    await tenant.remove();
    await floe.cluster.kubectl(['create', 'namespace', namespace]);
    return tenant;
  }

  /** The namespace and everything in it is gone. */
  async remove(): Promise<void> {
    const { cluster } = this.#floe;
    // Not by the namespace alone: its deletion waits for what controllers still make in it.
    const gone = ['delete', 'namespace', this.namespace, '--ignore-not-found', '--wait', '--timeout=120s'];
    await cluster.kubectl(gone, { timeoutSeconds: 150 });
  }

  kubectl(...args: string[]): Promise<string> {
    return this.#floe.cluster.kubectl(['-n', this.namespace, ...args]);
  }

  async apply(...objects: object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await this.#floe.cluster.kubectl(['-n', this.namespace, 'apply', '-f', '-'], { input });
  }

  /** A NixConfig that looks at its source every two seconds. */
  config(name: string, spec: NixConfigSpec): object {
    return {
      apiVersion: API,
      kind: 'NixConfig',
      metadata: { name, namespace: this.namespace },
      spec: { interval: '2s', ...spec },
    };
  }

  /** NixMachines of a config; `NAME` has the closure of `hostName` NAME in the flake. */
  machines(config: string, names: readonly string[], labels: Readonly<Record<string, string>> = {}): object[] {
    return names.map((name) => ({
      apiVersion: API,
      kind: 'NixMachine',
      metadata: { name, namespace: this.namespace, labels },
      spec: { configRef: { name: config } },
    }));
  }

  secret(name: string, stringData: Readonly<Record<string, string>>): object {
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: this.namespace }, stringData };
  }

  /** Publishes a fleet without agents as a commit of repository `name`. */
  async publish(name: string, content: Content, options: RepositoryOptions = {}): Promise<Published> {
    const { path, ...publish } = options;
    const folder = await this.folder(name);
    await new Fleet(join(folder, path ?? '')).write(content);
    return this.#floe.cluster.sources.publish(name, folder, publish);
  }

  /** An empty folder to publish from. */
  async folder(name: string): Promise<string> {
    const folder = join(this.#floe.cluster.dir, `tenant-${this.namespace}`, name);
    await rm(folder, { recursive: true, force: true });
    return folder;
  }

  /** The files of such a fleet, for `spec.source.inline`. */
  async files(content: Content): Promise<Record<string, string>> {
    const fleet = new Fleet(await this.folder('inline'));
    await fleet.write(content);
    return fleet.files();
  }

  async get(name: string): Promise<NixConfig> {
    const path = `/apis/${API}/namespaces/${this.namespace}/nixconfigs/${name}`;
    return (await this.#floe.cluster.request('GET', path)) as NixConfig;
  }

  /** Waits until the config says so of its present spec. */
  async until(name: string, what: string, done: (seen: Seen) => boolean, limit: Limit = {}): Promise<Seen> {
    let last: NixConfig | undefined;
    return waitUntil(
      async () => {
        last = await this.get(name);
        const ready = condition(last, 'Ready');
        if (ready === undefined || last.status?.observedGeneration !== last.metadata.generation) return undefined;
        const seen = { config: last, ready };
        return done(seen) ? seen : undefined;
      },
      {
        what: `NixConfig ${name}: ${what}`,
        everySeconds: 0.5,
        timeoutSeconds: limit.timeoutSeconds ?? 120,
        explain: async () => `${JSON.stringify(last?.status, undefined, 1)}\n${await this.#around()}`,
      },
    );
  }

  /** Waits for the reason of `Ready`. */
  untilReason(name: string, reason: string, limit: Limit = {}): Promise<Seen> {
    return this.until(name, `Ready with reason ${reason}`, ({ ready }) => ready.reason === reason, limit);
  }

  /** Waits until the config is built, from that commit where one is given. */
  untilBuilt(name: string, commit?: string, limit: Limit = {}): Promise<Seen> {
    const short = commit?.slice(0, 7) ?? '';
    return this.until(
      name,
      `${short || 'its source'} to be built`,
      ({ config, ready }) => ready.reason === 'Built' && (config.status?.revision?.source ?? '').endsWith(short),
      limit,
    );
  }

  /** What is stored of a config, oldest first. */
  async records(config: string): Promise<RevisionRecord[]> {
    const path = `/apis/apps/v1/namespaces/${this.namespace}/controllerrevisions?labelSelector=floe.dev/config=${config}`;
    const items = await this.#floe.cluster.items<ControllerRevision>(path);
    return items.toSorted((a, b) => a.revision - b.revision).flatMap(({ data }) => (data === undefined ? [] : [data]));
  }

  /** Names of the build Jobs that are there. */
  async jobs(): Promise<string[]> {
    const path = `/apis/batch/v1/namespaces/${this.namespace}/jobs`;
    const items = await this.#floe.cluster.items<{ metadata: { name: string } }>(path);
    return items.map(({ metadata }) => metadata.name);
  }

  /** What Events say that Jobs were started for, oldest first. */
  async started(config: string): Promise<string[]> {
    const selector = `reason=BuildStarted,involvedObject.name=${config}`;
    const path = `/api/v1/namespaces/${this.namespace}/events?fieldSelector=${encodeURIComponent(selector)}`;
    const items = await this.#floe.cluster.items<{ message: string; metadata: { creationTimestamp: string } }>(path);
    return items
      .toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp))
      .map(({ message }) => message);
  }

  async #around(): Promise<string> {
    const things = await this.kubectl('get', 'nixconfigs,jobs,pods,events.events.k8s.io').catch(String);
    return things.split('\n').slice(-40).join('\n');
  }
}

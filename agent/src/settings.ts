// The agent's configuration file: JSON, checked key by key, each fault with its remedy.
import type { GenerationsMessage } from '@floe/crds/generations';
import { isPublicKey } from '@floe/crds/nix-key';
import type { Reaction } from './secrets/unit-reactions.ts';

export type Settings = {
  /** `https://host:port` of the hub. */
  readonly hub: string;
  /** Certificates (PEM) that the hub's one must come from; absent: those that Node trusts. */
  readonly caFile?: string;
  readonly namespace: string;
  readonly machine: string;
  readonly hostKeyFile: string;
  /** File with a join token, for a machine whose NixMachine has no identity yet; it may be gone once there is one. */
  readonly joinTokenFile?: string;
  /** Keys that closures must be signed by; absent: those of Nix' configuration. */
  readonly trustedPublicKeys?: readonly string[];
  /** Substituters beside those that the hub names. */
  readonly substituters: readonly string[];
  /** Bytes that must stay free in the store when a closure is fetched. */
  readonly reserveBytes: number;
  /** Which generations of the system profile stay where the order does not say; absent: all. */
  readonly generations?: GenerationsMessage;
  /** The boot loader counts tries, and the agent says which boot was good. */
  readonly bootCounting: boolean;
  /** Group whose members may ask the agent over its local socket; absent: root alone. */
  readonly usersGroup?: string;
  /** By secret, the units that its new content concerns. */
  readonly secrets: Readonly<Record<string, Reaction>>;
};

/** Free MiB in the store that a fetch leaves for everything else. */
export const RESERVE_MIB = 512;

export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Source = { readonly file: string; readonly values: Readonly<Record<string, unknown>> };

const KNOWN = [
  'hub',
  'caFile',
  'namespace',
  'machine',
  'hostKeyFile',
  'joinTokenFile',
  'trustedPublicKeys',
  'substituters',
  'reserveMiB',
  'generations',
  'bootCounting',
  'usersGroup',
  'secrets',
];
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

function fault(source: Source, key: string, what: string): SettingsError {
  return new SettingsError(`${source.file}: ${key}: ${what}`);
}

function text(source: Source, key: string, remedy: string): string {
  const value = source.values[key];
  if (value === undefined) throw fault(source, key, `it is missing; ${remedy}`);
  if (typeof value !== 'string' || value === '')
    throw fault(source, key, `${JSON.stringify(value)} is no text; ${remedy}`);
  return value;
}

function optionalText(source: Source, key: string, remedy: string): string | undefined {
  return source.values[key] === undefined ? undefined : text(source, key, remedy);
}

function name(source: Source, key: string, remedy: string): string {
  const value = text(source, key, remedy);
  if (!NAME.test(value)) throw fault(source, key, `"${value}" is no name of a Kubernetes object; ${remedy}`);
  return value;
}

function list(source: Source, key: string, remedy: string): string[] | undefined {
  const value = source.values[key];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((one): one is string => typeof one === 'string')) {
    throw fault(source, key, `it is no list of texts; ${remedy}`);
  }
  return value;
}

const UNIT = /^[A-Za-z0-9:_.@\\-]+\.[a-z]+$/;

/** `secrets`: which units a new content concerns. */
function reactions(source: Source): Record<string, Reaction> {
  const remedy = 'write {"NAME": {"restartUnits": ["nginx.service"], "reloadUnits": []}}';
  const value = source.values['secrets'];
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw fault(source, 'secrets', `it is no object; ${remedy}`);
  const entries = Object.entries(value as Record<string, unknown>).map(([name, given]): [string, Reaction] => {
    const values = (typeof given === 'object' && given !== null ? given : {}) as Record<string, unknown>;
    const inner: Source = { file: `${source.file}: secrets.${name}`, values };
    const units = (key: string) => list(inner, key, remedy) ?? [];
    const reaction = { restartUnits: units('restartUnits'), reloadUnits: units('reloadUnits') };
    const wrong = [...reaction.restartUnits, ...reaction.reloadUnits].find((unit) => !UNIT.test(unit));
    if (wrong !== undefined) throw fault(source, 'secrets', `"${wrong}" is no unit; ${remedy}`);
    return [name, reaction];
  });
  return Object.fromEntries(entries);
}

function amount(source: Source, key: string, remedy: string): number | undefined {
  const value = source.values[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= 0)) {
    throw fault(source, key, `${JSON.stringify(value)} is no number from 0 up; ${remedy}`);
  }
  return value;
}

function generationsOf(source: Source): GenerationsMessage | undefined {
  const remedy = 'write {"keep": 10, "maxAgeSeconds": 2592000} or leave it out';
  const value = source.values['generations'];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value))
    throw fault(source, 'generations', `it is no object; ${remedy}`);
  const inner: Source = { file: `${source.file}: generations`, values: value as Record<string, unknown> };
  const keep = amount(inner, 'keep', remedy);
  const maxAgeSeconds = amount(inner, 'maxAgeSeconds', remedy);
  if (keep === undefined && maxAgeSeconds === undefined) return undefined;
  if (keep !== undefined && (keep < 1 || !Number.isInteger(keep)))
    throw fault(inner, 'keep', `use 1 or more; ${remedy}`);
  return { ...(keep === undefined ? {} : { keep }), ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }) };
}

function hubUrl(source: Source): string {
  const remedy = 'set it to the address of the hub, https://floe.example.org:8443 for instance';
  const value = text(source, 'hub', remedy);
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:') throw fault(source, 'hub', `"${value}" is no https URL; ${remedy}`);
  if (url.username !== '' || url.search !== '' || url.hash !== '') {
    throw fault(source, 'hub', `"${value}" has more than host and port; ${remedy}`);
  }
  return value;
}

/** Parses the configuration. Throws SettingsError that names file, key and remedy. */
export function parseSettings(content: string, file: string): Settings {
  let values: unknown;
  try {
    values = JSON.parse(content);
  } catch (error: unknown) {
    throw new SettingsError(
      `${file}: it is no JSON (${error instanceof Error ? error.message : error}); correct the file`,
    );
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new SettingsError(`${file}: it is no JSON object; write {"hub": …, "namespace": …, "machine": …}`);
  }
  const source: Source = { file, values: values as Record<string, unknown> };
  const unknown = Object.keys(values).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw fault(source, unknown, `there is no such key; use ${KNOWN.join(', ')}`);
  const keys = list(source, 'trustedPublicKeys', 'write keys as Nix does, name:base64');
  const wrong = keys?.find((key) => !isPublicKey(key));
  if (wrong !== undefined)
    throw fault(source, 'trustedPublicKeys', `"${wrong}" is no public key; write it as Nix does, name:base64`);
  const caFile = optionalText(source, 'caFile', 'set it to a file of PEM certificates or leave it out');
  const generations = generationsOf(source);
  const joinTokenFile = optionalText(source, 'joinTokenFile', 'set it to a file with a join token or leave it out');
  const keyFile = source.values['hostKeyFile'];
  return {
    hub: hubUrl(source),
    namespace: name(source, 'namespace', 'set it to the namespace of the NixMachine'),
    machine: name(source, 'machine', 'set it to the name of the NixMachine'),
    hostKeyFile:
      keyFile === undefined
        ? '/etc/ssh/ssh_host_ed25519_key'
        : text(source, 'hostKeyFile', 'set it to the private ed25519 host key'),
    substituters: list(source, 'substituters', 'write URLs') ?? [],
    reserveBytes: (amount(source, 'reserveMiB', 'write MiB that must stay free') ?? RESERVE_MIB) * 2 ** 20,
    ...(generations === undefined ? {} : { generations }),
    bootCounting: source.values['bootCounting'] === true,
    secrets: reactions(source),
    ...(source.values['usersGroup'] === undefined
      ? {}
      : { usersGroup: text(source, 'usersGroup', 'name a group of the machine or leave it out') }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(joinTokenFile === undefined ? {} : { joinTokenFile }),
    ...(keys === undefined ? {} : { trustedPublicKeys: keys }),
  };
}

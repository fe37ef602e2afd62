// Puts the real parts together: which machine, which store, which journal. The only place that knows them all.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock, HubConfirmer } from '../attempt/ports.ts';
import { confirmOnce } from '../hub/confirm.ts';
import type { Caller } from '../hub/connect.ts';
import { proxyFor } from '../hub/proxy.ts';
import { TransportMemory } from '../hub/transport.ts';
import { type HostKey, HostKeyError, parseHostKey } from '../identity/openssh-key.ts';
import { diskFiles } from '../journal/files.ts';
import { JournalFile } from '../journal/journal.ts';
import { Ledger } from '../journal/ledger.ts';
import { lock } from '../journal/lock.ts';
import { type Log, lineLog } from '../log.ts';
import { readCertificateFile } from '../machine/certificate-file.ts';
import { runCommand } from '../machine/command.ts';
import type { Host } from '../machine/host.ts';
import { PlainHost } from '../machine/plain-host.ts';
import { RealMachine } from '../machine/real-machine.ts';
import { closureOf } from '../machine/store-link.ts';
import { SystemdHost } from '../machine/systemd-host.ts';
import { type Paths, pathsUnder } from '../paths.ts';
import { realClock } from '../real-clock.ts';
import { parseSettings, RESERVE_MIB, type Settings, SettingsError } from '../settings.ts';
import { NixStore } from '../store/nix-store.ts';
import { SystemProfile } from '../store/system-profile.ts';
import { TruthKeeper } from '../truth/keeper.ts';
import { TruthFile } from '../truth/truth-file.ts';
import { AGENT_VERSION } from '../version.ts';

/** Characters of a join token that the hub takes. */
const MAX_TOKEN = 512;

/** Command line of this agent, for units and timers that outlive it. */
function ownProgram(): readonly string[] {
  const given = process.env['FLOE_AGENT_PROGRAM'];
  if (given !== undefined && given !== '') return [given];
  return [process.execPath, resolve(process.argv[1] ?? '')];
}

export type World = {
  readonly paths: Paths;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly host: Host;
  readonly machine: RealMachine;
  readonly truth: TruthKeeper;
  /** Reads the configuration. Throws SettingsError. */
  readonly settings: () => Promise<Settings>;
  readonly caller: () => Promise<Caller>;
  readonly hub: HubConfirmer;
};

type Choices = { readonly root: string; readonly config?: string; readonly joinTokenFile?: string };

async function readSettings(paths: Paths, config: string | undefined): Promise<Settings> {
  const file = config ?? paths.config;
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError(
      `${file}: it can't be read (${error.code}); write {"hub": …, "namespace": …, "machine": …} there`,
    );
  });
  return parseSettings(text, file);
}

/** Makes callers from the present configuration; the TLS context is kept while its certificates are the same. */
function callerFactory(paths: Paths, settings: () => Promise<Settings>): () => Promise<Caller> {
  let kept: { readonly ca: string; readonly context: SecureContext } | undefined;
  const tls = async (caFile: string | undefined): Promise<SecureContext | undefined> => {
    if (caFile === undefined) return undefined;
    const file = paths.resolve(caFile);
    const content = await readCertificateFile(file).catch((error: NodeJS.ErrnoException) => {
      const why = error.code ?? error.message;
      throw new SettingsError(`caFile: ${file} can't be read (${why}); put the certificate of the hub's CA there`);
    });
    const ca = content.toString('utf8');
    if (kept?.ca !== ca) kept = { ca, context: createSecureContext({ ca: [ca] }) };
    return kept.context;
  };
  const transports = new TransportMemory();
  return async () => {
    const { hub, caFile, namespace, machine, hostKeyFile, joinTokenFile } = await settings();
    const file = paths.resolve(hostKeyFile);
    const running = closureOf(ownProgram()[0] ?? '') ?? closureOf(ownProgram()[1] ?? '');
    return {
      address: { url: hub, tls: await tls(caFile), proxy: proxyFor(hub, process.env) },
      transports,
      joinToken: joinTokenFile === undefined ? undefined : await readJoinToken(paths.resolve(joinTokenFile)),
      namespace,
      machine,
      key: await readHostKey(file),
      agent: { version: AGENT_VERSION, ...(running === undefined ? {} : { running }), features: ['secrets'] },
    };
  };
}

/** The text of the file; none where it is gone, as it may be once the machine is known. */
async function readJoinToken(file: string): Promise<string | undefined> {
  const token = (await readFile(file, 'utf8').catch(() => '')).trim();
  return token === '' || token.length > MAX_TOKEN ? undefined : token;
}

async function readHostKey(file: string): Promise<HostKey> {
  try {
    return parseHostKey(await readFile(file, 'utf8'));
  } catch (error: unknown) {
    const why = error instanceof HostKeyError ? error.message : `it can't be read (${String(error)})`;
    throw new HostKeyError(`hostKeyFile ${file}: ${why}`, { cause: error });
  }
}

/** Whether this process is the unit of that name, as systemd tells its services. */
async function isUnit(name: string): Promise<boolean> {
  const groups = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  return process.env['INVOCATION_ID'] !== undefined && groups.trimEnd().endsWith(`/${name}`);
}

/** The real world for one command. */
export async function compose({ root, config, joinTokenFile }: Choices): Promise<World> {
  const paths = pathsUnder(resolve(root));
  const program = ownProgram();
  const log = lineLog((line) => process.stderr.write(line), process.env['JOURNAL_STREAM'] !== undefined);
  const agentUnit = process.env['FLOE_AGENT_UNIT'] ?? 'floe-agent.service';
  const heard = (text: string) => {
    for (const line of text.split('\n').filter((one) => one !== '')) log.info(`switch: ${line}`);
  };
  const settings = async () => ({
    ...(await readSettings(paths, config)),
    ...(joinTokenFile === undefined ? {} : { joinTokenFile }),
  });
  const known = await settings().catch(() => undefined);
  const store = new NixStore({
    paths,
    command: runCommand,
    log,
    trustedPublicKeys: known?.trustedPublicKeys,
    substituters: known?.substituters ?? [],
    reserveBytes: known?.reserveBytes ?? RESERVE_MIB * 2 ** 20,
  });
  const isService = paths.isHost && (await isUnit(agentUnit));
  const host = paths.isHost
    ? new SystemdHost({
        paths,
        program,
        command: runCommand,
        clock: realClock,
        agentUnit,
        isService,
      })
    : new PlainHost({ paths, program, heard });
  const caller = callerFactory(paths, settings);
  const rules = known?.generations === undefined ? {} : { generations: known.generations };
  const machine = new RealMachine({
    paths,
    store,
    profile: new SystemProfile(paths, runCommand),
    host,
    log,
    program,
    bootCounting: known?.bootCounting ?? false,
    agentUnit,
    isService,
    ...rules,
  });
  return {
    paths,
    log,
    clock: realClock,
    ledger: new Ledger(new JournalFile(diskFiles, paths.state), (signal) => lock(paths.lock, signal)),
    host,
    machine,
    truth: new TruthKeeper({
      store: new TruthFile(diskFiles, paths.state),
      evidence: (expected) => machine.evidence(expected),
      clock: realClock,
      log,
    }),
    settings,
    caller,
    hub: {
      confirm: async (attempt, closure, signal) => {
        try {
          return await confirmOnce(await caller(), attempt, closure, signal);
        } catch (error: unknown) {
          // A configuration or key that the new closure spoilt: nobody is asked with it.
          return { kind: 'unreachable', message: error instanceof Error ? error.message : String(error) };
        }
      },
    },
  };
}

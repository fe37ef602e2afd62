// A try of an http check: one request from the machine itself, judged by status and body.
import { Buffer } from 'node:buffer';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as secure } from 'node:tls';
import { createContext, Script } from 'node:vm';
import type { HealthCheck } from '@floe/crds/health-check';
import { isLate, type Network } from './network.ts';
import type { Probe, Tried } from './probe.ts';

type Http = NonNullable<HealthCheck['http']>;

/** One request may take this long. */
const LIMIT_MS = 10_000;
/** Bytes of the body that are read. */
const MAX_BODY_BYTES = 64 * 1024;
/** A regular expression may need this long; one that needs ages must not stop the agent. */
const MATCH_LIMIT_MS = 500;
/** Characters of the body that are shown where it fails. */
const SHOWN = 200;

type Answer = { readonly status: number; readonly body: string };

/** Tries whether the address answers as it should. */
export function httpProbe(check: Http, network: Network): Probe {
  return async (signal) => {
    try {
      return judge(check, await ask(check, network, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])));
    } catch (error: unknown) {
      return { passed: false, said: `${check.url}: ${reason(error)}` };
    }
  };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isLate(error)) return 'no answer in time';
  const code = 'code' in error ? String(error.code) : '';
  return code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** Connects, with TLS where the address asks for it. What is wrong with a certificate is an error of the stream. */
async function connected({ url, tls = {} }: Http, network: Network, signal: AbortSignal): Promise<Duplex> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (protocol === 'http:') return network.dial({ host, port: Number(port || 80) }, signal);
  const { insecureSkipVerify = false, caFile = network.trusted } = tls;
  const ca = caFile === undefined || insecureSkipVerify ? {} : { ca: await network.read(caFile, signal) };
  const socket = await network.dial({ host, port: Number(port || 443) }, signal);
  const name = isIP(host) === 0 ? { servername: host } : {};
  return secure({ socket, host, ...name, ...ca, rejectUnauthorized: !insecureSkipVerify });
}

async function ask(check: Http, network: Network, signal: AbortSignal): Promise<Answer> {
  const socket = await connected(check, network, signal);
  try {
    return await exchange(check, socket, signal);
  } catch (error: unknown) {
    // A stream that is no socket of this process only closes.
    signal.throwIfAborted();
    throw error;
  } finally {
    socket.destroy();
  }
}

function exchange({ url, method = 'GET', headers = {} }: Http, socket: Duplex, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const told = (answer: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const done = () => {
        const body = Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8');
        resolve({ status: answer.statusCode ?? 0, body });
      };
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size < MAX_BODY_BYTES) return;
        done();
        answer.destroy();
      });
      answer.once('end', done);
      answer.once('error', reject);
    };
    const request = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
    const said = { 'user-agent': 'floe-agent', ...headers };
    request(url, { method, headers: said, signal, createConnection: () => socket })
      .once('response', told)
      .once('error', reject)
      .end();
  });
}

function judge({ url, status, body }: Http, answer: Answer): Tried {
  const fits = status === undefined ? answer.status >= 200 && answer.status < 300 : status.includes(answer.status);
  const shown = answer.body.trim().slice(0, SHOWN);
  if (!fits) {
    const wanted = status === undefined ? '200 to 299' : status.join(', ');
    return { passed: false, said: `${url} answers ${answer.status}, wanted is ${wanted}: ${shown || 'no body'}` };
  }
  return judgeBody(url, body ?? {}, answer) ?? { passed: true, said: `${url} answers ${answer.status}` };
}

/** What is wrong with the body; undefined where nothing is. */
function judgeBody(url: string, body: NonNullable<Http['body']>, answer: Answer): Tried | undefined {
  const shown = answer.body.trim().slice(0, SHOWN) || 'it is empty';
  if (body.contains !== undefined && !answer.body.includes(body.contains)) {
    return { passed: false, said: `${url}: the body has no "${body.contains}": ${shown}` };
  }
  if (body.matches === undefined) return undefined;
  switch (matches(body.matches, answer.body)) {
    case true:
      return undefined;
    case false:
      return { passed: false, said: `${url}: the body does not match /${body.matches}/: ${shown}` };
    case 'invalid':
      return { passed: false, hopeless: true, said: `/${body.matches}/ is no regular expression: correct the check` };
    case 'late': {
      const said = `/${body.matches}/ needs more than ${MATCH_LIMIT_MS} ms on the body of ${url}: make it simpler`;
      return { passed: false, hopeless: true, said };
    }
  }
}

function matches(pattern: string, text: string): boolean | 'invalid' | 'late' {
  try {
    new RegExp(pattern);
  } catch {
    return 'invalid';
  }
  try {
    const script = new Script('new RegExp(pattern).test(text)');
    return script.runInContext(createContext({ pattern, text }), { timeout: MATCH_LIMIT_MS }) === true;
  } catch {
    return 'late';
  }
}

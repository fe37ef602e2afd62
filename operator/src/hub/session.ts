// The state machine of one connection: what came in, what follows. No socket, no clock, no store.
import { parseAgentMessage } from '@floe/crds/parse';
import { faultOf } from '@floe/crds/parsed';
import type { Confirm, Confirmed, Denied, DesiredMessage, Hello, HubMessage, MachineState } from '@floe/crds/protocol';
import { PROTOCOL_VERSIONS } from '@floe/crds/protocol-limits';
import type { SecretMessage, SecretsMessage } from '@floe/crds/secrets';
import type { Admitted, Refusal, RefusalReason } from './admission.ts';

/** Close codes of the hub; docs/spec/agent-protocol.md lists them. */
export const CLOSE = {
  done: 1000,
  /** Refused, or it broke the protocol. */
  policy: 1008,
  /** This replica ends, or another has the machine: connect again. */
  restart: 1012,
  /** No answer to three pings, or no hello in time. */
  silent: 4000,
  /** A newer connection of the same machine took its place. */
  replaced: 4001,
} as const;

/** Pings without any sign of life after which a connection is dead. */
const MISSED_LIMIT = 3;
/** Messages that an agent may send at once, and each second in the long run. */
const BURST = 60;
const PER_SECOND = 10;

export type SessionState = {
  readonly phase: 'greeting' | 'session' | 'confirming' | 'closed';
  /** `seq` of the last report. */
  readonly seq: number;
  /** The order that was sent last, as JSON. */
  readonly sent: string | undefined;
  /** The list of secrets that was sent last, as JSON. */
  readonly secrets: string | undefined;
  /** Pings since the last sign of life. */
  readonly missed: number;
  /** What is left of the message rate, and when that was, in seconds. */
  readonly budget: { readonly left: number; readonly at: number };
};

export type SessionInput =
  | { kind: 'opened'; nonce: string }
  /** A text frame; `at` is monotonic, in seconds. */
  | { kind: 'text'; text: string; at: number }
  /** What came in is no message at all. */
  | { kind: 'malformed'; message: string }
  | { kind: 'pong' }
  | { kind: 'heartbeat' }
  | { kind: 'timeout' }
  | {
      kind: 'admitted';
      admitted: Admitted;
      hello: Pick<Hello, 'purpose' | 'version'>;
      replica: string;
      heartbeatSeconds: number;
    }
  /** `reason` is the true one where the refusal says less. */
  | { kind: 'refused'; refusal: Refusal; reason?: RefusalReason }
  | { kind: 'desired'; message: DesiredMessage | undefined }
  | { kind: 'secrets'; message: SecretsMessage }
  | { kind: 'secret'; message: SecretMessage }
  | { kind: 'stored'; seq: number }
  | { kind: 'verdict'; verdict: Confirmed | Denied }
  | { kind: 'replaced' }
  | { kind: 'elsewhere' }
  | { kind: 'draining' };

export type SessionAction =
  | { kind: 'send'; message: HubMessage }
  /** Judge this hello; answer with `admitted` or `refused`. */
  | { kind: 'admit'; hello: Hello }
  | { kind: 'report'; seq: number; state: MachineState }
  /** Judge this confirmation; answer with `verdict` or `refused`. */
  | { kind: 'confirm'; confirm: Confirm }
  /** Send the content of these, if they are its own. */
  | { kind: 'wantSecrets'; names: readonly string[] }
  | { kind: 'ping' }
  | { kind: 'count'; refused: RefusalReason }
  | { kind: 'close'; code: number; reason: string };

export type SessionStep = { readonly state: SessionState; readonly actions: readonly SessionAction[] };

/** A connection that has just been made. */
export const newSession: SessionState = {
  phase: 'greeting',
  seq: 0,
  sent: undefined,
  secrets: undefined,
  missed: 0,
  budget: { left: BURST, at: 0 },
};

/** The next state of a connection and what is to be done. A closed one takes everything and does nothing. */
export function step(state: SessionState, input: SessionInput): SessionStep {
  if (state.phase === 'closed') return { state, actions: [] };
  switch (input.kind) {
    case 'opened':
      return stay(state, [
        { kind: 'send', message: { type: 'challenge', nonce: input.nonce, versions: [...PROTOCOL_VERSIONS] } },
      ]);
    case 'text':
      return onText(state, input.text, input.at);
    case 'malformed':
      return refuse(state, badMessage(input.message));
    case 'pong':
      return stay({ ...state, missed: 0 });
    case 'heartbeat':
      return state.missed >= MISSED_LIMIT
        ? end(state, CLOSE.silent, `no answer to ${MISSED_LIMIT} pings`)
        : stay({ ...state, missed: state.missed + 1 }, [{ kind: 'ping' }]);
    case 'timeout':
      return end(state, CLOSE.silent, 'not done in time');
    case 'admitted':
      return onAdmitted(state, input);
    case 'refused':
      return refuse(state, input.refusal, input.reason);
    case 'desired':
      return onDesired(state, input.message);
    case 'secrets':
      return onSecrets(state, input.message);
    case 'secret':
      return state.phase === 'session' ? stay(state, [{ kind: 'send', message: input.message }]) : stay(state);
    case 'stored':
      return state.phase === 'session'
        ? stay(state, [{ kind: 'send', message: { type: 'ack', seq: input.seq } }])
        : stay(state);
    case 'verdict':
      return close(state, CLOSE.done, 'answered', [{ kind: 'send', message: input.verdict }]);
    case 'replaced':
      return end(state, CLOSE.replaced, 'replaced by a newer connection');
    case 'elsewhere':
      return end(state, CLOSE.restart, 'connected to another replica');
    case 'draining':
      return state.phase === 'greeting' ? refuse(state, draining) : end(state, CLOSE.restart, 'this replica ends');
  }
}

/** Refusal of new connections while this replica ends. */
export const draining: Refusal = {
  kind: 'refused',
  reason: 'Draining',
  message: 'this replica ends; connect again to reach another',
  retryAfterSeconds: 1,
};

/** Refusal while this replica can't know the answer yet. */
export function notReady(message: string): Refusal {
  return { kind: 'refused', reason: 'NotReady', message, retryAfterSeconds: 2 };
}

function badMessage(message: string): Refusal {
  return { kind: 'refused', reason: 'BadMessage', message };
}

const stay = (state: SessionState, actions: readonly SessionAction[] = []): SessionStep => ({ state, actions });

function close(state: SessionState, code: number, reason: string, before: readonly SessionAction[]): SessionStep {
  return { state: { ...state, phase: 'closed' }, actions: [...before, { kind: 'close', code, reason }] };
}

const end = (state: SessionState, code: number, reason: string): SessionStep => close(state, code, reason, []);

function refuse(
  state: SessionState,
  { reason, message, retryAfterSeconds }: Refusal,
  counted: RefusalReason = reason,
): SessionStep {
  const refused: HubMessage = {
    type: 'refused',
    reason,
    message: message.slice(0, 1024),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
  const code = reason === 'Draining' || reason === 'NotReady' ? CLOSE.restart : CLOSE.policy;
  return close(state, code, reason, [
    { kind: 'count', refused: counted },
    { kind: 'send', message: refused },
  ]);
}

function onText(before: SessionState, text: string, at: number): SessionStep {
  const left = Math.min(BURST, before.budget.left + Math.max(0, at - before.budget.at) * PER_SECOND);
  const state = { ...before, missed: 0, budget: { left: left - 1, at } };
  if (left < 1) return refuse(state, badMessage(`more than ${PER_SECOND} messages per second`));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse(state, badMessage('a message is not JSON'));
  }
  const parsed = parseAgentMessage(json);
  if (!parsed.ok) return refuse(state, badMessage(faultOf(parsed)));
  const message = parsed.value;
  if (state.phase === 'greeting' && message.type === 'hello' && state.seq === 0) {
    // One hello per connection, also while a token is looked up: seq marks that it came.
    return stay({ ...state, seq: 1 }, [{ kind: 'admit', hello: message }]);
  }
  if (state.phase === 'session' && message.type === 'report' && message.seq > state.seq) {
    return stay({ ...state, seq: message.seq }, [{ kind: 'report', seq: message.seq, state: message.state }]);
  }
  if (state.phase === 'session' && message.type === 'wantSecrets' && state.secrets !== undefined) {
    return stay(state, [{ kind: 'wantSecrets', names: message.names }]);
  }
  if (state.phase === 'confirming' && message.type === 'confirm' && state.seq === 0) {
    // One question per connection: seq marks that it was asked.
    return stay({ ...state, seq: 1 }, [{ kind: 'confirm', confirm: message }]);
  }
  return refuse(state, badMessage(`a ${message.type} is not expected here`));
}

function onAdmitted(state: SessionState, input: Extract<SessionInput, { kind: 'admitted' }>): SessionStep {
  if (state.phase !== 'greeting') return stay(state);
  const { hello, replica, heartbeatSeconds } = input;
  const { purpose, version } = hello;
  return stay({ ...state, seq: 0, phase: purpose === 'confirm' ? 'confirming' : 'session' }, [
    { kind: 'send', message: { type: 'welcome', version, replica, heartbeatSeconds } },
  ]);
}

function onDesired(state: SessionState, message: DesiredMessage | undefined): SessionStep {
  if (state.phase !== 'session' || message === undefined) return stay(state);
  const json = JSON.stringify(message);
  return json === state.sent ? stay(state) : stay({ ...state, sent: json }, [{ kind: 'send', message }]);
}

/** The list goes to a session alone, and only where it differs from the last one. */
function onSecrets(state: SessionState, message: SecretsMessage): SessionStep {
  if (state.phase !== 'session') return stay(state);
  const json = JSON.stringify(message);
  return json === state.secrets ? stay(state) : stay({ ...state, secrets: json }, [{ kind: 'send', message }]);
}

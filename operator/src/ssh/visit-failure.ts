// Why a visit failed, as metrics, Events and the machine's status name it.
import { SshError } from './connection.ts';

/** A visit that can't be made as things stand. */
export class NoVisit extends Error {
  override readonly name = 'NoVisit';
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export type VisitFailure = {
  /** Label of the metric; `failed` where the machine was reached, or is not what failed. */
  readonly result: 'refused' | 'failed' | SshError['fault'];
  /** In CamelCase, for conditions and Events. */
  readonly reason: string;
};

/** Takes whatever a visit threw. */
export function visitFailure(error: unknown): VisitFailure {
  if (error instanceof NoVisit) return { result: 'refused', reason: error.reason };
  if (!(error instanceof SshError)) return { result: 'failed', reason: 'SshVisit' };
  switch (error.fault) {
    case 'hostKey':
      return { result: 'hostKey', reason: 'WrongKey' };
    case 'login':
      return { result: 'login', reason: 'LoginRefused' };
    case 'key':
      return { result: 'key', reason: 'NoPrivateKey' };
    case 'unreachable':
      return { result: 'unreachable', reason: 'Unreachable' };
  }
}

// What the agent has beside orders: files of secrets, and the people at the machine. Each reports something of its own.
import type { MachineState } from '@floe/crds/protocol';
import type { SecretsTaker } from './hub/session.ts';

/** Files of secrets; reports how far they are. */
export interface SecretsPart extends SecretsTaker {
  readonly status: MachineState['secrets'];
  onChange(changed: () => void): void;
}

/** What the people at the machine are asked, while an order of the hub waits for them. */
export type Question = { readonly id: string; readonly closure: string; readonly until: string };

/** The people at the machine; reports what they said. */
export interface PeoplePart {
  /** The question that is open; undefined where there is none (any more). */
  ask(question: Question | undefined): void;
  readonly consent: MachineState['consent'];
  onChange(changed: () => void): void;
}

// The envelope of the long poll: protocol messages in numbered batches, for proxies that let plain HTTPS requests through only.
import { type Static, Type } from 'typebox';

/** Whole messages of the agent protocol; each is checked by itself as if it had come over a WebSocket. */
const Messages = Type.Array(Type.Object({ type: Type.String({ maxLength: 64 }) }), { maxItems: 16 });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Closing = Type.Object({
  /** As in a WebSocket close frame. */
  code: Type.Integer({ minimum: 1000, maximum: 4999 }),
  reason: Type.String({ maxLength: 256 }),
});

/** Agent -> hub, body of `POST /agent/poll` on a channel that is open. */
export const PollRequest = Type.Object({
  /** How many of the hub's messages the agent has; the hub forgets these. */
  ack: Count,
  /** Number of the first of `messages`; the first message of a channel has number 1. */
  first: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** Everything that the hub has not acknowledged yet, oldest first. */
  messages: Messages,
  /** Seconds that the hub may hold the request while it has nothing to say. */
  wait: Type.Number({ minimum: 0, maximum: 50 }),
  /** The agent ends the channel. */
  close: Type.Optional(Closing),
});

/** Hub -> agent, body of the answer. */
export const PollAnswer = Type.Object({
  /** In the answer that opens a channel: its name, a secret, which every further request carries as bearer token. */
  channel: Type.Optional(Type.String({ minLength: 32, maxLength: 128, pattern: '^[A-Za-z0-9_-]+$' })),
  /** How many of the agent's messages the hub has. */
  ack: Count,
  first: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  messages: Messages,
  /** The hub has ended the channel; nothing follows. */
  closed: Type.Optional(Closing),
});

export type PollRequest = Static<typeof PollRequest>;
export type PollAnswer = Static<typeof PollAnswer>;

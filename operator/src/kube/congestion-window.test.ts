// The window against a simulated API server: it fills the server, keeps few waiting there, and gives way to faults.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CongestionWindow } from './congestion-window.ts';
import { KubeError } from './error.ts';

const never = new AbortController().signal;

/** A server that carries out `lanes` requests at a time, each for `serviceMs`; time is virtual. */
class Server {
  now = 0;
  busy = 0;
  most = 0;
  done = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #ends: { at: number; end: () => void }[] = [];
  readonly lanes: number;
  serviceMs: number;
  constructor(lanes: number, serviceMs: number) {
    this.lanes = lanes;
    this.serviceMs = serviceMs;
  }
  readonly request = (): Promise<void> =>
    new Promise((resolve) => {
      const start = (): void => {
        this.busy += 1;
        this.#ends.push({ at: this.now + this.serviceMs, end: resolve });
      };
      if (this.busy < this.lanes) start();
      else this.#waiting.push(start);
      this.most = Math.max(this.most, this.busy + this.#waiting.length);
    });
  /** Lets time pass until the next request ends; false where none is under way. */
  async step(): Promise<boolean> {
    await settle();
    const next = this.#ends.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined) return false;
    this.#ends.splice(this.#ends.indexOf(next), 1);
    this.now = next.at;
    this.busy -= 1;
    this.done += 1;
    this.#waiting.shift()?.();
    next.end();
    await settle();
    return true;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function load(window: CongestionWindow, server: Server, requests: number): Promise<void> {
  const all = Array.from({ length: requests }, () => window.run((send) => send(server.request), never));
  while (await server.step());
  await Promise.all(all);
}

describe('a window before a server', () => {
  test.each([
    { lanes: 2, serviceMs: 6 },
    { lanes: 4, serviceMs: 10 },
    { lanes: 16, serviceMs: 5 },
    { lanes: 32, serviceMs: 20 },
  ])('of $lanes lanes fills them, and keeps few waiting', async ({ lanes, serviceMs }) => {
    const server = new Server(lanes, serviceMs);
    const window = new CongestionWindow({ clock: () => server.now });
    await load(window, server, 2000);
    const before = { now: server.now, done: server.done };
    server.most = 0;
    await load(window, server, 500);
    const perMs = (server.done - before.done) / (server.now - before.now);
    expect(perMs).toBeGreaterThan((0.9 * lanes) / serviceMs);
    expect(server.most).toBeLessThanOrEqual(1.5 * lanes + 10);
    expect(window.size).toBeGreaterThanOrEqual(Math.min(lanes, 64));
  });

  test('that becomes slower for good is believed', async () => {
    const server = new Server(8, 5);
    const window = new CongestionWindow({ clock: () => server.now });
    await load(window, server, 1000);
    server.serviceMs = 50;
    await load(window, server, 8000);
    expect(window.size).toBeGreaterThanOrEqual(8);
  });
});

test('work that sends nothing says nothing about the server', async () => {
  const server = new Server(4, 10);
  const window = new CongestionWindow({ clock: () => server.now });
  await load(window, server, 200);
  const size = window.size;
  for (let i = 0; i < 50; i++) await window.run(async () => 'nothing to do', never);
  await load(window, server, 200);
  expect(window.size).toBeGreaterThanOrEqual(Math.min(size, 6));
});

test.each([
  { what: 'too many requests', status: 429, halves: true },
  { what: 'a server error', status: 503, halves: true },
  { what: 'no answer', status: 0, halves: true },
  { what: 'a lost race', status: 409, halves: false },
  { what: 'a refusal', status: 422, halves: false },
])('$what: halves $halves', async ({ status, halves }) => {
  const window = new CongestionWindow({ initial: 16, clock: () => 0 });
  const error = new KubeError({ status, reason: 'Test', message: 'no' });
  const failing = window.run((send) => send(() => Promise.reject(error)), never);
  await expect(failing).rejects.toBe(error);
  expect(window.size).toBe(halves ? 8 : 16);
});

test('who gives up while it waits leaves the queue, and no room is lost', async () => {
  const server = new Server(1, 5);
  const window = new CongestionWindow({ initial: 2, least: 2, most: 2, clock: () => server.now });
  const end = new AbortController();
  const held = [1, 2].map(() => window.run((send) => send(server.request), never));
  const given = window.run((send) => send(server.request), end.signal);
  const last = window.run((send) => send(server.request), never);
  end.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
  while (await server.step());
  await Promise.all([...held, last]);
  expect(server.done).toBe(3);
});

test('never more than the most are under way, all are done, in the order in which they came', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 2, max: 12 }),
      fc.array(fc.boolean(), { maxLength: 60 }),
      async (lanes, most, answers) => {
        const server = new Server(lanes, 3);
        const window = new CongestionWindow({ least: 2, most, clock: () => server.now });
        const started: number[] = [];
        const all = answers.map((isGood, index) =>
          window
            .run((send) => {
              started.push(index);
              return send(async () => {
                await server.request();
                if (!isGood) throw new KubeError({ status: 503, reason: 'Test', message: 'no' });
              });
            }, never)
            .catch(() => undefined),
        );
        while (await server.step());
        await Promise.all(all);
        expect(server.most).toBeLessThanOrEqual(most);
        expect(started).toEqual(answers.map((_, index) => index));
      },
    ),
    { numRuns: 50 },
  );
});

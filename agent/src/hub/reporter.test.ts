// Reports: the newest state gets through, whatever was lost, and a hub that does not keep up is not flooded.
import type { MachineState } from '@floe/crds/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Reporter } from './reporter.ts';

const state = (sequence: number): MachineState => ({
  sequence,
  reboot: { required: false, reasons: [] },
  failedUnits: [],
  facts: {},
});

const ended = (sequence: number): MachineState => ({
  ...state(sequence),
  attempt: { desiredId: `o${sequence}`, to: '/nix/store/x', phase: 'Committed', finishedAt: '2026-01-01T00:00:00Z' },
});

/** A reporter with the connection and the hub at its other end. */
class Line {
  readonly reporter = new Reporter();
  newest = 0;
  had: MachineState | undefined;
  underWay: { seq: number; state: MachineState }[] = [];

  change(): void {
    this.reporter.update(state(++this.newest));
  }

  end(): void {
    this.reporter.update(ended(++this.newest));
  }

  ack(): void {
    const last = this.underWay.at(-1);
    this.underWay = [];
    if (last === undefined) return;
    this.had = last.state;
    this.reporter.acknowledged(last.seq);
  }

  lose(): void {
    this.reporter.detach();
    this.underWay = [];
  }

  connect(): void {
    this.underWay = [];
    this.reporter.attach((seq, sent) => this.underWay.push({ seq, state: sent }));
  }
}

test('when all is acknowledged, the hub has the newest state; never are many reports under way', () => {
  const step = fc.constantFrom('change', 'change', 'change', 'end', 'ack', 'lose', 'connect');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const line = new Line();
      for (const one of steps) {
        line[one]();
        expect(line.underWay.filter((sent) => sent.state.attempt === undefined).length).toBeLessThanOrEqual(4);
      }
      line.change();
      line.connect();
      while (line.underWay.length > 0) line.ack();
      expect(line.had?.sequence).toBe(line.newest);
    }),
  );
});

test('the same state is not sent twice, but it is after a reconnect', () => {
  const sent: number[] = [];
  const reporter = new Reporter();
  reporter.attach((seq) => sent.push(seq));
  reporter.update(state(1));
  reporter.update(state(1));
  expect(sent).toEqual([1]);
  reporter.detach();
  reporter.attach((seq) => sent.push(seq));
  expect(sent).toEqual([1, 1]);
});

test('the end of an attempt does not wait for older reports', () => {
  const sent: MachineState[] = [];
  const reporter = new Reporter();
  reporter.attach((_, one) => sent.push(one));
  for (let n = 1; n < 10; n++) reporter.update(state(n));
  expect(sent).toHaveLength(4);
  reporter.update(ended(10));
  expect(sent.at(-1)?.sequence).toBe(10);
});

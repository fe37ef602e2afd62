// Fates of simulated machines: drawn by seed, in about the shares that were asked for.
import { expect, test } from 'vitest';
import { fateOf } from './script.ts';

const script = {
  seed: 7,
  failSwitch: 0.1,
  disconnect: { share: 0.3, afterMs: 1, awayMs: 1 },
  slow: { share: 0.5, factor: 4 },
};
const fates = (seed: number) => Array.from({ length: 2000 }, (_, i) => fateOf({ ...script, seed }, `m${i}`, 'r2/x'));

test('the same seed has the same fates, another one others', () => {
  expect(fates(7)).toEqual(fates(7));
  expect(fates(8)).not.toEqual(fates(7));
});

test('shares are about what they say; what is not named does not happen', () => {
  const share = (of: (fate: ReturnType<typeof fateOf>) => boolean) => fates(7).filter(of).length / 2000;
  expect(share(({ failsSwitch }) => failsSwitch)).toBeCloseTo(0.1, 1);
  expect(share(({ disconnects }) => disconnects)).toBeCloseTo(0.3, 1);
  expect(share(({ factor }) => factor === 4)).toBeCloseTo(0.5, 1);
  expect(share(({ failsHealth, turnsBad }) => failsHealth || turnsBad)).toBe(0);
});

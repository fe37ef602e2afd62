// The journal under power cuts and damage: what was saved stays, and what is damaged is noticed.
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderFor } from '../attempt/model.fixture.ts';
import { newAttempt } from '../attempt/record.ts';
import { Disk, DiskCutError } from './disk.fixture.ts';
import {
  decodeJournal,
  EMPTY_JOURNAL,
  encodeJournal,
  findAttempt,
  type Journal,
  JournalFile,
  withAttempt,
} from './journal.ts';

const numbered = (sequence: number): Journal => ({ sequence, ended: [] });

test('a power cut at any operation leaves the old journal or the new one, and never less than what was saved', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.nat(60),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      async (saves, cutAt, kept) => {
        const disk = new Disk();
        disk.cutAt = cutAt;
        const file = new JournalFile(disk, '/state');
        let saved = 0;
        try {
          for (let sequence = 1; sequence <= saves; sequence++) {
            await file.save(numbered(sequence));
            saved = sequence;
          }
        } catch (error: unknown) {
          if (!(error instanceof DiskCutError)) throw error;
        }
        const paths = [...disk.names.keys()].sort();
        disk.reboot((path) => kept[paths.indexOf(path)] ?? true);
        const { journal } = await new JournalFile(disk, '/state').load();
        expect(journal.sequence).toBeGreaterThanOrEqual(saved);
        expect(journal.sequence).toBeLessThanOrEqual(saved + 1);
      },
    ),
    { numRuns: Number(process.env['FLOE_SEQUENCES'] ?? 2000) },
  );
});

/** Where a journal has the number of its format. */
const FORMAT_AT = 'floe-journal '.length;

test('no damage of a byte goes unnoticed, or changes what is read', () => {
  const journal = withAttempt(EMPTY_JOURNAL, newAttempt(orderFor({ mode: 'switch', confirm: 'hub' }), 'now'));
  const content = encodeJournal(journal);
  fc.assert(
    fc.property(fc.nat(content.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const damaged = Buffer.from(content);
      damaged[at] = (damaged[at] ?? 0) ^ change;
      const decoded = decodeJournal(damaged);
      // The number of the format is all that the checksum does not cover: another one that is known reads the same, of
      // one that is newer nothing but the sequence is taken.
      if (decoded.ok && decoded.damage === undefined) expect(decoded.journal).toEqual(journal);
      else if (decoded.ok) expect(decoded.journal).toEqual({ sequence: journal.sequence, ended: [] });
    }),
    {
      numRuns: Number(process.env['FLOE_SEQUENCES'] ?? 1000),
      examples: [
        [FORMAT_AT, '1'.charCodeAt(0) ^ '2'.charCodeAt(0)],
        [FORMAT_AT, '1'.charCodeAt(0) ^ '9'.charCodeAt(0)],
        [FORMAT_AT, '1'.charCodeAt(0) ^ '0'.charCodeAt(0)],
      ],
    },
  );
});

test.each([
  { name: 'truncated', damage: (one: Buffer) => one.subarray(0, one.length - 5) },
  { name: 'emptied', damage: () => Buffer.alloc(0) },
  { name: 'zeroed, as some file systems leave it', damage: (one: Buffer) => Buffer.alloc(one.length) },
])('a journal that is $name is read from its second copy, and the damage is told', async ({ damage }) => {
  const disk = new Disk();
  const file = new JournalFile(disk, '/state');
  await file.save(numbered(1));
  await file.save(numbered(2));
  disk.names.set('/state/journal', damage(disk.names.get('/state/journal') ?? Buffer.alloc(0)));
  const loaded = await file.load();
  expect(loaded.journal.sequence).toBe(1);
  expect(loaded.damage).toContain('/state/journal');
  // The damaged copy must not take the place of the good one.
  await file.save(numbered(3));
  expect((await file.load()).journal.sequence).toBe(3);
  expect(decodeJournal(disk.names.get('/state/journal.old') ?? Buffer.alloc(0))).toMatchObject({
    ok: true,
    journal: { sequence: 1 },
  });
});

test('of a newer agent only the sequence is taken, and that is told', async () => {
  const disk = new Disk();
  const newer = encodeJournal({ ...numbered(7), attempt: 'something new' } as never)
    .toString()
    .replace('floe-journal 1', 'floe-journal 3');
  disk.names.set('/state/journal', Buffer.from(newer));
  const loaded = await new JournalFile(disk, '/state').load();
  expect(loaded.journal).toEqual(numbered(7));
  expect(loaded.damage).toContain('format 3');
});

test('ended attempts are found by id and closure, newest first, ten of them', () => {
  const order = orderFor({ mode: 'switch', confirm: 'hub' });
  let journal = EMPTY_JOURNAL;
  for (let n = 0; n < 15; n++) {
    const record = {
      ...newAttempt({ ...order, id: `order-${n}`, sequence: n }, `t${n}`),
      step: 'done',
      phase: 'Committed',
    } as const;
    journal = withAttempt(journal, record);
  }
  expect(journal.sequence).toBe(14);
  expect(journal.ended.map((one) => one.order.id)).toEqual(Array.from({ length: 10 }, (_, n) => `order-${13 - n}`));
  expect(findAttempt(journal, { id: 'order-9', closure: order.closure })?.startedAt).toBe('t9');
  expect(findAttempt(journal, { id: 'order-9', closure: `${order.closure}-other` })).toBeUndefined();
});

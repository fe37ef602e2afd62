// PUT of a NAR: its name is the hash of its content, so what arrives either is that file or is refused.
import type { IncomingMessage } from 'node:http';
import type { Address } from './address.ts';
import { type Answer, busy, ok, refuse } from './answer.ts';
import type { CacheDirectory } from './directory.ts';
import { announcedLength, receive } from './receive.ts';
import type { Slots } from './slots.ts';
import type { Room, Space } from './space.ts';
import type { Turns } from './turns.ts';

/** What uploads share. */
export type UploadPorts = {
  readonly directory: CacheDirectory;
  readonly space: Space;
  readonly slots: Slots;
  readonly turns: Turns;
  readonly countReceived: (bytes: number) => void;
};

/** One request to upload; `proceed` tells a waiting client to send its body. */
export type Upload = { readonly request: IncomingMessage; readonly proceed: () => void; readonly signal: AbortSignal };

/** How long an upload waits for its turn. */
const WAIT_SECONDS = 60;

export async function putNar(
  address: Extract<Address, { kind: 'nar' }>,
  upload: Upload,
  ports: UploadPorts,
): Promise<Answer> {
  const target = ports.directory.narPath(address.namespace, address.file);
  const length = announcedLength(upload.request);
  const present = await ports.directory.sizeOf(target);
  // Of another size it is damaged: its name is the hash of its content.
  if (present !== undefined && (length === undefined || length === present)) return ok('this NAR is there already');
  if (length === undefined) return refuse(411, 'say the length of the upload in Content-Length');
  const leave = await ports.slots.take(address.namespace, { waitSeconds: WAIT_SECONDS, signal: upload.signal });
  if (leave === undefined) return busy('the cache takes as many uploads as it may; try again');
  try {
    const room = await ports.space.reserve(length);
    if (room.kind === 'full') return refuse(507, room.message);
    try {
      return await store(address, { upload, ports, target, length, present, room });
    } finally {
      room.release(0);
    }
  } finally {
    leave();
  }
}

async function store(
  address: Extract<Address, { kind: 'nar' }>,
  to: {
    upload: Upload;
    ports: UploadPorts;
    target: string;
    length: number;
    /** Size of the damaged file that it replaces. */
    present: number | undefined;
    room: Extract<Room, { kind: 'granted' }>;
  },
): Promise<Answer> {
  const file = await to.ports.directory.temporary();
  try {
    to.upload.proceed();
    const got = await receive(to.upload.request, file, {
      length: to.length,
      count: to.ports.countReceived,
      grow: to.room.grow,
    });
    if (got.kind === 'full') return refuse(507, got.message);
    if (got.kind === 'short') return refuse(400, `${got.bytes} of ${to.length} bytes arrived; upload the file again`);
    if (got.sha256 !== address.fileHash) {
      return refuse(
        422,
        `the content has the SHA-256 ${got.sha256}, not that of its name ${address.file}; it was damaged on its way`,
      );
    }
    if (to.present !== undefined) {
      await to.ports.directory.publish(file, to.target);
      to.room.release(got.bytes - to.present);
      return ok('stored in place of a damaged file');
    }
    const isNew = await to.ports.directory.publishNew(file, to.target);
    to.room.release(isNew ? got.bytes : 0);
    return ok('stored');
  } finally {
    await file.discard();
  }
}

// PUT of a narinfo: checked against its NAR, and never replaced by one that means other content.
import type { Narinfo } from '../nix/narinfo.ts';
import { parseNarinfo, printNarinfo, sameContent } from '../nix/narinfo.ts';
import { hashPart } from '../nix/store-path.ts';
import { type Address, narFileOf } from './address.ts';
import { type Answer, ok, refuse } from './answer.ts';
import type { Upload, UploadPorts } from './put-nar.ts';
import { receiveText } from './receive.ts';
import { hasContent } from './whole-record.ts';

/** Bytes of the largest narinfo: some ten thousand references. */
const MAX_NARINFO = 1 << 20;
/** Signatures that one narinfo keeps at most; key rotation needs two. */
const MAX_SIGNATURES = 32;

type NarinfoAddress = Extract<Address, { kind: 'narinfo' }>;

export async function putNarinfo(address: NarinfoAddress, upload: Upload, ports: UploadPorts): Promise<Answer> {
  upload.proceed();
  const text = await receiveText(upload.request, MAX_NARINFO);
  if (text === undefined) return refuse(413, `a narinfo has at most ${MAX_NARINFO >> 10} KiB`);
  ports.countReceived(text.length);
  const parsed = parseNarinfo(text);
  if (!parsed.ok) return refuse(422, `narinfo: ${parsed.field} ${parsed.message}`);
  const info = parsed.value;
  if (hashPart(info.storePath) !== address.hash) {
    return refuse(422, `narinfo: StorePath ${info.storePath} does not belong to ${address.hash}.narinfo`);
  }
  if (info.signatures.length > MAX_SIGNATURES)
    return refuse(422, `narinfo: Sig stands there more than ${MAX_SIGNATURES} times`);
  const wrong = await wrongNar(address, info, ports);
  if (wrong !== undefined) return wrong;
  const room = await ports.space.reserve(text.length);
  if (room.kind === 'full') return refuse(507, room.message);
  try {
    // Two writers that add a signature each must not undo each other.
    const key = `${address.namespace}/${address.hash}`;
    return await ports.turns.run(key, async () => store(address, { info, ports, stored: room.release }));
  } finally {
    room.release(0);
  }
}

/** Says what is wrong between a narinfo and the NAR that it names; the NAR's own content was checked when it came. */
async function wrongNar(address: NarinfoAddress, info: Narinfo, ports: UploadPorts): Promise<Answer | undefined> {
  const nar = narFileOf(info.url);
  if (nar === undefined) return refuse(422, `narinfo: URL ${info.url} is not of the form nar/<FileHash>.nar…`);
  if (info.fileHash !== `sha256:${nar.fileHash}`) return refuse(422, 'narinfo: FileHash is not the hash in URL');
  const size = await ports.directory.sizeOf(ports.directory.narPath(address.namespace, nar.file));
  if (size === undefined) return refuse(422, `narinfo: ${info.url} is not in the cache; upload the NAR first`);
  if (info.fileSize !== size) return refuse(422, `narinfo: FileSize is not ${size}, the size of ${info.url}`);
  return undefined;
}

async function write(
  text: string,
  publish: (file: Awaited<ReturnType<UploadPorts['directory']['temporary']>>) => Promise<boolean>,
  ports: UploadPorts,
): Promise<boolean> {
  const file = await ports.directory.temporary();
  try {
    await file.handle.writeFile(text);
    return await publish(file);
  } finally {
    await file.discard();
  }
}

async function store(
  address: NarinfoAddress,
  to: { info: Narinfo; ports: UploadPorts; stored: (bytes: number) => void },
): Promise<Answer> {
  const { info, ports } = to;
  const { directory } = ports;
  const target = directory.narinfoPath(address.namespace, address.hash);
  const text = printNarinfo(info);
  if (await write(text, async (file) => directory.publishNew(file, target), ports)) {
    to.stored(text.length);
    return ok('stored');
  }
  const before = (await directory.text(target)) ?? '';
  if (!(await hasContent(before, address.namespace, directory))) {
    await write(text, async (file) => directory.publish(file, target).then(() => true), ports);
    return ok('stored in place of a narinfo whose NAR is gone');
  }
  const present = parseNarinfo(before);
  if (!present.ok)
    return refuse(500, `the cache's own ${address.hash}.narinfo is damaged: ${present.field} ${present.message}`);
  if (!sameContent(present.value, info)) {
    return refuse(
      409,
      `the cache holds ${info.storePath} with other content (NarHash ${present.value.narHash}, not ${info.narHash}); a narinfo is never replaced, so build again from what the cache holds`,
    );
  }
  const signatures = [...new Set([...present.value.signatures, ...info.signatures])];
  if (signatures.length === present.value.signatures.length) return ok('this narinfo is there already');
  if (signatures.length > MAX_SIGNATURES)
    return refuse(409, `${info.storePath} has ${MAX_SIGNATURES} signatures already`);
  // The address of the NAR stays as it is: only signatures are added, by a new key for instance.
  const merged = printNarinfo({ ...present.value, signatures });
  await write(merged, async (file) => directory.publish(file, target).then(() => true), ports);
  return ok('signature added');
}

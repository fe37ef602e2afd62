// A WebSocket server over TLS that does nothing; prints its port. Arguments: certificate file, key file.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const [certFile = '', keyFile = ''] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
// One message each way, as big as a machine's first report: buffers have their usual size.
sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)));
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));

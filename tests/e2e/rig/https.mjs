// Requests over TLS, one after the other, with a client certificate or without, as stdin (JSON) has them. Every request has a
// connection of its own; those of one `version` share their sessions, which are resumed.
import https from 'node:https';
import { json } from 'node:stream/consumers';

const { port, requests } = await json(process.stdin);
const agents = new Map();
const agent = version => {
  if (!agents.has(version)) agents.set(version, new https.Agent({ maxVersion: version, keepAlive: false }));
  return agents.get(version);
};

const send = ({ method, path, headers, cert, key, version }) => new Promise((resolve, reject) => {
  const options = { host: '127.0.0.1', port, method, path, headers, cert, key, rejectUnauthorized: false, agent: agent(version) };
  const request = https.request(options, reply => {
    const { socket, statusCode: status } = reply;
    const seen = { protocol: socket.getProtocol(), resumed: socket.isSessionReused() };
    let body = '';
    reply.setEncoding('utf8').on('data', part => { body += part; });
    reply.on('end', () => resolve({ status, headers: reply.headersDistinct, body, ...seen }));
  });
  request.on('error', reject).end();
});

const replies = [];
for (const request of requests) replies.push(await send(request));
console.log(JSON.stringify(replies));

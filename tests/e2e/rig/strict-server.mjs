// An authorization server as Tomcat and Go make them: HTTP/2 over TLS, a stream whose `:scheme` is not https is reset, and
// any host but its own gets 400. What is left goes to the server at `behind`. OPTIONS: host (with :0 for the port that it gets), behind (address), cert and key.
import http from 'node:http';
import http2 from 'node:http2';

const { behind, cert, key, ...options } = JSON.parse(process.env.OPTIONS);
let { host } = options;
const [hostname, port] = behind.split(':');
const server = http2.createSecureServer({ cert, key });

server.on('stream', (stream, headers) => {
  const { ':method': method, ':path': path, ':scheme': scheme, ':authority': authority } = headers;
  stream.on('error', () => {});
  console.log(JSON.stringify({ method, path: path.split('?')[0], scheme, authority }));
  if (scheme !== 'https') return stream.close(http2.constants.NGHTTP2_PROTOCOL_ERROR);
  if (authority !== host) {
    stream.respond({ ':status': 400, 'content-type': 'text/html' });
    return stream.end('<h1>Bad Request</h1>');
  }
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  const target = { hostname, port, method, path, headers: { ...Object.fromEntries(plain), host } };
  const request = http.request(target, reply => {
    const { connection, 'keep-alive': keepAlive, 'transfer-encoding': coding, ...rest } = reply.headers;
    stream.respond({ ':status': reply.statusCode, ...rest });
    reply.pipe(stream);
  });
  request.on('error', () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  stream.pipe(request);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  host = host.replace(/:0$/, `:${port}`);
  console.log(`127.0.0.1:${port}`);
});

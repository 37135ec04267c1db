// A server of the Model Context Protocol on a free loopback port, which it prints: the service behind Envoy. Its tool `whoami`
// tells what token reached it. Ends when its stdin does.
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const server = createServer(async (request, response) => {
  const mcp = new McpServer({ name: 'tools', version: '1' });
  mcp.registerTool('whoami', { description: 'the token that came with this call' }, () => ({
    content: [{ type: 'text', text: request.headers.authorization ?? '' }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on('close', () => mcp.close());
  await mcp.connect(transport);
  await transport.handleRequest(request, response, request.method === 'POST' ? await json(request) : undefined);
});
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume();

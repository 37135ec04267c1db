// A client of the Model Context Protocol that knows what the JSON on stdin says, the server's URL and its own credentials, and
// nothing else: calls the tool `whoami` and prints what that said, and what it asked on its way.
import { json } from 'node:stream/consumers';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { server, clientId, clientSecret, scope } = await json(process.stdin);

const asked = [];
const transport = new StreamableHTTPClientTransport(new URL(server), {
  authProvider: new ClientCredentialsProvider({ clientId, clientSecret, scope }),
  fetch: async (url, init) => {
    const response = await fetch(url, init);
    asked.push(`${init?.method ?? 'GET'} ${url} ${response.status}`);
    return response;
  },
});
const client = new Client({ name: 'a client', version: '1' });
await client.connect(transport);
const { content } = await client.callTool({ name: 'whoami' });
console.log(JSON.stringify({ said: content[0].text, asked }));
await client.close();

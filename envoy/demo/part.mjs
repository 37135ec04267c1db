// One process of the demo: started, watched, stopped by its own pid.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export class Part {
  /** Its last lines of output: what it said before it died. */
  lastLines = [];
  /** Whether output is shown as it comes. */
  live = false;

  /** Starts `command`; `url` answers 200 once the part is ready. */
  constructor({ name, command: [file, ...args], env, url }) {
    Object.assign(this, { name, url });
    this.process = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#said(line));
    }
    /** How it ended: resolves when it has. */
    this.ended = this.#end();
    // Whatever becomes of the supervisor, no part outlives it.
    process.on('exit', () => this.process.kill('SIGKILL'));
  }

  async ready(deadline = Date.now() + 60_000) {
    while (!(await answers(this.url))) {
      if (Date.now() > deadline) throw new Error(`${this.name} did not get ready within 60 s`);
      await sleep(50);
    }
  }

  async stop() {
    this.process.kill('SIGTERM');
    const gone = await Promise.race([this.ended, sleep(5_000, false, { ref: false })]);
    if (!gone) this.process.kill('SIGKILL');
    await this.ended;
  }

  #said(line) {
    if (this.live) console.log(`[${this.name}] ${line}`);
    this.lastLines = [...this.lastLines, line].slice(-20);
  }

  async #end() {
    let how;
    try {
      const [code, signal] = await once(this.process, 'exit'); // rejects if it could not be started
      how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      await Promise.race([once(this.process, 'close'), sleep(200)]); // the rest of its output
    } catch (error) {
      how = `could not be started: ${error.message}`;
    }
    return how;
  }
}

/** Whether a server could listen on this port of the loopback interface. */
export async function portIsFree(port) {
  const server = createServer().listen(port, '127.0.0.1');
  return once(server, 'listening').then(() => !!server.close(), () => false);
}

async function answers(url) {
  return fetch(url).then((response) => response.ok, () => false);
}

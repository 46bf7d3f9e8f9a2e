/**
 * Runs the bundle in a folder through what a node does first (two nodes meet, agree on an item, stop) and writes the code
 * that V8 compiled on the way beside it. Plain CommonJS, as it must run under the very flags of the node and nothing else.
 * Arguments: the folder, the configuration files of two nodes.
 */
'use strict';

const { readFileSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { Script } = require('node:vm');

const [folder, ...files] = process.argv.slice(2);
const filename = join(folder, 'bundle.js');
const script = new Script(readFileSync(filename, 'latin1'), { filename });
const bundle = { exports: {} };
script.runInThisContext()(createRequire(filename), bundle, bundle.exports);

const patienceMs = 20_000;
const startedAt = performance.now();

async function until(holds) {
  while (!holds()) {
    if (performance.now() - startedAt > patienceMs) throw new Error('the nodes of the warm-up do not agree');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function warmUp() {
  const { readConfiguration, runNode } = bundle.exports;
  const nodes = [];
  for (const file of files) nodes.push(await runNode(await readConfiguration(file), { note: () => {} }));
  await until(() => nodes.every((node) => node.overview().peers === 1));
  const payload = {
    rule_hash: `rule_${'a'.repeat(64)}`,
    logic_signature: 'warm',
    context_signature: 'up',
    confidence: 0.5,
    evidence_count: 1,
    metadata: {},
  };
  for (const node of nodes) {
    const { itemHash } = await node.broadcast({ type: 'commit', payload });
    await until(() => nodes.every((other) => other.status(itemHash) === 'durable'));
  }
  await Promise.all(nodes.map((node) => node.stop()));
  writeFileSync(join(folder, 'bundle.cache'), script.createCachedData());
  process.exit(0);
}

void warmUp();

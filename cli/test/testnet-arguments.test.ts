import { expect } from 'chai';
import { UsageError } from '../../harness/usage-error.ts';
import { type RunArguments, readTestnetArguments } from '../testnet-arguments.ts';
import { replayLine } from '../testnet-run.ts';

describe('the command line of testnet', () => {
  it('has defaults for everything', () => {
    expect(readTestnetArguments([])).to.deep.equal({
      kind: 'run',
      engine: 'auto',
      scenario: 'default',
      nodes: null,
      seed: null,
      command: null,
      image: null,
      mixed: false,
      toxiproxy: null,
      out: null,
      keep: false,
      quiet: false,
    });
  });

  it('takes every flag of the interface', () => {
    const words =
      '--engine process --scenario smoke --nodes 8 --seed 0 --mixed --toxiproxy http://127.0.0.1:8474 --out x --keep --quiet';
    expect(readTestnetArguments([...words.split(' '), '--command', 'python3 node.py -v'])).to.deep.equal({
      kind: 'run',
      engine: 'process',
      scenario: 'smoke',
      nodes: 8,
      seed: 0,
      command: 'python3 node.py -v',
      image: null,
      mixed: true,
      toxiproxy: 'http://127.0.0.1:8474',
      out: 'x',
      keep: true,
      quiet: true,
    });
    expect(readTestnetArguments(['list'])).to.deep.equal({ kind: 'list' });
    expect(readTestnetArguments(['down'])).to.deep.equal({ kind: 'down' });
    expect(readTestnetArguments(['validate', 'a.yaml'])).to.deep.equal({ kind: 'validate', file: 'a.yaml' });
    expect(readTestnetArguments(['down', '-h'])).to.deep.equal({ kind: 'help' });
  });

  it('is said again so that a shell takes it', () => {
    const words = ['--scenario', "my scenarios/it's.yaml", '--nodes', '8', '--command', 'node x.js -v'];
    const asked = readTestnetArguments(words) as RunArguments;
    expect(replayLine(asked, 'process', 7)).to.equal(
      `npm run testnet -- --engine process --scenario 'my scenarios/it'\\''s.yaml' --seed 7 --nodes 8 --command 'node x.js -v'`,
    );
  });

  const mistakes: [string, RegExp][] = [
    ['--node 3', /Unknown option '--node' \(there are --engine --scenario --nodes/],
    ['--nodes', /'--nodes <value>' argument missing/],
    ['--nodes three', /^--nodes three: must be a whole number from 2$/],
    ['--nodes 1', /from 2/],
    ['--nodes=-4', /^--nodes -4: must be a whole number from 2$/],
    ['--nodes -5', /^--nodes -5: must be a whole number from 2$/],
    ['--seed -1', /^--seed -1: must be a whole number from 0$/],
    ['--seed=', /^--seed '': must be a whole number from 0$/],
    ['--seed 1e3', /^--seed 1e3: must be/],
    ['--nodes --quiet', /^--nodes lacks its value \(there are --engine/],
    ['--toxiproxy notaurl', /^--toxiproxy notaurl: must be a URL such as/],
    ['--toxiproxy localhost:8474', /must be a URL/],
    ['--seed 1.5', /^--seed 1\.5: must be a whole number from 0$/],
    ['--keep=yes', /'--keep' does not take an argument/],
    ['--mixed', /--mixed goes with --command/],
    ['--command=a --image=b', /either --command CMD or --image REF/],
    ['--command=', /--command is empty/],
    ['up', /there is no "up"; there are list, validate, down/],
    ['validate', /one FILE/],
    ['validate a b', /one FILE/],
    ['down all', /down takes nothing more, not "all"/],
    ['list --quiet', /list takes no --quiet/],
  ];
  for (const [words, line] of mistakes) {
    it(`refuses "${words}" in one line`, () => {
      let message = '';
      try {
        readTestnetArguments(words.split(' '));
      } catch (error) {
        expect(error).to.be.instanceOf(UsageError);
        message = (error as Error).message;
      }
      expect(message).to.match(line);
      expect(message).to.not.match(/\n/);
    });
  }
});

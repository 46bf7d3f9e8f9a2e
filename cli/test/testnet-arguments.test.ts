import { expect } from 'chai';
import { UsageError } from '../../harness/usage-error.ts';
import { readTestnetArguments } from '../testnet-arguments.ts';

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

  const mistakes: [string, RegExp][] = [
    ['--node 3', /Unknown option '--node' \(there are --engine --scenario --nodes/],
    ['--nodes', /'--nodes <value>' argument missing/],
    ['--nodes three', /^--nodes three: must be a whole number from 2$/],
    ['--nodes 1', /from 2/],
    ['--nodes=-4', /from 2/],
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

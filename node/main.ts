/** The reference node as a program; see `shell/program.ts`. It must know nothing else, so that bundles may start elsewhere. */

import { runProgram } from './shell/program.ts';

void runProgram();

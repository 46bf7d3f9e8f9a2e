/** Turns of the event loop: their number, and what is put off to the next one. One immediate per turn serves all who ask. */

export interface Turns {
  /** The number of the present one. */
  now(): number;
  /** Calls back in the next one. */
  next(callback: () => void): void;
}

export function createTurns(): Turns {
  let turn = 0;
  let isCounted = false;
  let callbacks: (() => void)[] = [];
  const begin = () => {
    turn++;
    isCounted = false;
    const due = callbacks;
    callbacks = [];
    for (const callback of due) callback();
  };
  const count = () => {
    if (isCounted) return;
    isCounted = true;
    setImmediate(begin);
  };
  return {
    now() {
      count();
      return turn;
    },
    next(callback) {
      callbacks.push(callback);
      count();
    },
  };
}

// Where a take is kept on this computer until the server has all of it: IndexedDB, one row for each piece. If the browser gives no
// room, the take is kept in memory and the page says so.

const NAME = "pitch-takes";
const BEAT = 2000; // a living recording says so this often
const DEAD_AFTER = 15_000;

const promised = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Resolves when the database says the transaction is on its disk; a request's own success comes before that and may be undone. */
const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new DOMException("not saved", "AbortError"));
  });

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("takes", { keyPath: "id" });
    request.result.createObjectStore("pieces", { keyPath: ["take", "number"] });
  };
  return promised(request);
}

function putTake(db, take) {
  const work = db.transaction("takes", "readwrite");
  work.objectStore("takes").put({ ...take });
  return committed(work);
}

const lockOf = (take) => `pitch-take-${take}`;
const range = (take) => IDBKeyRange.bound([take, 0], [take, Infinity]);

export class Spool {
  /** owner: the code of who is signed in; on a shared computer nobody is offered another person's take. */
  constructor(type, owner) {
    this.take = { id: crypto.randomUUID(), owner, type, startedAt: Date.now(), beat: Date.now(), ms: 0, size: 0, location: null, video: null };
    this.pieces = []; // {from, ms, blob}: from and ms are where it starts in bytes and ends in time; the browser may keep a blob on disk
    this.length = 0;
    this.isDurable = true;
    this.isGone = false;
    this.queue = Promise.resolve();
  }

  async start() {
    try {
      this.db = await open();
      await putTake(this.db, this.take);
    } catch {
      this.isDurable = false;
    }
    this.live();
  }

  /**
   * Say that this take is in somebody's hands, until it is let go, removed, or the page is closed: by a lock where the browser has
   * them, and by a beat, which a tab in the background may not be able to keep.
   */
  live() {
    this.timer = setInterval(() => this.note({}), BEAT);
    const end = new Promise((done) => (this.die = done));
    navigator.locks?.request(lockOf(this.take.id), () => end);
  }

  /** Add a piece; pieces keep their order whatever takes how long. */
  add(blob, ms) {
    if (this.isGone) return;
    const piece = { take: this.take.id, number: this.pieces.length, from: this.length, ms, blob };
    this.pieces.push(piece);
    this.length += blob.size;
    Object.assign(this.take, { ms, size: this.length, beat: Date.now() });
    if (!this.isDurable) return;
    this.queue = this.queue
      .then(async () => {
        const work = this.db.transaction(["pieces", "takes"], "readwrite");
        work.objectStore("pieces").put(piece);
        work.objectStore("takes").put({ ...this.take });
        await committed(work);
      })
      .catch(() => {
        this.isDurable = false;
      });
  }

  note(facts) {
    if (this.isGone) return;
    Object.assign(this.take, facts, { beat: Date.now() });
    if (!this.isDurable) return;
    this.queue = this.queue
      .then(() => putTake(this.db, this.take))
      .catch(() => {});
  }

  size() {
    return this.length;
  }

  /** What the server does not have when it has confirmed `offset` bytes: {pieces, seconds}. */
  unsent(offset) {
    const isSent = (piece) => piece.from + piece.blob.size <= offset;
    const first = this.pieces.findIndex((piece) => !isSent(piece));
    if (first < 0) return { pieces: 0, seconds: 0 };
    const sentMs = first ? this.pieces[first - 1].ms : 0;
    return { pieces: this.pieces.length - first, seconds: Math.max(1, Math.round((this.take.ms - sentMs) / 1000)) };
  }

  async read(from, to) {
    const parts = [];
    for (const piece of this.pieces) {
      const start = Math.max(from, piece.from);
      const end = Math.min(to, piece.from + piece.blob.size);
      if (start < end) parts.push(piece.blob.slice(start - piece.from, end - piece.from));
    }
    return new Blob(parts);
  }

  blob() {
    return new Blob(this.pieces.map((piece) => piece.blob), { type: this.take.type });
  }

  async remove() {
    this.isGone = true;
    clearInterval(this.timer);
    this.die();
    await this.queue;
    if (this.db) await removeTake(this.take.id, this.db);
  }

  /** Let go of the take without removing it: the studio offers it from now on. */
  async release() {
    clearInterval(this.timer);
    await this.queue;
    this.isGone = true; // nobody writes to it any more
    if (this.db) await putTake(this.db, { ...this.take, beat: 0 }).catch(() => {});
    this.die();
  }

  /** Take up a take that an earlier visit left. */
  static async recover(take) {
    const spool = new Spool(take.type, take.owner);
    spool.take = take;
    spool.db = await open();
    spool.pieces = await promised(spool.db.transaction("pieces").objectStore("pieces").getAll(range(take.id)));
    spool.length = spool.pieces.reduce((sum, piece) => sum + piece.blob.size, 0);
    spool.live();
    return spool;
  }
}

export async function removeTake(id, db = null) {
  db ??= await open();
  const work = db.transaction(["pieces", "takes"], "readwrite");
  work.objectStore("pieces").delete(range(id));
  work.objectStore("takes").delete(id);
  await committed(work);
}

/** Call onTake(newest left take, or undefined) now and again whenever one may have become old enough to be offered. Returns the look. */
export function watchLeftTakes(owner, onTake) {
  const look = async () => onTake((await leftTakes(owner))[0]);
  look();
  setInterval(look, DEAD_AFTER);
  return look;
}

/** The takes of `owner` that are in nobody's hands, newest first; one that lives in another tab is not among them. */
async function leftTakes(owner) {
  try {
    const db = await open();
    const takes = await promised(db.transaction("takes").objectStore("takes").getAll());
    db.close();
    const held = new Set((await navigator.locks?.query())?.held.map((lock) => lock.name));
    const isLeft = (take) => take.owner === owner && take.size > 0 && Date.now() - take.beat > DEAD_AFTER && !held.has(lockOf(take.id));
    return takes.filter(isLeft).sort((a, b) => b.startedAt - a.startedAt);
  } catch {
    return [];
  }
}

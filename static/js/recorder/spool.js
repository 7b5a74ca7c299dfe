// Where a take is kept on this computer until the server has all of it: IndexedDB, one row for each piece. If the browser gives no
// room, the take is kept in memory and the page says so.

const NAME = "pitch-takes";
const BEAT = 2000; // a living recording says so this often
export const DEAD_AFTER = 15_000;

const promised = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("takes", { keyPath: "id" });
    request.result.createObjectStore("pieces", { keyPath: ["take", "number"] });
  };
  return promised(request);
}

const range = (take) => IDBKeyRange.bound([take, 0], [take, Infinity]);

export class Spool {
  /** owner: the code of who is signed in; on a shared computer nobody is offered another person's take. */
  constructor(type, owner) {
    this.take = { id: crypto.randomUUID(), owner, type, startedAt: Date.now(), beat: Date.now(), ms: 0, size: 0, location: null, video: null };
    this.pieces = []; // {from, blob}: the blobs are small handles, the browser may keep their bytes on disk
    this.length = 0;
    this.isDurable = true;
    this.isGone = false;
    this.queue = Promise.resolve();
  }

  async start() {
    try {
      this.db = await open();
      await promised(this.db.transaction("takes", "readwrite").objectStore("takes").put(this.take));
    } catch {
      this.isDurable = false;
    }
    this.live();
  }

  /** Say again and again that this take is in somebody's hands, until it is removed or the page is closed. */
  live() {
    this.timer = setInterval(() => this.note({}), BEAT);
  }

  /** Add a piece; pieces keep their order whatever takes how long. */
  add(blob, ms) {
    if (this.isGone) return;
    const piece = { take: this.take.id, number: this.pieces.length, from: this.length, blob };
    this.pieces.push(piece);
    this.length += blob.size;
    Object.assign(this.take, { ms, size: this.length, beat: Date.now() });
    if (!this.isDurable) return;
    this.queue = this.queue
      .then(async () => {
        const work = this.db.transaction(["pieces", "takes"], "readwrite");
        work.objectStore("pieces").put(piece);
        await promised(work.objectStore("takes").put(this.take));
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
      .then(() => promised(this.db.transaction("takes", "readwrite").objectStore("takes").put({ ...this.take })))
      .catch(() => {});
  }

  size() {
    return this.length;
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
    await this.queue;
    if (this.db) await removeTake(this.take.id, this.db);
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
  await promised(work.objectStore("takes").delete(id));
}

/** The takes of `owner` that are in nobody's hands, newest first; one that lives in another tab is not among them. */
export async function leftTakes(owner) {
  try {
    const db = await open();
    const takes = await promised(db.transaction("takes").objectStore("takes").getAll());
    return takes.filter((take) => take.owner === owner && take.size > 0 && Date.now() - take.beat > DEAD_AFTER).sort((a, b) => b.startedAt - a.startedAt);
  } catch {
    return [];
  }
}

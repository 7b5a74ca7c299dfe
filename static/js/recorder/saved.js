// The one sentence about where the take is. It never claims more than was confirmed.

const SLACK = 2; // pieces that are on their way while all is well

/**
 * Return {kind, text, isFine}: `kind` changes when something new is to be said, `text` also counts the seconds.
 * spool, upload, take: this take's; refused: why the server takes no more of it, in words, or ""; isWaiting: the last try failed;
 * isComplete: nothing more is recorded.
 */
export function whereSaved({ spool, upload, take, refused, isWaiting, isComplete }, words) {
  const home = spool.isDurable ? words.here : words.memory;
  const say = (kind, values = {}) => ({
    kind: `${spool.isDurable ? "here" : "memory"}-${kind}`,
    text: home[kind].replace(/\{(\w+)\}/g, (_, key) => values[key]),
    isFine: ["both", "sending"].includes(kind) && (spool.isDurable || kind === "both"),
  });
  if (take.isWhole && !isComplete) return { kind: refused ? "whole-refused" : "whole", text: `${words.whole} ${refused}`.trim(), isFine: false };
  if (refused) return say("refused", { why: refused });
  if (!spool.size()) return { kind: "nothing", text: "", isFine: true };
  const unsent = spool.unsent(upload.offset);
  if (isWaiting) return say("waiting");
  const isThere = unsent.pieces <= (isComplete ? 0 : SLACK) && upload.offset > 0;
  return isThere ? say("both") : say("sending", { n: unsent.seconds });
}
